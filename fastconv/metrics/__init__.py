"""Metrics, by Keras' names: sums over the samples of all batches. What a loss counts anyway costs no pass."""

from __future__ import annotations

from typing import Any

from fastconv.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from fastconv.metrics.base import Metric
from fastconv.metrics.confusion import AUC, Precision, Recall
from fastconv.metrics.means import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
)

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "check",
    "get",
]

_BY_SHAPE = ("accuracy", "acc")
_KNOWN = {
    "auc": AUC,
    "bce": BinaryCrossentropy,
    "binary_accuracy": BinaryAccuracy,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_accuracy": CategoricalAccuracy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "precision": Precision,
    "recall": Recall,
    "root_mean_squared_error": RootMeanSquaredError,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
    "top_k_categorical_accuracy": TopKCategoricalAccuracy,
}
_KEYS = (
    _KNOWN | {name.upper(): _KNOWN[name] for name in ("bce", "mae", "mse")} | {c.__name__: c for c in _KNOWN.values()}
)


def check(identifier: Any) -> None:
    """Raises ValueError, listing the known names, unless `identifier` is a metric or the name of one."""
    if isinstance(identifier, Metric) or isinstance(identifier, str) and (identifier in (*_BY_SHAPE, *_KEYS)):
        return
    raise ValueError(f"metrics: expected a Metric or one of {sorted((*_BY_SHAPE, *_KNOWN))}. Received: {identifier!r}")


def get(identifier: Any, target_shape, output_shape) -> Metric:
    """A metric object: `identifier` itself, or a new one by its name in Keras, which it keeps.

    Args:
        identifier: a metric or its name; of "accuracy" there are several, and the shapes decide.
        target_shape: of the labels that the loss reads, batch first.
        output_shape: of the model's output.

    Raises:
        ValueError: listing the known names.

    >>> type(get("accuracy", (32,), (32, 10))).__name__
    'SparseCategoricalAccuracy'
    """
    check(identifier)
    if isinstance(identifier, Metric):
        return identifier
    if identifier not in _BY_SHAPE:
        return _KEYS[identifier](name=identifier)
    if output_shape[-1] == 1:
        return BinaryAccuracy(name=identifier)
    is_sparse = len(target_shape) < len(output_shape) or target_shape[-1] == 1
    return (SparseCategoricalAccuracy if is_sparse else CategoricalAccuracy)(name=identifier)
