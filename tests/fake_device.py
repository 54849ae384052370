"""A device without hardware: its memory refuses to be mixed with the host's, and it counts what a GPU would be asked.

The kernels are those of the CPU, so that what a model computes on it has the bits of the CPU's.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from types import SimpleNamespace

import fake_streams
import numpy as np

from fastconv.ops import get_ops
from fastconv.ops.slots import Slot


class FakeArray:
    """An array of `FakeMemory`: it has views, and no way to its values but through the memory."""

    __array_ufunc__ = None

    def __init__(self, values, base=None):
        self._values, self._base = values, base

    def __array__(self, *arguments, **options):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    @property
    def __cuda_array_interface__(self):
        return {**self._values.__array_interface__, "version": 3}

    def _view(self, values):
        assert np.shares_memory(values, self._values) or not values.size, "a view that would be a copy"
        return FakeArray(values, self._base or self)

    shape = property(lambda self: self._values.shape)
    dtype = property(lambda self: self._values.dtype)
    size = property(lambda self: self._values.size)
    ndim = property(lambda self: self._values.ndim)
    nbytes = property(lambda self: self._values.nbytes)
    strides = property(lambda self: self._values.strides)
    flags = property(lambda self: self._values.flags)
    device = SimpleNamespace(id=0)

    def __len__(self):
        return len(self._values)

    def __getitem__(self, index):
        assert isinstance(index, slice)
        return self._view(self._values[index])

    def reshape(self, *shape):
        return self._view(self._values.reshape(*shape))

    def view(self, dtype):
        return self._view(self._values.view(dtype))

    def set(self, values, stream):
        assert values.shape == self.shape and values.dtype == self.dtype
        fake_streams.copy(self._values, values, stream)

    def fill(self, value):
        self._values.fill(value)

    def astype(self, dtype):
        return FakeArray(self._values.astype(dtype))

    def __add__(self, number):
        return FakeArray(self._values + number)

    def __rtruediv__(self, number):
        return FakeArray(number / self._values)


def _made_by(function):
    """A function of NumPy's that makes an array, on arrays of the device."""
    return lambda *arguments, **named: FakeArray(
        function(*(a._values if isinstance(a, FakeArray) else a for a in arguments), **named)
    )


NAMES = ("ascontiguousarray", "empty", "empty_like", "sqrt", "zeros")
XP = SimpleNamespace(ndarray=FakeArray, **{name: _made_by(getattr(np, name)) for name in NAMES})


class FakeMemory:
    """See `fastconv.ops.memory.DeviceMemory`. What is launched runs when the host waits for it.

    Attributes:
        capacity: bytes that can be allocated in all.
        steps, copies: the streams.
        uploads, downloads: bytes of each transfer so far.
        captures, launches, runs: of graphs, so far.
    """

    on_host = False
    alignment = 256
    xp = XP

    def __init__(self, capacity=math.inf):
        self.capacity, self.used = capacity, 0
        self.uploads, self.downloads, self.captures, self.launches, self.runs = [], [], 0, 0, 0
        self.copies = fake_streams.FakeStream()
        self.steps = fake_streams.FakeStream(self.copies)
        self.recorded = None  # the calls of the capture that is going on
        self.working = False

    def _allocated(self, values):
        assert self.recorded is None, "an allocation while a graph is captured"
        if self.used + values.nbytes > self.capacity:
            raise MemoryError(f"out of memory allocating {values.nbytes} bytes")
        array = FakeArray(values)
        self.used += values.nbytes
        weakref.finalize(array, self._free, values.nbytes)
        return array

    def _free(self, size):
        self.used -= size

    def empty(self, count, dtype):
        if count * np.dtype(dtype).itemsize > self.capacity - self.used:
            raise MemoryError(f"out of memory allocating {count} elements")
        array = self._allocated(get_ops("cpu").memory.empty(count, dtype))
        array._values.view(np.uint8).fill(0xFF)
        return array

    def zeros(self, count, dtype):
        array = self.empty(count, dtype)
        array.fill(0)
        return array

    def asarray(self, values):
        array = self.empty(values.size, values.dtype).reshape(values.shape)
        self.upload(array, values)
        return array

    def upload(self, array, values):
        assert isinstance(array, FakeArray) and self.recorded is None
        self.steps.synchronize()
        array._values[...] = values
        self.uploads.append(array.nbytes)

    def download(self, array):
        assert isinstance(array, FakeArray) and self.recorded is None
        self.steps.synchronize()
        values = array._values.copy()
        values.flags.writeable = False
        self.downloads.append(array.nbytes)
        return values

    def copy(self, array, source):
        assert isinstance(array, FakeArray) and isinstance(source, FakeArray) and self.recorded is None
        self.steps.synchronize()
        array._values[...] = source._values

    def staging(self, array):
        return np.empty(array.shape, array.dtype)

    def slot(self, *arrays):
        host = [fake_streams.Pinned(shape, dtype) for shape, dtype in arrays]
        there = [self.empty(math.prod(shape), dtype).reshape(shape) for shape, dtype in arrays]
        return Slot(host, there, self.steps, self.copies, fake_streams.FakeEvent)

    def capture(self, calls):
        self.captures += 1
        self.recorded = recorded = []
        try:
            for call in calls:
                call()
        finally:
            self.recorded = None
        return FakeGraph(self, recorded)

    @contextlib.contextmanager
    def at_work(self):
        self.steps.synchronize()  # what follows is called, not queued
        self.working = True
        try:
            yield
        finally:
            self.working = False

    def free_bytes(self):
        return self.capacity - self.used

    def synchronize(self):
        self.steps.synchronize()

    def seconds_of(self, calls, ahead):
        ahead()
        with self.at_work():
            return get_ops("cpu").memory.seconds_of(calls, ahead)

    def pointer(self, array):
        return array._values.ctypes.data

    def stream(self):
        return 0

    def is_array(self, value):
        return isinstance(value, FakeArray)

    def is_current(self, array):
        return array.device.id == 0


class EmulatedMemory(FakeMemory):
    """Of `CudaOps` with the kernels of `fastconv._emulator`: what is captured runs when it is launched."""

    def capture(self, calls):
        self.captures += 1
        return FakeGraph(self, calls)


class FakeGraph:
    def __init__(self, memory, calls):
        self._memory, self._calls = memory, calls

    def launch(self):
        self._memory.launches += 1
        self._memory.steps.put(self._run)

    def _run(self):
        self._memory.runs += 1
        for call in self._calls:
            call()


class FakeOps:
    """The CPU's kernels on arrays of a `FakeMemory`; within a capture they are recorded and do not run."""

    name = "fake"

    def __init__(self, memory=None):
        self.memory = memory or FakeMemory()

    def settings(self):
        return get_ops("cpu").settings()

    def workspace_bytes(self, *arguments):
        return get_ops("cpu").workspace_bytes(*arguments)

    def conv2d_backward_fits(self, *geometries):
        return get_ops("cpu").conv2d_backward_fits(*geometries)

    def conv2d_backward_reads(self, geometry, dtype="float"):
        return 1

    def first_non_finite(self, x):
        assert self.memory.recorded is None, "a question to the device while a graph is captured"
        return get_ops("cpu").first_non_finite(self._value(x))

    def __getattr__(self, op):
        kernel = globals().get(op) or getattr(get_ops("cpu"), op)

        def call(*arguments, **named):
            values = [self._value(a) for a in arguments]
            named_values = {name: self._value(a) for name, a in named.items()}
            if self.memory.recorded is not None:
                self.memory.recorded.append(lambda: kernel(*values, **named_values))
                return
            assert self.memory.working, f"{op} outside of the memory's order of work"
            kernel(*values, **named_values)

        return call

    def _value(self, argument):
        assert not isinstance(argument, np.ndarray), "an array of the host"
        return argument._values if isinstance(argument, FakeArray) else argument


# ---- what only a device does in a step (fastconv/ops/cuda_ops.py) ----
def gather_batch(data, labels, order, position, x, y):
    chosen = order[position[0] :][: len(x)]
    for array, source in ((x, data), (y, labels)):
        if array is not None:
            array[...] = source[chosen]


def advance(batch, position, step=None, totals=None, running=None):
    position += batch
    if step is not None:
        step += 1
    if totals is not None:
        running += totals


def set_number(x, value):
    x[...] = value
