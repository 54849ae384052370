"""Where a backend's arrays live: host memory (NumPy) or a GPU's (CuPy). Both kinds offer the same methods.

An array of a memory is what its library makes: shape, dtype, views by slice, `reshape` and `view` are NumPy's. What
crosses the border does so by name (`upload`, `download`), never as a side effect of an assignment.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import threading
import time
from typing import Any

import numpy as np

from fastconv.ops.slots import Slot

# Steps to launch before the calls that are timed: the device is busy until the host has launched them all, and waits
# for it between none of them. A step of "cnn" has 21 calls.
_AHEAD = 20


class HostMemory:
    """NumPy arrays: of the CPU backend, and of the emulator that runs CUDA kernels on the host."""

    on_host = True
    alignment = 64  # bytes: a cache line, and an AVX-512 register
    xp: Any = np

    def empty(self, count: int, dtype) -> np.ndarray:
        """Uninitialised array of one axis that starts on a multiple of `alignment`.

        Raises:
            MemoryError: if there is not as much.
        """
        size = count * np.dtype(dtype).itemsize
        raw = np.empty(size + self.alignment, np.uint8)
        start = -raw.__array_interface__["data"][0] % self.alignment
        return raw[start : start + size].view(dtype)

    def zeros(self, count: int, dtype) -> np.ndarray:
        array = self.empty(count, dtype)
        array.fill(0)
        return array

    def asarray(self, values: np.ndarray) -> np.ndarray:
        """`values` in this memory: on the host they are there."""
        return values

    def upload(self, array: np.ndarray, values) -> None:
        """Copies values of the host into `array`, of the same shape or one that broadcasts to it."""
        array[...] = values

    def download(self, array: np.ndarray) -> np.ndarray:
        """The values as an array of the host: the array itself, or a copy that cannot be written to."""
        return array

    def copy(self, array: np.ndarray, source: np.ndarray) -> None:
        """Copies `source`, another array of this memory, into `array`."""
        array[...] = source

    def staging(self, array: np.ndarray) -> np.ndarray:
        """An array of the host like `array`, to fill before an upload: on the host the same."""
        return array

    def capture(self, calls) -> CallList:
        """What `launch()` of the result repeats: `calls` in their order, on the arrays they are bound to."""
        return CallList(calls)

    def at_work(self):
        """A context in which ops run in the order of this memory's transfers and launches."""
        return contextlib.nullcontext()

    def free_bytes(self) -> int | None:
        """What can still be allocated; None where it is not known."""
        return None

    def synchronize(self) -> None:
        """Waits for all that was launched."""

    def seconds_of(self, calls, ahead) -> list[float]:
        """How long each call takes, one after the other. On a device `ahead()` launches work that they queue behind."""
        times = [time.perf_counter()]
        for call in calls:
            call()
            times.append(time.perf_counter())
        return [end - begin for begin, end in itertools.pairwise(times)]

    def pointer(self, array: np.ndarray) -> int:
        return array.__array_interface__["data"][0]

    def stream(self) -> int:
        """The stream that ops launch on, as an address."""
        return 0

    def is_array(self, value) -> bool:
        return isinstance(value, np.ndarray)


HOST = HostMemory()


class CallList:
    """The host's counterpart of a CUDA graph."""

    __slots__ = ("_calls",)

    def __init__(self, calls):
        self._calls = calls

    def launch(self) -> None:
        for call in self._calls:
            call()


class _Streams(threading.local):
    """Streams of a thread: `own` for its work, so that no other launches into what it captures; `copies` for slots."""

    def __init__(self, cupy):
        self.own, self.copies = (cupy.cuda.Stream(non_blocking=True) for _ in range(2))


class DeviceMemory:
    """CuPy arrays on the current device. Models work on a stream of their thread; ops launch on CuPy's current one."""

    on_host = False
    alignment = 256  # bytes: of every allocation of CUDA's

    def __init__(self):
        import cupy

        self.xp = cupy
        self._streams = _Streams(cupy)

    @property
    def _stream(self):
        return self._streams.own

    def empty(self, count: int, dtype):
        with self._stream:
            return self.xp.empty(count, dtype)

    def zeros(self, count: int, dtype):
        with self._stream:
            return self.xp.zeros(count, dtype)

    def asarray(self, values: np.ndarray):
        array = self.empty(values.size, values.dtype).reshape(values.shape)
        self.upload(array, values)
        return array

    def upload(self, array, values) -> None:
        values = np.ascontiguousarray(np.broadcast_to(values, array.shape), array.dtype)
        with self._stream:
            array.set(values)
            self._stream.synchronize()  # the caller may change its values now

    def download(self, array) -> np.ndarray:
        with self._stream:
            values = array.get()
        values.flags.writeable = False  # a change of the copy would be lost without a word
        return values

    def copy(self, array, source) -> None:
        with self._stream:
            array[...] = source

    def staging(self, array) -> np.ndarray:
        return np.empty(array.shape, array.dtype)

    def slot(self, *arrays: tuple[tuple[int, ...], Any]) -> Slot:
        """A way here for arrays of these shapes and dtypes, beside what the models' stream does."""
        import cupyx

        host = [cupyx.empty_pinned(shape, dtype) for shape, dtype in arrays]
        there = [self.empty(math.prod(shape), dtype).reshape(shape) for shape, dtype in arrays]
        event = functools.partial(self.xp.cuda.Event, disable_timing=True)
        return Slot(host, there, self._stream, self._streams.copies, event)

    def capture(self, calls) -> _Graph:
        with self._stream as stream:
            stream.begin_capture()
            try:
                for call in calls:
                    call()
            except BaseException:
                with contextlib.suppress(RuntimeError):  # of the broken capture; what broke it is the error to see
                    stream.end_capture()
                raise
            return _Graph(stream.end_capture(), self._streams)

    def at_work(self):
        return self._stream

    def free_bytes(self) -> int:
        free, _ = self.xp.cuda.runtime.memGetInfo()
        return free + self.xp.get_default_memory_pool().free_bytes()

    def synchronize(self) -> None:
        self._stream.synchronize()

    def seconds_of(self, calls, ahead) -> list[float]:
        events = [self.xp.cuda.Event() for _ in range(len(calls) + 1)]
        with self._stream as stream:
            for _ in range(_AHEAD):
                ahead()
            events[0].record(stream)
            for call, event in zip(calls, events[1:], strict=True):
                call()
                event.record(stream)
            stream.synchronize()
        between = self.xp.cuda.get_elapsed_time  # milliseconds
        return [1e-3 * between(begin, end) for begin, end in itertools.pairwise(events)]

    def pointer(self, array) -> int:
        return array.data.ptr

    def stream(self) -> int:
        return self.xp.cuda.get_current_stream().ptr

    def is_array(self, value) -> bool:
        return isinstance(value, self.xp.ndarray)

    def is_current(self, array) -> bool:
        """Whether an array is on the device that is CuPy's current one."""
        return array.device.id == self.xp.cuda.runtime.getDevice()


class _Graph:
    """A captured CUDA graph, launched on the stream of the thread that launches it."""

    __slots__ = ("_graph", "_streams")

    def __init__(self, graph, streams):
        self._graph, self._streams = graph, streams

    def launch(self) -> None:
        self._graph.launch(self._streams.own)
