"""Stand-ins for `fastconv._cuda` and CuPy in what they tell of a machine, and the ways in which a GPU is not usable."""

from __future__ import annotations

from types import SimpleNamespace

GPU = {"name": "NVIDIA H100", "capability": (9, 0), "multiprocessors": 132, "memory_bytes": 80 << 30}


def raising(error):
    def call(*arguments):
        raise error

    return call


def kernels(**change):
    parts = {
        "ARCHITECTURES": "80-real,86-real,89-real,90a-real,120",
        "toolkit_version": lambda: 13000,
        "driver_version": lambda: 13000,
        "devices": lambda: [GPU],
    }
    return SimpleNamespace(**{**parts, **change})


def cupy(count=lambda: 1):
    return SimpleNamespace(__version__="14.0", cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=count)))


OLD_GPU = {**GPU, "name": "Tesla T4", "capability": (7, 5)}
NEW_GPU = {**GPU, "name": "GPU of 2030", "capability": (15, 0)}

UNUSABLE = {
    "built without CUDA": (None, None, "built without CUDA.*nvcc.*pip install"),
    "no driver": (kernels(driver_version=lambda: 0), None, "no NVIDIA driver.*nvidia-smi"),
    "old driver": (
        kernels(driver_version=lambda: 12020, devices=raising(RuntimeError("driver version is insufficient"))),
        None,
        "driver version is insufficient.*driver for CUDA 13.0 or later",
    ),
    "broken driver": (
        kernels(devices=raising(RuntimeError("unknown error"))),
        None,
        "unknown error.*nvidia-smi",
    ),
    "no device": (kernels(devices=list), None, "shows no GPU.*CUDA_VISIBLE_DEVICES"),
    "too old": (kernels(devices=lambda: [OLD_GPU]), None, r"Tesla T4, compute capability 7\.5.*8\.0"),
    "not built for it": (
        kernels(ARCHITECTURES="80-real", devices=lambda: [NEW_GPU]),
        None,
        r"15\.0.*not among the architectures built, 80-real.*CMAKE_CUDA_ARCHITECTURES=150",
    ),
    "without CuPy": (kernels(), None, "CuPy is missing.*pip install cupy-cuda13x"),
    "CuPy for another driver": (
        kernels(toolkit_version=lambda: 12080),
        cupy(raising(RuntimeError("cudaErrorInsufficientDriver"))),
        "CuPy 14.0 finds no GPU.*InsufficientDriver.*cupy-cuda12x",
    ),
}
