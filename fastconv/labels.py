"""What losses and metrics take: labels as the arrays that they read, checked in full, and their dtype."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_dtype(dtype: Any) -> None:
    """Raises ValueError for a dtype that losses and metrics do not compute in."""
    if dtype is not None and not (isinstance(dtype, str) and dtype == "float32"):
        raise ValueError(f'dtype: expected None or "float32". Received: dtype={dtype!r}')


def numeric(y, name: str) -> np.ndarray:
    y = np.asarray(y)
    if y.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected y of real numbers. Received: dtype {y.dtype}")
    if y.ndim == 0:
        raise ValueError(f"{name}: expected an array of labels, the samples as its first axis. Received: {y}")
    return y


def like_output(y, output_shape, name: str) -> np.ndarray:
    """`y` as float32 in the shape of the output; a last axis of length 1 may be on one side alone."""
    y, shape = numeric(y, name), tuple(output_shape[1:])
    found = y
    if y.ndim == len(shape) + 2 and y.shape[-1] == 1:
        found = y[..., 0]
    elif y.ndim == len(shape) and shape[-1] == 1:
        found = y[..., None]
    if found.shape[1:] != shape:
        raise ValueError(
            f"{name}: expected y of shape ({', '.join(map(str, ('N', *shape)))}), as the output's. "
            f"Received: y of shape {y.shape}{_advice(y, shape)}"
        )
    require(found, lambda samples: np.isfinite(samples), f"{name}: expected finite labels")
    return np.ascontiguousarray(found, dtype=np.float32)


def class_numbers(y, output_shape, name: str) -> np.ndarray:
    """`y` as int32 in the shape of the output without its last axis, which may be there with length 1."""
    y, (*shape, classes) = numeric(y, name), output_shape[1:]
    if y.shape[1:] == (*shape, classes) and classes != 1:
        raise ValueError(
            f"{name}: expected one integer label per sample. Received: y of shape {y.shape}, which looks "
            'one-hot: use loss="categorical_crossentropy", or y.argmax(axis=-1)'
        )
    if y.shape[1:] not in ((*shape,), (*shape, 1)):
        rows = ", ".join(map(str, ("N", *shape)))
        raise ValueError(
            f"{name}: expected y of shape ({rows}{'' if shape else ','}) or ({rows}, 1). Received: shape {y.shape}"
        )
    y = y.reshape(len(y), *shape)
    require(
        y,
        lambda samples: (samples >= 0) & (samples < classes) & (samples == np.floor(samples)),
        f"{name}: expected whole labels from 0 to {classes - 1}, as the model has {classes} outputs",
    )
    return y.astype(np.int32)


def require(y, valid, expected: str) -> None:
    """Raises ValueError with the first label that is not valid, its sample, and how many there are."""
    good = valid(y)
    if good.all():
        return
    bad = np.argwhere(~good)
    raise ValueError(f"{expected}. Received: {y[tuple(bad[0])]} at sample {bad[0][0]} ({len(bad)} such labels)")


def _advice(y, shape) -> str:
    classes = shape[-1]
    if classes == 1 or y.shape[1:] not in (shape[:-1], (*shape[:-1], 1)):
        return ""
    return ', which looks like integer labels: use loss="sparse_categorical_crossentropy", or utils.to_categorical(y)'
