"""What all tests share: the check that an installed fastconv is tested, and the fixtures `ops`, `reference`, `rng`."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import zlib

import numpy as np
import pytest


def pytest_configure(config):
    os.environ.setdefault("FASTCONV_DEVICE", "cpu")  # what compares devices chooses them itself
    try:
        from fastconv import _core  # noqa: F401
    except ImportError as error:
        raise pytest.UsageError(
            "The tests need an installed fastconv (`pip install .` or `pip install -e .`), and `pytest` rather than "
            f"`python -m pytest`, which imports the source folder. The import said: {error}"
        ) from error
    # Small networks on made-up data deserve advice, which diagnosis/test_advice.py is about.
    config.addinivalue_line("filterwarnings", "ignore::fastconv.AdviceWarning")


def pytest_report_header(config):
    import fastconv
    from fastconv import _core

    isas, threads = ", ".join(_core.supported_isas()), _core.num_threads()
    gpu = f"tests of a GPU left out: {missing_of_cuda()}" if missing_of_cuda() else "tests of a GPU included"
    return f"fastconv: {fastconv.__path__[0]}; instruction sets: {isas}; threads: {threads}; {gpu}"


@functools.cache
def missing_of_cuda() -> str:
    """What keeps the kernels of fastconv._cuda from running here, or an empty string."""
    from fastconv import device

    last = device.cuda_findings()[-1]
    return last.found if last.remedy else ""


def pytest_generate_tests(metafunc):
    if "ops" in metafunc.fixturenames:
        from fastconv import _core

        # The backends of this machine: each instruction set; the CUDA kernels on the host where they were built for it,
        # and on a GPU where there is one.
        backends = [f"cpu-{isa}" for isa in _core.supported_isas()]
        alone = metafunc.definition.get_closest_marker("cpu_only")
        if importlib.util.find_spec("fastconv._emulator") and not alone:
            backends.append("emulator")
        if not missing_of_cuda() and not alone:
            backends.append(pytest.param("cuda", marks=pytest.mark.cuda))
        metafunc.parametrize("ops", backends, indirect=True)


# The emulator makes some 50 million multiplications a second; what it may take of them for one call of an op.
EMULATED_MULTIPLICATIONS = 10_000_000


def pytest_collection_modifyitems(config, items):
    from shapes import Conv2DShape

    def too_long(item):
        params = item.callspec.params if hasattr(item, "callspec") else {}
        shape = params.get("shape")
        emulated = params.get("ops") == "emulator" and isinstance(shape, Conv2DShape)
        return emulated and shape.geometry().multiplications > EMULATED_MULTIPLICATIONS

    long = [item for item in items if too_long(item)]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not too_long(item)]


def pytest_runtest_setup(item):
    """A test draws the same weights and orders in each run, whichever tests ran before it."""
    from fastconv import utils

    utils.set_random_seed(zlib.crc32(item.nodeid.encode()))


@pytest.fixture
def ops(request):
    """A `helpers.Runner` for each backend and instruction set of this machine, on one thread, with direct convolutions.

    Thousands of tiny calls gain nothing from threads; ops/test_determinism.py shows that more give the same bits.
    ops/test_winograd.py has the convolutions that are not direct.
    """
    import helpers

    from fastconv import _core
    from fastconv.ops import get_ops

    if request.param == "emulator":
        yield helpers.Runner(helpers.emulated_cuda(), np.float32, request.param)
        return
    if request.param == "cuda":
        yield helpers.Runner(get_ops("cuda"), np.float32, request.param)
        return
    isa = request.param.removeprefix("cpu-")
    before = _core.isa()
    _core.set_isa(isa)
    _core.set_num_threads(1)
    _core.conv2d_allow_winograd(False)
    yield helpers.Runner(get_ops("cpu"), np.float32, request.param)
    _core.set_isa(before)
    _core.set_num_threads(0)
    _core.conv2d_allow_winograd(True)


@pytest.fixture
def reference():
    """The `helpers.Runner` of the NumPy reference in float64."""
    import helpers

    return helpers.REFERENCE


@pytest.fixture
def rng(request):
    """Random numbers that are the same in each run of a test, and on each backend."""
    return np.random.default_rng(zlib.crc32(request.node.originalname.encode()))


@pytest.fixture
def threads():
    """A function that sets the number of threads; the setting of before returns after the test."""
    from fastconv import _core

    yield _core.set_num_threads
    _core.set_num_threads(0)


@pytest.fixture
def install(monkeypatch):
    """A function that installs stand-ins for `fastconv._cuda` and `cupy` (None: not there). No device is chosen yet."""
    from fastconv import device
    from fastconv.ops import get_ops

    def install(extension, cupy=None):
        monkeypatch.setitem(sys.modules, "fastconv._cuda", extension)
        monkeypatch.setitem(sys.modules, "cupy", cupy)

    monkeypatch.delenv("FASTCONV_DEVICE", raising=False)
    monkeypatch.setattr(device, "_requested", None)
    monkeypatch.setattr(device, "_ops", None)
    get_ops.cache_clear()
    yield install
    get_ops.cache_clear()
