"""Evaluation with the moving average of the weights."""

from __future__ import annotations

from fastconv.callbacks.base import Callback, Logs
from fastconv.checks import flag


class SwapEMAWeights(Callback):
    """Puts the optimizer's moving average of the weights in their place while the model evaluates or predicts.

    Args:
        swap_on_epoch: whether the average is there from the end of an epoch to the beginning of the next, too: for
            callbacks behind this one, such as `ModelCheckpoint`. The training ends with it in any case.

    Raises:
        ValueError: when it is used, if the optimizer keeps no average (`use_ema=True`).
    Source: keras.callbacks.SwapEMAWeights.

    >>> swap = SwapEMAWeights(swap_on_epoch=True)
    """

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = flag(swap_on_epoch, "swap_on_epoch")

    def _put(self, average: bool) -> None:
        if not getattr(self.model.optimizer, "use_ema", False):
            raise ValueError("SwapEMAWeights: expected an optimizer with use_ema=True. Received: one without")
        self.model._ready().swap_average(average)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._put(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._put(True)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._put(True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._put(False)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._put(True)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._put(False)
