"""The CUDA backend: every op checks its arrays and launches its kernels on the current stream. None waits for them but
`first_non_finite`.

The same class runs the kernels on the host, with NumPy arrays and `fastconv._emulator` in place of `fastconv._cuda`.
"""

from __future__ import annotations

import math

import numpy as np

from fastconv import config
from fastconv.ops.cuda_arrays import BFLOAT16, FLOAT, activations_like, given, name_of, rows_of
from fastconv.ops.cuda_conv2d import CudaConv2D
from fastconv.ops.cuda_elementwise import CudaElementwise
from fastconv.ops.cuda_losses import CudaLosses
from fastconv.ops.cuda_optimizers import CudaOptimizers
from fastconv.ops.cuda_spatial import CudaSpatial
from fastconv.ops.grouped_conv2d import GroupedConv2D
from fastconv.ops.user_layer import UserLayer

_WORD_TYPES = (FLOAT, np.dtype(np.int32))  # of labels


class CudaOps(CudaConv2D, CudaElementwise, CudaLosses, CudaOptimizers, CudaSpatial, GroupedConv2D, UserLayer):
    """See `fastconv.ops.protocol.Ops` for what each method computes.

    Args:
        kernels: the extension module, `fastconv._cuda` or `fastconv._emulator`.
        memory: where the arrays live (`fastconv.ops.memory`).
    """

    name = "cuda"

    def settings(self):
        return (config.float32_matmul_precision(),)  # a captured graph has it built in

    def workspace_bytes(self, op, shapes, attrs):
        op, geometry, given = op.removeprefix("grouped_"), attrs.get("geometry"), shapes.keys()
        if op == "conv2d_fprop":
            return self._kernels.conv2d_fprop_workspace_bytes(geometry, "mean" in given)
        if op == "conv2d_dgrad":
            return self._kernels.conv2d_dgrad_workspace_bytes(geometry)
        if op == "conv2d_wgrad":
            return self._kernels.conv2d_wgrad_workspace_bytes(geometry)
        if op == "conv2d_backward":
            return self._kernels.conv2d_backward_workspace_bytes(
                geometry, "dx" in given, "x_coefficients" in given, attrs.get("x_geometry")
            )
        if op in ("batchnorm_forward", "batchnorm_backward"):
            *rows, channels = shapes["x"]
            return self._kernels.batchnorm_workspace_bytes(math.prod(rows), channels)
        if op == "sum_forward":
            return self._kernels.sum_workspace_bytes(attrs["extents"])
        if op in ("clip_by_norm", "penalty"):
            return getattr(self._kernels, f"{op}_workspace_bytes")(shapes["ranges"][0])
        if op == "loss":
            return self._kernels.loss_workspace_bytes(math.prod(shapes["x"]))
        if op == "depthwise_conv2d_wgrad":
            return self._kernels.depthwise_conv2d_wgrad_workspace_bytes(geometry)
        return 0

    def batchnorm_forward(
        self, x, gamma, beta, y, mean, rstd, moving_mean, moving_variance, momentum, epsilon, slope, workspace
    ):
        at, maybe, (rows, channels) = self._at, self._maybe, rows_of("x", x)
        dtype = activations_like(x)
        self._kernels.batchnorm_forward(
            rows,
            channels,
            at("x", x, x.size, dtype),
            maybe("gamma", gamma, channels),
            maybe("beta", beta, channels),
            at("y", y, x.size, dtype),
            at("mean", mean, channels),
            at("rstd", rstd, channels),
            at("moving_mean", moving_mean, channels),
            at("moving_variance", moving_variance, channels),
            momentum,
            epsilon,
            slope,
            self._scratch("batchnorm_forward", workspace, self._kernels.batchnorm_workspace_bytes(rows, channels)),
            name_of(dtype),
            self.memory.stream(),
        )

    def batchnorm_apply(self, x, gamma, beta, mean, rstd, y, slope):
        at, maybe, (rows, channels) = self._at, self._maybe, rows_of("x", x)
        dtype = activations_like(x)
        self._kernels.batchnorm_apply(
            rows,
            channels,
            at("x", x, x.size, dtype),
            maybe("gamma", gamma, channels),
            maybe("beta", beta, channels),
            at("mean", mean, channels),
            at("rstd", rstd, channels),
            at("y", y, x.size, dtype),
            slope,
            name_of(dtype),
            self.memory.stream(),
        )

    def batchnorm_inference(self, x, gamma, beta, moving_mean, moving_variance, y, epsilon, slope):
        at, maybe, (rows, channels) = self._at, self._maybe, rows_of("x", x)
        dtype = activations_like(x)
        self._kernels.batchnorm_inference(
            rows,
            channels,
            at("x", x, x.size, dtype),
            maybe("gamma", gamma, channels),
            maybe("beta", beta, channels),
            at("moving_mean", moving_mean, channels),
            at("moving_variance", moving_variance, channels),
            at("y", y, x.size, dtype),
            epsilon,
            slope,
            name_of(dtype),
            self.memory.stream(),
        )

    def batchnorm_backward(self, dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta, coefficients, slope, workspace):
        at, maybe, (rows, channels) = self._at, self._maybe, rows_of("x", x)
        dtype = activations_like(x)
        self._kernels.batchnorm_backward(
            rows,
            channels,
            at("dy", dy, x.size, dtype),
            at("x", x, x.size, dtype),
            maybe("gamma", gamma, channels),
            maybe("beta", beta, channels),
            at("mean", mean, channels),
            at("rstd", rstd, channels),
            maybe("dx", dx, x.size, dtype),
            maybe("dgamma", dgamma, channels),
            maybe("dbeta", dbeta, channels),
            at("coefficients", coefficients, 2 * channels),
            slope,
            self._scratch("batchnorm_backward", workspace, self._kernels.batchnorm_workspace_bytes(rows, channels)),
            name_of(dtype),
            self.memory.stream(),
        )

    def leaky_relu_forward(self, x, y, slope):
        at, size, dtype = self._at, given("x", x).size, activations_like(x)
        arrays = at("x", x, size, dtype), at("y", y, size, dtype)
        self._kernels.leaky_relu_forward(*arrays, slope, size, name_of(dtype), self.memory.stream())

    def leaky_relu_backward(self, dy, x, dx, slope):
        at, size, dtype = self._at, given("dy", dy).size, activations_like(dy)
        arrays = at("dy", dy, size, dtype), at("x", x, size, dtype), at("dx", dx, size, dtype)
        self._kernels.leaky_relu_backward(*arrays, slope, size, name_of(dtype), self.memory.stream())

    def softmax_forward(self, x, y):
        at, (rows, classes) = self._at, rows_of("x", x)
        self._kernels.softmax_forward(at("x", x, x.size), at("y", y, x.size), rows, classes, self.memory.stream())

    def softmax_backward(self, dy, y, dx):
        at, (rows, classes) = self._at, rows_of("dy", dy)
        arrays = at("dy", dy, dy.size), at("y", y, dy.size), at("dx", dx, dy.size)
        self._kernels.softmax_backward(*arrays, rows, classes, self.memory.stream())

    def dropout_forward(self, x, seed, step, y, rate, stream):
        self._dropout(("x", x), seed, step, ("y", y), rate, stream)

    def dropout_backward(self, dy, seed, step, dx, rate, stream):
        self._dropout(("dy", dy), seed, step, ("dx", dx), rate, stream)

    def _dropout(self, source, seed, step, result, rate, stream):
        at, size, dtype = self._at, given(*source).size, activations_like(source[1])
        self._kernels.dropout_forward(
            at(*source, size, dtype),
            at("seed", seed, 1, np.int64),
            at("step", step, 1, np.int64),
            at(*result, size, dtype),
            rate,
            stream,
            size,
            name_of(dtype),
            self.memory.stream(),
        )

    def first_non_finite(self, x):
        """Waits for the answer, and for all that was launched before."""
        size = given("x", x).size
        first = self.memory.asarray(np.full(1, -1, np.int64))
        self._kernels.first_non_finite(self._at("x", x, size), self.memory.pointer(first), size, self.memory.stream())
        return int(self.memory.download(first)[0])

    def add_forward(self, a, b, y):
        at, size, dtype = self._at, given("a", a).size, activations_like(a)
        arrays = at("a", a, size, dtype), at("b", b, size, dtype), at("y", y, size, dtype)
        self._kernels.add_forward(*arrays, size, name_of(dtype), self.memory.stream())

    # ---- beyond the protocol: bfloat16, and what a step that never asks the host needs besides its plan

    def cast(self, x, y):
        """y = x, in float32 of bfloat16 or the other way."""
        of_x = activations_like(x)
        of_y = FLOAT if of_x == BFLOAT16 else BFLOAT16
        arrays = self._at("x", x, x.size, of_x), self._at("y", y, x.size, of_y)
        self._kernels.cast(*arrays, x.size, name_of(of_y), self.memory.stream())

    def gather_batch(self, data, labels, order, position, x, y, scale=1.0, offset=0.0):
        """x = data[order[position:]] * scale + offset and y = labels[order[position:]], as many as x holds.

        data is uint8 or float32, labels int32 or float32, order and position (one element) int64. That the numbers in
        `order` are of samples is not checked. data and x, or labels and y, may be None.
        """
        at, maybe = self._at, self._maybe
        samples, batch = len(labels if data is None else data), len(y if x is None else x)
        size, label_size = (0 if array is None else array.size // samples for array in (data, labels))
        is_bytes = data is not None and data.dtype == np.uint8
        label_type = labels.dtype if labels is not None and labels.dtype in _WORD_TYPES else FLOAT
        self._kernels.gather_batch(
            maybe("data", data, samples * size, np.uint8 if is_bytes else FLOAT),
            is_bytes,
            maybe("labels", labels, samples * label_size, label_type),
            at("order", order, samples, np.int64),
            at("position", position, 1, np.int64),
            at("x", x, batch * size) if size else 0,
            at("y", y, batch * label_size, label_type) if label_size else 0,
            samples,
            size,
            label_size,
            batch,
            scale,
            offset,
            self.memory.stream(),
        )

    def advance(self, batch, position, step=None, totals=None, running=None):
        """position += batch, step += 1 and running += totals, each but the first left out where it is None."""
        at, maybe, sums = self._at, self._maybe, 0 if totals is None else totals.size
        self._kernels.advance(
            batch,
            at("position", position, 1, np.int64),
            maybe("step", step, 1, np.int64),
            maybe("totals", totals, sums, np.float64),
            at("running", running, sums, np.float64) if sums else 0,
            sums,
            self.memory.stream(),
        )

    def set_number(self, x, value):
        """x = value, an array of one number. The value travels with the launch: nothing waits."""
        self._kernels.set_number(self._at("x", x, 1), value, self.memory.stream())
