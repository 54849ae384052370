"""Penalties of weights, by Keras' names: part of the loss, in training and in evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.checks import number
from fastconv.settings import Configurable


class Regularizer(Configurable):
    """Base: l1 * sum(|w|) + l2 * sum(w^2). Other penalties have no kernel: use L1, L2 or L1L2.

    Source: keras.regularizers.Regularizer.
    """

    l1 = l2 = 0.0

    def __call__(self, x) -> float:
        """The penalty of an array."""
        x = np.asarray(x, np.float64)
        return float(self.l1 * np.abs(x).sum() + self.l2 * np.square(x).sum())


class L1(Regularizer):
    """l1 * sum(|w|).

    Args:
        l1: the factor.

    Raises: ValueError unless it is a finite number >= 0.
    Source: keras.regularizers.L1.

    >>> L1(0.5)([1, -2])
    1.5
    """

    def __init__(self, l1: float = 0.01):
        self.l1 = number(l1, "l1", 0)


class L2(Regularizer):
    """l2 * sum(w^2).

    Args:
        l2: the factor.

    Raises: ValueError unless it is a finite number >= 0.
    Source: keras.regularizers.L2.

    >>> L2(0.5)([1, -2])
    2.5
    """

    def __init__(self, l2: float = 0.01):
        self.l2 = number(l2, "l2", 0)


class L1L2(Regularizer):
    """l1 * sum(|w|) + l2 * sum(w^2).

    Args:
        l1: factor of the absolute values.
        l2: factor of the squares.

    Raises: ValueError unless they are finite numbers >= 0.
    Source: keras.regularizers.L1L2.

    >>> L1L2(0.5, 0.5)([1, -2])
    4.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1, self.l2 = number(l1, "l1", 0), number(l2, "l2", 0)


l1, l2, l1_l2 = L1, L2, L1L2

_KNOWN = {"L1": L1, "L1L2": L1L2, "L2": L2, "l1": L1, "l1_l2": L1L2, "l2": L2}


def get(identifier: str | Regularizer | None, argument: str = "regularizer") -> Regularizer | None:
    """A regularizer: by its name, of its class with defaults, or `identifier` itself, None included.

    Raises:
        ValueError: listing the known names.
    """
    if identifier is None or isinstance(identifier, Regularizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Regularizer):
        return identifier()
    if isinstance(identifier, str) and identifier in _KNOWN:
        return _KNOWN[identifier]()
    raise ValueError(
        f"{argument}: expected None, L1, L2, L1L2 or one of {sorted(_KNOWN)}. Received: {argument}={identifier!r}"
    )


def penalized(owner: Any) -> bool:
    """Whether weights of a model or a graph add to the loss: as in Keras, not where they are frozen."""
    return any(w.regularizer is not None and w not in owner.frozen for w in owner.weights)


def emit(graph: Any, w: Any, dw: Any, places: Any, samples: int, at: int) -> None:
    """Emits the penalties: their sum, times `samples`, into entry `at` of the totals, and their gradient.

    Args:
        graph: of the plan.
        w: buffer of the flat parameters.
        dw: buffer of their gradient, which the penalties' is added to, or None.
        places: (weight, begin, end) of each weight in them.
        samples: in a batch: what is divided by the number of samples seen is the penalty again.
        at: entry of `graph.totals`.
    """
    found = [place for place in places if place[0].regularizer is not None]
    ranges = np.array([(begin, end) for _, begin, end in found], np.int64)
    made = {b.owner for step in graph.steps for b in step.writes.values() if b.kind == "gradient"}
    rates = np.array([(w.regularizer.l1, w.regularizer.l2, w in made) for w, _, _ in found], np.float32)
    constants = {"ranges": graph.constant("ranges", ranges), "rates": graph.constant("rates", rates)}
    graph.emit("penalty", {"dw": dw, "totals": graph.sums(at, 1)}, w=w, **constants, samples=samples)
