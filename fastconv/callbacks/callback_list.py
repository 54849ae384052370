"""The callbacks of one run, called together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastconv.callbacks.backup_and_restore import BackupAndRestore
from fastconv.callbacks.base import HOOKS, Callback, Logs
from fastconv.callbacks.history import History


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
        # What a backup saves are the states that the others have then.
        self.callbacks.sort(key=lambda callback: isinstance(callback, BackupAndRestore))
        for callback in self.callbacks:
            callback.set_params(params or {})
            callback.set_model(model)
            if isinstance(callback, BackupAndRestore):
                callback.set_callbacks([other for other in self.callbacks if other is not callback])
        # Steps can be as short as 100 us, so per-batch hooks that nobody overrides must not cost a call each.
        self._batch_hooks = {
            hook: [getattr(callback, hook) for callback in self.callbacks if _overrides(callback, hook)]
            for hook in _BATCH_HOOKS
        }

    def resumes(self, asked: bool) -> bool:
        """Whether a run is to go on from a backup as if it had not been cut off.

        Raises:
            ValueError: if it is asked for and there is no `BackupAndRestore`.
        """
        if asked and not any(isinstance(callback, BackupAndRestore) for callback in self.callbacks):
            raise ValueError("resume: expected a BackupAndRestore among the callbacks. Received: none")
        return bool(asked)

    @property
    def ends_on_nan(self) -> bool:
        """Whether a callback ends training on a loss that is not finite: ours or Keras' own."""
        return any(base.__name__ == "TerminateOnNaN" for one in self.callbacks for base in type(one).__mro__)

    @property
    def may_save(self) -> bool:
        """Whether a callback may save the weights at the end of an epoch: all but those that only show results."""
        from fastconv.progress import ProgressCallback

        return any(
            _overrides(one, "on_epoch_end")
            for one in self.callbacks
            if not isinstance(one, (History, ProgressCallback))
        )

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


_OLDER = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}
_BATCH_HOOKS = tuple(name for name in HOOKS if name.endswith(("_batch_begin", "_batch_end")) and name.count("_") == 3)


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
    names = (hook, _OLDER[hook]) if hook in _OLDER else (hook,)
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
