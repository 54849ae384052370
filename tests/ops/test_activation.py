"""activation_forward and activation_backward of every backend against the float64 reference, and their special values.

The errors allowed are in units of 2u, u = 2**-24, of the magnitude that each function handles: its result for those
that are accurate where it is small, else what the result is a part of.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import REFERENCE, float32

from fastconv.ops.numpy_elementwise import ACTIVATIONS

ULP = 2.0**-23
PARAMETERS = {"linear": (-1.5, 0.25), "relu": (0.3, 2.0, 0.5), "elu": (0.75,)}
# Of results that are relatively accurate: units of the last place, forward and backward.
RELATIVE = {
    "elu": (3, 3), "selu": (3, 3), "sigmoid": (4, 6), "tanh": (4, 7), "softplus": (4, 4), "softsign": (2, 3),
    "exponential": (2, 2), "silu": (5, None), "hard_sigmoid": (2, 2), "mish": (6, None),
}  # fmt: skip
# Of results that cancel: units of the last place of 1 + |x|, forward and backward.
ABSOLUTE = {
    "linear": (2, 0), "relu": (2, 0), "gelu": (4, 8), "gelu_tanh": (6, 12), "silu": (5, 8), "mish": (5, 12),
    "hard_silu": (3, 5),
}  # fmt: skip
SIZES = [*range(1, 35), 1000, 16385]


def named(function):
    return {"function": function, "parameters": PARAMETERS.get(function, ())}


def errors(function, x, direction, actual, expected):
    """Errors in units of the smallest allowance that is stated."""
    relative = RELATIVE.get(function, (None, None))[direction]
    if relative is not None:
        return np.abs(actual - expected) / (relative * ULP * np.abs(expected))
    absolute = ABSOLUTE[function][direction] or 1
    return np.abs(actual - expected) / (absolute * ULP * (1 + np.abs(x)))


def assert_right(function, x, direction, actual, expected):
    with np.errstate(invalid="ignore"):
        right = (actual == expected) | (errors(function, x, direction, actual, expected) <= 1)
    assert right.all(), (x[~right][:3], actual[~right][:3], expected[~right][:3])


def samples(rng):
    """Inputs over all magnitudes at which float32 results are normal numbers, both signs."""
    wide, near = rng.uniform(-80, 80, 1500), rng.normal(size=2000) * 3
    tiny = 10.0 ** rng.uniform(-30, 0, 500) * rng.choice((-1, 1), 500)
    return np.concatenate([wide, near, tiny, [0.0]]).astype(np.float32)


def inside(function, x):
    """Where float32 results of the function and its derivative are normal numbers: tanh' is of the order of exp(2x)."""
    return np.abs(x) < {"tanh": 40, "gelu_tanh": 10}.get(function, 80)


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_forward(ops, rng, function):
    x = samples(rng)
    x = x[inside(function, x)]
    y = ops.run("activation_forward", x=x, **named(function)).y.astype(np.float64)
    expected = REFERENCE.run("activation_forward", x=x.astype(np.float64), **named(function)).y
    assert_right(function, x, 0, y, expected)


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_backward(ops, rng, function):
    x = samples(rng)
    x = x[inside(function, x)]
    dy = rng.choice((-2.0, 1.0, 0.5), x.size).astype(np.float32)  # whose products round nothing
    dx = ops.run("activation_backward", dy=dy, x=x, **named(function)).dx.astype(np.float64) / dy
    one = np.ones(x.size)
    expected = REFERENCE.run("activation_backward", dy=one, x=x.astype(np.float64), **named(function)).dx
    assert_right(function, x, 1, dx, expected)


@pytest.mark.parametrize("count", SIZES)
def test_every_element_is_computed_alike(ops, rng, count):
    """Whatever its place: in a vector, in the rest after the last one, or alone."""
    x, dy = float32(rng, count), float32(rng, count)
    y = ops.run("activation_forward", x=x, **named("gelu")).y
    dx = ops.run("activation_backward", dy=dy, x=x, **named("gelu")).dx
    last = slice(count - 1, count)
    assert ops.run("activation_forward", x=x[last], **named("gelu")).y == y[last]
    assert ops.run("activation_backward", dy=dy[last], x=x[last], **named("gelu")).dx == dx[last]
    np.testing.assert_allclose(y, REFERENCE.run("activation_forward", x=x, **named("gelu")).y, rtol=0, atol=1e-5)


LIMITS = {  # at -Inf, Inf; where x times 0 is left, NaN as in TensorFlow
    "linear": (np.inf, -np.inf), "relu": (-np.inf, 2), "elu": (-0.75, np.inf), "selu": (-1.7580993, np.inf),
    "gelu": (np.nan, np.inf), "gelu_tanh": (np.nan, np.inf), "silu": (np.nan, np.inf), "sigmoid": (0, 1),
    "hard_sigmoid": (0, 1), "hard_silu": (np.nan, np.inf), "tanh": (-1, 1), "softplus": (0, np.inf),
    "softsign": (np.nan, np.nan), "exponential": (0, np.inf), "mish": (np.nan, np.inf),
}  # fmt: skip


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_infinity_and_nan(ops, function):
    x = np.array([-np.inf, np.inf, np.nan] * 6, np.float32)
    y = ops.run("activation_forward", x=x, **named(function)).y
    np.testing.assert_array_equal(y, np.array([*LIMITS[function], np.nan] * 6, np.float32))


@pytest.mark.parametrize("function", ACTIVATIONS)
@pytest.mark.parametrize("x", [-1e30, -104, -87.9, 87.9, 88.7, 88.73, 1e30])
def test_where_exponentials_leave_the_range_of_floats(ops, function, x):
    x = np.full(5, x, np.float32)
    given = {"x": x, **named(function)}
    with np.errstate(over="ignore"):
        expected = REFERENCE.run("activation_forward", **given).y.astype(np.float32)
    y = ops.run("activation_forward", **given).y
    denormal = 2.0**-126 * min(105, abs(x[0]))  # an exponential that counts as 0, and is multiplied by x
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=denormal)
    slope = ops.run("activation_backward", dy=np.ones(5, np.float32), **given).dx
    assert np.isfinite(slope).all() or function == "exponential"


@pytest.mark.parametrize(("slope", "at_infinity"), [(0.0, 0.0), (0.5, -np.inf)])
def test_relu_without_a_slope_is_zero_at_minus_infinity(ops, slope, at_infinity):
    x = np.array([-np.inf, -2, 1, 1.5, 7, np.inf, np.nan] * 3, np.float32)
    y = ops.run("activation_forward", x=x, function="relu", parameters=(slope, 6.0, 1.0)).y
    expected = [at_infinity, -3 * slope, 0, 1.5, 6, 6, np.nan]
    np.testing.assert_array_equal(y, np.array(expected * 3, np.float32))


def test_the_gradients_of_relu_at_its_corners(ops):
    x = np.array([1, 1.25, 6, 6.25], np.float32)
    parameters = {"function": "relu", "parameters": (0.5, 6.0, 1.0)}
    dx = ops.run("activation_backward", dy=np.ones(4, np.float32), x=x, **parameters).dx
    np.testing.assert_array_equal(dx, [0.5, 1, 1, 0])


def test_in_place(ops, rng):
    x, dy = float32(rng, 1001), float32(rng, 1001)
    y = ops.run("activation_forward", x=x, **named("mish")).y
    dx = ops.run("activation_backward", dy=dy, x=x, **named("mish")).dx
    np.testing.assert_array_equal(ops.run("activation_forward", x=x, **named("mish"), shared={"y": "x"}).y, y)
    for name in ("dy", "x"):
        shared = ops.run("activation_backward", dy=dy, x=x, **named("mish"), shared={"dx": name}).dx
        np.testing.assert_array_equal(shared, dx)


def test_a_name_that_is_not_known_is_refused(ops):
    arrays = ops.arrays(x=np.zeros(5, np.float32), y=np.zeros(5, np.float32))
    with pytest.raises(ValueError, match="function: expected the name of an activation.*function=rleu"):
        ops.ops.activation_forward(**arrays, function="rleu", parameters=())


def test_another_number_of_parameters_is_refused(ops):
    arrays = ops.arrays(x=np.zeros(5, np.float32), y=np.zeros(5, np.float32))
    with pytest.raises(ValueError, match="parameters of relu: expected 3. Received: 1"):
        ops.ops.activation_forward(**arrays, function="relu", parameters=(0.5,))


def test_arrays_of_different_size_are_refused(ops):
    arrays = ops.arrays(dy=np.zeros(5, np.float32), x=np.zeros(4, np.float32), dx=np.zeros(5, np.float32))
    with pytest.raises(ValueError, match=r"x: expected 5 elements.*Received: shape \(4,\)"):
        ops.ops.activation_backward(**arrays, **named("tanh"))
