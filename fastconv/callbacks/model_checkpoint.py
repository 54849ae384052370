"""The model, or its weights, in files as training goes on."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

from fastconv import checks
from fastconv.callbacks.base import Logs
from fastconv.callbacks.monitor import Monitor
from fastconv.callbacks.save_schedule import SaveSchedule

_WEIGHTS, _MODEL = (".weights.h5", ".safetensors"), (".keras",)


class ModelCheckpoint(Monitor):
    """Saves the model at the end of each epoch, or after every so many batches; each file is whole or not there.

    Args:
        filepath: with names to be filled in, as in "{epoch:02d}-{val_loss:.2f}.keras": `epoch`, counted from 1, and
            those of the logs. It ends in ".keras", or for weights in ".weights.h5" or ".safetensors". Folders that do
            not exist are made.
        monitor: name in the logs that says which model is best.
        verbose: 1 tells of each save.
        save_best_only: whether to save only what is better than all before.
        save_weights_only: whether to save the weights alone.
        mode: "min", "max", or "auto", which asks the loss or metric of that name.
        save_freq: "epoch", or a number of batches; the logs are then the means of the epoch so far.
        initial_value_threshold: what the first model has to beat.

    Raises:
        ValueError: on another ending or save_freq; where it first saves, if the mode is "auto" and nobody knows which
            direction is better, or `filepath` has a name that the logs have not.
        OSError: if a file cannot be written.
    Source: keras.callbacks.ModelCheckpoint.

    >>> keep = ModelCheckpoint("best.keras", monitor="val_accuracy", mode="max", save_best_only=True)
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, best=initial_value_threshold)
        self.filepath, self.save_freq = checks.path(filepath, "filepath"), save_freq
        self.verbose = checks.verbosity(verbose)
        self.save_best_only = checks.flag(save_best_only, "save_best_only")
        self.save_weights_only = checks.flag(save_weights_only, "save_weights_only")
        if initial_value_threshold is not None:
            checks.number(initial_value_threshold, "initial_value_threshold", -math.inf, math.inf)
        self.initial_value_threshold = initial_value_threshold
        endings = _WEIGHTS if save_weights_only else _MODEL
        if not self.filepath.endswith(endings):
            raise ValueError(f"filepath: expected a name that ends in {' or '.join(endings)}. Received: {filepath!r}")
        self._schedule, self._epoch = SaveSchedule(save_freq), 0

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "batches": self._schedule.batches}

    def set_state(self, state: dict[str, Any]) -> None:
        self.best, self._schedule.batches = state["best"], state["batches"]

    def logs_due(self, hook: str) -> bool:
        """See `CallbackList.logs_due`."""
        return hook == "train" and self._schedule.next_batch_saves

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._schedule.after_batch():
            self._save(self._epoch, {"batch": batch + 1}, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.maximizes()  # an unknown direction is an error from the first epoch on
        if self._schedule.by_epoch:
            self._save(epoch, {}, logs or {})

    def _save(self, epoch: int, names: dict[str, Any], logs: Logs) -> None:
        try:
            path = self.filepath.format(epoch=epoch + 1, **names, **logs)
        except KeyError as error:
            raise ValueError(
                f"filepath: expected names out of epoch, {', '.join([*names, *logs])}. Received: {self.filepath!r}"
            ) from error
        if not self._is_wanted(epoch, logs, path):
            return
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        self._tell(epoch, f"finished saving model to {path}")

    def _is_wanted(self, epoch: int, logs: Logs, path: str) -> bool:
        current = logs.get(self.monitor)
        if not self.save_best_only:
            self._tell(epoch, f"saving model to {path}")
            return True
        if current is None:
            warnings.warn(f"Can save best model only with {self.monitor} available.", stacklevel=2)
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self.is_better(current, self.best):
            self._tell(epoch, f"{self.monitor} did not improve from {before}")
            return False
        self._tell(epoch, f"{self.monitor} improved from {before} to {current:.5f}, saving model to {path}")
        self.best = current
        return True

    def _tell(self, epoch: int, text: str) -> None:
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: {text}")
