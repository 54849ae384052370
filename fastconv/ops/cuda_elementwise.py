"""Elementwise ops of the CUDA backend."""

from __future__ import annotations

import math

import numpy as np

from fastconv.ops.cuda_arrays import CudaArrays, given


class CudaElementwise(CudaArrays):
    """The methods of `fastconv.ops.cuda_ops.CudaOps` that are elementwise."""

    def activation_forward(self, x, y, function, parameters):
        at, size = self._at, given("x", x).size
        self._kernels.activation_forward(
            at("x", x, size), at("y", y, size), function, parameters, size, self.memory.stream()
        )

    def activation_backward(self, dy, x, dx, function, parameters):
        at, size = self._at, given("dy", dy).size
        arrays = at("dy", dy, size), at("x", x, size), at("dx", dx, size)
        self._kernels.activation_backward(*arrays, function, parameters, size, self.memory.stream())

    def binary_forward(self, a, b, y, function, extents):
        at, size, (_, q, _, s) = self._at, math.prod(extents), extents
        arrays = at("a", a, size), at("b", b, q * s), at("y", y, size)
        self._kernels.binary_forward(*arrays, function, extents, self.memory.stream())

    def binary_backward(self, dy, a, b, da, db, function, extents):
        at, maybe, size, (_, q, _, s) = self._at, self._maybe, math.prod(extents), extents
        arrays = at("dy", dy, size), at("a", a, size), at("b", b, q * s), maybe("da", da, size), maybe("db", db, size)
        self._kernels.binary_backward(*arrays, function, extents, self.memory.stream())

    def sum_forward(self, x, y, extents, workspace):
        at, (_, q, _, s) = self._at, extents
        scratch = self._scratch("sum_forward", workspace, self._kernels.sum_workspace_bytes(extents))
        arrays = at("x", x, math.prod(extents)), at("y", y, q * s)
        self._kernels.sum_forward(*arrays, extents, scratch, self.memory.stream())

    def copy_columns(self, x, y, rows, columns, x_at, y_at):
        at, x_size, y_size = self._at, given("x", x).size, given("y", y).size
        arrays = at("x", x, x_size), x_size, at("y", y, y_size), y_size
        self._kernels.copy_columns(*arrays, rows, columns, x_at, y_at, self.memory.stream())

    def random_window(self, x, seed, step, y, flip, rows, columns, whole, fill_mode, fill_value, stream):
        at, x_shape, y_shape = self._at, given("x", x).shape, given("y", y).shape
        self._kernels.random_window(
            at("x", x, x.size),
            x_shape,
            at("seed", seed, 1, np.int64),
            at("step", step, 1, np.int64),
            at("y", y, y.size),
            y_shape,
            flip,
            rows,
            columns,
            whole,
            fill_mode,
            fill_value,
            stream,
            self.memory.stream(),
        )
