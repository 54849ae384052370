"""The memory of a backend: the host's, and what CuPy is asked for the GPU's (by a stand-in that writes it down)."""

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from fastconv.ops.memory import HOST, DeviceMemory


@pytest.mark.parametrize("count", [1, 5, 1000])
def test_arrays_of_the_host_are_aligned(count):
    array = HOST.empty(count, np.float32)
    assert array.shape == (count,) and array.dtype == np.float32 and array.ctypes.data % 64 == 0


def test_zeros():
    assert not HOST.zeros(100, np.int64).any()


def test_nothing_is_copied_on_the_host():
    array = np.arange(6.0)
    assert HOST.asarray(array) is array and HOST.download(array) is array and HOST.staging(array) is array


def test_a_capture_on_the_host_repeats_the_calls_in_order():
    seen = []
    captured = HOST.capture([lambda: seen.append(1), lambda: seen.append(2)])
    assert seen == []
    captured.launch()
    captured.launch()
    assert seen == [1, 2, 1, 2]


class FakeArray:
    """What CuPy offers for transfers."""

    shape, dtype = (2, 3), np.dtype(np.float32)

    def __init__(self, log):
        self.log = log

    def set(self, values):
        assert values.dtype == self.dtype and values.shape == self.shape and values.flags.c_contiguous
        self.log.append("set")
        self.values = values.copy()

    def get(self):
        self.log.append("get")
        return self.values.copy()


class FakeStream:
    def __init__(self, log, **kind):
        self.log, self.kind = log, kind

    def __enter__(self):
        self.log.append("enter")
        return self

    def __exit__(self, *error):
        self.log.append("exit")

    def synchronize(self):
        self.log.append("synchronize")

    def record(self, event):
        self.log.append(("record", self, event))

    def wait_event(self, event):
        self.log.append(("wait", self, event))

    def begin_capture(self):
        self.log.append("begin")

    def end_capture(self):
        self.log.append("end")
        if "broken" in self.log:
            raise RuntimeError("the capture was invalidated")
        return SimpleNamespace(launch=lambda stream: self.log.append(("launch", stream)))


@pytest.fixture
def log(monkeypatch):
    log = []
    stream = lambda **kind: FakeStream(log, **kind)  # noqa: E731
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(Stream=stream)))
    return log


@pytest.mark.parametrize("values", [7, np.arange(3), np.ones((2, 3)), np.ones((3, 2), np.float32).T])
def test_an_upload_is_converted_and_over_when_it_returns(log, values):
    array = FakeArray(log)
    DeviceMemory().upload(array, values)
    assert (array.values == values).all() and log == ["enter", "set", "synchronize", "exit"]


def test_a_download_is_of_the_models_stream_and_not_to_be_written_to(log):
    memory, array = DeviceMemory(), FakeArray(log)
    memory.upload(array, 1)
    log.clear()
    with pytest.raises(ValueError, match="read-only"):
        memory.download(array)[...] = 0
    assert log == ["enter", "get", "exit"]


def test_calls_are_captured_on_a_stream_that_the_null_stream_does_not_wait_for(log):
    memory = DeviceMemory()
    graph = memory.capture([lambda: log.append("call")])
    assert log == ["enter", "begin", "call", "end", "exit"]
    log.clear()
    graph.launch()
    assert log == [("launch", memory.at_work())] and memory.at_work().kind == {"non_blocking": True}


def test_a_thread_works_on_a_stream_of_its_own(log):
    memory, streams = DeviceMemory(), []
    graph = memory.capture([])
    log.clear()

    def work():
        streams.append(memory.at_work())
        graph.launch()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert streams[0] is not memory.at_work() and log == [("launch", streams[0])]


def test_a_call_that_fails_ends_the_capture_and_is_the_error_to_see(log):
    def fail():
        log.append("broken")
        raise ValueError("expected this one")

    with pytest.raises(ValueError, match="expected this one"):
        DeviceMemory().capture([fail])
    assert log == ["enter", "begin", "broken", "end", "exit"]


def test_calls_are_timed_on_the_models_stream_behind_work_that_hides_their_launches(log):
    events = []

    def event():
        events.append(SimpleNamespace(number=len(events), record=lambda stream: log.append("event")))
        return events[-1]

    sys.modules["cupy"].cuda.Event = event
    sys.modules["cupy"].cuda.get_elapsed_time = lambda begin, end: 5.0 * (end.number - begin.number) + begin.number
    calls = [lambda: log.append("a"), lambda: log.append("b")]
    assert DeviceMemory().seconds_of(calls, lambda: log.append("ahead")) == [5e-3, 6e-3]
    assert log[0] == "enter" and set(log[1:-7]) == {"ahead"}
    assert log[-7:] == ["event", "a", "event", "b", "event", "synchronize", "exit"]


def test_calls_of_the_host_are_timed_in_their_order(log):
    calls = [lambda: log.append("a"), lambda: log.append("b")]
    seconds = HOST.seconds_of(calls, lambda: log.append("ahead"))
    assert log == ["a", "b"] and len(seconds) == 2 and min(seconds) >= 0


class FakeRows:
    """An array of the device for as many rows."""

    def __init__(self, log, shape, dtype):
        self.log, self.shape, self.dtype = log, shape, dtype

    def reshape(self, shape):
        return FakeRows(self.log, shape, self.dtype)

    def __getitem__(self, rows):
        return FakeRows(self.log, (rows.stop, *self.shape[1:]), self.dtype)

    def set(self, values, stream):
        assert values.shape == self.shape and values.dtype == self.dtype and values.flags.c_contiguous
        self.log.append(("set", stream, values.base))


def test_a_slot_copies_pinned_memory_on_a_stream_of_its_own(log, monkeypatch):
    def event(**kind):
        assert kind == {"disable_timing": True}
        return SimpleNamespace(synchronize=lambda: log.append("synchronize event"))

    pinned = []
    empty_pinned = lambda shape, dtype: pinned.append(np.empty(shape, dtype)) or pinned[-1]  # noqa: E731
    monkeypatch.setitem(sys.modules, "cupyx", SimpleNamespace(empty_pinned=empty_pinned))
    sys.modules["cupy"].empty = lambda count, dtype: FakeRows(log, (count,), dtype)
    sys.modules["cupy"].cuda.Event = event
    memory = DeviceMemory()
    slot = memory.slot(((4, 3), np.dtype(np.uint8)), ((4,), np.dtype(np.int32)))
    assert slot.host == pinned and [a.shape for a in slot.there] == [(4, 3), (4,)]
    log.clear()
    slot.wait()
    slot.send(2)
    slot.release()
    steps, copies = memory.at_work(), log[1][1]
    copied, read = log[-2][2], log[-1][2]
    assert copies is not steps and copies.kind == steps.kind == {"non_blocking": True}
    sets = [("set", copies, array) for array in pinned]
    waits = ["synchronize event", ("wait", copies, read)], [("record", copies, copied), ("wait", steps, copied)]
    assert log == [*waits[0], *sets, *waits[1], ("record", steps, read)]
    log.clear()
    del slot
    assert log == ["synchronize"]


def test_ops_launch_on_the_stream_that_is_current_whoever_made_it(log, monkeypatch):
    from fastconv.ops.cuda_ops import CudaOps

    cupy = sys.modules["cupy"]
    cupy.ndarray = SimpleNamespace
    cupy.cuda.get_current_stream = lambda: current
    kernels = SimpleNamespace(leaky_relu_forward=lambda *arguments: log.append(arguments[-1]))
    x = cupy.ndarray(
        size=3, dtype=np.dtype(np.float32), flags=SimpleNamespace(c_contiguous=True), data=SimpleNamespace(ptr=64)
    )
    ops = CudaOps(kernels, DeviceMemory())
    for address in (7, 8):
        current = SimpleNamespace(ptr=address)
        ops.leaky_relu_forward(x, x, 0.3)
    assert log == [7, 8]
