"""The CPU backend: every op is one call into the extension module, which checks the arrays and releases the GIL."""

from __future__ import annotations

import math

from fastconv import _core


class CpuOps:
    """See `fastconv.ops.protocol.Ops` for what each method computes."""

    name = "cpu"

    def workspace_bytes(self, op, shapes, attrs):
        if op.startswith("conv2d_"):
            return getattr(_core, f"{op}_workspace_bytes")(attrs["geometry"])
        if op in ("batchnorm_forward", "batchnorm_backward"):
            *rows, channels = shapes["x"]
            return getattr(_core, f"{op}_workspace_bytes")(math.prod(rows), channels)
        return 0

    def conv2d_fprop(self, geometry, x, w, b, y, workspace):
        _core.conv2d_fprop(geometry, x, w, b, y, workspace)

    def conv2d_dgrad(self, geometry, dy, w, dx, workspace):
        _core.conv2d_dgrad(geometry, dy, w, dx, workspace)

    def conv2d_wgrad(self, geometry, x, dy, dw, db, workspace):
        _core.conv2d_wgrad(geometry, x, dy, dw, db, workspace)

    def batchnorm_forward(
        self, x, gamma, beta, y, mean, rstd, moving_mean, moving_variance, momentum, epsilon, slope, workspace
    ):
        _core.batchnorm_forward(
            x, gamma, beta, y, mean, rstd, moving_mean, moving_variance, momentum, epsilon, slope, workspace
        )

    def batchnorm_inference(self, x, gamma, beta, moving_mean, moving_variance, y, epsilon, slope):
        _core.batchnorm_inference(x, gamma, beta, moving_mean, moving_variance, y, epsilon, slope)

    def batchnorm_backward(self, dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta, slope, workspace):
        _core.batchnorm_backward(dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta, slope, workspace)

    def leaky_relu_forward(self, x, y, slope):
        _core.leaky_relu_forward(x, y, slope)

    def leaky_relu_backward(self, dy, x, dx, slope):
        _core.leaky_relu_backward(dy, x, dx, slope)

    def softmax_forward(self, x, y):
        _core.softmax_forward(x, y)

    def softmax_backward(self, dy, y, dx):
        _core.softmax_backward(dy, y, dx)

    def softmax_xent(self, x, labels, totals, dx):
        _core.softmax_xent(x, labels, totals, dx)

    def dropout_forward(self, x, seed, step, y, rate, stream):
        _core.dropout_forward(x, seed, step, y, rate, stream)

    def dropout_backward(self, dy, seed, step, dx, rate, stream):
        _core.dropout_backward(dy, seed, step, dx, rate, stream)

    def first_non_finite(self, x):
        return _core.first_non_finite(x)

    def add_forward(self, a, b, y):
        _core.add_forward(a, b, y)

    def adam_update(self, w, dw, m, v, learning_rate, step, beta_1, beta_2, epsilon):
        _core.adam_update(w, dw, m, v, learning_rate, step, beta_1, beta_2, epsilon)

    def sgd_update(self, w, dw, velocity, learning_rate, momentum, nesterov):
        _core.sgd_update(w, dw, velocity, learning_rate, momentum, nesterov)
