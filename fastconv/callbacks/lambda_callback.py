"""A callback made of functions."""

from __future__ import annotations

from collections.abc import Callable

from fastconv.callbacks.base import HOOKS, Callback

Hook = Callable[..., None] | None


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin: a function that is called as `Callback`'s method of this name, without `self`; as all others.
        on_epoch_end: see there.
        on_train_begin: see there.
        on_train_end: see there.
        on_train_batch_begin: see there.
        on_train_batch_end: see there.
        **kwargs: functions for other hooks.

    Raises:
        ValueError: if there is no hook of a name.

    Example:

    >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(
        self,
        on_epoch_begin: Hook = None,
        on_epoch_end: Hook = None,
        on_train_begin: Hook = None,
        on_train_end: Hook = None,
        on_train_batch_begin: Hook = None,
        on_train_batch_end: Hook = None,
        **kwargs: Hook,
    ) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in hooks.items():
            if name not in HOOKS:
                raise ValueError(f"LambdaCallback expects names of hooks: {', '.join(HOOKS)}. Received: {name!r}")
            if function is not None:
                setattr(self, name, function)
