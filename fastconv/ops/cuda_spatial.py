"""What the CUDA backend does with windows of images beside convolutions."""

from __future__ import annotations

import math

from fastconv.ops.cuda_arrays import CudaArrays


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
