"""Arrays as the CUDA backend takes them: checked, then passed on to the kernels as addresses."""

from __future__ import annotations

import numpy as np

FLOAT = np.dtype(np.float32)
BFLOAT16 = np.dtype(np.uint16)  # the bits of bfloat16, for which NumPy has no dtype


def activations_like(array) -> np.dtype:
    """What all activations of an op are that has this one."""
    return BFLOAT16 if getattr(array, "dtype", None) == BFLOAT16 else FLOAT


def name_of(dtype: np.dtype) -> str:
    """The name of the dtype of activations, as the kernels have it."""
    return "bfloat16" if dtype == BFLOAT16 else "float32"


def given(name: str, array):
    """The argument itself, which must be there."""
    if array is None:
        raise ValueError(f"{name}: expected an array. Received: None")
    return array


def rows_of(name: str, array) -> tuple[int, int]:
    """How many rows an array has, and their length, the size of its last axis."""
    if not given(name, array).size or not array.ndim:
        raise ValueError(f"{name}: expected at least one row of at least one number. Received: shape {array.shape}")
    return array.size // array.shape[-1], array.shape[-1]


class CudaArrays:
    """Kernels, and the checks of the arrays that they are given.

    Args:
        kernels: the extension module, `fastconv._cuda` or `fastconv._emulator`.
        memory: where the arrays live (`fastconv.ops.memory`).
    """

    def __init__(self, kernels, memory):
        self._kernels, self.memory = kernels, memory

    def _at(self, name: str, array, size: int, dtype=FLOAT) -> int:
        """The address of an argument that must be there.

        Raises:
            TypeError: if it is no C-contiguous array of `dtype` in this backend's memory.
            ValueError: if it is None or has another size.
        """
        if not self.memory.is_array(given(name, array)):
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

    def _maybe(self, name: str, array, size: int, dtype=FLOAT) -> int:
        """The address of an argument that may be None: 0 then."""
        return 0 if array is None else self._at(name, array, size, dtype)

    def _scratch(self, op: str, workspace, wanted: int) -> int:
        """The address of a workspace of at least `wanted` bytes."""
        size = 0 if workspace is None else workspace.size
        if size * FLOAT.itemsize < wanted:
            raise ValueError(f"{op}: expected {wanted} bytes of workspace. Received: {size * FLOAT.itemsize}")
        return self._maybe("workspace", workspace, size)
