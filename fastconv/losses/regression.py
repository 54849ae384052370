"""Losses of numbers against numbers."""

from __future__ import annotations

from fastconv.checks import positive
from fastconv.labels import like_output
from fastconv.losses.base import OneStep


class _OfElements(OneStep):
    """The mean of a function of each output and its label."""

    function: str  # of csrc/loss/loss.h

    def labels_of(self, y, output_shape):
        return like_output(y, output_shape, self.name)

    def step(self, graph, output):
        return "loss", output, {"function": self.function}


class MeanSquaredError(_OfElements):
    """Mean of (output - label)^2.

    Args:
        reduction: see `Loss`.
        name: in messages.
        dtype: None or "float32".

    Labels: numbers in the shape of the output, (N, ...).
    Source: keras.losses.MeanSquaredError.

    >>> model.compile("adam", MeanSquaredError())
    """

    function = "mean_squared_error"

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_error", dtype=None):
        super().__init__(name, reduction, dtype)


class MeanAbsoluteError(_OfElements):
    """Mean of |output - label|; the gradient where they are equal is 0.

    Args:
        reduction: see `Loss`.
        name: in messages.
        dtype: None or "float32".

    Labels: numbers in the shape of the output, (N, ...).
    Source: keras.losses.MeanAbsoluteError.

    >>> model.compile("adam", MeanAbsoluteError())
    """

    function = "mean_absolute_error"

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_error", dtype=None):
        super().__init__(name, reduction, dtype)


class Huber(_OfElements):
    """Mean of d^2 / 2 where the difference d of output and label is at most delta, else of delta * (|d| - delta / 2).

    Args:
        delta: where the square becomes a line, > 0.
        reduction: see `Loss`.
        name: in messages.
        dtype: None or "float32".

    Labels: numbers in the shape of the output, (N, ...).
    Source: keras.losses.Huber.

    >>> model.compile("adam", Huber(delta=0.5))
    """

    function = "huber"

    def __init__(self, delta=1.0, reduction="sum_over_batch_size", name="huber_loss", dtype=None):
        super().__init__(name, reduction, dtype)
        self.delta = positive(delta, "delta")

    def step(self, graph, output):
        return "loss", output, {"function": self.function, "parameter": self.delta}
