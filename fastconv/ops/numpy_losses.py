"""The reference of losses and metrics."""

from __future__ import annotations

import numpy as np

_LOW = np.float64(np.float32(1e-7))  # Keras' epsilon; probabilities are clipped in float32
_HIGH = np.float64(np.float32(1 - 1e-7))


def _clipped(p):
    """Probabilities within Keras' bounds, and 1 where they were not moved, else 0."""
    clipped = np.clip(p, _LOW, _HIGH)
    return clipped, np.where((p < _LOW) | (p > _HIGH), 0, 1)


def _logistic(x):
    return np.where(x > 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def _binary_crossentropy(p, t, parameter):
    q, inside = _clipped(p)
    return -t * np.log(q) - (1 - t) * np.log(1 - q), inside * ((1 - t) / (1 - q) - t / q)


def _binary_crossentropy_of_logits(x, t, parameter):
    return np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x))), _logistic(x) - t


def _huber(x, t, delta):
    d = x - t
    far = np.abs(d) > delta
    return np.where(far, delta * (np.abs(d) - delta / 2), d * d / 2), np.where(far, delta * np.sign(d), d)


# Value and derivative of an element.
_FUNCTIONS = {
    "mean_squared_error": lambda x, t, _: ((x - t) ** 2, 2 * (x - t)),
    "mean_absolute_error": lambda x, t, _: (np.abs(x - t), np.sign(x - t)),
    "huber": _huber,
    "binary_crossentropy": _binary_crossentropy,
    "binary_crossentropy_of_logits": _binary_crossentropy_of_logits,
    "accuracy": lambda x, t, _: (np.where(np.isnan(x), np.nan, x == t), np.zeros_like(x)),
    "binary_accuracy": lambda x, t, threshold: ((x > threshold) == t, np.zeros_like(x)),
}


def _rows(x, labels, label_smoothing):
    """x as rows of classes, and their labels as distributions."""
    classes = x.shape[-1]
    y = np.eye(classes, dtype=x.dtype)[labels] if labels.ndim < x.ndim else labels
    y = y.reshape(-1, classes) * (1 - label_smoothing) + label_smoothing / classes
    return x.reshape(-1, classes), y


def _weights(x, sample_weight):
    return np.ones(x.shape[0] if x.ndim > 1 else 1) if sample_weight is None else sample_weight


def _sample_means(values, samples):
    return values.reshape(samples, -1).mean(axis=1, dtype=np.float64)


def _write(totals, values, second, dx, gradient, weights, weight):
    """The sums of a loss from `values` and the `gradient` of each, of rows or elements."""
    totals[0] = (weights * _sample_means(values, len(weights))).sum()
    totals[1] = second
    if dx is not None:
        share = weight * weights / values.size
        dx[...] = (gradient.reshape(len(weights), -1) * share[:, None]).reshape(dx.shape)


class NumpyLosses:
    """The methods of `fastconv.ops.numpy_ops.NumpyOps` that are losses and metrics."""

    def softmax_xent(self, x, labels, totals, dx, sample_weight=None, label_smoothing=0.0, weight=1.0):
        weights, (rows, y) = _weights(x, sample_weight), _rows(x, labels, label_smoothing)
        shifted = rows - rows.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        losses = np.where(y == 0, 0, log_sum - shifted)  # a class without label costs nothing, also at -Inf
        hits = _sample_means(rows.argmax(axis=1) == y.argmax(axis=1), len(weights)).sum()
        gradient = np.exp(shifted - log_sum) * y.sum(axis=1, keepdims=True) - y
        _write(totals, (y * losses).sum(axis=1), hits, dx, gradient, weights, weight)

    def categorical_crossentropy(self, x, labels, totals, dx, sample_weight=None, label_smoothing=0.0, weight=1.0):
        weights, (rows, y) = _weights(x, sample_weight), _rows(x, labels, label_smoothing)
        if labels.ndim < x.ndim:
            q, inside = _clipped(rows)
            total, label_sum = q.sum(axis=1, keepdims=True), y.sum(axis=1, keepdims=True)
            losses = (y * (np.log(total) - np.log(q))).sum(axis=1)
            gradient = inside * (label_sum / total - y / q)
        else:
            total = rows.sum(axis=1, keepdims=True)
            q, inside = _clipped(rows / total)
            losses = -(y * np.log(q)).sum(axis=1)
            slope = -inside * y / q
            gradient = (slope - (slope * rows / total).sum(axis=1, keepdims=True)) / total
        hits = _sample_means(rows.argmax(axis=1) == y.argmax(axis=1), len(weights)).sum()
        _write(totals, losses, hits, dx, gradient, weights, weight)

    def loss(
        self,
        x,
        target,
        totals,
        dx,
        workspace,
        function,
        parameter=0.0,
        sample_weight=None,
        label_smoothing=0.0,
        weight=1.0,
    ):
        weights, t = _weights(x, sample_weight), target.reshape(x.shape) * (1 - label_smoothing) + label_smoothing / 2
        values, gradient = _FUNCTIONS[function](x, t, parameter)
        _write(totals, values, weights.sum(), dx, gradient, weights, weight)

    def categorical_accuracy(self, x, labels, totals, k=0, sample_weight=None):
        weights, (rows, y) = _weights(x, sample_weight), _rows(x, labels, 0.0)
        label = y.argmax(axis=1)
        larger = (rows > np.take_along_axis(rows, label[:, None], axis=1)).sum(axis=1)
        found = rows.argmax(axis=1) == label if k == 0 else (larger < k) & np.isfinite(rows).all(axis=1)
        totals[0] = (weights * _sample_means(found, len(weights))).sum()
        totals[1] = weights.sum()

    def confusion(self, x, target, thresholds, totals, sample_weight=None):
        weights = np.broadcast_to(_weights(x, sample_weight)[:, None], (len(x), x.size // len(x))).reshape(-1)
        x, is_class = x.reshape(-1), target.reshape(-1) != 0
        place = (x[:, None] > thresholds).sum(axis=1)
        place[np.isnan(x)] = len(thresholds)
        amounts = np.where(np.isnan(x), np.nan, weights)
        for i, members in enumerate((is_class, ~is_class)):
            counts = np.bincount(place[members], amounts[members], len(thresholds) + 1)
            totals[i * len(counts) : (i + 1) * len(counts)] = counts
