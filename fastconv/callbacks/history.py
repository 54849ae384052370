"""What `fit` returns."""

from __future__ import annotations

import weakref
from typing import Any

from fastconv.callbacks.base import Callback, Logs


class History(Callback):
    """What `fit` returns: the means of every epoch.

    Attributes:
        history: dict of lists, one value an epoch: "accuracy", "loss", "val_accuracy", "val_loss".
        epoch: the numbers of the finished epochs, counted from 0.
        params: dict with "verbose", "epochs", "steps" and "samples".
        interrupted: True when Ctrl-C ended `fit` early.
        model: the trained model; None once nothing else refers to it, and in a copy.
    """

    def __init__(self) -> None:
        self._model: weakref.ref[Any] | None = None  # it has this history: a cycle would outlive both
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.interrupted = False

    @property
    def model(self) -> Any:
        return self._model and self._model()

    @model.setter
    def model(self, model: Any) -> None:
        self._model = None if model is None else weakref.ref(model)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}

    state_names = ("epoch", "history")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []
        self.interrupted = False
        self.model.history = self

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)

    def __repr__(self) -> str:
        parts = [f"{len(self.epoch)} epoch{'' if len(self.epoch) == 1 else 's'}"]
        if self.interrupted:
            parts[0] += ", interrupted"
        for key, values in self.history.items():
            if values:
                last = values[-1]
                parts.append(f"{key}={last:.4f}" if isinstance(last, float) else f"{key}={last}")
        return f"<History: {', '.join(parts)}>"
