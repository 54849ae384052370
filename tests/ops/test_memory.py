"""No kernel reads or writes beyond its arrays, not even what it then ignores: each array ends where a page of memory
that nobody may touch begins, or begins where one ends. A child process runs the ops, since a fault ends it."""

from __future__ import annotations

import ctypes
import faulthandler
import math
import mmap
import os

import helpers
import numpy as np
import pytest
import shapes

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork and mprotect")

PROTECT_NONE = 0


class AtThePage:
    """`array`: at the end (or the beginning) of memory whose neighbouring pages are closed."""

    def __init__(self, shape, dtype, at_end):
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        inside = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        memory = mmap.mmap(-1, inside + 2 * mmap.PAGESIZE)
        offset = mmap.PAGESIZE + (inside - size if at_end else 0)
        self.array = np.frombuffer(memory, dtype, math.prod(shape), offset).reshape(shape)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for page in (start, start + mmap.PAGESIZE + inside):
            if ctypes.CDLL(None).mprotect(ctypes.c_void_p(page), ctypes.c_size_t(mmap.PAGESIZE), PROTECT_NONE):
                raise OSError("mprotect failed")

    def damage(self):
        return ""


def after(shape, dtype):
    return AtThePage(shape, dtype, at_end=True)


def before(shape, dtype):
    return AtThePage(shape, dtype, at_end=False)


def shapes_of(op):
    if op.startswith("conv2d"):
        return [*shapes.CONV2D[::3], *(s for s in shapes.CONV2D if (s.h, s.w) == (4, 5))]
    if op in helpers.IMAGES:
        return shapes.IMAGES
    if op.startswith("batchnorm"):
        return shapes.BATCHNORM
    return shapes.SOFTMAX if op in helpers.ROWS else [(count,) for count in shapes.ELEMENTWISE]


def in_child(work):
    """Runs work(report) in a forked child; its exit status and last report."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            faulthandler.disable()  # a traceback of a fault that a test provokes only confuses
            work(lambda text: os.write(writer, f"{text}\n".encode()))
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as reports:
        last = reports.read().strip().rpartition("\n")[2]
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), last


@pytest.mark.parametrize("allocate", [after, before])
@pytest.mark.parametrize("op", helpers.OUTPUTS)
def test_nothing_beyond_the_arrays_is_touched(ops, rng, op, allocate):
    if ops.name == "cuda":
        pytest.skip("a GPU's memory has no such borders: compute-sanitizer looks there (docs/cuda.md)")
    runner = helpers.Runner(ops.ops, np.float32, ops.name, allocate)

    def work(report):
        for shape in shapes_of(op):
            report(shape)
            runner.run(op, **helpers.example(op, rng, shape))

    status, last = in_child(work)
    assert status == 0, f"{op} of {last}: exit status {status}"


def test_a_touch_ends_the_child():
    def work(report):
        report("reading")
        array = after((5,), np.float32).array
        ctypes.string_at(array.ctypes.data, array.nbytes + 1)

    status, last = in_child(work)
    assert status != 0  # by a signal, or by the address sanitizer
    assert last == "reading"
