"""The backends by name."""

from __future__ import annotations

import functools


@functools.cache
def get_ops(name: str):
    """The backend called `name`: "cpu" and "cuda" (compiled kernels) or "numpy" (the readable reference).

    Raises:
        ValueError: if there is no such backend.
        RuntimeError: if "cuda" cannot be used here, with the reason.
    """
    if name == "cpu":
        from fastconv.ops.cpu_ops import CpuOps

        return CpuOps()
    if name == "numpy":
        from fastconv.ops.numpy_ops import NumpyOps

        return NumpyOps()
    if name == "cuda":
        from fastconv import device

        device.require_cuda()
        from fastconv import _cuda
        from fastconv.ops.cuda_ops import CudaOps
        from fastconv.ops.memory import DeviceMemory

        return CudaOps(_cuda, DeviceMemory())
    raise ValueError(f'get_ops: expected "cpu", "cuda" or "numpy". Received: {name!r}')
