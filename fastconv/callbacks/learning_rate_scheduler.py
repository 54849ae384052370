"""A learning rate for each epoch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastconv.callbacks.base import Callback, Logs
from fastconv.checks import refused, verbosity


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch, and puts it as "learning_rate" into the logs at its end.

    Args:
        schedule: function of the epoch, counted from 0, and the learning rate so far (or of the epoch alone), which
            returns the new one, a float.
        verbose: 1 tells the rate of each epoch.

    Raises:
        ValueError: at the beginning of an epoch, if the function returned no float.
    Source: keras.callbacks.LearningRateScheduler.

    >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        if not callable(schedule):
            raise refused("schedule", "a function of the epoch and the learning rate", schedule)
        self.schedule, self.verbose = schedule, verbosity(verbose)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        except TypeError:  # a function of the epoch alone, as older Keras had it
            rate = self.schedule(epoch)
        if not isinstance(rate, (float, np.floating)):
            raise ValueError(f"schedule: expected a function that returns a float. Received: {rate!r}")
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
