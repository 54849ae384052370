"""Labels and images as pictures take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastconv.labels import require

MOST_CLASSES = 1000  # a confusion matrix of more is a matter of gigabytes, and of no picture


def class_numbers(y: Any, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The class of each sample, int64 (N,), and what it was given with where there is a column for each class.

    Args:
        y: class numbers (N,) or (N, 1), or a column for each class, (N, classes): one-hot labels or probabilities, of
            which the largest counts (the first of equals).
        name: what errors call it.

    Raises:
        ValueError: on another shape, no sample, or numbers that are no classes.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "biuf" or y.ndim not in (1, 2) or 0 in y.shape:
        raise ValueError(
            f"{name}: expected class numbers of shape (N,) or (N, 1), or a column for each class, (N, classes), of one "
            f"sample or more. Received: dtype {y.dtype}, shape {y.shape}"
        )
    if y.ndim == 2 and y.shape[1] > 1:
        require(y, np.isfinite, f"{name}: expected finite numbers")
        best = y.argmax(axis=1)
        return best, y[np.arange(len(y)), best]
    y = y.reshape(len(y))
    expected = (
        f"{name}: expected class numbers from 0 to {MOST_CLASSES - 1} where there is one column. For probabilities of "
        "one class give (probabilities > 0.5)"
    )
    require(y, lambda v: (v >= 0) & (v < MOST_CLASSES) & (v == np.floor(v)), expected)
    return y.astype(np.int64), None


def class_names(classes: Sequence[str] | None, count: int) -> list[str]:
    """`classes`, or numbers where it is None.

    Raises:
        ValueError: if there are fewer than `count`.
    """
    if classes is None:
        return [str(i) for i in range(count)]
    names = [str(name) for name in classes] if isinstance(classes, Iterable) and not isinstance(classes, str) else []
    if len(names) < count:
        raise ValueError(
            f"classes: expected a list of {count} names or more, as the labels need. Received: classes={classes!r}"
        )
    return names


def as_pictures(x: Any, name: str) -> np.ndarray:
    """Images as float32 from 0 to 1, of shape (N, H, W) or (N, H, W, 3).

    Whole numbers and floats beyond 1 are taken for 0..255; floats beyond that, or below 0, are stretched from the
    smallest to the largest of all images, such as those of standardized images.

    Raises:
        ValueError: on another shape, no image, or numbers that are not finite.
    """
    x = np.asarray(x)
    grey = x.ndim == 3 or (x.ndim == 4 and x.shape[-1] == 1)
    if x.dtype.kind not in "biuf" or not (grey or (x.ndim == 4 and x.shape[-1] == 3)) or 0 in x.shape:
        raise ValueError(
            f"{name}: expected images of shape (N, H, W, 3), (N, H, W, 1) or (N, H, W), none of these 0. "
            f"Received: dtype {x.dtype}, shape {x.shape}"
        )
    whole = x.dtype.kind in "iu"
    x = x.astype(np.float32).reshape(x.shape[:3] if grey else x.shape)
    require(x, np.isfinite, f"{name}: expected finite numbers")
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 255:
        return (x - low) / max(high - low, np.finfo(np.float32).tiny)
    return x / 255 if whole or high > 1 else x
