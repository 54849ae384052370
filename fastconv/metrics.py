"""Metrics, by Keras' names. What a loss counts anyway costs no pass of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.settings import Configurable

_ACCURACY = ("accuracy", "acc")


class Metric(Configurable):
    """Base: entries of a vector of sums over the samples, and what they say.

    Subclasses define `state_size` (how many entries), `emit` (steps that write those of a batch), `result`, and
    `direction`, which is better, "up" or "down" (None: nobody knows).

    Args:
        name: in logs and the history.
    """

    state_size = 2
    direction: str | None = None

    def __init__(self, name: str):
        self.name = name

    def target(self, output_shape) -> tuple[tuple, str]:
        """Shape and dtype of the labels, where no loss of the same output says it."""
        return tuple(output_shape), "float"

    def emit(self, graph, output, target, sample_weight, at: int) -> None:
        """Emits what writes the entries of `graph.totals` from `at` on, for one batch."""
        raise NotImplementedError

    def result(self, state: np.ndarray) -> float:
        """The metric, from its entries summed over batches."""
        raise NotImplementedError


class Accuracy(Metric):
    """Share of the samples whose largest output is at their label (the first of equals).

    Its entries are how many these are, and how many samples there were: crossentropy counts both.
    """

    direction = "up"

    def emit(self, graph, output, target, sample_weight, at):
        raise ValueError(f"{self.name}: expected a crossentropy as the loss of the same output, to count right answers")

    def result(self, state):
        right, count = state
        return float(right / count)


def check(identifier: Any) -> None:
    """Raises ValueError, listing the known names, unless `identifier` is a metric or the name of one."""
    if not isinstance(identifier, Metric) and identifier not in _ACCURACY:
        raise ValueError(f"metrics: expected names out of {sorted(_ACCURACY)}. Received: {identifier!r}")


def get(identifier: str | Metric, target_shape, output_shape) -> Metric:
    """A metric object: `identifier` itself, or a new one by its name.

    Args:
        identifier: a metric or its name; of "accuracy" there are several, and the shapes decide.
        target_shape: of the labels that the loss reads, batch first.
        output_shape: of the model's output.

    Raises:
        ValueError: listing the known names.
    """
    check(identifier)
    return identifier if isinstance(identifier, Metric) else Accuracy(identifier)
