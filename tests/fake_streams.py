"""Streams without hardware: what is queued runs when somebody waits for it and no sooner, or at the earliest moment.

A missing wait shows at one of the extremes. Of a late copy: what does not wait reads what was there before, and a
source that was overwritten or freed meanwhile is an error. Of an early one: it overwrites what steps have yet to read.
"""

from __future__ import annotations

import collections
import weakref

import numpy as np


class FakeEvent:
    """See `cupy.cuda.Event`: it stands for the work before its last record, for none before the first."""

    mark = None

    def synchronize(self):
        if self.mark is not None:
            self.mark.stream.run_to(self.mark)


class _Mark:
    def __init__(self, stream):
        self.stream, self.passed = stream, False


class FakeStream:
    """See `cupy.cuda.Stream`.

    Args:
        other: a stream that may run ahead as this one goes on.

    Attributes:
        eager: whether work runs at the earliest moment; else at the last.
        copied: bytes of each copy that was queued.
    """

    def __init__(self, other=None):
        self._queue = collections.deque()  # of work (functions), own marks to pass and marks of others to wait for
        self._other = other
        self.eager, self.copied = False, []

    def put(self, work):
        self._queue.append(work)
        self._progress()

    def record(self, event):
        event.mark = _Mark(self)
        self.put(event.mark)

    def wait_event(self, event):
        if event.mark is not None:
            self.put(event.mark)

    def synchronize(self):
        while self._queue:
            self._next()

    def run_to(self, mark):
        while not mark.passed:
            self._next()

    def _next(self):
        item = self._queue.popleft()
        if not isinstance(item, _Mark):
            item()
        elif item.stream is self:
            item.passed = True
        else:
            item.stream.run_to(item)
        if self._other is not None:
            self._other._progress()

    def _progress(self):
        while self.eager and self._queue and not self._blocked(self._queue[0]):
            self._next()

    def _blocked(self, item):
        return isinstance(item, _Mark) and item.stream is not self and not item.passed


class Pinned(np.ndarray):
    """Memory of the host from which a copy does not keep it waiting."""


def copy(there, source, stream):
    """Queues the copy of a pinned array, or the first rows of one, to NumPy's array `there`."""
    assert isinstance(source, Pinned), "a copy from memory that is not pinned keeps the host waiting"
    owner = weakref.ref(source if source.base is None else source.base)
    count, values = len(source), source.tobytes()

    def land():
        assert owner() is not None, "memory was freed before the copy from it was over"
        now = owner()[:count]
        assert now.tobytes() == values, "memory was overwritten before the copy from it was over"
        there[...] = now

    stream.copied.append(source.nbytes)
    stream.put(land)
