"""Which device models run on: chosen by `set_device`, the environment variable FASTCONV_DEVICE, or by what is there."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["get_device", "set_device"]

_NAMES = ("auto", "cpu", "cuda")
_VARIABLE = "FASTCONV_DEVICE"
_OLDEST = (8, 0)  # compute capability: the kernels use asynchronous copies and TF32 tensor cores

_log = logging.getLogger("fastconv")
_requested: str | None = None  # by set_device
_ops: Any = None  # the backend in use, once a model has run


def set_device(name: str) -> None:
    """Sets what models run on from now on. A model that ran elsewhere moves with its weights and its optimizer's state.

    Args:
        name: "cpu", "cuda", or "auto", the default: the GPU if there is one that can be used, else the CPU. The
            environment variable FASTCONV_DEVICE names the device where this function was not called.

    Raises:
        ValueError: on another name.
        RuntimeError: if "cuda" cannot be used here, with the reason and what to do about it.

    >>> set_device("cpu")
    >>> get_device()
    'cpu'
    """
    global _requested, _ops
    if name not in _NAMES:
        raise ValueError(f'set_device: expected "auto", "cpu" or "cuda". Received: {name!r}')
    if name == "cuda":
        require_cuda()
    _requested, _ops = name, None


def get_device() -> str:
    """The device that models run on: "cpu" or "cuda".

    Raises:
        ValueError: if FASTCONV_DEVICE names no device.
        RuntimeError: if it asks for a GPU that cannot be used.
    """
    return _ops.name if _ops is not None else _choose()[0]


@contextlib.contextmanager
def using(name: str) -> Iterator[None]:
    """`set_device(name)` until the end of a block."""
    global _requested, _ops
    before = _requested, _ops
    set_device(name)
    try:
        yield
    finally:
        _requested, _ops = before


def ops() -> Any:
    """The backend that models run on."""
    global _ops
    if _ops is None:
        from fastconv.ops import get_ops

        name, reason = _choose()
        _ops = get_ops(name)
        if reason:
            _log.info("models run on the device %r: %s", name, reason)
    return _ops


def requested() -> str:
    """What was asked for: "auto", "cpu" or "cuda".

    Raises:
        ValueError: if FASTCONV_DEVICE is something else.
    """
    if _requested is not None:
        return _requested
    name = os.environ.get(_VARIABLE) or "auto"
    if name not in _NAMES:
        raise ValueError(f'{_VARIABLE}: expected "auto", "cpu" or "cuda". Received: {name!r}')
    return name


def _choose() -> tuple[str, str]:
    """The device and, where nobody named one, why it is this."""
    name = requested()
    if name == "cuda":
        require_cuda()
    if name != "auto":
        return name, ""
    last = cuda_findings()[-1]
    return ("cpu" if last.remedy else "cuda"), last.found


class Finding(NamedTuple):
    """One thing that CUDA needs: its name, what was found of it, and what to do where it is not as needed."""

    name: str
    found: str
    remedy: str = ""


def require_cuda() -> None:
    """Raises RuntimeError, with the reason and the remedy, unless models can run on a GPU."""
    last = cuda_findings()[-1]
    if last.remedy:
        raise RuntimeError(f'device "cuda": expected a GPU that can be used. Received: {last.found}. {last.remedy}')


def cuda_findings() -> list[Finding]:
    """What CUDA needs, in the order in which one needs the other, up to the first thing that is missing."""
    name = "CUDA kernels"
    try:
        kernels = importlib.import_module("fastconv._cuda")
    except ModuleNotFoundError:
        remedy = "Install a CUDA toolkit (nvcc 12.4 or later) and run `pip install .`"
        return [Finding(name, "fastconv was built without CUDA", remedy)]
    except ImportError as error:
        return [Finding(name, f"fastconv._cuda does not load ({error})", "Build it again: `pip install .`")]
    toolkit = version(kernels.toolkit_version())
    found = [Finding(name, f"built with CUDA {toolkit} for the architectures {kernels.ARCHITECTURES}")]
    for examine in (_driver, _device, _cupy):
        found.append(examine(kernels))
        if found[-1].remedy:
            break
    return found


def _driver(kernels) -> Finding:
    driver = kernels.driver_version()
    if not driver:
        return Finding("driver", "no NVIDIA driver", "Install the driver of the GPU, until `nvidia-smi` shows it")
    return Finding("driver", f"runs CUDA up to {version(driver)}")


def _device(kernels) -> Finding:
    name = "device"
    try:
        devices = kernels.devices()
    except RuntimeError as error:
        remedy = "`nvidia-smi` tells more; a restart of the machine helps after an update of the driver"
        if kernels.driver_version() < kernels.toolkit_version():
            remedy = f"Install a driver for CUDA {version(kernels.toolkit_version())} or later"
        return Finding(name, str(error), remedy)
    if not devices:
        return Finding(name, "the driver shows no GPU", "Look at `nvidia-smi` and at CUDA_VISIBLE_DEVICES")
    first = devices[0]  # models run on CUDA's current device
    major, minor = first["capability"]
    found = f"{first['name']}, compute capability {major}.{minor}, {first['memory_bytes'] / 2**30:.0f} GiB"
    if (major, minor) < _OLDEST:
        return Finding(name, found, "The kernels need compute capability 8.0 (Ampere) or later")
    if not covers(kernels.ARCHITECTURES, (major, minor)):
        remedy = f"Build for it: `pip install . -C cmake.define.CMAKE_CUDA_ARCHITECTURES={major}{minor}`"
        return Finding(name, f"{found}, which is not among the architectures built, {kernels.ARCHITECTURES}", remedy)
    return Finding(name, found)


def _cupy(kernels) -> Finding:
    name, package = "CuPy", f"cupy-cuda{kernels.toolkit_version() // 1000}x"  # as the extras of pyproject.toml
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "cupy"
        return Finding(
            name, "CuPy is missing" if missing else f"CuPy does not load ({error})", f"`pip install {package}`"
        )
    try:
        cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:
        return Finding(name, f"CuPy {cupy.__version__} finds no GPU ({error})", f"Install `{package}` in its place")
    return Finding(name, cupy.__version__)


def version(number: int) -> str:
    """CUDA's number of a version as people write it: 13000 is 13.0."""
    return f"{number // 1000}.{number % 1000 // 10}"


def covers(architectures: str, capability: tuple[int, int]) -> bool:
    """Whether a module built for these (CMake's CMAKE_CUDA_ARCHITECTURES, with commas) runs on a device.

    Machine code runs on its major version from its minor one on, PTX on all that came later; what is built with "a"
    runs on that version alone. Words such as "native" tell nothing and are trusted.

    Source: CUDA C++ Programming Guide, "Application Compatibility", and CMake's CUDA_ARCHITECTURES.

    >>> covers("80-real,120", (8, 9)), covers("80-real,120", (9, 0)), covers("80-real,120", (12, 1))
    (True, False, True)
    """
    for entry in architectures.split(","):
        match = re.fullmatch(r"(\d+)(\d)([af]?)(-real|-virtual)?", entry)
        if match is None:
            return True
        built, kind, form = (int(match[1]), int(match[2])), match[3], match[4]
        machine_code = form != "-virtual" and built[0] == capability[0] and built <= capability
        ptx = form != "-real" and not kind and built <= capability
        if built == capability or (kind != "a" and machine_code) or ptx:
            return True
    return False
