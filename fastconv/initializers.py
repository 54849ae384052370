"""Initial values of weights, by Keras' names."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastconv import rng


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many inputs an output sees and how many outputs an input reaches: receptive field x channels.

    >>> fans((3, 3, 32, 64))
    (288, 576)
    """
    if len(shape) < 2:
        return (shape[0] if shape else 1,) * 2
    receptive = math.prod(shape[:-2])
    return receptive * shape[-2], receptive * shape[-1]


def glorot_uniform(shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    limit = math.sqrt(6 / sum(fans(shape)))
    return rng.generator().uniform(-limit, limit, shape).astype(np.float32)


def zeros(shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape, np.float32)


def ones(shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape, np.float32)


_KNOWN = {"glorot_uniform": glorot_uniform, "zeros": zeros, "ones": ones}


def get(identifier: str | Callable) -> Callable[[tuple[int, ...]], np.ndarray]:
    """The initializer called `identifier`, or `identifier` itself if it is a callable from shape to array.

    Raises:
        ValueError: listing the known names.
    """
    if callable(identifier):
        return identifier
    if identifier not in _KNOWN:
        raise ValueError(f"initializer: expected a callable or one of {sorted(_KNOWN)}. Received: {identifier!r}")
    return _KNOWN[identifier]
