"""What all callbacks have: the hooks, which do nothing, and the state that a backup keeps."""

from __future__ import annotations

from typing import Any

Logs = dict[str, Any]


class Callback:
    """Base class of callbacks: override the hooks you need, pass instances as `callbacks=[...]`.

    A per-batch hook that is not overridden costs nothing, as it is never called.

    Attributes:
        model: the model at work. Setting `self.model.stop_training = True` ends `fit`.
        params: dict with "verbose", "epochs", "steps" and "samples".

    Example:

    >>> class StopAtHalf(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.stop_training = logs["accuracy"] >= 0.5
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] | None = None

    state_names: tuple[str, ...] = ()  # attributes that change from epoch to epoch

    def get_state(self) -> dict[str, Any]:
        """What `BackupAndRestore` keeps of this callback: what JSON can hold, NumPy arrays, and lists of arrays."""
        return {name: getattr(self, name) for name in self.state_names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from `get_state` of a callback made with the same arguments; called after `on_train_begin`."""
        for name in self.state_names:
            setattr(self, name, state[name])

    def set_params(self, params: dict[str, Any]) -> None:
        """Receives the run's parameters before its first hook."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Receives the model before the first hook."""
        self.model = model

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called once when `fit` starts."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once when `fit` ends, interrupted or not; `logs` are those of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called when epoch number `epoch`, counted from 0, starts."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after an epoch and its validation; `logs` has the epoch's means, validation ones as "val_...".

        All callbacks see the same dict: what one adds, the later ones and the history have too.
        """

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before training step number `batch` of the epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a training step; `logs` has the running means of the epoch, and "size", the batch's length."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called when `evaluate`, or the validation in `fit`, starts."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called when `evaluate`, or the validation in `fit`, ends."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of `evaluate` or of the validation in `fit`."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of `evaluate` or of the validation in `fit`; `logs` has the running means."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called when `predict` starts."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called when `predict` ends."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of `predict`."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
