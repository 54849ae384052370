"""Training that is watched for non-finite values: copies, devices, what it costs in transfers."""

import importlib.util
import logging

import numpy as np
import pytest
from fake_device import EmulatedMemory, FakeMemory, FakeOps
from small_training import COUNT, STEPS, data, fit, network, same_weights

import fastconv
from fastconv import layers, optimizers, utils
from fastconv.models import Model, watched


@pytest.fixture
def gpu(use):
    ops = FakeOps()
    use(ops)
    return ops


def growing():
    utils.set_random_seed(0)
    utils.clear_session()
    image = layers.Input((6, 6, 3))
    x = layers.Dropout(0.25)(layers.Flatten()(image))  # one layer that learns: its weights grow by a factor a step
    model = Model(image, layers.Dense(3)(x))
    model.compile(optimizers.SGD(0.5, momentum=0.5), "mse")
    return model


def failure(epochs=8, batches=False):
    """The model and the report of a `fit` that fails in its second epoch or later."""
    model, (x, y) = growing(), data()
    x = x / 100
    given = ([(x[i : i + 16], y[i : i + 16]) for i in range(0, COUNT, 16)],) if batches else (x, y)
    given = (iter(given[0] * epochs),) if batches else given
    arguments = {"steps_per_epoch": STEPS} if batches else {"batch_size": 16}
    with pytest.raises(fastconv.NonFiniteError) as caught:
        model.fit(*given, epochs=epochs, verbose=0, **arguments)
    return model, caught.value.report


def same_reports(a, b):
    return str(a) == str(b) and np.array_equal(a.losses[-3:], b.losses[-3:], equal_nan=True) and a.table() == b.table()


def test_copies_in_between_change_nothing(monkeypatch):
    expected, report = failure()
    assert report.exact and report.step > STEPS + 3 and len(report.losses) == report.step
    monkeypatch.setattr(watched, "_STEPS", 3)
    assert len(failure()[1].losses) == report.step  # they would follow one another too fast
    monkeypatch.setattr(watched, "_SECONDS", 0)
    model, found = failure()
    assert len(found.losses) <= 3 and found.step == report.step and found.table() == report.table()
    assert same_weights(model, expected)


def test_batches_are_kept_up_to_a_size(monkeypatch):
    expected, report = failure(batches=True)
    monkeypatch.setattr(watched, "_KEPT_BYTES", 4 * 16 * 6 * 6 * 3 * 2)  # of two batches
    model, found = failure(batches=True)
    assert len(found.losses) <= 3 and found.exact and found.table() == report.table()
    assert same_weights(model, expected)


def test_a_device_finds_the_same(gpu, on_cpu):
    (expected, report), (model, found) = on_cpu(failure), failure()
    assert same_reports(found, report) and same_weights(model, expected)
    state, other = model.training_state(), expected.training_state()
    assert all(np.array_equal(state[name], other[name]) for name in other)


def test_samples_that_are_streamed(use, on_cpu, monkeypatch):
    monkeypatch.setattr("fastconv.models.loops._SHARE", 0.0)
    use(FakeOps())
    (expected, report), (model, found) = on_cpu(failure), failure()
    assert same_reports(found, report) and same_weights(model, expected)


def test_a_device_is_asked_and_sent_nothing_more_while_all_is_well(gpu):
    model, (x, y) = network(), data()
    fit(model, x, y, epochs=1)
    gpu.memory.downloads.clear()
    fit(model, x, y, epochs=3)
    assert gpu.memory.downloads == [16] * 3  # the sums of an epoch: two float64


@pytest.mark.skipif(not importlib.util.find_spec("fastconv._emulator"), reason="the emulator is not built")
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_cuda_kernels(use, policy):
    """A sample that is too much for the second layer, in single precision and in half of it."""
    from fastconv import _emulator
    from fastconv.ops.cuda_ops import CudaOps

    use(CudaOps(_emulator, EmulatedMemory()))
    utils.set_random_seed(0)
    utils.clear_session()
    image = layers.Input((4, 4, 2))
    x = layers.LeakyReLU()(layers.Conv2D(4, 3, kernel_initializer="ones")(image))
    x = layers.BatchNormalization()(layers.Conv2D(4, 1, kernel_initializer="ones")(x))
    model = Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    model.compile(optimizers.SGD(0.01), "sparse_categorical_crossentropy", dtype_policy=policy)
    given, labels = np.random.default_rng(0).random((20, 4, 4, 2)).astype(np.float32), np.zeros(20, int)
    given[13] = 8e36
    start = model.get_weights()
    with pytest.raises(fastconv.NonFiniteError) as caught:
        model.fit(given, labels, batch_size=20, epochs=1, verbose=0)
    report = caught.value.report
    assert (report.layer, report.tensor, report.samples.tolist()) == ("conv2d_1", "activation", [13])
    assert report.ranges[0].activation == pytest.approx(18 * 8e36, rel=2**-8)
    assert all(np.array_equal(a, b) for a, b in zip(start, model.get_weights(), strict=True))


def test_without_memory_for_a_copy_training_goes_on(use, on_cpu, caplog, monkeypatch):
    def no_memory(snapshot):
        raise MemoryError("out of memory")

    monkeypatch.setattr("fastconv.plan.snapshot.Snapshot.take", no_memory)
    use(FakeOps(FakeMemory()))
    with caplog.at_level(logging.INFO, "fastconv"):
        fit(network(), *data())
    assert "goes on without a copy of the weights" in caplog.text


def test_a_watched_run_has_the_bits_of_one_that_is_not():
    def train(**arguments):
        model = network()
        return model, fit(model, *data(), **arguments)

    (a, watched_history), (b, history) = train(), train(callbacks=[fastconv.callbacks.TerminateOnNaN()])
    assert watched_history == history and same_weights(a, b)


def test_weights_that_became_infinite_in_the_last_step_of_an_epoch_are_not_saved(tmp_path):
    """Its loss was finite, and epochs of one step are too short to look at the weights after each."""
    (x, y), path, model = data(), tmp_path / "model.weights.h5", growing()
    model.compile(optimizers.SGD(3e38), "mse")
    saving = fastconv.callbacks.ModelCheckpoint(path, save_weights_only=True)
    with pytest.raises(fastconv.NonFiniteError) as caught:
        model.fit(x * 100, y, batch_size=COUNT, epochs=3, callbacks=[saving], verbose=0)
    assert caught.value.report.tensor == "weight" and caught.value.report.step == 1 and not path.exists()
