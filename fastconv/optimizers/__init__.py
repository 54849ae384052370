"""Optimizers, by Keras' names and formulas. An update is one pass over the flat parameters."""

from __future__ import annotations

from fastconv.optimizers import schedules
from fastconv.optimizers.adam import Adam, AdamW
from fastconv.optimizers.base import Optimizer
from fastconv.optimizers.rmsprop import RMSprop
from fastconv.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "schedules"]

_KNOWN = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "sgd": SGD}


def get(identifier: str | Optimizer) -> Optimizer:
    """An optimizer object: `identifier` itself, or a new one with defaults by its name.

    Raises:
        ValueError: listing the known names.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in _KNOWN:
        return _KNOWN[identifier.lower()]()
    raise ValueError(f"optimizer: expected an Optimizer or one of {sorted(_KNOWN)}. Received: {identifier!r}")
