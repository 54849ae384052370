"""leaky_relu_forward and leaky_relu_backward of every backend; one rounding, so float32 must agree to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
from helpers import float32

SLOPES = [0.3, 0.0, 1.0, -0.5, 2.0]
SPECIAL = np.array([-np.inf, -1, -0.0, 0.0, 1e-30, 1, np.inf, np.nan], np.float32)


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("count", shapes.ELEMENTWISE)
def test_forward(ops, rng, count, slope):
    x = float32(rng, count)
    y = ops.run("leaky_relu_forward", x=x, slope=slope).y
    np.testing.assert_array_equal(y, np.where(x > 0, x, np.float32(slope) * x))


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("count", shapes.ELEMENTWISE)
def test_backward(ops, rng, count, slope):
    x, dy = float32(rng, count), float32(rng, count)
    dx = ops.run("leaky_relu_backward", dy=dy, x=x, slope=slope).dx
    np.testing.assert_array_equal(dx, np.where(x > 0, dy, np.float32(slope) * dy))


@pytest.mark.parametrize("copies", [1, 5])
def test_special_values(ops, copies):
    y = ops.run("leaky_relu_forward", x=np.tile(SPECIAL, copies), slope=0.5).y
    expected = [-np.inf, -0.5, 0, 0, 1e-30, 1, np.inf, np.nan]
    np.testing.assert_array_equal(y, np.tile(np.array(expected, np.float32), copies))


@pytest.mark.parametrize("copies", [1, 5])
def test_relu_of_minus_infinity_is_zero_and_of_nan_is_nan(ops, copies):
    y = ops.run("leaky_relu_forward", x=np.tile(SPECIAL, copies), slope=0.0).y
    np.testing.assert_array_equal(y, np.tile(np.array([0, 0, 0, 0, 1e-30, 1, np.inf, np.nan], np.float32), copies))


@pytest.mark.parametrize("copies", [1, 5])
def test_gradient_at_zero_and_nan_is_the_slope(ops, copies):
    dx = ops.run("leaky_relu_backward", dy=np.ones(8 * copies, np.float32), x=np.tile(SPECIAL, copies), slope=0.25).dx
    expected = np.array([0.25, 0.25, 0.25, 0.25, 1, 1, 1, 0.25], np.float32)
    np.testing.assert_array_equal(dx, np.tile(expected, copies))


def test_in_place(ops, rng):
    x, dy = float32(rng, 1001), float32(rng, 1001)
    y = ops.run("leaky_relu_forward", x=x, slope=0.3, shared={"y": "x"}).y
    dx = ops.run("leaky_relu_backward", dy=dy, x=x, slope=0.3, shared={"dx": "dy"}).dx
    np.testing.assert_array_equal(y, ops.run("leaky_relu_forward", x=x, slope=0.3).y)
    np.testing.assert_array_equal(dx, ops.run("leaky_relu_backward", dy=dy, x=x, slope=0.3).dx)


def test_arrays_of_different_size_are_refused(ops):
    x, y = np.zeros(5, np.float32), np.zeros(4, np.float32)
    with pytest.raises(ValueError, match=r"y: expected 5 elements.*Received: shape \(4,\)"):
        ops.ops.leaky_relu_forward(**ops.arrays(x=x, y=y), slope=0.3)
