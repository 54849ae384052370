"""An end of training where nothing can become of it."""

from __future__ import annotations

import math

from fastconv.callbacks.base import Callback, Logs
from fastconv.checks import flag


class TerminateOnNaN(Callback):
    """Ends `fit` when the loss is NaN or infinite, as in Keras, and leaves the model as it is then. On a device it
    waits for each step, to read its loss.

    Without this callback `fit` raises a `NonFiniteError` that says where the value came up, and with the model as the
    step before left it (`fastconv.diagnosis`).

    Args:
        raise_error: whether to end with an error, so that `on_train_end` is not called and backups stay.

    Raises:
        RuntimeError: after such a batch, with `raise_error`.
    Source: keras.callbacks.TerminateOnNaN.

    >>> guard = TerminateOnNaN()
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = flag(raise_error, "raise_error")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. Terminating training immediately."
            )
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
