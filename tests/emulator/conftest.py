"""Runs the kernels of csrc/emulator/selftest.cu, which say what `how` and `n` mean to each."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def emulator():
    """The module `fastconv._emulator`, at its first settings before and after a test."""
    reason = "the emulator is not built (pip install -C cmake.define.FASTCONV_EMULATOR=ON .)"
    module = pytest.importorskip("fastconv._emulator", reason=reason)
    yield module
    module.set_order("forward")
    module.restore_barriers()
    module.count(False)


@pytest.fixture(params=["forward", "reverse", "random"])
def order(emulator, request):
    """The test runs in each order of the threads."""
    emulator.set_order(request.param, seed=1)
    return request.param


@pytest.fixture
def run(emulator):
    """A function that runs a kernel and returns y: by default NaN, as many as threads."""

    def run(kernel, *, threads=64, shared_bytes=4096, y=None, **arguments):
        y = np.full(threads, np.nan, np.float32) if y is None else y
        emulator.self_test(kernel, threads=threads, shared_bytes=shared_bytes, y=y, **arguments)
        return y

    return run


@pytest.fixture
def x():
    """64 different numbers, none of which is 0."""
    return np.arange(1, 65, dtype=np.float32)
