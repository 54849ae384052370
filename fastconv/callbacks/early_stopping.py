"""An end of training where it no longer helps."""

from __future__ import annotations

import math

from fastconv.callbacks.base import Logs
from fastconv.callbacks.monitor import Monitor
from fastconv.checks import flag, number, verbosity


class EarlyStopping(Monitor):
    """Ends `fit` when a number of the logs has stopped improving.

    Args:
        monitor: name in the logs, as "val_loss" or "accuracy".
        min_delta: a smaller change is no improvement.
        patience: epochs without an improvement after which training ends.
        verbose: 1 tells when it ends.
        mode: "min", "max", or "auto", which asks the loss or metric of that name.
        baseline: a value that has to be beaten, too, for the patience to start anew.
        restore_best_weights: whether to end with the weights of the best epoch instead of the last.
        start_from_epoch: epochs before it do not count.

    Raises:
        ValueError: at the end of the first epoch, if the mode is "auto" and nobody knows which direction is better.
    Source: keras.callbacks.EarlyStopping.

    >>> stop = EarlyStopping(monitor="loss", patience=3)
    """

    state_names = ("best", "best_epoch", "best_weights", "stopped_epoch", "wait")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose = number(patience, "patience", 0, math.inf), verbosity(verbose)
        self.baseline = None if baseline is None else number(baseline, "baseline", -math.inf, math.inf)
        self.restore_best_weights = flag(restore_best_weights, "restore_best_weights")
        self.start_from_epoch = number(start_from_epoch, "start_from_epoch", 0)
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best = self.best_weights = None
        self.wait = self.stopped_epoch = self.best_epoch = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.maximizes()  # an unknown direction is an error from the first epoch on
        current = self.value(logs, "Early stopping conditioned on")
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.is_better(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_better(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
