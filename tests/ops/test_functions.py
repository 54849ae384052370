"""The public functions: which arrays they take, what they return, and what they refuse."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from function_calls import CALLS, KERNEL_SHAPE, X_SHAPE, arrays

import fastconv.ops
from fastconv.ops import functions

every_function = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


# ---- results


@every_function
def test_float32_gives_float32_and_float64_gives_float64(rng, call):
    single = arrays(rng)
    double = {name: array.astype(np.float64) for name, array in single.items()}
    for exact, close in zip(call(double), call(single), strict=True):
        assert (exact.dtype, close.dtype) == (np.float64, np.float32)
        np.testing.assert_allclose(close, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["x", "kernel", "bias"])
def test_one_float64_argument_makes_the_result_float64(rng, name):
    a = arrays(rng)
    y = fastconv.ops.conv2d(a["x"], a["kernel"], a["bias"])
    a[name] = a[name] + np.float64(2.0**-40)  # lost in float32
    more = fastconv.ops.conv2d(a["x"], a["kernel"], a["bias"])
    assert more.dtype == np.float64
    assert (more > y).all()


def test_conv2d_is_the_sum_over_the_window(rng):
    a = arrays(rng)
    y = fastconv.ops.conv2d(a["x"], a["kernel"], a["bias"], strides=(3, 2))
    assert y.shape == (2, 2, 3, 4)
    expected = np.tensordot(a["x"][1, 3:6, 2:4], a["kernel"], 3) + a["bias"]
    np.testing.assert_array_equal(y[1, 1, 1], expected)


def test_conv2d_defaults_to_valid_with_stride_1_and_no_bias(rng):
    a = arrays(rng)
    spelled_out = fastconv.ops.conv2d(a["x"], a["kernel"], bias=None, strides=(1, 1), padding="valid")
    np.testing.assert_array_equal(fastconv.ops.conv2d(a["x"], a["kernel"]), spelled_out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("strides", [1, 2, (3, 1)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_conv2d_gradients_are_adjoint(rng, dtype, strides, padding):
    a = arrays(rng, dtype)
    y = fastconv.ops.conv2d(a["x"], a["kernel"], strides=strides, padding=padding)
    dy = rng.integers(1, 5, size=y.shape).astype(dtype)
    dx = fastconv.ops.conv2d_dgrad(dy, a["kernel"], X_SHAPE, strides, padding)
    dw = fastconv.ops.conv2d_wgrad(a["x"], dy, KERNEL_SHAPE, strides, padding)
    assert (y * dy).sum() == (a["x"] * dx).sum() == (a["kernel"] * dw).sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_returns_the_biased_variance(rng, dtype):
    x = rng.normal(size=(4, 3, 2, 5)).astype(dtype)
    y, mean, variance = fastconv.ops.batch_norm(x, None, None, epsilon=0.5)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(variance, x.var(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 0.5), atol=1e-6)


def test_batch_norm_backward_is_the_slope_of_batch_norm(rng):
    x, dy, gamma, beta = (rng.normal(size=size) for size in ((5, 3), (5, 3), 3, 3))
    _, mean, variance = fastconv.ops.batch_norm(x, gamma, beta)
    dx, dgamma, dbeta = fastconv.ops.batch_norm_backward(dy, x, gamma, mean, variance)
    step = 1e-6
    for gradient, array in ((dx, x), (dgamma, gamma), (dbeta, beta)):
        direction = rng.normal(size=array.shape)
        moved = []
        for sign in (step, -step):
            inputs = [value + sign * direction if value is array else value for value in (x, gamma, beta)]
            moved.append((fastconv.ops.batch_norm(*inputs)[0] * dy).sum())
        np.testing.assert_allclose((gradient * direction).sum(), (moved[0] - moved[1]) / (2 * step), rtol=1e-5)


def test_epsilon_is_kerass_by_default(rng):
    x = rng.normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        fastconv.ops.batch_norm(x, None, None)[0], fastconv.ops.batch_norm(x, None, None, epsilon=1e-3)[0]
    )


def test_negative_slope_is_kerass_by_default():
    x = np.array([-1, 2], np.float32)
    np.testing.assert_array_equal(fastconv.ops.leaky_relu(x), np.array([-0.3, 2], np.float32))
    np.testing.assert_array_equal(fastconv.ops.leaky_relu_backward(x, x), np.array([-0.3, 2], np.float32))
    np.testing.assert_array_equal(fastconv.ops.leaky_relu(x, negative_slope=0), np.array([0, 2], np.float32))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (2, 3, 4)], ids=str)
def test_leaky_relu_of_any_shape(shape):
    x = np.full(shape, -1, np.float32)
    y, dx = fastconv.ops.leaky_relu(x, 0.5), fastconv.ops.leaky_relu_backward(x, x, 0.5)
    assert y.shape == dx.shape == shape
    np.testing.assert_array_equal(y, np.full(shape, -0.5))


# ---- inputs that are converted


def read_only(a):
    a.flags.writeable = False
    return a


def unaligned(a):
    memory = np.zeros(a.nbytes + 1, np.uint8)
    memory[1:].view(a.dtype)[:] = a.ravel()
    return memory[1:].view(a.dtype).reshape(a.shape)


LAYOUTS = {
    "uint8": lambda a: a.astype(np.uint8),
    "int8": lambda a: a.astype(np.int8),
    "int32": lambda a: a.astype(np.int32),
    "int64": lambda a: a.astype(np.int64),
    "float16": lambda a: a.astype(np.float16),
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "byte-swapped int": lambda a: a.astype(">i4"),
    "fortran": np.asfortranarray,
    "every second": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "negative stride": lambda a: a[::-1].copy()[::-1],
    "transposed": lambda a: a.T.copy().T,
    "read-only": lambda a: read_only(a.copy()),
    "between two floats": unaligned,
    "broadcast": lambda a: np.broadcast_to(a, a.shape),
}


@pytest.mark.parametrize("change", LAYOUTS.values(), ids=LAYOUTS)
@every_function
def test_arrays_of_other_types_and_layouts_are_converted_to_float32(rng, call, change):
    a = arrays(rng)
    for actual, expected in zip(call({name: change(array) for name, array in a.items()}), call(a), strict=True):
        assert actual.dtype == np.float32
        np.testing.assert_array_equal(actual, expected)


@every_function
def test_byte_swapped_float64_stays_float64(rng, call):
    a = arrays(rng, np.float64)
    for actual, expected in zip(call({name: array.astype(">f8") for name, array in a.items()}), call(a), strict=True):
        assert actual.dtype == np.dtype(np.float64)
        np.testing.assert_array_equal(actual, expected)


def test_lists_and_bools_are_taken():
    np.testing.assert_array_equal(fastconv.ops.leaky_relu([-1.0, 2.0], 0.5), [-0.5, 2])
    y = fastconv.ops.conv2d(np.ones((1, 2, 2, 1), bool), np.ones((2, 2, 1, 1), np.float32))
    np.testing.assert_array_equal(y, [[[[4]]]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_function
def test_inputs_are_not_modified(rng, call, dtype):
    a = arrays(rng, dtype)
    before = {name: array.copy() for name, array in a.items()}
    results = call(a)
    for name, array in a.items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
        assert not any(np.shares_memory(array, result) for result in results)


# ---- refusals, each with what was expected and what was received

OTHER_TYPES = {
    "complex64": lambda a: a.astype(np.complex64),
    "object": lambda a: a.astype(object),
    "<U": lambda a: a.astype(str),
    "datetime64": lambda a: a.astype("datetime64[s]"),
}


@pytest.mark.parametrize("name", OTHER_TYPES)
@every_function
def test_other_types_are_refused_by_name(rng, call, name):
    a = {key: OTHER_TYPES[name](array) for key, array in arrays(rng).items()}
    with pytest.raises(ValueError, match=rf"\w+: expected real numbers.*Received: dtype {name}"):
        call(a)


def float32(*shape):
    return np.ones(shape, np.float32)


X, KERNEL, DY = float32(*X_SHAPE), float32(*KERNEL_SHAPE), float32(2, 5, 5, 4)  # stride 1, "valid"
CONV2D_REFUSALS = {
    "x of rank 3": ({"x": X[0]}, r"x: expected rank 4.*Received: shape \(7, 6, 3\)"),
    "kernel of rank 2": ({"kernel": float32(3, 4)}, r"kernel: expected rank 4.*Received: shape \(3, 4\)"),
    "channels": (
        {"kernel": float32(3, 2, 5, 4)},
        r"kernel: expected 3 input channels.*Received.*\(3, 2, 5, 4\) with 5",
    ),
    "bias": ({"bias": float32(5)}, r"bias: expected shape \(4,\).*Received: shape \(5,\)"),
    "bias of rank 0": ({"bias": 1.0}, r"bias: expected shape \(4,\).*Received: shape \(\)"),
    "kernel too large": (
        {"kernel": float32(8, 2, 3, 4)},
        r"kernel_size: expected.*Received: kernel_size=\(8, 2\).*\(7, 6\)",
    ),
    "stride 0": ({"strides": 0}, "strides: expected positive.*Received: strides=0"),
    "stride -1": ({"strides": (1, -1)}, r"strides: expected positive.*Received: strides=\(1, -1\)"),
    "stride 1.5": ({"strides": 1.5}, r"strides: expected positive.*Received: strides=1\.5"),
    "three strides": ({"strides": (1, 1, 1)}, r"strides: expected.*pair.*Received: strides=\(1, 1, 1\)"),
    "stride True": ({"strides": True}, "strides: expected positive.*Received: strides=True"),
    "padding": ({"padding": "full"}, 'padding: expected "valid" or "same".*Received: padding=\'full\''),
    "no images": ({"x": float32(0, 7, 6, 3)}, r"x: expected at least one.*Received: shape \(0, 7, 6, 3\)"),
    "no rows": ({"x": float32(2, 0, 6, 3)}, r"x: expected at least one.*Received: shape \(2, 0, 6, 3\)"),
    "no filters": ({"kernel": float32(3, 2, 3, 0)}, r"kernel: expected at least one.*Received: shape \(3, 2, 3, 0\)"),
    "no channels": ({"x": float32(2, 7, 6, 0), "kernel": float32(3, 2, 0, 4)}, r"x: expected at least one.*Received"),
}


@pytest.mark.parametrize("change, message", CONV2D_REFUSALS.values(), ids=CONV2D_REFUSALS)
def test_conv2d_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        fastconv.ops.conv2d(**{"x": X, "kernel": KERNEL} | change)


@pytest.mark.parametrize("stride", [2**31, 2**62, 2**70])
def test_a_huge_stride_gives_one_output_or_is_refused(stride):
    try:
        y = fastconv.ops.conv2d(X, KERNEL, strides=stride)
    except ValueError as error:
        assert "xpected" in str(error) and "eceived" in str(error)
    else:
        np.testing.assert_array_equal(y, np.full((2, 1, 1, 4), 18))


DGRAD_REFUSALS = {
    "dy of rank 3": ({"dy": DY[0]}, r"dy: expected rank 4.*Received: shape \(5, 5, 4\)"),
    "dy of another size": (
        {"dy": float32(2, 5, 4, 4)},
        r"dy: expected shape \(2, 5, 5, 4\).*Received: shape \(2, 5, 4, 4\)",
    ),
    "no images": ({"dy": float32(0, 5, 5, 4)}, r"dy: expected shape.*Received: shape \(0, 5, 5, 4\)"),
    "input_shape of 3": ({"input_shape": (7, 6, 3)}, r"input_shape: expected 4 positive.*Received: \(7, 6, 3\)"),
    "input_shape int": ({"input_shape": 7}, "input_shape: expected 4 positive.*Received: 7"),
    "input_shape with 0": ({"input_shape": (2, 0, 6, 3)}, "input_shape: expected.*positive.*Received.*0"),
    "input_shape of floats": ({"input_shape": (2, 7.5, 6, 3)}, r"input_shape: expected.*positive.*Received.*7\.5"),
    "channels": ({"input_shape": (2, 7, 6, 2)}, "kernel: expected 2 input channels.*Received.*with 3"),
    "stride 0": ({"strides": 0}, "strides: expected positive.*Received: strides=0"),
    "kernel of rank 3": ({"kernel": KERNEL[0]}, r"kernel: expected rank 4.*Received: shape \(2, 3, 4\)"),
}


@pytest.mark.parametrize("change, message", DGRAD_REFUSALS.values(), ids=DGRAD_REFUSALS)
def test_conv2d_dgrad_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        fastconv.ops.conv2d_dgrad(**{"dy": DY, "kernel": KERNEL, "input_shape": X_SHAPE} | change)


WGRAD_REFUSALS = {
    "x of rank 5": ({"x": X[None]}, r"x: expected rank 4.*Received: shape \(1, 2, 7, 6, 3\)"),
    "dy of another batch": ({"dy": DY[:1]}, r"dy: expected shape \(2, 5, 5, 4\).*Received: shape \(1, 5, 5, 4\)"),
    "kernel_shape of 2": ({"kernel_shape": (3, 2)}, r"kernel_shape: expected 4 positive.*Received: \(3, 2\)"),
    "kernel_shape negative": ({"kernel_shape": (3, 2, 3, -4)}, "kernel_shape: expected.*positive.*Received.*-4"),
    "channels": ({"kernel_shape": (3, 2, 4, 4)}, "kernel: expected 3 input channels.*Received.*with 4"),
    "kernel too large": ({"kernel_shape": (3, 7, 3, 4)}, r"kernel_size: expected.*Received: kernel_size=\(3, 7\)"),
    "no images": ({"x": X[:0]}, r"x: expected at least one.*Received: shape \(0, 7, 6, 3\)"),
}


@pytest.mark.parametrize("change, message", WGRAD_REFUSALS.values(), ids=WGRAD_REFUSALS)
def test_conv2d_wgrad_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        fastconv.ops.conv2d_wgrad(**{"x": X, "dy": DY, "kernel_shape": KERNEL_SHAPE} | change)


BATCH_NORM_REFUSALS = {
    "x of rank 1": ({"x": float32(5)}, r"x: expected rank 2 or more.*Received: shape \(5,\)"),
    "no rows": ({"x": float32(0, 3)}, r"x: expected at least one.*Received: shape \(0, 3\)"),
    "gamma": ({"gamma": float32(2)}, r"gamma: expected shape \(3,\).*Received: shape \(2,\)"),
    "beta": ({"beta": float32(3, 1)}, r"beta: expected shape \(3,\).*Received: shape \(3, 1\)"),
    "negative epsilon": ({"epsilon": -1e-3}, r"epsilon: expected.*not negative.*Received: epsilon=-0\.001"),
    "epsilon NaN": ({"epsilon": np.nan}, "epsilon: expected.*not negative.*Received: epsilon=nan"),
}


@pytest.mark.parametrize("change, message", BATCH_NORM_REFUSALS.values(), ids=BATCH_NORM_REFUSALS)
def test_batch_norm_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        fastconv.ops.batch_norm(**{"x": float32(5, 3), "gamma": None, "beta": None} | change)


BATCH_NORM_BACKWARD_REFUSALS = {
    "dy": ({"dy": float32(4, 3)}, r"dy: expected shape \(5, 3\).*Received: shape \(4, 3\)"),
    "mean": ({"mean": float32(5)}, r"mean: expected shape \(3,\).*Received: shape \(5,\)"),
    "variance": ({"variance": float32(1, 3)}, r"variance: expected shape \(3,\).*Received: shape \(1, 3\)"),
    "gamma": ({"gamma": float32(2)}, r"gamma: expected shape \(3,\).*Received: shape \(2,\)"),
    "no rows": ({"x": float32(0, 3), "dy": float32(0, 3)}, r"x: expected at least one.*Received: shape \(0, 3\)"),
    "negative epsilon": ({"epsilon": -1e-3}, r"epsilon: expected.*not negative.*Received: epsilon=-0\.001"),
}


@pytest.mark.parametrize("change, message", BATCH_NORM_BACKWARD_REFUSALS.values(), ids=BATCH_NORM_BACKWARD_REFUSALS)
def test_batch_norm_backward_refuses(change, message):
    x, c = float32(5, 3), float32(3)
    with pytest.raises(ValueError, match=message):
        fastconv.ops.batch_norm_backward(**{"dy": x, "x": x, "gamma": c, "mean": c, "variance": c} | change)


def test_leaky_relu_backward_refuses_a_gradient_of_another_shape():
    with pytest.raises(ValueError, match=r"dy: expected shape \(5,\).*Received: shape \(4,\)"):
        fastconv.ops.leaky_relu_backward(float32(4), float32(5))


@pytest.mark.parametrize("name", ["dy", "x", "mean", "variance"])
def test_batch_norm_backward_refuses_none(name):
    x, c = float32(5, 3), float32(3)
    with pytest.raises(ValueError, match=f"{name}: expected .*Received: .*None"):
        fastconv.ops.batch_norm_backward(**{"dy": x, "x": x, "gamma": c, "mean": c, "variance": c} | {name: None})


@pytest.mark.parametrize("name", ["x", "kernel"])
def test_conv2d_refuses_none(name):
    with pytest.raises(ValueError, match=f"{name}: expected .*Received: .*None"):
        fastconv.ops.conv2d(**{"x": X, "kernel": KERNEL} | {name: None})


def test_leaky_relu_refuses_none():
    with pytest.raises(ValueError, match="x: expected .*Received: .*None"):
        fastconv.ops.leaky_relu(None)


def test_docstring_examples():
    assert doctest.testmod(functions).failed == 0
