"""The kernels as plain functions on arrays of NumPy or CuPy: NHWC images, HWIO filters, float32 in and out.

Anything NumPy can turn into float32 without surprise is converted (integers, float16, big-endian or strided views);
float64 arguments are computed in float64 by the NumPy reference. Arrays in the memory of a GPU (CuPy's, or of another
library that shares them by `__cuda_array_interface__` or DLPack) are computed there on CuPy's current stream, and CuPy
arrays come back; float64 is refused there. Arguments are never modified.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastconv import geometry
from fastconv.ops.arguments import as_arrays

if TYPE_CHECKING:
    import numpy.typing as npt


Strides = int | Sequence[int]


def _require_rank(array, rank: int, name: str, axes: str) -> None:
    if array.ndim != rank:
        raise ValueError(f"{name}: expected rank {rank} {axes}. Received: shape {array.shape}")


def _require_shape(array, shape, name: str) -> None:
    if array.shape != tuple(shape):
        raise ValueError(f"{name}: expected shape {tuple(shape)}. Received: shape {array.shape}")


def _require_not_empty(array, name: str) -> None:
    if array.size == 0:
        raise ValueError(f"{name}: expected at least one element. Received: shape {array.shape}")


def _shape_of(value, rank: int, name: str) -> tuple[int, ...]:
    try:
        sizes = tuple(value)
    except TypeError:
        raise ValueError(f"{name}: expected {rank} positive integers. Received: {value!r}") from None
    if len(sizes) != rank:
        raise ValueError(f"{name}: expected {rank} positive integers. Received: {value!r}")
    return tuple(geometry.positive_int(size, name) for size in sizes)


def _geometry(x_shape, w_shape, strides, padding) -> geometry.Conv2DGeometry:
    r, s, c, k = w_shape
    if x_shape[3] != c:
        raise ValueError(
            f"kernel: expected {x_shape[3]} input channels, as x of shape {tuple(x_shape)} has. "
            f"Received: kernel shape {tuple(w_shape)} with {c}"
        )
    return geometry.conv2d(x_shape, k, (r, s), strides, padding)


def _run(ops, op: str, **arguments) -> None:
    """Runs one op with the workspace it asks for."""
    xp = ops.memory.xp
    shapes = {name: value.shape for name, value in arguments.items() if isinstance(value, xp.ndarray)}
    size = ops.workspace_bytes(op, shapes, arguments)
    workspace = xp.empty(size // 4, np.float32) if size else None
    getattr(ops, op)(**arguments, workspace=workspace)


def conv2d(
    x: npt.ArrayLike,
    kernel: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    strides: Strides = 1,
    padding: str = "valid",
) -> np.ndarray:
    """2D convolution (cross-correlation) of images with a bank of filters.

    Args:
        x: images, shape (N, H, W, C).
        kernel: filters, shape (R, S, C, K), Keras' HWIO.
        bias: one number per filter, shape (K,), or None.
        strides: int or (vertical, horizontal), in pixels.
        padding: "valid" (none) or "same" (output = ceil(size / stride), TensorFlow's zeros).

    Returns:
        Array of shape (N, P, Q, K); float64 if an argument is, else float32.

    Raises:
        ValueError: on a wrong rank, dtype, channel count, size, stride or padding.

    >>> conv2d(np.ones((1, 4, 4, 1)), np.ones((3, 3, 1, 2)), padding="same").shape
    (1, 4, 4, 2)
    """
    (x, kernel, bias), ops = as_arrays(("bias",), x=x, kernel=kernel, bias=bias)
    xp = ops.memory.xp
    _require_rank(x, 4, "x", "(N, H, W, C)")
    _require_rank(kernel, 4, "kernel", "(R, S, C, K)")
    _require_not_empty(x, "x")
    _require_not_empty(kernel, "kernel")
    g = _geometry(x.shape, kernel.shape, strides, padding)
    if bias is not None:
        _require_shape(bias, (g.k,), "bias")
    y = xp.empty(g.y_shape, x.dtype)
    _run(ops, "conv2d_fprop", geometry=g, x=x, w=kernel, b=bias, y=y)
    return y


def conv2d_dgrad(
    dy: npt.ArrayLike,
    kernel: npt.ArrayLike,
    input_shape: Sequence[int],
    strides: Strides = 1,
    padding: str = "valid",
) -> np.ndarray:
    """Gradient of `conv2d` with respect to its images (as a layer: transposed convolution).

    Args:
        dy: gradient of the output, shape (N, P, Q, K).
        kernel: filters, shape (R, S, C, K).
        input_shape: (N, H, W, C) of the images, since several sizes can give the same output.
        strides: as in `conv2d`.
        padding: as in `conv2d`.

    Returns:
        Array of shape `input_shape`.

    Raises:
        ValueError: on a wrong rank, dtype or size.

    >>> conv2d_dgrad(np.ones((1, 2, 2, 5)), np.ones((3, 3, 4, 5)), (1, 4, 4, 4)).shape
    (1, 4, 4, 4)
    """
    (dy, kernel), ops = as_arrays(dy=dy, kernel=kernel)
    xp = ops.memory.xp
    _require_rank(dy, 4, "dy", "(N, P, Q, K)")
    _require_rank(kernel, 4, "kernel", "(R, S, C, K)")
    _require_not_empty(kernel, "kernel")
    g = _geometry(_shape_of(input_shape, 4, "input_shape"), kernel.shape, strides, padding)
    _require_shape(dy, g.y_shape, "dy")
    dx = xp.empty(g.x_shape, dy.dtype)
    _run(ops, "conv2d_dgrad", geometry=g, dy=dy, w=kernel, dx=dx)
    return dx


def conv2d_wgrad(
    x: npt.ArrayLike,
    dy: npt.ArrayLike,
    kernel_shape: Sequence[int],
    strides: Strides = 1,
    padding: str = "valid",
) -> np.ndarray:
    """Gradient of `conv2d` with respect to its filters.

    Args:
        x: images, shape (N, H, W, C).
        dy: gradient of the output, shape (N, P, Q, K).
        kernel_shape: (R, S, C, K).
        strides: as in `conv2d`.
        padding: as in `conv2d`.

    Returns:
        Array of shape `kernel_shape`. (The bias gradient is `dy.sum((0, 1, 2))`.)

    Raises:
        ValueError: on a wrong rank, dtype or size.

    >>> conv2d_wgrad(np.ones((1, 4, 4, 3)), np.ones((1, 2, 2, 5)), (3, 3, 3, 5)).shape
    (3, 3, 3, 5)
    """
    (x, dy), ops = as_arrays(x=x, dy=dy)
    xp = ops.memory.xp
    _require_rank(x, 4, "x", "(N, H, W, C)")
    _require_rank(dy, 4, "dy", "(N, P, Q, K)")
    _require_not_empty(x, "x")
    g = _geometry(x.shape, _shape_of(kernel_shape, 4, "kernel_shape"), strides, padding)
    _require_shape(dy, g.y_shape, "dy")
    dw = xp.empty(g.w_shape, x.dtype)
    _run(ops, "conv2d_wgrad", geometry=g, x=x, dy=dy, dw=dw, db=None)
    return dw


def _require_channels(x, **parameters) -> None:
    if x.ndim < 2:
        raise ValueError(f"x: expected rank 2 or more, channels last. Received: shape {x.shape}")
    _require_not_empty(x, "x")
    for name, array in parameters.items():
        if array is not None:
            _require_shape(array, (x.shape[-1],), name)


def _require_epsilon(epsilon) -> None:
    if not isinstance(epsilon, numbers.Real) or not epsilon >= 0:
        raise ValueError(f"epsilon: expected a number that is not negative. Received: epsilon={epsilon!r}")


def batch_norm(
    x: npt.ArrayLike, gamma: npt.ArrayLike | None, beta: npt.ArrayLike | None, epsilon: float = 1e-3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Batch normalization with the statistics of `x` over all axes but the last (training mode).

    Args:
        x: array of rank 2 or more, channels last.
        gamma: scale per channel, shape (C,), or None for 1.
        beta: offset per channel, shape (C,), or None for 0.
        epsilon: added to the variance before its root.

    Returns:
        (y, mean, variance): y like x; mean and the biased variance (divided by the count) of shape (C,).

    Raises:
        ValueError: on a wrong rank, dtype or size, or a negative epsilon.

    >>> y, mean, variance = batch_norm(np.array([[1.0], [3.0]]), None, None, epsilon=0.0)
    >>> y.ravel().tolist(), mean.item(), variance.item()
    ([-1.0, 1.0], 2.0, 1.0)
    """
    (x, gamma, beta), ops = as_arrays(("gamma", "beta"), x=x, gamma=gamma, beta=beta)
    xp = ops.memory.xp
    _require_channels(x, gamma=gamma, beta=beta)
    _require_epsilon(epsilon)
    channels = x.shape[-1]
    y, mean, rstd = xp.empty_like(x), xp.empty(channels, x.dtype), xp.empty(channels, x.dtype)
    moving_mean, variance = xp.zeros(channels, x.dtype), xp.zeros(channels, x.dtype)
    _run(
        ops,
        "batchnorm_forward",
        x=x,
        gamma=gamma,
        beta=beta,
        y=y,
        mean=mean,
        rstd=rstd,
        moving_mean=moving_mean,
        moving_variance=variance,
        momentum=0.0,  # the moving variance becomes the batch variance
        epsilon=epsilon,
        slope=1.0,
    )
    return y, mean, variance


def batch_norm_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    gamma: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    epsilon: float = 1e-3,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `batch_norm` with respect to x, gamma and beta.

    Args:
        dy: gradient of y, shape of x.
        x: the input of `batch_norm`.
        gamma: scale per channel, shape (C,), or None for 1.
        mean: batch mean that `batch_norm` returned, shape (C,).
        variance: batch variance that `batch_norm` returned, shape (C,).
        epsilon: as in `batch_norm`.

    Returns:
        (dx, dgamma, dbeta) of shapes like x, (C,), (C,).

    Raises:
        ValueError: on a wrong rank, dtype or size.

    >>> [g.shape for g in batch_norm_backward(np.ones((8, 3)), np.eye(8, 3), None, np.zeros(3), np.ones(3))]
    [(8, 3), (3,), (3,)]
    """
    arrays, ops = as_arrays(("gamma",), dy=dy, x=x, gamma=gamma, mean=mean, variance=variance)
    xp = ops.memory.xp
    dy, x, gamma, mean, variance = arrays
    _require_channels(x, gamma=gamma, mean=mean, variance=variance)
    _require_shape(dy, x.shape, "dy")
    _require_epsilon(epsilon)
    rstd = (1 / xp.sqrt(variance.astype(np.float64) + epsilon)).astype(x.dtype)
    dx, dgamma, dbeta = xp.empty_like(x), xp.empty_like(mean), xp.empty_like(mean)
    _run(
        ops,
        "batchnorm_backward",
        dy=dy,
        x=x,
        gamma=gamma,
        beta=None,
        mean=mean,
        rstd=rstd,
        dx=dx,
        dgamma=dgamma,
        dbeta=dbeta,
        coefficients=xp.empty((2, x.shape[-1]), x.dtype),
        slope=1.0,
    )
    return dx, dgamma, dbeta


def leaky_relu(x: npt.ArrayLike, negative_slope: float = 0.3) -> np.ndarray:
    """x where x > 0, else negative_slope * x. The slope of Keras' LeakyReLU layer is the default.

    Args:
        x: array of any shape.
        negative_slope: 0 gives ReLU.

    Returns:
        Array like x.

    Raises:
        ValueError: if x is not numeric.

    >>> leaky_relu(np.array([-1.0, 2.0])).tolist()
    [-0.3, 2.0]
    """
    (x,), ops = as_arrays(x=x)
    xp = ops.memory.xp
    y = xp.empty_like(x)
    ops.leaky_relu_forward(x, y, float(negative_slope))
    return y


def leaky_relu_backward(dy: npt.ArrayLike, x: npt.ArrayLike, negative_slope: float = 0.3) -> np.ndarray:
    """Gradient of `leaky_relu`: dy where x > 0, else negative_slope * dy (at 0 too, as in TensorFlow).

    Args:
        dy: gradient of the output, shape of x.
        x: the input of `leaky_relu`.
        negative_slope: as in `leaky_relu`.

    Returns:
        Array like x.

    Raises:
        ValueError: if the shapes differ or an argument is not numeric.

    >>> leaky_relu_backward(np.array([1.0, 1.0]), np.array([-1.0, 2.0])).tolist()
    [0.3, 1.0]
    """
    (dy, x), ops = as_arrays(dy=dy, x=x)
    xp = ops.memory.xp
    _require_shape(dy, x.shape, "dy")
    dx = xp.empty_like(x)
    ops.leaky_relu_backward(dy, x, dx, float(negative_slope))
    return dx
