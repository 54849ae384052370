"""What metrics have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastconv.checks import text
from fastconv.labels import check_dtype, like_output
from fastconv.settings import Configurable

if TYPE_CHECKING:
    import numpy.typing as npt


class Metric(Configurable):
    """Base: entries of a vector of sums over the samples, and what they say.

    Subclasses define `state_size` (how many entries), `emit` (steps that write those of a batch), `result`, and
    `direction`, which is better, "up" or "down" (None: nobody knows).

    Args:
        name: in logs and the history.
        dtype: None or "float32".
    """

    state_size = 2
    direction: str | None = None

    def __init__(self, name: str, dtype: str | None = None):
        check_dtype(dtype)
        self.name, self.dtype = text(name, "name"), dtype

    def target(self, output_shape) -> tuple[tuple, str]:
        """Shape and dtype of the labels, where no loss of the same output says it."""
        return tuple(output_shape), "float"

    def labels_of(self, y: npt.ArrayLike, output_shape) -> np.ndarray:
        """`y` as the array of `target`, checked in full, where no loss of the same output does it."""
        return like_output(y, output_shape, self.name)

    def emit(self, graph, output, target, sample_weight, at: int) -> None:
        """Emits what writes the entries of `graph.totals` from `at` on, for one batch."""
        raise NotImplementedError

    def result(self, state: np.ndarray) -> float:
        """The metric, from its entries summed over batches."""
        raise NotImplementedError

    def _require_like_output(self, output, target) -> None:
        """Raises ValueError unless the labels that the loss of the same output reads are numbers in its shape."""
        if target.shape != output.shape or target.dtype != "float":
            raise ValueError(
                f"{self.name}: expected labels in the shape of the output, {output.shape}. Received: those of the "
                f"loss, {target.dtype} of shape {target.shape}"
            )

    def _require_class_numbers(self, target) -> None:
        """Raises ValueError unless the labels that the loss of the same output reads are numbers of classes."""
        if target.dtype != "int32":
            raise ValueError(
                f"{self.name}: expected numbers of classes as labels. Received: those of the loss, {target.dtype} of "
                f"shape {target.shape}; use {self.name.removeprefix('sparse_')!r}"
            )


class MeanMetric(Metric):
    """A mean over samples; its entries are the weighted sum and the sum of the weights."""

    def result(self, state):
        total, weights = state[:2]
        return ratio(total, weights)


def ratio(a: float, b: float) -> float:
    """a / b, and 0 where there is nothing to divide, as in Keras."""
    return float(a / b) if b != 0 else 0.0
