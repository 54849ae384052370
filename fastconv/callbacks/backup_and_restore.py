"""Training that goes on where a crash, or the power, ended it."""

from __future__ import annotations

import contextlib
import glob
import os
from typing import Any

import numpy as np

from fastconv import checks, rng
from fastconv.callbacks.base import Callback, Logs
from fastconv.callbacks.save_schedule import SaveSchedule


class BackupAndRestore(Callback):
    """Keeps the state of `fit` in a file, and goes on from it when `fit` is called again after it was cut off.

    The file is whole at any time, and holds the weights, the optimizer's state, the place in the epoch and the order of
    its samples, random generators, the history and the states of the other callbacks. As in Keras, `fit` takes weights,
    optimizer and the number of the epoch from it, in which a backup in mid-epoch begins anew. `fit(..., resume=True)`
    takes it all: the run ends with the bits of one that was never cut off.

    Args:
        backup_dir: a folder for this call of `fit` alone.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: whether to keep the backup before the last, too, for when the last cannot be read.
        delete_checkpoint: whether to delete the backup when `fit` ends; not where Ctrl-C ended it.

    Raises:
        ValueError: on an empty backup_dir or another save_freq; at the beginning of `fit`, if the backup cannot be read
            or is of another model. The model is then as it was.
        OSError: if a backup cannot be written.
    Source: keras.callbacks.BackupAndRestore.

    >>> backup = BackupAndRestore("backup", save_freq=500)
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        self.backup_dir, self.save_freq = checks.path(backup_dir, "backup_dir"), save_freq
        self.double_checkpoint = checks.flag(double_checkpoint, "double_checkpoint")
        self.delete_checkpoint = checks.flag(delete_checkpoint, "delete_checkpoint")
        self._latest, self._previous = (
            os.path.join(self.backup_dir, f"{name}.safetensors") for name in ("latest", "previous")
        )
        self._schedule, self._epoch = SaveSchedule(save_freq), 0
        self._others: list[Any] = []
        self._again: dict[str, Any] | None = None  # a state to restore once more

    def set_callbacks(self, callbacks: list[Any]) -> None:
        """Receives the other callbacks of the run; they are all called before this one."""
        self._others = callbacks

    def logs_due(self, hook: str) -> bool:
        """See `CallbackList.logs_due`."""
        return False

    # ---- save
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._schedule.after_batch():
            self._save(self._epoch, batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._schedule.by_epoch:
            self._save(epoch + 1, 0)

    def _save(self, epoch: int, batch: int) -> None:
        from fastconv.saving import backup

        model, rate = self.model, self.model.optimizer._learning_rate
        feeder, order = model._epoch_runs
        state = {
            "epoch": epoch,
            "batch": batch,
            "order": order if batch else None,
            "sums": np.array(feeder.sums()) if batch else None,
            "samples": self.params["samples"],
            "steps": self.params["steps"],
            "stopped": model.stop_training,
            "weights": model.get_weights(),
            "training": model.training_state(),
            "learning_rate": None if callable(rate) else rate,
            "random": rng.get_state(),
            "callbacks": [[name, callback.get_state()] for name, callback in self._stateful()],
        }
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._latest):
            os.replace(self._latest, self._previous)
        backup.write(self._latest, state)

    def _stateful(self) -> list[tuple[str, Any]]:
        """The other callbacks that have a state, with the names of their classes."""
        states = ((type(c).__name__, c) for c in self._others if hasattr(c, "get_state"))
        return [(name, callback) for name, callback in states if callback.get_state()]

    # ---- restore
    def on_train_begin(self, logs: Logs | None = None) -> None:
        from fastconv.models.loops import Place

        for left in glob.glob(os.path.join(glob.escape(self.backup_dir), ".*.safetensors.*.tmp")):
            os.remove(left)  # of a write that was cut off
        self._schedule.batches = 0
        self._again = None
        state = self._read()
        if state is None:
            return
        self._check(state)
        if not self.model._resumes:
            self._restore_model(state)
            self.model._place = Place(state["epoch"])
            return
        self._restore(state)
        epoch, batch = state["epoch"], state["batch"]
        if state["stopped"] and not batch:
            epoch = max(epoch, self.params["epochs"])  # it had ended
        self.model._place = Place(epoch, batch, state["order"], state["sums"])
        self._again = state if batch else None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch
        if self._again is not None:  # what the others do as an epoch begins was done before
            self._restore(self._again)
            self._again = None

    def _read(self) -> dict[str, Any] | None:
        from fastconv.saving import backup

        found = [path for path in (self._latest, self._previous) if os.path.exists(path)]
        for i, path in enumerate(found):
            try:
                return backup.read(path)
            except (OSError, ValueError):
                if i + 1 == len(found):
                    raise
        return None

    def _check(self, state: dict[str, Any]) -> None:
        expected = [weight.shape for weight in self.model.weights]
        received = [weight.shape for weight in state["weights"]]
        if received != expected:
            raise ValueError(f"{self._latest}: expected weights of the shapes {expected}. Received: {received}")
        if not self.model._resumes:
            return
        names, saved = ([name for name, _ in pairs] for pairs in (self._stateful(), state["callbacks"]))
        if names != saved:
            raise ValueError(f"resume: expected the callbacks of the run that was cut off, {saved}. Received: {names}")
        for name in ("samples", "steps"):
            if state["batch"] and state[name] != self.params[name]:
                raise ValueError(f"resume: expected {state[name]} {name} an epoch. Received: {self.params[name]}")

    def _restore_model(self, state: dict[str, Any]) -> None:
        self.model.restore_training_state(state["training"])
        self.model.set_weights(state["weights"])
        if state["learning_rate"] is not None:
            self.model.optimizer.learning_rate = state["learning_rate"]

    def _restore(self, state: dict[str, Any]) -> None:
        self._restore_model(state)
        for (_, callback), (_, its) in zip(self._stateful(), state["callbacks"], strict=True):
            callback.set_state(its)
        self.model.stop_training = state["stopped"]
        rng.set_state(state["random"])

    def on_train_end(self, logs: Logs | None = None) -> None:
        if not self.delete_checkpoint or self.model.history.interrupted:
            return
        for path in (self._previous, self._latest):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
        with contextlib.suppress(OSError):  # something else is in it
            os.rmdir(self.backup_dir)
