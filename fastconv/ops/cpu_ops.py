"""The CPU backend: every op is one call into the extension module, which checks the arrays and releases the GIL."""

from __future__ import annotations

import math

from fastconv import _core
from fastconv.ops.grouped_conv2d import GroupedConv2D
from fastconv.ops.memory import HOST
from fastconv.ops.user_layer import UserLayer


class CpuOps(GroupedConv2D, UserLayer):
    """See `fastconv.ops.protocol.Ops` for what each method computes."""

    name = "cpu"
    memory = HOST

    def settings(self):
        return _core.num_threads(), _core.conv2d_allows_winograd()  # workspaces are sized for them

    def workspace_bytes(self, op, shapes, attrs):
        op, geometry, given = op.removeprefix("grouped_"), attrs.get("geometry"), shapes.keys()
        if op == "conv2d_fprop":
            return _core.conv2d_fprop_workspace_bytes(geometry, "x_mean" in given, "mean" in given)
        if op == "conv2d_dgrad":
            return _core.conv2d_dgrad_workspace_bytes(geometry)
        if op == "conv2d_wgrad":
            return _core.conv2d_wgrad_workspace_bytes(geometry, "x_mean" in given)
        if op == "conv2d_backward":
            parts = ("y_mean" in given, "x_mean" in given, "dx" in given, attrs.get("x_geometry"))
            return _core.conv2d_backward_workspace_bytes(geometry, *parts)
        if op in ("batchnorm_forward", "batchnorm_backward"):
            *rows, channels = shapes["x"]
            return getattr(_core, f"{op}_workspace_bytes")(math.prod(rows), channels)
        if op == "clip_by_norm":
            return _core.clip_by_norm_workspace_bytes(math.prod(shapes["dw"]), shapes["ranges"][0])
        if op == "sum_forward":
            return _core.sum_workspace_bytes(attrs["extents"])
        if op == "penalty":
            return _core.penalty_workspace_bytes(math.prod(shapes["w"]), shapes["ranges"][0])
        if op == "depthwise_conv2d_wgrad":
            return _core.depthwise_conv2d_wgrad_workspace_bytes(geometry)
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
        x_norm = (x_mean, x_rstd, x_gamma, x_beta, x_slope)
        statistics = (mean, rstd, moving_mean, moving_variance, momentum, epsilon)
        _core.conv2d_fprop(geometry, x, w, b, y, workspace, *x_norm, *statistics)

    def conv2d_dgrad(self, geometry, dy, w, dx, workspace):
        _core.conv2d_dgrad(geometry, dy, w, dx, workspace)

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
        _core.conv2d_wgrad(geometry, x, dy, dw, db, workspace, x_mean, x_rstd, x_gamma, x_beta, x_slope)

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
        x_norm = (x_mean, x_rstd, x_gamma, x_beta, x_slope, x_dgamma, x_dbeta, x_coefficients)
        y_norm = (y, y_mean, y_rstd, y_gamma, y_beta, y_slope, y_coefficients)
        x_source = (x_geometry, x_input, x_w, x_dw)
        _core.conv2d_backward(geometry, x, dy, w, dx, dw, db, workspace, *x_norm, *y_norm, *x_source)

    def conv2d_backward_fits(self, geometry, x_geometry=None):
        return _core.conv2d_backward_fits(geometry, x_geometry)

    def conv2d_backward_reads(self, geometry, dtype="float"):
        return 1

    def batchnorm_forward(
        self, x, gamma, beta, y, mean, rstd, moving_mean, moving_variance, momentum, epsilon, slope, workspace
    ):
        _core.batchnorm_forward(
            x, gamma, beta, y, mean, rstd, moving_mean, moving_variance, momentum, epsilon, slope, workspace
        )

    def batchnorm_apply(self, x, gamma, beta, mean, rstd, y, slope):
        _core.batchnorm_apply(x, gamma, beta, mean, rstd, y, slope)

    def batchnorm_inference(self, x, gamma, beta, moving_mean, moving_variance, y, epsilon, slope):
        _core.batchnorm_inference(x, gamma, beta, moving_mean, moving_variance, y, epsilon, slope)

    def batchnorm_backward(self, dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta, coefficients, slope, workspace):
        _core.batchnorm_backward(dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta, coefficients, slope, workspace)

    def leaky_relu_forward(self, x, y, slope):
        _core.leaky_relu_forward(x, y, slope)

    def leaky_relu_backward(self, dy, x, dx, slope):
        _core.leaky_relu_backward(dy, x, dx, slope)

    def activation_forward(self, x, y, function, parameters):
        _core.activation_forward(x, y, function, parameters)

    def activation_backward(self, dy, x, dx, function, parameters):
        _core.activation_backward(dy, x, dx, function, parameters)

    def maxpool2d_forward(self, geometry, x, y, index):
        _core.maxpool2d_forward(geometry, x, y, index)

    def maxpool2d_backward(self, geometry, dy, index, dx):
        _core.maxpool2d_backward(geometry, dy, index, dx)

    def avgpool2d_forward(self, geometry, x, y, mean):
        _core.avgpool2d_forward(geometry, x, y, mean)

    def avgpool2d_backward(self, geometry, dy, dx, mean):
        _core.avgpool2d_backward(geometry, dy, dx, mean)

    def depthwise_conv2d_fprop(self, geometry, x, w, b, y):
        _core.depthwise_conv2d_fprop(geometry, x, w, b, y)

    def depthwise_conv2d_dgrad(self, geometry, dy, w, dx):
        _core.depthwise_conv2d_dgrad(geometry, dy, w, dx)

    def depthwise_conv2d_wgrad(self, geometry, x, dy, dw, workspace):
        _core.depthwise_conv2d_wgrad(geometry, x, dy, dw, workspace)

    def space_to_batch(self, x, y, dilation, padding):
        _core.space_to_batch(x, y, dilation, padding)

    def batch_to_space(self, x, y, dilation, padding):
        _core.batch_to_space(x, y, dilation, padding)

    def swap_axes(self, x, y, rows, columns):
        _core.swap_axes(x, y, rows, columns)

    def softmax_forward(self, x, y):
        _core.softmax_forward(x, y)

    def softmax_backward(self, dy, y, dx):
        _core.softmax_backward(dy, y, dx)

    def softmax_xent(self, x, labels, totals, dx, sample_weight=None, label_smoothing=0.0, weight=1.0):
        _core.softmax_xent(x, labels, totals, dx, sample_weight, label_smoothing, weight)

    def categorical_crossentropy(self, x, labels, totals, dx, sample_weight=None, label_smoothing=0.0, weight=1.0):
        _core.categorical_crossentropy(x, labels, totals, dx, sample_weight, label_smoothing, weight)

    def loss(
        self,
        x,
        target,
        totals,
        dx,
        workspace,
        function,
        parameter=0.0,
        sample_weight=None,
        label_smoothing=0.0,
        weight=1.0,
    ):
        settings = (sample_weight, label_smoothing, weight)
        _core.loss(x, target, totals, dx, workspace, function, parameter, *settings)

    def categorical_accuracy(self, x, labels, totals, k=0, sample_weight=None):
        _core.categorical_accuracy(x, labels, totals, k, sample_weight)

    def confusion(self, x, target, thresholds, totals, sample_weight=None):
        _core.confusion(x, target, thresholds, totals, sample_weight)

    def dropout_forward(self, x, seed, step, y, rate, stream):
        _core.dropout_forward(x, seed, step, y, rate, stream)

    def dropout_backward(self, dy, seed, step, dx, rate, stream):
        _core.dropout_backward(dy, seed, step, dx, rate, stream)

    def first_non_finite(self, x):
        return _core.first_non_finite(x)

    def add_forward(self, a, b, y):
        _core.add_forward(a, b, y)

    def binary_forward(self, a, b, y, function, extents):
        _core.binary_forward(a, b, y, function, extents)

    def binary_backward(self, dy, a, b, da, db, function, extents):
        _core.binary_backward(dy, a, b, da, db, function, extents)

    def random_window(self, x, seed, step, y, flip, rows, columns, whole, fill_mode, fill_value, stream):
        _core.random_window(x, seed, step, y, flip, rows, columns, whole, fill_mode, fill_value, stream)

    def sum_forward(self, x, y, extents, workspace):
        _core.sum_forward(x, y, extents, workspace)

    def copy_columns(self, x, y, rows, columns, x_at, y_at):
        _core.copy_columns(x, y, rows, columns, x_at, y_at)

    def adam_update(self, w, dw, m, v, learning_rate, step, beta_1, beta_2, epsilon, v_hat=None):
        _core.adam_update(w, dw, m, v, learning_rate, step, beta_1, beta_2, epsilon, v_hat)

    def sgd_update(self, w, dw, velocity, learning_rate, momentum, nesterov):
        _core.sgd_update(w, dw, velocity, learning_rate, momentum, nesterov)

    def rmsprop_update(self, w, dw, velocity, average, momentum_buffer, learning_rate, rho, momentum, epsilon):
        _core.rmsprop_update(w, dw, velocity, average, momentum_buffer, learning_rate, rho, momentum, epsilon)

    def decay_weights(self, w, ranges, learning_rate, rate):
        _core.decay_weights(w, ranges, learning_rate, rate)

    def ema_update(self, average, w, step, momentum, overwrite_every):
        _core.ema_update(average, w, step, momentum, overwrite_every)

    def clip_by_norm(self, dw, ranges, norm, workspace):
        _core.clip_by_norm(dw, ranges, norm, workspace)

    def clip_by_value(self, dw, limit):
        _core.clip_by_value(dw, limit)

    def penalty(self, w, dw, ranges, rates, totals, samples, workspace):
        _core.penalty(w, dw, ranges, rates, totals, samples, workspace)
