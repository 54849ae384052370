"""What the CUDA backend has beyond the others: threads in any order, counters that only the kernels see, ops for
training on a device. On the emulator; the ops of the protocol have their tests in files of their own.
"""

from __future__ import annotations

import helpers
import numpy as np
import pytest
from helpers import float32

emulator = pytest.importorskip("fastconv._emulator", reason="built without FASTCONV_EMULATOR")

OPS = [op for op in helpers.OUTPUTS if not op.startswith("conv2d")]
REDUCTIONS = [  # op, shape, kernel, barriers
    ("batchnorm_forward", (70, 19), "batchnorm_statistics", 2),
    ("batchnorm_forward", (70, 19), "batchnorm_finish_statistics", 1),
    ("batchnorm_backward", (70, 19), "batchnorm_gradient_sums", 1),
    ("batchnorm_backward", (70, 19), "batchnorm_finish_gradients", 1),
    ("softmax_xent", (33, 10), "softmax_xent", 1),
    ("categorical_crossentropy", (33, 10), "categorical_crossentropy", 1),
    ("categorical_accuracy", (33, 10), "categorical_accuracy", 1),
    ("confusion", (1100, 2), "confusion", 2),
    ("loss", (33, 10), "loss", 1),
    ("loss", (33, 10), "loss_finish", 1),
    ("depthwise_conv2d_wgrad", (2, 9, 8, 5), "depthwise_conv2d_sums", 1),
    ("depthwise_conv2d_wgrad", (2, 9, 8, 5), "depthwise_conv2d_finish", 1),
    ("adam_update", (100,), "adam_update", 1),
    ("clip_by_norm", (5003,), "clip_sums", 1),
    ("clip_by_norm", (5003,), "clip_scale", 1),
    ("penalty", (5003,), "penalty", 1),
    ("penalty", (5003,), "penalty_total", 1),
]
BARRIERS = [(op, shape, kernel, number) for op, shape, kernel, count in REDUCTIONS for number in range(count)]


@pytest.fixture
def cuda():
    yield helpers.Runner(helpers.emulated_cuda(), np.float32, "emulator")
    emulator.set_order("forward")
    emulator.restore_barriers()


@pytest.fixture
def replayed():
    """A function that calls an op, then `change`, then launches again what the op launched: a captured graph."""

    class Recorder:
        def __init__(self):
            self.launched = []

        def __getattr__(self, name):
            def launch(*arguments):
                self.launched.append((name, arguments))
                return getattr(emulator, name)(*arguments)

            return launch

    def run(op, change, **arguments):
        recorder = Recorder()
        getattr(type(helpers.emulated_cuda())(recorder, helpers.emulated_cuda().memory), op)(**arguments)
        change()
        for name, addresses in recorder.launched:
            getattr(emulator, name)(*addresses)

    return run


# ---- threads


@pytest.mark.parametrize("op", OPS)
def test_the_same_bits_in_any_order_of_the_threads(cuda, rng, op):
    rows = (2, 5, 6, 35) if op in helpers.IMAGES else (1100, 35)
    shape = rows if op in helpers.IMAGES + helpers.ROWS or op.startswith("batchnorm") else (5003,)
    given = helpers.example(op, rng, shape)
    expected = cuda.run(op, **given)
    for order, seed in (("reverse", 0), ("random", 1), ("random", 2)):
        emulator.set_order(order, seed)
        for name, value in vars(cuda.run(op, **given)).items():
            np.testing.assert_array_equal(value, getattr(expected, name), err_msg=f"{name}, {order} {seed}")


@pytest.mark.parametrize("order", ["forward", "reverse"])
@pytest.mark.parametrize("op, shape, kernel, number", BARRIERS)
def test_a_barrier_that_is_missing_is_noticed(cuda, rng, op, shape, kernel, number, order):
    given = helpers.example(op, rng, shape)
    emulator.set_order(order)
    emulator.remove_barrier(kernel, number)
    with pytest.raises(RuntimeError, match=f"{kernel}, block .*with no barrier between"):
        cuda.run(op, **given)


@pytest.mark.parametrize("shape", [(200, 4300), (4200, 40)], ids=["two tiles a part", "66 parts"])
@pytest.mark.parametrize("op", ["batchnorm_forward", "batchnorm_backward"])
def test_sums_of_many_tiles_agree_with_the_reference(cuda, reference, rng, op, shape):
    given = helpers.example(op, rng, shape)
    actual, expected = cuda.run(op, **given), reference.run(op, **given)
    for name, array in vars(expected).items():
        np.testing.assert_allclose(getattr(actual, name), array, rtol=1e-4, atol=1e-4, err_msg=name)


# ---- numbers that only the kernels see


def test_a_replayed_update_takes_the_step_and_the_rate_of_its_time(cuda, replayed, rng):
    names = ("w", "dw", "m", "v")
    state = {name: np.abs(float32(rng, 37)) for name in names}
    settings = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    counters = [
        {"learning_rate": np.array([rate], np.float32), "step": np.array([t])} for rate, t in ((0.1, 1), (0.3, 2))
    ]
    first = cuda.run("adam_update", **state, **counters[0], **settings)
    second = cuda.run("adam_update", w=first.w, dw=state["dw"], m=first.m, v=first.v, **counters[1], **settings)

    def change():
        for name, array in counters[0].items():
            array[...] = counters[1][name]

    replayed("adam_update", change, **state, **counters[0], **settings)
    for name in ("w", "m", "v"):
        np.testing.assert_array_equal(state[name], getattr(second, name), err_msg=name)


def test_a_replayed_sgd_update_takes_the_rate_of_its_time(replayed, rng):
    w, rate = np.zeros(5, np.float32), np.array([1], np.float32)

    def change():
        rate[:] = 10

    replayed(
        "sgd_update", change, w=w, dw=np.ones_like(w), velocity=None, learning_rate=rate, momentum=0.0, nesterov=False
    )
    np.testing.assert_array_equal(w, np.full(5, -11))


@pytest.mark.parametrize("name", ["seed", "step"])
def test_a_replayed_dropout_takes_the_counters_of_its_time(cuda, replayed, name):
    x, y = np.ones(1000, np.float32), np.empty(1000, np.float32)
    counters = {"seed": np.array([5]), "step": np.array([7])}
    expected = cuda.run("dropout_forward", x=x, **counters | {name: np.array([2**40 + 3])}, rate=0.5, stream=1).y

    def change():
        counters[name][:] = 2**40 + 3

    replayed("dropout_forward", change, x=x, y=y, **counters, rate=0.5, stream=1)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("label", [3, -1, 2**31 - 1, -(2**31)])
def test_a_label_out_of_range_makes_the_loss_and_its_row_nan(cuda, rng, label):
    x, labels = float32(rng, 4, 3), np.array([0, 2, label, 1], np.int32)
    actual = cuda.run("softmax_xent", x=x, labels=labels)
    assert np.isnan(actual.totals[0])
    np.testing.assert_array_equal(np.isnan(actual.dx), np.repeat([[False], [False], [True], [False]], 3, axis=1))


@pytest.mark.parametrize("step", [0, -1])
def test_a_step_below_1_makes_the_weights_nan(cuda, step):
    ones = np.ones(5, np.float32)
    settings = {"learning_rate": ones[:1], "step": np.array([step]), "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    assert np.isnan(cuda.run("adam_update", w=ones, dw=ones, m=ones, v=ones, **settings).w).all()


# ---- sizes that no grid has blocks for


@pytest.mark.parametrize(
    "call",
    [
        lambda: emulator.batchnorm_apply(1, 2**40, 0, 0, 0, 0, 0, 0, 0.3, "float32", 0),
        lambda: emulator.softmax_forward(0, 0, 2**40, 10, 0),
        lambda: emulator.gather_batch(0, True, 0, 0, 0, 0, 0, 2, 2**45, 1, 2, 1.0, 0.0, 0),
    ],
    ids=["batchnorm", "softmax", "gather_batch"],
)
def test_a_size_beyond_all_grids_is_refused(call):
    with pytest.raises(ValueError, match="expected a grid of"):
        call()


# ---- batches

SIZES = [(1,), (7,), (1024,), (1025,), (32, 32, 3)]
every_label = pytest.mark.parametrize(
    "label_shape, label_type", [((), np.int32), ((10,), np.float32)], ids=["numbers", "rows"]
)


def dataset(rng, size, label_shape, label_type, data_type):
    data = rng.integers(256, size=(11, *size)).astype(data_type)
    return data, rng.integers(10, size=(11, *label_shape)).astype(label_type), rng.permutation(11)


def guarded(shape, dtype=np.float32):
    guard = helpers.Guarded(shape, dtype)
    guard.array.fill(77)
    return guard


@every_label
@pytest.mark.parametrize("data_type", [np.uint8, np.float32])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_batch_is_gathered_in_order(cuda, rng, size, data_type, label_shape, label_type):
    data, labels, order = dataset(rng, size, label_shape, label_type, data_type)
    for begin, batch in ((0, 4), (8, 3)):
        x, y = guarded((batch, *size)), guarded((batch, *label_shape), label_type)
        cuda.ops.gather_batch(data, labels, order, np.array([begin]), x.array, y.array)
        np.testing.assert_array_equal(x.array, data[order[begin : begin + batch]])
        np.testing.assert_array_equal(y.array, labels[order[begin : begin + batch]])
        assert not x.damage() and not y.damage()


def test_a_batch_of_data_or_of_labels_alone_is_gathered(cuda, rng):
    data, labels, order = dataset(rng, (5,), (2,), np.int32, np.float32)
    x, y, position = guarded((4, 5)), guarded((4, 2), np.int32), np.array([3])
    cuda.ops.gather_batch(data, None, order, position, x.array, None)
    cuda.ops.gather_batch(None, labels, order, position, None, y.array)
    np.testing.assert_array_equal(x.array, data[order[3:7]])
    np.testing.assert_array_equal(y.array, labels[order[3:7]])
    assert not x.damage() and not y.damage()


@pytest.mark.parametrize("data_type", [np.uint8, np.float32])
def test_a_gathered_batch_is_scaled(cuda, rng, data_type):
    data, labels, order = dataset(rng, (5,), (), np.int32, data_type)
    x, y = np.empty((11, 5), np.float32), np.empty(11, np.int32)
    cuda.ops.gather_batch(data, labels, order, np.zeros(1, np.int64), x, y, scale=0.5, offset=-3.0)
    np.testing.assert_array_equal(x, data[order] * np.float32(0.5) - 3)


def test_a_replayed_step_goes_on_where_the_last_one_ended(cuda, replayed, rng):
    data, labels, order = dataset(rng, (5,), (), np.int32, np.uint8)
    x, y, position = np.empty((4, 5), np.float32), np.empty(4, np.int32), np.zeros(1, np.int64)
    replayed(
        "gather_batch",
        lambda: cuda.ops.advance(4, position),
        data=data,
        labels=labels,
        order=order,
        position=position,
        x=x,
        y=y,
    )
    np.testing.assert_array_equal(x, data[order[4:8]])


@pytest.mark.parametrize(
    "change, error, message",
    [
        (
            {"data": np.zeros((3, 5))},
            TypeError,
            "data: expected a C-contiguous array of float32.*Received: dtype float64",
        ),
        ({"labels": np.zeros(3, np.int64)}, TypeError, "labels: expected .*float32.*Received: dtype int64"),
        ({"order": np.zeros(2, np.int64)}, ValueError, r"order: expected 3 elements.*Received: shape \(2,\)"),
        ({"position": np.zeros(1, np.int32)}, TypeError, "position: expected .*int64.*Received: dtype int32"),
        ({"x": np.zeros((2, 4), np.float32)}, ValueError, r"x: expected 10 elements.*Received: shape \(2, 4\)"),
        ({"y": np.zeros(2, np.float32)}, TypeError, "y: expected .*int32.*Received: dtype float32"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_batch_of_other_arrays_is_refused(cuda, change, error, message):
    arrays = {"data": np.zeros((3, 5), np.uint8), "labels": np.zeros(3, np.int32), "order": np.arange(3)}
    arrays |= {"position": np.zeros(1, np.int64), "x": np.zeros((2, 5), np.float32), "y": np.zeros(2, np.int32)}
    with pytest.raises(error, match=message):
        cuda.ops.gather_batch(**arrays | change)


@pytest.mark.parametrize("sums", [1, 2, 70])
def test_advance_counts_and_adds_the_totals(cuda, sums):
    position, step = np.array([2**40]), np.array([7])
    totals, running = np.arange(sums) + 0.5, guarded((sums,), np.float64)
    running.array[...] = range(10, 10 + sums)
    cuda.ops.advance(32, position, step, totals, running.array)
    assert (position.item(), step.item()) == (2**40 + 32, 8)
    np.testing.assert_array_equal(running.array, 2 * np.arange(sums) + 10.5)
    assert not running.damage()


def test_advance_without_step_and_totals(cuda):
    position = np.array([5])
    cuda.ops.advance(3, position)
    assert position.item() == 8


def test_a_number_is_set(cuda):
    x = np.zeros(1, np.float32)
    cuda.ops.set_number(x, 0.1)
    assert x == np.float32(0.1)
