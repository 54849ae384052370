"""Elementwise ops of the CUDA backend."""

from __future__ import annotations

from fastconv.ops.cuda_arrays import CudaArrays


class CudaElementwise(CudaArrays):
    """The methods of `fastconv.ops.cuda_ops.CudaOps` that are elementwise."""

    def activation_forward(self, x, y, function, parameters):
        at, size = self._at, x.size
        self._kernels.activation_forward(
            at("x", x, size), at("y", y, size), function, parameters, size, self.memory.stream()
        )

    def activation_backward(self, dy, x, dx, function, parameters):
        at, size = self._at, dy.size
        arrays = at("dy", dy, size), at("x", x, size), at("dx", dx, size)
        self._kernels.activation_backward(*arrays, function, parameters, size, self.memory.stream())
