"""Metrics of outputs above and below thresholds: their entries count the outputs between each two of them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastconv.checks import flag, refused
from fastconv.metrics.base import Metric, ratio

_EPSILON = 1e-7  # Keras'


class _Confusion(NamedTuple):
    """Weights of what is above each threshold ("positives") and of what is not, by whether the label agrees."""

    true_positives: np.ndarray
    false_negatives: np.ndarray
    false_positives: np.ndarray
    true_negatives: np.ndarray


class _AtThresholds(Metric):
    """Args: `thresholds`, ascending; an output that equals one is not above it."""

    direction = "up"

    def __init__(self, name, dtype, thresholds: Sequence[float]):
        from fastconv.layers.base import auto_name

        super().__init__(auto_name(type(self).__name__) if name is None else name, dtype)
        self._thresholds = np.asarray(thresholds, np.float32)
        self.state_size = 2 * (len(self._thresholds) + 1)

    def emit(self, graph, output, target, sample_weight, at):
        self._require_like_output(output, target)
        thresholds = graph.constant("thresholds", self._thresholds)
        writes = {"totals": graph.sums(at, self.state_size)}
        graph.emit("confusion", writes, x=output, target=target, thresholds=thresholds, sample_weight=sample_weight)

    def _confusion(self, state) -> _Confusion:
        places = state.reshape(2, -1)
        above, below = np.cumsum(places[:, ::-1], axis=1)[:, -2::-1], np.cumsum(places, axis=1)[:, :-1]
        return _Confusion(above[0], below[0], above[1], below[1])


def _is_share(value) -> bool:
    return isinstance(value, numbers.Real) and 0 <= value <= 1


def _single(thresholds) -> list[float]:
    given = [0.5] if thresholds is None else thresholds
    given = list(given) if isinstance(given, (list, tuple, np.ndarray)) else [given]
    if len(given) != 1 or not _is_share(given[0]):
        raise ValueError(
            f"thresholds: expected None or one number from 0 to 1. Received: thresholds={thresholds!r} (several are "
            "several metrics)"
        )
    return given


def _none(**arguments) -> None:
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"{name}: expected None (others are not supported). Received: {name}={value!r}")


class Precision(_AtThresholds):
    """Share of the outputs above a threshold that have a label of 1; 0 where none is above it.

    Args:
        thresholds: number from 0 to 1; None is 0.5.
        top_k: None.
        class_id: None.
        name: in logs and the history; None is "precision", "precision_1", ...
        dtype: None or "float32".

    Source: keras.metrics.Precision.

    >>> model.compile("adam", "binary_crossentropy", metrics=[Precision(0.7)])
    """

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(name, dtype, _single(thresholds))
        _none(top_k=top_k, class_id=class_id)
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id

    def result(self, state):
        found = self._confusion(state)
        return ratio(found.true_positives[0], found.true_positives[0] + found.false_positives[0])


class Recall(_AtThresholds):
    """Share of the outputs with a label of 1 that are above a threshold; 0 where there is no such label.

    Args:
        thresholds: number from 0 to 1; None is 0.5.
        top_k: None.
        class_id: None.
        name: in logs and the history; None is "recall", "recall_1", ...
        dtype: None or "float32".

    Source: keras.metrics.Recall.

    >>> model.compile("adam", "binary_crossentropy", metrics=[Recall()])
    """

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(name, dtype, _single(thresholds))
        _none(top_k=top_k, class_id=class_id)
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id

    def result(self, state):
        found = self._confusion(state)
        return ratio(found.true_positives[0], found.true_positives[0] + found.false_negatives[0])


class AUC(_AtThresholds):
    """Area under a curve of a classifier's thresholds, by sums between evenly spaced ones.

    Args:
        num_thresholds: number of them, at least 2; one below 0 and one above 1 are among them.
        curve: "ROC" (recall over the share of false alarms) or "PR" (precision over recall).
        summation_method: "interpolation" (trapezoids; for "PR" after Davis and Goadrich 2006), or rectangles,
            "minoring" or "majoring".
        name: in logs and the history; None is "auc", "auc_1", ...
        dtype: None or "float32".
        thresholds: numbers from 0 to 1 in place of evenly spaced ones; the two at the ends come besides.
        multi_label: False: all outputs are taken together.
        num_labels: None.
        label_weights: None.
        from_logits: whether the outputs are logits, else probabilities.

    Source: keras.metrics.AUC.

    >>> model.compile("adam", "binary_crossentropy", metrics=[AUC(curve="PR")])
    """

    def __init__(
        self,
        num_thresholds=200,
        curve="ROC",
        summation_method="interpolation",
        name=None,
        dtype=None,
        thresholds=None,
        multi_label=False,
        num_labels=None,
        label_weights=None,
        from_logits=False,
    ):
        _none(multi_label=multi_label or None, num_labels=num_labels, label_weights=label_weights)
        if str(curve).upper() not in ("ROC", "PR"):
            raise ValueError(f'curve: expected "ROC" or "PR". Received: curve={curve!r}')
        if str(summation_method).lower() not in _HEIGHTS:
            raise ValueError(
                f"summation_method: expected one of {list(_HEIGHTS)}. Received: summation_method={summation_method!r}"
            )
        self.thresholds, self.multi_label, self.num_labels = thresholds, multi_label, num_labels
        self.label_weights, self.from_logits = label_weights, flag(from_logits, "from_logits")
        if thresholds is not None and (np.ndim(thresholds) != 1 or not all(map(_is_share, thresholds))):
            raise refused("thresholds", "None or numbers from 0 to 1", thresholds)
        self.num_thresholds = _count(num_thresholds) if thresholds is None else len(thresholds) + 2
        self.curve, self.summation_method = str(curve).upper(), str(summation_method).lower()
        super().__init__(name, dtype, _logits(self._edges()) if self.from_logits else self._edges())

    def _edges(self) -> np.ndarray:
        """What an output is above if it is in one of the places after."""
        if self.thresholds is None:
            return _even_edges(self.num_thresholds)
        inner = np.sort(np.asarray(self.thresholds, np.float64))
        even = np.arange(self.num_thresholds) / (self.num_thresholds - 1)
        if len(inner) and np.allclose([0, *inner, 1], even, atol=_EPSILON):
            return _even_edges(self.num_thresholds)
        return np.array([-_EPSILON, *inner, 1 + _EPSILON])

    def result(self, state):
        found = self._confusion(state)
        recall = _ratios(found.true_positives, found.true_positives + found.false_negatives)
        if self.curve == "ROC":
            x, y = _ratios(found.false_positives, found.false_positives + found.true_negatives), recall
        elif self.summation_method == "interpolation":
            return _interpolated_precision(found)
        else:
            x, y = recall, _ratios(found.true_positives, found.true_positives + found.false_positives)
        return float(((x[:-1] - x[1:]) * _HEIGHTS[self.summation_method](y[:-1], y[1:])).sum())


_HEIGHTS = {"interpolation": lambda a, b: (a + b) / 2, "minoring": np.minimum, "majoring": np.maximum}


_MOST = 1_000_000  # thresholds, with four counts each


def _count(num_thresholds) -> int:
    if not isinstance(num_thresholds, numbers.Integral) or not 2 <= num_thresholds <= _MOST:
        raise ValueError(
            f"num_thresholds: expected an integer > 1, at most {_MOST}. Received: num_thresholds={num_thresholds!r}"
        )
    return int(num_thresholds)


def _even_edges(count: int) -> np.ndarray:
    """Edges of the places ceil(p * (count - 1)) - 1, at least 0, where Keras counts a p of evenly spaced thresholds.

    An edge is the largest float32 whose product, rounded, is at most a whole number.
    """
    steps, whole = np.float32(count - 1), np.arange(1, count - 1, dtype=np.float32)
    edges = whole / steps
    while (edges * steps > whole).any():
        edges = np.where(edges * steps > whole, np.nextafter(edges, np.float32(0)), edges)
    while ((above := np.nextafter(edges, np.float32(2))) * steps <= whole).any():
        edges = np.where(above * steps <= whole, above, edges)
    return np.array([-math.inf, *edges, math.inf])


def _logits(p: np.ndarray) -> np.ndarray:
    inside = (p > 0) & (p < 1)
    odds = np.where(inside, p, 0.5) / (1 - np.where(inside, p, 0.5))
    return np.where(inside, np.log(odds), np.where(p >= 1, math.inf, -math.inf))


def _ratios(a, b) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


def _interpolated_precision(found: _Confusion) -> float:
    """Area under precision over recall, true and false positives being linear between thresholds."""
    positives = found.true_positives + found.false_positives
    rise, run = -np.diff(found.true_positives), -np.diff(positives)
    slope = _ratios(rise, np.maximum(run, 0))
    intercept = found.true_positives[1:] - slope * positives[1:]
    both = (positives[:-1] > 0) & (positives[1:] > 0)
    shares = np.where(both, positives[:-1], 1) / np.where(both, positives[1:], 1)
    parts = slope * (rise + intercept * np.log(shares))
    return float(_ratios(parts, found.true_positives[1:] + found.false_negatives[1:]).sum())
