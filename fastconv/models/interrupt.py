"""Ctrl-C between two steps."""

from __future__ import annotations

import signal
import threading


class Interrupt:
    """A context in which the first Ctrl-C sets `requested` and a second one raises KeyboardInterrupt at once.

    Only the main thread can take signals, and a handler that somebody else installed is left alone.
    """

    def __init__(self) -> None:
        self.requested = False
        self._installed = False

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._installed = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            if self._installed:
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, signum, frame) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
