"""Where a backend's arrays live: host memory (NumPy) or a GPU's (CuPy)."""

from __future__ import annotations

import numpy as np


class HostMemory:
    """NumPy arrays: of the CPU backend, and of the emulator that runs CUDA kernels on the host."""

    def full(self, shape, value, dtype) -> np.ndarray:
        return np.full(shape, value, dtype)

    def to_host(self, array: np.ndarray) -> np.ndarray:
        return array

    def pointer(self, array: np.ndarray) -> int:
        return array.ctypes.data

    def stream(self) -> int:
        return 0

    def is_array(self, value) -> bool:
        return isinstance(value, np.ndarray)


class DeviceMemory:
    """CuPy arrays on the current device, used on its current stream."""

    def __init__(self):
        import cupy

        self._cupy = cupy

    def full(self, shape, value, dtype):
        return self._cupy.full(shape, value, dtype)

    def to_host(self, array) -> np.ndarray:
        """A copy, once all that was launched before is done."""
        return array.get()

    def pointer(self, array) -> int:
        return array.data.ptr

    def stream(self) -> int:
        return self._cupy.cuda.get_current_stream().ptr

    def is_array(self, value) -> bool:
        return isinstance(value, self._cupy.ndarray)
