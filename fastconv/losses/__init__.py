"""Losses, by Keras' names: means over the samples of a batch, whose gradient training follows."""

from __future__ import annotations

from typing import Any

from fastconv.losses.base import Loss
from fastconv.losses.crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from fastconv.losses.regression import Huber, MeanAbsoluteError, MeanSquaredError

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "get",
]

_KNOWN = {
    "bce": BinaryCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "huber": Huber,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}
_KEYS = (
    _KNOWN | {name.upper(): _KNOWN[name] for name in ("bce", "mae", "mse")} | {c.__name__: c for c in _KNOWN.values()}
)


def get(identifier: Any) -> Loss:
    """A loss object: `identifier` itself, or a new one by its name.

    Args:
        identifier: a loss, or its name in Keras: "mean_squared_error", "MeanSquaredError", "mse" or "MSE".

    Raises:
        ValueError: listing the known names.

    >>> get("mse").name
    'mean_squared_error'
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str) and identifier in _KEYS:
        return _KEYS[identifier]()
    raise ValueError(f"loss: expected a Loss or one of {sorted(_KNOWN)}. Received: {identifier!r}")
