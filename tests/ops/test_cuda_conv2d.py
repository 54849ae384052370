"""What the CUDA backend's convolutions alone have: copies of 16 bytes, precision, splits, and what the emulator sees.

That they compute what every backend computes is in ops/test_conv2d.py and ops/test_conv2d_batchnorm.py, whose arrays
are aligned to no vector.
"""

from __future__ import annotations

import helpers
import numpy as np
import pytest
import shapes
import tolerances
from shapes import Conv2DShape

from fastconv import config
from fastconv.geometry import Conv2DGeometry

emulator = pytest.importorskip("fastconv._emulator", reason="needs the emulator of CUDA", exc_type=ImportError)


UNALIGNED = helpers.Runner(helpers.emulated_cuda(), np.float32, "emulator")
ALIGNED = helpers.Runner(helpers.emulated_cuda(), np.float32, "emulator", helpers.Aligned)
PASSES = ("conv2d_fprop", "conv2d_dgrad", "conv2d_wgrad", "conv2d_backward")
every_pass = pytest.mark.parametrize("op", PASSES)

# Channels in fours, so that copies have 16 bytes; every tile of D, one and several steps of k, edges of all kinds.
IN_FOURS = [
    Conv2DShape(2, 4, 5, 4, 20, 3, 3, (1, 1), "same"),
    Conv2DShape(2, 7, 6, 36, 20, 3, 2, (2, 1), "same"),
    Conv2DShape(1, 9, 8, 20, 44, 2, 3, (3, 2), "valid"),
    Conv2DShape(2, 5, 5, 64, 12, 3, 3, (2, 2), "same"),
    Conv2DShape(2, 64, 64, 8, 36, 3, 3, (1, 1), "same"),
    Conv2DShape(2, 64, 65, 4, 24, 1, 1),
    shapes.dense(32, 1000, 128),
    shapes.dense(32, 128, 1000),
    shapes.dense(3, 2048, 12),
]
every_shape = pytest.mark.parametrize("shape", IN_FOURS, ids=str)
# Few outputs of many inputs, in every pass: split over blocks, whose partial sums are added.
SPLIT = shapes.dense(257, 262, 259)
# Too many filters for one kernel of both gradients; so many channels that its blocks have several tiles.
WIDE = Conv2DShape(2, 8, 8, 32, 132, 1, 1)
MANY = Conv2DShape(6, 2, 2, 1040, 4, 1, 1)


def with_statistics(op, rng, shape):
    """Arguments of `op` with all that it can do on the way."""
    arguments = helpers.example(op, rng, shape)
    g = arguments["geometry"]
    if op in ("conv2d_fprop", "conv2d_wgrad"):
        arguments |= helpers.conv2d_norm(rng, "x", g.c)
    if op == "conv2d_fprop":
        arguments |= {name: np.ones(g.k, np.float32) for name in ("moving_mean", "moving_variance")}
    return arguments


def bits(result):
    return {name: array.tobytes() for name, array in vars(result).items() if name != "workspace"}


@pytest.fixture
def precision():
    """A function that sets the precision of products; the setting of before returns after the test."""
    yield config.set_float32_matmul_precision
    config.set_float32_matmul_precision("highest")


@pytest.fixture
def order():
    yield emulator.set_order
    emulator.set_order("forward")


@pytest.fixture
def counts():
    """A function that gives the emulator's counts of a call, by kernel."""

    def count(call):
        emulator.count(True)
        call()
        return emulator.counts()

    yield count
    emulator.count(False)


# ---- copies of 16 bytes


@every_pass
@every_shape
def test_an_array_that_lies_on_vectors_gives_the_same_bits(rng, op, shape):
    arguments = with_statistics(op, rng, shape)
    assert bits(ALIGNED.run(op, **arguments)) == bits(UNALIGNED.run(op, **arguments))


# ---- precision


@pytest.mark.parametrize("op, output", [("conv2d_fprop", "y"), ("conv2d_dgrad", "dx"), ("conv2d_wgrad", "dw")])
@every_shape
def test_high_precision_keeps_its_bound(rng, precision, op, output, shape):
    arguments = helpers.example(op, rng, shape)
    g = arguments["geometry"]
    products = {"y": g.r * g.s * g.c, "dx": g.r * g.s * g.k, "dw": g.n * g.p * g.q}[output]
    magnitudes = {name: np.abs(a) if isinstance(a, np.ndarray) else a for name, a in arguments.items()}
    bound = tolerances.tf32_sum(products, getattr(helpers.REFERENCE.run(op, **magnitudes), output))
    expected = getattr(helpers.REFERENCE.run(op, **arguments), output)
    precision("high")
    tolerances.assert_close(getattr(ALIGNED.run(op, **arguments), output), expected, bound)


@every_pass
def test_high_precision_takes_a_third_of_the_products(rng, counts, precision, op):
    arguments = helpers.example(op, rng, IN_FOURS[1])
    highest = counts(lambda: ALIGNED.run(op, **arguments))
    precision("high")
    high = counts(lambda: ALIGNED.run(op, **arguments))
    assert {kernel: 3 * c["mma"] for kernel, c in high.items()} == {kernel: c["mma"] for kernel, c in highest.items()}


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match='expected "highest" or "high". Received: medium'):
        emulator.conv2d_dgrad(Conv2DGeometry(*[1] * 11, 0, 0), 0, 0, 0, 0, "medium", "float32", 0)


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ValueError, match='dtype: expected "float32" or "bfloat16". Received: float16'):
        emulator.conv2d_dgrad(Conv2DGeometry(*[1] * 11, 0, 0), 0, 0, 0, 0, "high", "float16", 0)


# ---- splits of k over blocks


@every_pass
def test_split_sums_are_exact_on_integers(rng, counts, op):
    arguments = helpers.example(op, rng, SPLIT)
    arguments = {name: a for name, a in arguments.items() if name in ("geometry", "x", "w", "b", "dy")}
    for name, array in arguments.items():
        if name != "geometry":
            arguments[name] = helpers.small_integers(rng, *array.shape)
    expected = helpers.REFERENCE.run(op, **arguments)
    actual = []
    kernels = counts(lambda: actual.append(ALIGNED.run(op, **arguments)))
    assert any(name.endswith("_add") for name in kernels)
    for name in expected.__dict__.keys() - {"workspace"}:
        np.testing.assert_array_equal(getattr(actual[0], name), getattr(expected, name), err_msg=name)


def test_split_sums_without_the_bias(rng):
    arguments = helpers.example("conv2d_wgrad", rng, SPLIT)
    expected = ALIGNED.run("conv2d_wgrad", **arguments)
    np.testing.assert_array_equal(ALIGNED.run("conv2d_wgrad", **arguments, db=None).dw, expected.dw)


@every_pass
def test_too_small_a_workspace_for_the_splits_is_refused(rng, op):
    arguments = helpers.example(op, rng, SPLIT)
    outputs = {name: array.shape for name, array in vars(ALIGNED.run(op, **arguments)).items()}
    size = ALIGNED.ops.workspace_bytes(op, outputs, arguments)
    with pytest.raises(ValueError, match=rf"{op}: expected {size} bytes of workspace. Received: {size - 4}"):
        ALIGNED.run(op, **arguments, workspace_bytes=size - 4)


def test_statistics_are_of_whole_sums(rng, counts):
    kernels = counts(lambda: ALIGNED.run("conv2d_fprop", **with_statistics("conv2d_fprop", rng, SPLIT)))
    assert kernels.keys() == {"conv2d_fprop", "batchnorm_finish_statistics"}


# ---- both gradients in one kernel


def test_blocks_with_several_tiles_are_exact_on_integers(rng):
    g = MANY.geometry()
    arguments = {"x": g.x_shape, "dy": g.y_shape, "w": g.w_shape}
    arguments = {name: helpers.small_integers(rng, *size) for name, size in arguments.items()}
    expected, actual = (run("conv2d_backward", geometry=g, **arguments) for run in (helpers.REFERENCE.run, ALIGNED.run))
    for name in ("dx", "dw", "db"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), err_msg=name)


@pytest.mark.parametrize("shape, joint", [(IN_FOURS[0], True), (WIDE, False), (shapes.dense(3, 4, 5), False)], ids=str)
def test_kernels_of_backward(rng, counts, shape, joint):
    kernels = counts(lambda: ALIGNED.run("conv2d_backward", **helpers.example("conv2d_backward", rng, shape)))
    assert ("conv2d_backward" in kernels) == joint == ("conv2d_dgrad" not in kernels)
    assert ALIGNED.ops.conv2d_backward_reads(shape.geometry()) == (1 if joint else 2)


@pytest.mark.parametrize("sizes", [{"h": 4096, "w": 4096, "p": 4096, "q": 4096}, {"r": 7, "s": 7}, {"stride_h": 17}])
def test_what_one_kernel_of_both_gradients_does_not_take(sizes):
    g = Conv2DShape(1, 8, 8, 16, 16, 3, 3, (1, 1), "same").geometry()
    assert ALIGNED.ops.conv2d_backward_reads(g) == 1
    assert ALIGNED.ops.conv2d_backward_reads(g._replace(**sizes)) == 2


# The weight gradient of the convolution before. One and several items of entries; tiles with and without neighbours.
SOURCES = [
    Conv2DShape(2, 16, 16, 3, 20, 3, 3, (1, 1), "same"),
    Conv2DShape(2, 9, 8, 4, 16, 4, 4, (2, 1), "same"),
    Conv2DShape(6, 2, 2, 3, 1040, 1, 1),
]
every_source = pytest.mark.parametrize("source", SOURCES, ids=str)


@every_source
def test_a_source_has_the_same_bits_in_any_order_of_threads_and_on_vectors(rng, order, source):
    arguments = helpers.conv2d_source_example(rng, source, 1, filters=8)
    expected = bits(UNALIGNED.run("conv2d_backward", **arguments))
    for name in ("forward", "reverse", "random"):
        order(name, 1)
        assert bits(ALIGNED.run("conv2d_backward", **arguments)) == expected


def test_every_barrier_with_a_source_is_needed(rng):
    a = helpers.conv2d_source_example(rng, SOURCES[-1], 1, filters=8)
    pointwise = a["geometry"]._replace(r=1, s=1, pad_top=0, pad_left=0)  # so small that all memory serves again
    a |= {"geometry": pointwise, "w": a["w"][:1, :1]}
    removed_barriers_are_noticed("conv2d_backward", 2 * 3 + 2, a)  # three of each tile, then of the bias and the source


@every_source
def test_a_source_in_high_precision_is_as_close_as_separate_steps(rng, precision, source):
    arguments = helpers.conv2d_source_example(rng, source, 1, filters=8)
    expected = helpers.REFERENCE.run("conv2d_backward", **arguments).x_dw
    precision("high")
    actual = ALIGNED.run("conv2d_backward", **arguments).x_dw
    np.testing.assert_allclose(actual, expected, rtol=0, atol=4 * 2.0**-11 * np.abs(expected).max())


@pytest.mark.parametrize("missing", ["x_geometry", "x_input", "x_w", "w", "x_coefficients", "x_mean"])
def test_half_a_source_is_refused(rng, missing):
    with pytest.raises(ValueError, match="expected .*Received.*None"):
        ALIGNED.ops.conv2d_backward(**source_arguments(rng) | {missing: None})


@pytest.mark.parametrize(
    "name, message",
    [
        ("dx", "dx: expected None beside x_dw. Received: an array"),
        ("q", "x_geometry: expected .* 2x16x16x20. Received: 2x16x7x20"),
        ("r", "x_dw: expected None, which conv2d_backward_fits asks for"),
    ],
)
def test_a_source_that_does_not_fit_is_refused(rng, name, message):
    a = source_arguments(rng)
    g = a["x_geometry"]
    bad = {"dx": {"dx": a["x"]}, "q": {"x_geometry": g._replace(q=7)}, "r": {"x_geometry": g._replace(r=70)}}
    with pytest.raises(ValueError, match=message):
        ALIGNED.ops.conv2d_backward(**a | bad[name])


def source_arguments(rng):
    a = helpers.conv2d_source_example(rng, SOURCES[0], 1)
    outputs = {"dw": a["w"].shape, "x_dw": a["x_w"].shape, "x_coefficients": (2, a["geometry"].c)}
    arrays = {name: np.zeros(shape, np.float32) for name, shape in outputs.items()}
    return a | arrays | {"db": None, "workspace": np.zeros(1 << 20, np.float32)}


# ---- what the emulator sees


@pytest.mark.parametrize("seed", [1, 2])
@every_pass
@pytest.mark.parametrize("shape", [*IN_FOURS[:4], SPLIT, Conv2DShape(2, 9, 8, 3, 5, 3, 3, (2, 2), "same")], ids=str)
def test_the_same_bits_in_any_order_of_threads(rng, order, op, shape, seed):
    arguments = with_statistics(op, rng, shape)
    expected = bits(ALIGNED.run(op, **arguments))
    for name in ("reverse", "random"):
        order(name, seed)
        assert bits(ALIGNED.run(op, **arguments)) == expected


@every_pass
@pytest.mark.parametrize("shape", shapes.network_layers("cnn", batch=2), ids=str)
def test_shared_memory_has_no_bank_conflicts(rng, counts, op, shape):
    arguments = with_statistics(op, rng, shape)
    single = op == "conv2d_backward" and shape.c % 4  # copies of four numbers, one after the other
    for kernel, c in counts(lambda: ALIGNED.run(op, **arguments)).items():
        assert c["wavefronts"] == c["ideal_wavefronts"] or (single and kernel == "conv2d_backward"), kernel


def test_a_strided_dgrad_multiplies_no_inserted_zeros(rng, counts):
    shape = Conv2DShape(2, 16, 16, 32, 32, 3, 3, (2, 2), "same")
    arguments = helpers.example("conv2d_dgrad", rng, shape)
    phase, taps = 2 * 8 * 8 * 32, 4 + 2 + 2 + 1  # numbers of dx in each of four phases, and their taps
    products = 3 * phase * taps * 32 // (16 * 8 * 8)
    assert counts(lambda: ALIGNED.run("conv2d_dgrad", **arguments))["conv2d_dgrad"]["mma"] == products


# Steps of k, then the barriers of the epilogue: two of the tile, others of the sums over its columns. Where both
# gradients are one kernel: two of each tile, then one of the bias.
@pytest.mark.parametrize(
    "op, kernel, barriers, shape",
    [
        ("conv2d_fprop", "conv2d_fprop", 4 + 2 + 3, Conv2DShape(2, 8, 8, 32, 32, 2, 2, (1, 1), "same")),
        ("conv2d_backward", "conv2d_dgrad", 5 + 3 + 2, WIDE),
        ("conv2d_backward", "conv2d_wgrad", 4 + 2 + 1, WIDE),
        ("conv2d_backward", "conv2d_backward", 2 + 1, Conv2DShape(2, 8, 8, 32, 32, 2, 2, (1, 1), "same")),
        ("conv2d_backward", "conv2d_backward", 2 * 2 + 1, MANY),
    ],
)
def test_every_barrier_is_needed(rng, op, kernel, barriers, shape):
    removed_barriers_are_noticed(kernel, barriers, with_statistics(op, rng, shape))


def removed_barriers_are_noticed(kernel, barriers, arguments):
    op = "conv2d_fprop" if kernel == "conv2d_fprop" else "conv2d_backward"
    try:
        for number in range(barriers):
            emulator.remove_barrier(kernel, number)
            with pytest.raises(RuntimeError, match=f"^{kernel}, block"):
                ALIGNED.run(op, **arguments)
        emulator.remove_barrier(kernel, barriers)  # there are no more
        ALIGNED.run(op, **arguments)
    finally:
        emulator.restore_barriers()


# ---- what the kernels' integers hold


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"n": 2**30}, "fewer than 2.30 pixels of x"),
        ({"h": 2**15, "w": 2**15}, "fewer than 2.30 pixels of x"),
        ({"p": 2**15, "q": 2**15}, "fewer than 2.30 pixels of y"),
        ({"c": 2**30}, "fewer than 2.30 entries of a filter"),
        ({"k": 2**30}, "fewer than 2.30 filters"),
        ({"stride_h": 2**30}, "strides below 2.30"),
    ],
)
def test_sizes_beyond_the_kernels_integers_are_refused(sizes, message):
    g = Conv2DGeometry(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0)._replace(**sizes)
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        emulator.conv2d_dgrad(g, 0, 0, 0, 0, "highest", "float32", 0)
