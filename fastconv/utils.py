"""Small helpers with Keras' names: one-hot labels, seeding, and a fresh start for layer names."""

from __future__ import annotations

import operator
import random
from typing import Any

import numpy as np

from fastconv.geometry import positive_int

__all__ = ["clear_session", "set_random_seed", "to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Turns class numbers into one-hot rows, for use with `categorical_crossentropy`.

    Args:
        x: array-like of class numbers 0..num_classes - 1. A last axis of length 1, as in CIFAR-10's (N, 1) labels, is
            dropped. Floats are accepted where every value is a whole number.
        num_classes: length of a row. Default: the largest number in `x` plus one.

    Returns:
        A float64 array (as in Keras) of the shape of `x` plus one axis of length `num_classes`.

    Raises:
        ValueError: `x` holds something else than whole numbers, or one outside 0..num_classes - 1.

    Example:

    >>> to_categorical([[0], [2]], num_classes=3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    labels = np.asarray(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels.reshape(labels.shape[:-1])
    if labels.dtype.kind not in "biuf":
        raise ValueError(f"to_categorical expects whole numbers. Received: x of dtype {labels.dtype}")
    if num_classes is None and not labels.size:
        raise ValueError(f"to_categorical needs num_classes when x is empty. Received: x of shape {labels.shape}")
    if labels.dtype.kind == "f":
        _refuse(labels, labels != np.floor(labels), "whole numbers")
        _refuse(labels, np.isinf(labels), "whole numbers")
    _refuse(labels, labels < 0, "class numbers of at least 0")
    if num_classes is None:
        num_classes = int(labels.max()) + 1
    else:
        num_classes = positive_int(num_classes, "num_classes")
        _refuse(labels, labels >= num_classes, f"class numbers 0 to {num_classes - 1} (num_classes={num_classes})")

    rows = np.zeros((labels.size, num_classes))
    rows[np.arange(labels.size), labels.reshape(-1).astype(np.int64)] = 1
    return rows.reshape(*labels.shape, num_classes)


def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, NumPy and fastconv, so that what follows is repeatable to the bit.

    Weights, the shuffling of `fit` and Dropout all draw from it.

    Args:
        seed: an int, 0 to 2**32 - 1 (NumPy's range).

    Example:

    >>> set_random_seed(7)
    """
    from fastconv import rng

    try:
        number = operator.index(seed)
    except TypeError:
        raise ValueError(f"seed must be an int. Received: seed={seed!r}") from None
    if not 0 <= number < 2**32:
        raise ValueError(f"seed must be 0 to 2**32 - 1. Received: seed={number}")
    random.seed(number)
    np.random.seed(number)
    rng.set_seed(number)


def clear_session() -> None:
    """Starts the automatic names over: the next Conv2D is "conv2d" again, the next functional model "functional"."""
    from fastconv.layers import base

    base.reset_names()


def _refuse(labels: np.ndarray, wrong: np.ndarray, expected: str) -> None:
    """Raises over the first label where `wrong` is true (NaN is wrong already as "not a whole number")."""
    if wrong.any():
        index = np.unravel_index(int(np.argmax(wrong)), labels.shape)
        where = ", ".join(map(str, index))
        raise ValueError(f"to_categorical expects {expected}. Received: x[{where}]={labels[index]}")
