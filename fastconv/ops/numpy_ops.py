"""The reference: every op in plain NumPy, in the dtype of its arguments. Readable, slow, and the oracle of all tests.

It changes only when the maths was wrong. Finite differences check it (tests/ops/test_numpy_ops.py).
"""

from __future__ import annotations

import numpy as np

from fastconv.ops.grouped_conv2d import GroupedConv2D
from fastconv.ops.memory import HOST
from fastconv.ops.numpy_elementwise import NumpyElementwise
from fastconv.ops.numpy_images import NumpyImages, philox_uniform
from fastconv.ops.numpy_losses import NumpyLosses
from fastconv.ops.numpy_optimizers import NumpyOptimizers
from fastconv.ops.numpy_spatial import NumpySpatial, padded_images, taps, windows
from fastconv.ops.user_layer import UserLayer


def _channels(array, like):
    """A per-channel argument, or the neutral element where it is None."""
    return like if array is None else array


def _axes(x):
    return tuple(range(x.ndim - 1))


def _activation(z, slope):
    return np.where(z > 0, z, np.maximum(z, 0) if slope == 0 else slope * z)


def _normalized(x, mean, rstd, gamma, beta, slope):
    """x itself where mean is None."""
    if mean is None:
        return x
    return _activation((x - mean) * (rstd * _channels(gamma, 1)) + _channels(beta, 0), slope)


def _statistics(x, mean, rstd, moving_mean, moving_variance, momentum, epsilon):
    batch_mean, variance = x.mean(axis=_axes(x)), x.var(axis=_axes(x))
    mean[...] = batch_mean
    rstd[...] = 1 / np.sqrt(variance + epsilon)
    moving_mean[...] = moving_mean * momentum + batch_mean * (1 - momentum)
    moving_variance[...] = moving_variance * momentum + variance * (1 - momentum)


class NumpyOps(NumpyElementwise, NumpyImages, NumpyLosses, NumpyOptimizers, NumpySpatial, GroupedConv2D, UserLayer):
    """See `fastconv.ops.protocol.Ops` for what each method computes."""

    name = "numpy"
    memory = HOST

    def settings(self):
        return ()

    def workspace_bytes(self, op, shapes, attrs):
        return 0

    def conv2d_fprop(
        self,
        geometry,
        x,
        w,
        b,
        y,
        workspace,
        x_mean=None,
        x_rstd=None,
        x_gamma=None,
        x_beta=None,
        x_slope=1.0,
        mean=None,
        rstd=None,
        moving_mean=None,
        moving_variance=None,
        momentum=0.99,
        epsilon=1e-3,
    ):
        x = _normalized(x, x_mean, x_rstd, x_gamma, x_beta, x_slope)
        padded, inside = padded_images(geometry, x.dtype)
        padded[inside] = x.reshape(geometry.x_shape)
        w = w.reshape(geometry.w_shape)
        out = y.reshape(geometry.y_shape)
        out[...] = 0 if b is None else b
        for r, s in taps(geometry):
            out += windows(geometry, padded, r, s) @ w[r, s]
        if mean is not None:
            _statistics(out, mean, rstd, moving_mean, moving_variance, momentum, epsilon)

    def conv2d_dgrad(self, geometry, dy, w, dx, workspace):
        padded, inside = padded_images(geometry, dy.dtype)
        dy, w = dy.reshape(geometry.y_shape), w.reshape(geometry.w_shape)
        for r, s in taps(geometry):
            windows(geometry, padded, r, s)[...] += dy @ w[r, s].T
        dx.reshape(geometry.x_shape)[...] = padded[inside]

    def conv2d_wgrad(
        self,
        geometry,
        x,
        dy,
        dw,
        db,
        workspace,
        x_mean=None,
        x_rstd=None,
        x_gamma=None,
        x_beta=None,
        x_slope=1.0,
    ):
        x = _normalized(x, x_mean, x_rstd, x_gamma, x_beta, x_slope)
        padded, inside = padded_images(geometry, x.dtype)
        padded[inside] = x.reshape(geometry.x_shape)
        dy, out = dy.reshape(-1, geometry.k), dw.reshape(geometry.w_shape)
        for r, s in taps(geometry):
            out[r, s] = windows(geometry, padded, r, s).reshape(-1, geometry.c).T @ dy
        if db is not None:
            db[...] = dy.sum(axis=0)

    def conv2d_backward(
        self,
        geometry,
        x,
        dy,
        w,
        dx,
        dw,
        db,
        workspace,
        x_mean=None,
        x_rstd=None,
        x_gamma=None,
        x_beta=None,
        x_slope=1.0,
        x_dgamma=None,
        x_dbeta=None,
        x_coefficients=None,
        y=None,
        y_mean=None,
        y_rstd=None,
        y_gamma=None,
        y_beta=None,
        y_slope=1.0,
        y_coefficients=None,
        x_geometry=None,
        x_input=None,
        x_w=None,
        x_dw=None,
    ):
        if y_mean is not None:
            centered, scale = y - y_mean, y_rstd * _channels(y_gamma, 1)
            dz = np.where(centered * scale + _channels(y_beta, 0) > 0, dy, y_slope * dy)
            dy = scale * dz + centered * y_coefficients[0] + y_coefficients[1]
        x_norm = (x_mean, x_rstd, x_gamma, x_beta, x_slope)
        self.conv2d_wgrad(geometry, x, dy, dw, db, None, *x_norm)
        if x_dw is not None:
            dx = np.empty_like(x)
        if dx is not None:
            self.conv2d_dgrad(geometry, dy, w, dx, None)
        if x_coefficients is not None:
            gradients = (x_dgamma, x_dbeta, x_coefficients)
            before = None if x_dw is None else np.empty_like(x)
            self.batchnorm_backward(dx, x, x_gamma, x_beta, x_mean, x_rstd, before, *gradients, x_slope, None)
        if x_dw is not None:
            self.conv2d_wgrad(x_geometry, x_input, before, x_dw, None, None)

    def conv2d_backward_fits(self, geometry, x_geometry=None):
        return True

    def conv2d_backward_reads(self, geometry, dtype="float"):
        return 1

    def batchnorm_forward(
        self, x, gamma, beta, y, mean, rstd, moving_mean, moving_variance, momentum, epsilon, slope, workspace
    ):
        _statistics(x, mean, rstd, moving_mean, moving_variance, momentum, epsilon)
        y[...] = _normalized(x, mean, rstd, gamma, beta, slope)

    def batchnorm_apply(self, x, gamma, beta, mean, rstd, y, slope):
        y[...] = _normalized(x, mean, rstd, gamma, beta, slope)

    def batchnorm_inference(self, x, gamma, beta, moving_mean, moving_variance, y, epsilon, slope):
        scale = _channels(gamma, 1) / np.sqrt(moving_variance + epsilon)
        y[...] = _activation((x - moving_mean) * scale + _channels(beta, 0), slope)

    def batchnorm_backward(self, dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta, coefficients, slope, workspace):
        count = x.size // x.shape[-1]
        xhat = (x - mean) * rstd
        z = xhat * _channels(gamma, 1) + _channels(beta, 0)
        dz = np.where(z > 0, dy, slope * dy)
        dz_sum, dz_xhat_sum = dz.sum(axis=_axes(x)), (dz * xhat).sum(axis=_axes(x))
        if dgamma is not None:
            dgamma[...] = dz_xhat_sum
        if dbeta is not None:
            dbeta[...] = dz_sum
        scale = rstd * _channels(gamma, 1)
        coefficients[0] = -scale * rstd * dz_xhat_sum / count
        coefficients[1] = -scale * dz_sum / count
        if dx is not None:
            dx[...] = scale * (dz - dz_sum / count - xhat * dz_xhat_sum / count)

    def leaky_relu_forward(self, x, y, slope):
        y[...] = _activation(x, slope)

    def leaky_relu_backward(self, dy, x, dx, slope):
        dx[...] = np.where(x > 0, dy, slope * dy)

    def softmax_forward(self, x, y):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        y[...] = e / e.sum(axis=-1, keepdims=True)

    def softmax_backward(self, dy, y, dx):
        dx[...] = y * (dy - (dy * y).sum(axis=-1, keepdims=True))

    def dropout_forward(self, x, seed, step, y, rate, stream):
        random = philox_uniform(int(seed[0]), stream, int(step[0]), x.size).reshape(x.shape)
        y[...] = np.where(random >= np.float32(rate), x * (1 / (1 - rate) if rate < 1 else 0), 0)

    def dropout_backward(self, dy, seed, step, dx, rate, stream):
        self.dropout_forward(dy, seed, step, dx, rate, stream)

    def first_non_finite(self, x):
        bad = np.flatnonzero(~np.isfinite(x))
        return int(bad[0]) if bad.size else -1

    def add_forward(self, a, b, y):
        np.add(a, b, out=y)
