"""The passes of the depthwise convolution of every backend, and the reference against its definition and adjoints."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers import REFERENCE, float32, small_integers
from image_ops import depthwise_example
from tolerances import assert_close, float32_sum

from fastconv import geometry

# x shape, filters of a channel, kernel, strides, padding
CASES = [
    *(((2, 4, 5, c), 1, 3, 1, "same") for c in (1, 3, 4, 7, 8, 15, 16, 17, 33)),
    *(((2, 4, 5, c), m, 3, 2, "same") for c, m in ((1, 5), (3, 2), (17, 3), (16, 2))),
    *(((1, 7, 9, 5), 1, size, stride, padding)
      for size, stride, padding in itertools.product((2, 3), (1, 2, 3), ("valid", "same"))),
    ((2, 5, 6, 3), 2, (2, 4), (3, 1), "same"),
    ((1, 2, 3, 9), 1, 5, 2, "same"),
    ((1, 3, 40, 20), 1, (1, 3), 1, "same"),
    ((3, 20, 30, 5), 1, 3, 1, "same"),
    ((1, 1, 1, 2), 3, 1, 4, "valid"),
]  # fmt: skip
IDS = [f"{'x'.join(map(str, x))}_m{m}_{size}_s{stride}_{padding}" for x, m, size, stride, padding in CASES]
every_case = pytest.mark.parametrize("g", [geometry.depthwise_conv2d(*case) for case in CASES], ids=IDS)
PASSES = {"fprop": "y", "dgrad": "dx", "wgrad": "dw"}
every_pass = pytest.mark.parametrize("op", PASSES)


def run(backend, op, given):
    return getattr(backend.run(f"depthwise_conv2d_{op}", **given), PASSES[op])


def as_convolution(g, w):
    """The filters as those of a convolution: 0 for the channels of others."""
    kernel = np.zeros(g.w_shape)
    for c, j in itertools.product(range(g.c), range(g.k // g.c)):
        kernel[:, :, c, c * (g.k // g.c) + j] = w[:, :, c, j]
    return kernel


@every_case
def test_the_reference_is_a_convolution_with_zeros(rng, g):
    given = depthwise_example("fprop", rng, g, small_integers)
    kernel = as_convolution(g, given["w"])
    expected = REFERENCE.run("conv2d_fprop", geometry=g, x=given["x"], w=kernel, b=given["b"]).y
    np.testing.assert_array_equal(run(REFERENCE, "fprop", given), expected)


@every_case
def test_gradients_of_the_reference_are_adjoints(rng, g):
    x, w = (depthwise_example("fprop", rng, g, small_integers)[name] for name in ("x", "w"))
    dy = small_integers(rng, *g.y_shape)
    expected = (run(REFERENCE, "fprop", {"geometry": g, "x": x, "w": w, "b": None}) * dy).sum()
    assert (run(REFERENCE, "dgrad", {"geometry": g, "dy": dy, "w": w}) * x).sum() == expected
    assert (run(REFERENCE, "wgrad", {"geometry": g, "x": x, "dy": dy}) * w).sum() == expected


@every_pass
@every_case
def test_whole_numbers_exactly(ops, rng, g, op):
    given = depthwise_example(op, rng, g, small_integers)
    np.testing.assert_array_equal(run(ops, op, given), run(REFERENCE, op, given))


@every_pass
@every_case
def test_within_the_bound_of_a_sum(ops, rng, g, op):
    given = depthwise_example(op, rng, g, float32)
    magnitudes = {k: np.abs(v) if isinstance(v, np.ndarray) else v for k, v in given.items()}
    products = {"fprop": g.r * g.s, "dgrad": g.r * g.s * g.k // g.c, "wgrad": g.n * g.p * g.q}[op]
    bound = float32_sum(products, run(REFERENCE, op, magnitudes))
    assert_close(run(ops, op, given), run(REFERENCE, op, given), bound)


def test_without_a_bias(ops, rng):
    g = geometry.depthwise_conv2d((1, 5, 9, 19), 1, 3, padding="same")
    given = depthwise_example("fprop", rng, g, small_integers) | {"b": None}
    np.testing.assert_array_equal(run(ops, "fprop", given), run(REFERENCE, "fprop", given))


def test_nan_stays_in_its_channel_and_windows(ops, rng):
    g = geometry.depthwise_conv2d((1, 5, 9, 19), 1, 3, padding="same")
    given = depthwise_example("fprop", rng, g, float32)
    given["x"][0, 2, 4, 7] = np.nan
    expected = np.zeros(g.y_shape, bool)
    expected[0, 1:4, 3:6, 7] = True
    np.testing.assert_array_equal(np.isnan(run(ops, "fprop", given)), expected)


def test_a_small_workspace_is_refused(ops, rng):
    g = geometry.depthwise_conv2d((4, 9, 9, 3), 1, 3)
    given = depthwise_example("wgrad", rng, g, float32)
    with pytest.raises(ValueError, match="depthwise_conv2d_wgrad: expected .* bytes of workspace"):
        ops.run("depthwise_conv2d_wgrad", **given, workspace_bytes=4)


def test_filters_that_are_no_multiple_of_the_channels_are_refused(ops, rng):
    g = geometry.depthwise_conv2d((1, 4, 4, 3), 1, 3)._replace(k=4)
    arrays = ops.arrays(dy=np.zeros(g.y_shape, "f4"), w=np.zeros((3, 3, 4), "f4"), dx=np.zeros(g.x_shape, "f4"))
    with pytest.raises(ValueError, match="a multiple of the channels as k. Received: 4"):
        ops.ops.depthwise_conv2d_dgrad(geometry=g, **arrays)
