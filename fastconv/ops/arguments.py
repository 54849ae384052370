"""Arguments of the public functions as arrays of one memory and one dtype, and the backend that computes on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.ops.backends import get_ops

_REAL, _LARGEST = "fiub", 8  # kinds of dtypes, and their bytes
_DLPACK_ON_GPU = (2, 13)  # kDLCUDA, kDLCUDAManaged of dlpack.h


def as_arrays(optional: tuple[str, ...] = (), **values) -> tuple[list, Any]:
    """The arguments as arrays of one dtype, float64 if any is, and the backend for it; optional ones may be None.

    Raises:
        ValueError: naming the argument and what was received.
        RuntimeError: on arrays of a GPU that cannot be used here.
    """
    for value in values.values():
        if not isinstance(value, np.ndarray) and value is not None and _is_on_gpu(value):
            return _as_device_arrays(optional, values)
    arrays = [None if value is None and name in optional else _as_array(value, name) for name, value in values.items()]
    double = any(a is not None and a.dtype == np.float64 for a in arrays)
    dtype = np.float64 if double else np.float32
    return [None if a is None else a.astype(dtype, copy=False) for a in arrays], get_ops("numpy" if double else "cpu")


def _as_array(value, name: str) -> np.ndarray:
    """`value` as a C-contiguous float32 array, or float64 if it is one."""
    array = np.asarray(value)
    if array.dtype.kind not in _REAL or array.dtype.itemsize > _LARGEST:
        received = "None" if value is None else f"dtype {array.dtype}"
        raise ValueError(f"{name}: expected real numbers (float, int, uint or bool). Received: {received}")
    dtype = np.float64 if array.dtype.kind == "f" and array.dtype.itemsize == 8 else np.float32
    return np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED"])


def _is_on_gpu(value) -> bool:
    if hasattr(value, "__cuda_array_interface__"):
        return True
    return hasattr(value, "__dlpack_device__") and value.__dlpack_device__()[0] in _DLPACK_ON_GPU


def _as_device_arrays(optional, values) -> tuple[list, Any]:
    """The arguments as float32 arrays of the GPU's memory; what lies on the host is refused, not copied in silence."""
    first = next(name for name, value in values.items() if _is_on_gpu(value))
    ops = get_ops("cuda")
    arrays = []
    for name, value in values.items():
        if value is None and name in optional:
            arrays.append(None)
            continue
        if not _is_on_gpu(value):
            kind = "None" if value is None else f"{type(value).__module__}.{type(value).__name__}"
            raise ValueError(
                f"{name}: expected an array in the memory of the GPU, as {first} is. Received: {kind}. Move one to the "
                "other: cupy.asarray, cupy.asnumpy"
            )
        arrays.append(_as_device_array(ops.memory, value, name))
    return arrays, ops


def _as_device_array(memory, value, name: str):
    xp = memory.xp
    if not memory.is_array(value):
        value = xp.asarray(value) if hasattr(value, "__cuda_array_interface__") else xp.from_dlpack(value)
    if value.dtype.kind not in _REAL or value.dtype.itemsize > _LARGEST:
        raise ValueError(f"{name}: expected real numbers (float, int, uint or bool). Received: dtype {value.dtype}")
    if value.dtype == np.float64:
        raise ValueError(f"{name}: expected float32 on a GPU (the CPU computes float64, too). Received: dtype float64")
    if not memory.is_current(value):
        raise ValueError(f"{name}: expected an array on CuPy's current device. Received: one on {value.device}")
    return xp.ascontiguousarray(value, np.float32)
