"""A smaller learning rate where a larger no longer helps."""

from __future__ import annotations

import math

from fastconv.callbacks.base import Logs
from fastconv.callbacks.monitor import Monitor
from fastconv.checks import fraction, number, verbosity


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by a factor when a number of the logs has stopped improving.

    It also puts "learning_rate", as the epoch ended with, into the logs.

    Args:
        monitor: name in the logs.
        factor: in [0, 1).
        patience: epochs without an improvement after which the rate is reduced.
        verbose: 1 tells of each reduction.
        mode: "min", "max", or "auto", which asks the loss or metric of that name.
        min_delta: a smaller change is no improvement.
        cooldown: epochs after a reduction that do not count.
        min_lr: the rate never goes below it.

    Raises:
        ValueError: if an argument is out of range; at the end of the first epoch, if the mode is "auto" and nobody
            knows which direction is better.
    Source: keras.callbacks.ReduceLROnPlateau.

    >>> reduce = ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=5, min_lr=0.001)
    """

    state_names = ("best", "cooldown_counter", "wait")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        super().__init__(monitor, mode, min_delta)
        self.factor, self.patience = fraction(factor, "factor"), number(patience, "patience", 0, math.inf)
        self.cooldown, self.min_lr = number(cooldown, "cooldown", 0), number(min_lr, "min_lr", 0)
        self.verbose = verbosity(verbose)
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best = None
        self.cooldown_counter = self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.maximizes()  # an unknown direction is an error from the first epoch on
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        current = self.value(logs, "Learning rate reduction is conditioned on")
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(current, self.best):
            self.best, self.wait = current, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        old = float(self.model.optimizer.learning_rate)
        if old <= self.min_lr:
            return
        new = max(old * self.factor, float(self.min_lr))
        self.model.optimizer.learning_rate = new
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        self.cooldown_counter, self.wait = self.cooldown, 0

    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0
