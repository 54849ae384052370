"""The CUDA backend: every op checks its arrays and launches its kernels on the current stream. It never waits for them.

The same class runs the kernels on the host, with NumPy arrays and `fastconv._emulator` in place of `fastconv._cuda`.
"""

from __future__ import annotations

import numpy as np

_FLOAT = np.dtype(np.float32)


class CudaOps:
    """See `fastconv.ops.protocol.Ops` for what each method computes.

    Args:
        kernels: the extension module, `fastconv._cuda` or `fastconv._emulator`.
        memory: where the arrays live (`fastconv.ops.memory`).
    """

    name = "cuda"

    def __init__(self, kernels, memory):
        self._kernels, self.memory = kernels, memory

    def _at(self, name: str, array, size: int, dtype=_FLOAT) -> int:
        """The address of an argument; 0 for None.

        Raises:
            TypeError: if it is no C-contiguous array of `dtype` in this backend's memory.
            ValueError: if it has another size.
        """
        if array is None:
            return 0
        if not self.memory.is_array(array):
            kind = f"{type(array).__module__}.{type(array).__name__}"
            raise TypeError(f"{name}: expected an array in the memory of the GPU (cupy.ndarray). Received: {kind}")
        if array.dtype != dtype or not array.flags.c_contiguous:
            raise TypeError(
                f"{name}: expected a C-contiguous array of {np.dtype(dtype)}. "
                f"Received: dtype {array.dtype}, strides {array.strides}"
            )
        if array.size != size:
            raise ValueError(f"{name}: expected {size} elements. Received: shape {array.shape}")
        return self.memory.pointer(array)

    def workspace_bytes(self, op, shapes, attrs):
        return 0

    def leaky_relu_forward(self, x, y, slope):
        at, stream = self._at, self.memory.stream()
        self._kernels.leaky_relu_forward(at("x", x, x.size), at("y", y, x.size), slope, x.size, stream)

    def leaky_relu_backward(self, dy, x, dx, slope):
        at, size, stream = self._at, dy.size, self.memory.stream()
        self._kernels.leaky_relu_backward(at("dy", dy, size), at("x", x, size), at("dx", dx, size), slope, size, stream)
