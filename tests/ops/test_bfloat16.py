"""Activations in bfloat16 on the CUDA backend: on the emulator, and on a GPU where there is one.

Whole numbers are summed without rounding in float32, so that results are those of the reference, rounded once. An op on
each element by itself is that of float32 on rounded arguments, with a rounded result.
"""

from __future__ import annotations

import importlib.util

import bfloat16
import conftest
import helpers
import numpy as np
import pytest
import shapes
import tolerances
from helpers import REFERENCE, Aligned, conv2d_norm, example, float32, small_integers
from shapes import Conv2DShape

from fastconv.ops import get_ops

BACKENDS = ["emulator"] if importlib.util.find_spec("fastconv._emulator") else []
BACKENDS += [] if conftest.missing_of_cuda() else [pytest.param("cuda", marks=pytest.mark.cuda)]
SHAPES = [s for s in shapes.CONV2D if s.geometry().multiplications <= conftest.EMULATED_MULTIPLICATIONS]
# Every tile of D by vectors, and what has none: one and several steps of k, edges of all kinds, splits.
SOME_SHAPES = [
    Conv2DShape(2, 7, 6, 36, 20, 3, 2, (2, 1), "same"),
    Conv2DShape(2, 5, 5, 64, 12, 3, 3, (2, 2), "same"),
    Conv2DShape(2, 64, 64, 8, 36, 3, 3, (1, 1), "same"),
    Conv2DShape(2, 64, 65, 4, 24, 1, 1),
    Conv2DShape(2, 9, 8, 3, 33, 3, 3, (2, 2), "same"),
    shapes.dense(32, 1000, 128),
    shapes.dense(32, 130, 10),
]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
some_shapes = pytest.mark.parametrize("shape", SOME_SHAPES, ids=str)
NORM = ("mean", "rstd", "gamma", "beta", "slope")


@pytest.fixture(params=BACKENDS)
def cuda(request):
    """A `bfloat16.Runner`, with arrays that begin on vectors, as a plan's do."""
    ops = helpers.emulated_cuda() if request.param == "emulator" else get_ops("cuda")
    return bfloat16.Runner(ops, np.float32, request.param, Aligned)


@pytest.fixture
def emulated():
    """The module `fastconv._emulator`, at its first settings after a test."""
    module = pytest.importorskip("fastconv._emulator", reason="needs the emulator of CUDA", exc_type=ImportError)
    yield module
    module.set_order("forward")
    module.count(False)
    module.restore_barriers()


def float32_of(cuda):
    return helpers.Runner(cuda.ops, np.float32, cuda.name)


def bits(result):
    return {name: array.tobytes() for name, array in vars(result).items() if name != "workspace"}


# ---- numbers

VALUES = [1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8, 1 + 2.0**-8 + 2.0**-20, 0.0, -0.0, np.inf, -np.inf, 3.4e38, 1e-30]
ROUNDED = [1, 1 + 2.0**-6, -1, 1 + 2.0**-7, 0.0, -0.0, np.inf, -np.inf, np.inf, bfloat16.rounded([1e-30])[0]]


def test_a_cast_rounds_to_the_nearest_and_ties_to_even(cuda):
    x, y = float32_of(cuda).arrays(x=np.array(VALUES, np.float32), y=np.zeros(len(VALUES), np.uint16)).values()
    with cuda.ops.memory.at_work():
        cuda.ops.cast(x=x, y=y)
    np.testing.assert_array_equal(bfloat16.numbers(np.array(cuda.ops.memory.download(y))), np.float32(ROUNDED))


def test_a_cast_back_is_exact(cuda, rng):
    words = bfloat16.bits(float32(rng, 1000))
    x, y = float32_of(cuda).arrays(x=words, y=np.zeros(1000, np.float32)).values()
    with cuda.ops.memory.at_work():
        cuda.ops.cast(x=x, y=y)
    np.testing.assert_array_equal(cuda.ops.memory.download(y), bfloat16.numbers(words))


# ---- convolutions


@every_shape
def test_convolutions_of_whole_numbers_are_exact_but_for_one_rounding(cuda, rng, shape):
    g = shape.geometry()
    x, dy, w = (small_integers(rng, *size) for size in (g.x_shape, g.y_shape, g.w_shape))
    b = small_integers(rng, g.k)
    y = REFERENCE.run("conv2d_fprop", geometry=g, x=x, w=w, b=b).y
    np.testing.assert_array_equal(cuda.run("conv2d_fprop", geometry=g, x=x, w=w, b=b).y, bfloat16.rounded(y))
    actual = cuda.run("conv2d_backward", geometry=g, x=x, dy=dy, w=w)
    expected = REFERENCE.run("conv2d_backward", geometry=g, x=x, dy=dy, w=w)
    np.testing.assert_array_equal(actual.dx, bfloat16.rounded(expected.dx))
    np.testing.assert_array_equal(actual.dw, expected.dw)
    np.testing.assert_array_equal(actual.db, expected.db)


@pytest.mark.parametrize("op, output", [("conv2d_fprop", "y"), ("conv2d_dgrad", "dx"), ("conv2d_wgrad", "dw")])
@some_shapes
def test_convolutions_keep_their_bound(cuda, rng, op, output, shape):
    arguments = bfloat16.rounded_arguments(op, example(op, rng, shape))
    g = arguments["geometry"]
    products = {"y": g.r * g.s * g.c, "dx": g.r * g.s * g.k, "dw": g.n * g.p * g.q}[output]
    magnitudes = {name: np.abs(a) if isinstance(a, np.ndarray) else a for name, a in arguments.items()}
    expected = getattr(REFERENCE.run(op, **arguments), output)
    bound = tolerances.bfloat16_sum(products, getattr(REFERENCE.run(op, **magnitudes), output))
    if output != "dw":
        bound += bfloat16.UNIT * (np.abs(expected) + bound)
    tolerances.assert_close(getattr(cuda.run(op, **arguments), output), expected, bound)


@some_shapes
def test_weights_are_rounded_on_load(cuda, rng, shape):
    a = example("conv2d_fprop", rng, shape)
    expected = bits(cuda.run("conv2d_fprop", **a | {"w": bfloat16.rounded(a["w"])}))
    assert bits(cuda.run("conv2d_fprop", **a)) == expected


@some_shapes
def test_a_normalized_input_has_the_bits_of_two_steps(cuda, rng, shape):
    for op in ("conv2d_fprop", "conv2d_wgrad"):
        a = example(op, rng, shape)
        norm = conv2d_norm(rng, "x", a["geometry"].c)
        x = cuda.run("batchnorm_apply", x=a["x"], **{name: norm[f"x_{name}"] for name in NORM}).y
        assert bits(cuda.run(op, **a, **norm)) == bits(cuda.run(op, **a | {"x": x}))


@some_shapes
def test_fprop_takes_the_statistics_of_the_output_that_it_stores(cuda, rng, shape):
    a = example("conv2d_fprop", rng, shape)
    moving = {name: np.abs(float32(rng, a["geometry"].k)) for name in ("moving_mean", "moving_variance")}
    moving |= {"momentum": 0.9, "epsilon": 1e-3}
    actual = cuda.run("conv2d_fprop", **a, **moving)
    expected = REFERENCE.run("batchnorm_forward", x=actual.y, gamma=None, beta=None, slope=1.0, **moving)
    scale = np.abs(actual.y).mean(axis=(0, 1, 2))  # bounds as in test_conv2d_batchnorm.py
    tolerances.assert_close(actual.mean, expected.mean, 8 * tolerances.UNIT * scale)
    tolerances.assert_close(actual.rstd, expected.rstd, 64 * tolerances.UNIT * expected.rstd)


@some_shapes
def test_backward_between_two_normalizations(cuda, rng, shape):
    """Against the reference; what it makes of dy on load is rounded here, and so is what dx is made of."""
    a = bfloat16.rounded_arguments("conv2d_backward", example("conv2d_backward", rng, shape))
    actual, expected = cuda.run("conv2d_backward", **a), REFERENCE.run("conv2d_backward", **a)
    for name in ("dx", "dw", "db", "x_dgamma", "x_dbeta", "x_coefficients"):
        value = getattr(expected, name)
        difference = np.linalg.norm(getattr(actual, name) - value) / np.linalg.norm(value)
        assert difference < 2 * bfloat16.UNIT, name  # errors of single numbers, of either sign, do not add up


def test_large_tiles_need_arrays_on_vectors(rng):
    pytest.importorskip("fastconv._emulator", exc_type=ImportError)
    unaligned = bfloat16.Runner(helpers.emulated_cuda(), np.float32, "emulator")
    with pytest.raises(ValueError, match="bfloat16 on 8 bytes"):
        unaligned.run("conv2d_fprop", **example("conv2d_fprop", rng, SOME_SHAPES[2]))


def test_small_tiles_have_the_same_bits_without_vectors(rng, cuda):
    unaligned = bfloat16.Runner(cuda.ops, np.float32, cuda.name)
    for op in ("conv2d_fprop", "conv2d_backward"):
        a = example(op, rng, SOME_SHAPES[0])
        assert bits(unaligned.run(op, **a)) == bits(cuda.run(op, **a))


# ---- the other ops


@pytest.mark.parametrize("shape", [(7, 3), (3, 33), (257, 32)], ids=str)
@pytest.mark.parametrize(
    "op",
    [
        "batchnorm_apply",
        "batchnorm_inference",
        "leaky_relu_forward",
        "leaky_relu_backward",
        "dropout_forward",
        "dropout_backward",
        "add_forward",
    ],
)
def test_an_elementwise_op_is_that_of_float32_rounded(cuda, rng, op, shape):
    arguments = bfloat16.rounded_arguments(op, example(op, rng, shape))
    output = "dx" if op.endswith("backward") else "y"
    expected = getattr(float32_of(cuda).run(op, **arguments), output)
    np.testing.assert_array_equal(getattr(cuda.run(op, **arguments), output), bfloat16.rounded(expected))


@pytest.mark.parametrize("shape", [(2, 5), (257, 3), (70, 33), (2, 32, 32, 32)], ids=str)
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_batch_normalization_is_that_of_float32(cuda, rng, shape, offset):
    a = example("batchnorm_forward", rng, shape)
    a["x"] = bfloat16.rounded(a["x"] + np.float32(offset))
    actual, expected = cuda.run("batchnorm_forward", **a), REFERENCE.run("batchnorm_forward", **a)
    x, axes = a["x"], tuple(range(len(shape) - 1))
    tolerances.assert_close(actual.mean, expected.mean, 8 * tolerances.UNIT * np.abs(x).mean(axis=axes))
    # the mean of a part is off by u |mean|, and its distance from the mean of all is at most 1 / rstd
    spread = tolerances.UNIT * (64 + 2 * np.abs(expected.mean) * expected.rstd)
    tolerances.assert_close(actual.rstd, expected.rstd, spread * expected.rstd)
    statistics = {"mean": actual.mean, "rstd": actual.rstd, "gamma": a["gamma"], "beta": a["beta"], "slope": a["slope"]}
    np.testing.assert_array_equal(actual.y, cuda.run("batchnorm_apply", x=x, **statistics).y)


@pytest.mark.parametrize("shape", [(257, 3), (70, 33), (2, 32, 32, 32)], ids=str)
def test_the_gradients_of_batch_normalization_are_those_of_float32(cuda, rng, shape):
    a = bfloat16.rounded_arguments("batchnorm_backward", example("batchnorm_backward", rng, shape))
    actual, expected = cuda.run("batchnorm_backward", **a), float32_of(cuda).run("batchnorm_backward", **a)
    for name in ("dgamma", "dbeta", "coefficients"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), err_msg=name)
    np.testing.assert_array_equal(actual.dx, bfloat16.rounded(expected.dx))


def test_activations_of_two_kinds_are_refused(cuda):
    arrays = float32_of(cuda).arrays(a=np.zeros(5, np.uint16), b=np.zeros(5, np.float32), y=np.zeros(5, np.uint16))
    with pytest.raises(TypeError, match="b: expected a C-contiguous array of uint16.*Received: dtype float32"):
        cuda.ops.add_forward(**arrays)


# ---- what the emulator sees


@pytest.mark.parametrize("op", ["conv2d_fprop", "conv2d_backward"])
@pytest.mark.parametrize("shape", [SOME_SHAPES[0], SOME_SHAPES[4], SOME_SHAPES[6]], ids=str)
def test_the_same_bits_in_any_order_of_threads(emulated, rng, op, shape):
    runner = bfloat16.Runner(helpers.emulated_cuda(), np.float32, "emulator", Aligned)
    arguments = example(op, rng, shape)
    expected = bits(runner.run(op, **arguments))
    for order in ("reverse", "random"):
        emulated.set_order(order, 1)
        assert bits(runner.run(op, **arguments)) == expected


@pytest.mark.parametrize("op", ["conv2d_fprop", "conv2d_backward"])
@pytest.mark.parametrize("shape", shapes.network_layers("cnn", batch=2)[1:5], ids=str)
def test_shared_memory_has_no_bank_conflicts(emulated, rng, op, shape):
    runner = bfloat16.Runner(helpers.emulated_cuda(), np.float32, "emulator", Aligned)
    arguments = example(op, rng, shape)
    emulated.count(True)
    runner.run(op, **arguments)
    for kernel, c in emulated.counts().items():
        assert c["wavefronts"] == c["ideal_wavefronts"], kernel


@pytest.mark.parametrize("op", ["conv2d_dgrad", "conv2d_wgrad"])
def test_a_product_of_bfloat16_is_a_sixth_of_those_of_float32(emulated, rng, op):
    """Twice the k, and one product where 3xTF32 has three."""
    arguments = example(op, rng, SOME_SHAPES[0])
    counts = []
    for runner in (bfloat16.Runner, helpers.Runner):
        emulated.count(True)
        runner(helpers.emulated_cuda(), np.float32, "emulator", Aligned).run(op, **arguments)
        counts.append({kernel: c["mma"] for kernel, c in emulated.counts().items()})
    assert {kernel: 6 * count for kernel, count in counts[0].items()} == counts[1]


@pytest.mark.parametrize("op, kernel", [("conv2d_fprop", "conv2d_fprop"), ("conv2d_backward", "conv2d_wgrad")])
def test_every_barrier_of_the_steps_is_needed(emulated, rng, op, kernel):
    runner = bfloat16.Runner(helpers.emulated_cuda(), np.float32, "emulator", Aligned)
    arguments = example(op, rng, Conv2DShape(2, 8, 8, 32, 32, 2, 2, (1, 1), "same"))
    for number in range(4):
        emulated.remove_barrier(kernel, number)
        with pytest.raises(RuntimeError, match=f"^{kernel}, block"):
            runner.run(op, **arguments)
