"""What `fit` returns."""

from __future__ import annotations

import numbers
import weakref
from typing import Any

from fastconv.callbacks.base import Callback, Logs

_MOST_ROWS = 30  # of the table in a notebook


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

    def _repr_html_(self) -> str:
        """Curves and a table of the epochs, for notebooks."""
        from fastconv import html

        finished = len(self.epoch)
        whole = {name: values for name, values in self.history.items() if len(values) == finished}
        drawn = [name for name, values in whole.items() if values and all(map(_is_number, values))]
        curves = []
        for name in dict.fromkeys(name.removeprefix("val_") for name in drawn):
            keys = {"training": name, "validation": f"val_{name}"}
            pair = {label: whole[key] for label, key in keys.items() if key in drawn}
            curves.append(html.curves(name, pair, self.epoch[0] + 1))
        rows = [[epoch + 1, *(_shown(values[i]) for values in whole.values())] for i, epoch in enumerate(self.epoch)]
        if finished > _MOST_ROWS:
            half = _MOST_ROWS // 2
            rows[half:-half] = [["\u2026", *("" for _ in whole)]]
        others = [  # of some epochs: validation_freq, or what a callback added
            f"{name} ({len(values)} value{'' if len(values) == 1 else 's'}): {_shown(values[-1])} at last"
            for name, values in self.history.items()
            if values and name not in whole
        ]
        title = f"{finished} epoch{'' if finished == 1 else 's'}{', interrupted' if self.interrupted else ''}"
        return f"<div>{''.join(curves)}</div>" + html.table(["epoch", *whole], rows, title) + html.paragraphs(others)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if _is_number(value) else str(value)
