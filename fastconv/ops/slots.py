"""The way of a batch to a device that is at work: through pinned memory, by a copy on a stream of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Slot:
    """Arrays of the host, and the ones on the device that they are copied to.

    With two slots in turn, the host fills one while a step works on what the other brought. Each party waits only for
    what it is about to overwrite: the host for the last copy, a copy for the last step that reads its place.

    Args:
        host: pinned arrays, to be filled after `wait()`. From other memory a copy keeps the host waiting.
        there: an array of the device for each.
        steps: the stream on which what reads `there` is launched.
        copies: another stream.
        event: makes an event (`cupy.cuda.Event`).
    """

    def __init__(
        self, host: Sequence[np.ndarray], there: Sequence[Any], steps: Any, copies: Any, event: Callable[[], Any]
    ):
        self._steps, self._copies = steps, copies
        self.host, self.there = host, there
        self._copied, self._read = event(), event()

    def wait(self) -> None:
        """Returns when the last copy is over."""
        self._copied.synchronize()

    def send(self, count: int) -> None:
        """Starts to copy the first `count` rows of each array. What is launched from now on finds them there."""
        self._copies.wait_event(self._read)
        for host, there in zip(self.host, self.there, strict=True):
            there[:count].set(host[:count], stream=self._copies)
        self._copies.record(self._copied)
        self._steps.wait_event(self._copied)

    def release(self) -> None:
        """Says that all that reads these rows is launched: the next copy waits for it."""
        self._steps.record(self._read)

    def __del__(self) -> None:
        self._copies.synchronize()  # the memory goes back to pools, which do not know what this stream still does
