"""Hooks into `fit`, `evaluate` and `predict` with Keras' protocol: what to do when an epoch or a batch begins or ends.

The progress bar is one of them and has its own file, progress.py.
"""

from __future__ import annotations

import csv
import os
import weakref
from collections.abc import Callable, Iterable
from typing import Any, TextIO

Logs = dict[str, Any]

__all__ = ["CSVLogger", "Callback", "CallbackList", "History", "LambdaCallback"]


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


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        **hooks: functions by hook name, each called as `Callback`'s method of that name, without `self`.

    Example:

    >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(self, **hooks: Callable[..., None] | None) -> None:
        super().__init__()
        for name, function in hooks.items():
            if name not in _HOOKS:
                raise ValueError(f"LambdaCallback expects names of hooks: {', '.join(_HOOKS)}. Received: {name!r}")
            if function is not None:
                setattr(self, name, function)


class CSVLogger(Callback):
    """Writes the epochs' means to a CSV file, one row an epoch, on disk when the epoch ends.

    The columns are "epoch" and the names of the first epoch, sorted; a value missing later is written as "NA".

    Args:
        filename: path of the file.
        separator: what stands between two values.
        append: go on at the end of an existing file, without a second header.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self._file: TextIO | None = None
        self._keys: list[str] | None = None
        self._needs_header = True

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._close()  # a run that ended with an error left it open
        self._needs_header = not (self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0)
        self._keys = None
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.separator)
        if self._keys is None:
            self._keys = sorted(logs)
            if self._keys and not any(key.startswith("val_") for key in self._keys):
                # Keras keeps columns for a validation that may start in a later epoch (validation_freq).
                self._keys += [f"val_{key}" for key in self._keys]
            if self._needs_header:
                writer.writerow(["epoch", *self._keys])
        writer.writerow([epoch, *(logs.get(key, "NA") for key in self._keys)])
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class CallbackList:
    """The callbacks of one run, called together; always with a `History`, and with a progress bar if `verbose`.

    Args:
        callbacks: a callback or a list of them.
        model: the model at work.
        params: dict with "verbose", "epochs", "steps" and "samples".
        verbose: "auto", 0, 1 or 2.

    Attributes:
        history: the run's `History`, the given one where `callbacks` has one.
    """

    def __init__(
        self,
        callbacks: Callback | Iterable[Callback] | None = None,
        model: Any = None,
        params: dict[str, Any] | None = None,
        verbose: int | str = 0,
    ) -> None:
        from fastconv.progress import ProgressCallback, verbosity

        self.callbacks = _as_list(callbacks)
        given = [callback for callback in self.callbacks if isinstance(callback, History)]
        self.history = given[0] if given else History()
        if not given:
            self.callbacks.append(self.history)
        if verbosity(verbose) and not any(isinstance(callback, ProgressCallback) for callback in self.callbacks):
            self.callbacks.append(ProgressCallback(verbose))
        for callback in self.callbacks:
            callback.set_params(params or {})
            callback.set_model(model)
        # Steps can be as short as 100 us, so per-batch hooks that nobody overrides must not cost a call each.
        self._batch_hooks = {
            hook: [getattr(callback, hook) for callback in self.callbacks if _overrides(callback, hook)]
            for hook in _BATCH_HOOKS
        }

    def logs_due(self, hook: str) -> bool:
        """Whether a callback would read the means after a batch now. On a device they cost a wait.

        A callback that looks at them only now and then says so by a method `logs_due(hook)`.

        Args:
            hook: "train" or "test".
        """
        for method in self._batch_hooks[f"on_{hook}_batch_end"]:
            due = getattr(getattr(method, "__self__", None), "logs_due", None)
            if due is None or due(hook):
                return True
        return False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._call("on_train_begin", _plain(logs))

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._call("on_train_end", _plain(logs))

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._call("on_epoch_begin", epoch, _plain(logs))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._call("on_epoch_end", epoch, _plain(logs))

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._call("on_test_begin", _plain(logs))

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._call("on_test_end", _plain(logs))

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._call("on_predict_begin", _plain(logs))

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._call("on_predict_end", _plain(logs))

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self._batch_hooks["on_train_batch_begin"]:
            hook(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self._batch_hooks["on_train_batch_end"]:
            hook(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self._batch_hooks["on_test_batch_begin"]:
            hook(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self._batch_hooks["on_test_batch_end"]:
            hook(batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self._batch_hooks["on_predict_batch_begin"]:
            hook(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self._batch_hooks["on_predict_batch_end"]:
            hook(batch, logs)

    def _call(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*args)


_HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
_BATCH_HOOKS = tuple(name for name in _HOOKS if name.endswith(("_batch_begin", "_batch_end")) and name.count("_") == 3)


def _as_list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    if isinstance(callbacks, CallbackList):
        return list(callbacks.callbacks)
    items = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    for item in items:
        # Anything with the hooks will do, such as a Keras callback that needs no more of its model than these.
        if isinstance(item, type) or not hasattr(item, "on_epoch_end"):
            raise TypeError(
                "callbacks must be instances of fastconv.callbacks.Callback. "
                f"Received: {f'the class {item.__name__} itself' if isinstance(item, type) else repr(item)}"
            )
    return items


def _overrides(callback: Any, hook: str) -> bool:
    """Whether calling the hook would do anything: it, or the older name it forwards to, is not `Callback`'s own."""
    names = (hook, hook.replace("on_train_", "on_")) if hook.startswith("on_train_batch") else (hook,)
    return any(
        name in vars(callback) or getattr(type(callback), name, None) is not getattr(Callback, name) for name in names
    )


def _plain(logs: Logs | None) -> Logs:
    """A copy with Python floats, its keys sorted as Keras does."""
    return {key: _number(value) for key, value in sorted((logs or {}).items())}


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value
