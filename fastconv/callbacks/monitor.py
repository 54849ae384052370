"""Callbacks that watch one number of the logs and tell whether it became better."""

from __future__ import annotations

import warnings

from fastconv.callbacks.base import Callback, Logs
from fastconv.checks import number, text

_MODES = ("auto", "min", "max")


class Monitor(Callback):
    """Base of `EarlyStopping`, `ModelCheckpoint` and `ReduceLROnPlateau`.

    Args:
        monitor: name in the logs.
        mode: "min" or "max", which is better; "auto" asks the loss or metric of that name.
        min_delta: what a change must exceed to count.
        best: what the first value has to beat; None for nothing.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0, best: float | None = None):
        super().__init__()
        if text(mode, "mode") not in _MODES:
            warnings.warn(f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.", stacklevel=3)
            mode = "auto"
        self.monitor, self.mode = text(monitor, "monitor"), mode
        self.min_delta, self.best = abs(number(min_delta, "min_delta")), best

    def value(self, logs: Logs | None, purpose: str) -> float | None:
        """The number in the logs; with a warning, None where it is missing."""
        logs = logs or {}
        if self.monitor not in logs:
            warnings.warn(
                f"{purpose} metric `{self.monitor}` which is not available. Available metrics are: {','.join(logs)}",
                stacklevel=3,
            )
        return logs.get(self.monitor)

    def maximizes(self) -> bool:
        """Whether more is better.

        Raises:
            ValueError: in mode "auto", if nobody knows.
        """
        if self.mode != "auto":
            return self.mode == "max"
        direction = self.model.objective.direction(self.monitor.removeprefix("val_"))
        if direction is None:
            raise ValueError(
                f"{type(self).__name__}: expected mode='min' or mode='max', as nothing compiled is called "
                f"{self.monitor!r}. Received: mode='auto'"
            )
        return direction == "up"

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether a value beats another by more than `min_delta`; everything beats None."""
        if than is None:
            return True
        return value - self.min_delta > than if self.maximizes() else value + self.min_delta < than
