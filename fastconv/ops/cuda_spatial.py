"""What the CUDA backend does with windows of images beside convolutions."""

from __future__ import annotations

import math

from fastconv.ops.cuda_arrays import CudaArrays, given


class CudaSpatial(CudaArrays):
    """The methods of `fastconv.ops.cuda_ops.CudaOps` that take windows of images."""

    def maxpool2d_forward(self, geometry, x, y, index):
        at, outputs = self._at, math.prod(geometry.y_shape)
        arrays = at("x", x, math.prod(geometry.x_shape)), at("y", y, outputs), self._maybe("index", index, outputs)
        self._kernels.maxpool2d_forward(geometry, *arrays, self.memory.stream())

    def maxpool2d_backward(self, geometry, dy, index, dx):
        at, outputs = self._at, math.prod(geometry.y_shape)
        arrays = at("dy", dy, outputs), at("index", index, outputs), at("dx", dx, math.prod(geometry.x_shape))
        self._kernels.maxpool2d_backward(geometry, *arrays, self.memory.stream())

    def avgpool2d_forward(self, geometry, x, y, mean):
        arrays = self._at("x", x, math.prod(geometry.x_shape)), self._at("y", y, math.prod(geometry.y_shape))
        self._kernels.avgpool2d_forward(geometry, *arrays, mean, self.memory.stream())

    def avgpool2d_backward(self, geometry, dy, dx, mean):
        arrays = self._at("dy", dy, math.prod(geometry.y_shape)), self._at("dx", dx, math.prod(geometry.x_shape))
        self._kernels.avgpool2d_backward(geometry, *arrays, mean, self.memory.stream())

    def depthwise_conv2d_fprop(self, geometry, x, w, b, y):
        g, at = geometry, self._at
        arrays = at("x", x, math.prod(g.x_shape)), at("w", w, g.r * g.s * g.k), self._maybe("b", b, g.k)
        self._kernels.depthwise_conv2d_fprop(g, *arrays, at("y", y, math.prod(g.y_shape)), self.memory.stream())

    def depthwise_conv2d_dgrad(self, geometry, dy, w, dx):
        g, at = geometry, self._at
        arrays = at("dy", dy, math.prod(g.y_shape)), at("w", w, g.r * g.s * g.k), at("dx", dx, math.prod(g.x_shape))
        self._kernels.depthwise_conv2d_dgrad(g, *arrays, self.memory.stream())

    def depthwise_conv2d_wgrad(self, geometry, x, dy, dw, workspace):
        g, at, op = geometry, self._at, "depthwise_conv2d_wgrad"
        arrays = at("x", x, math.prod(g.x_shape)), at("dy", dy, math.prod(g.y_shape)), at("dw", dw, g.r * g.s * g.k)
        scratch = self._scratch(op, workspace, self._kernels.depthwise_conv2d_wgrad_workspace_bytes(g))
        self._kernels.depthwise_conv2d_wgrad(g, *arrays, scratch, self.memory.stream())

    def space_to_batch(self, x, y, dilation, padding):
        images, batch = given("x", x).shape, given("y", y).shape
        arrays = self._at("x", x, x.size), self._at("y", y, y.size)
        self._kernels.space_to_batch(images, batch, dilation, padding, *arrays, self.memory.stream())

    def batch_to_space(self, x, y, dilation, padding):
        batch, images = given("x", x).shape, given("y", y).shape
        arrays = self._at("x", x, x.size), self._at("y", y, y.size)
        self._kernels.batch_to_space(images, batch, dilation, padding, *arrays, self.memory.stream())

    def swap_axes(self, x, y, rows, columns):
        if rows < 1 or columns < 1 or given("x", x).size % (rows * columns):
            raise ValueError(f"x: expected rows * columns parts. Received: shape {x.shape}, {rows} * {columns}")
        arrays, size = (self._at("x", x, x.size), self._at("y", y, x.size)), x.size // (rows * columns)
        self._kernels.swap_axes(*arrays, rows, columns, size, self.memory.stream())
