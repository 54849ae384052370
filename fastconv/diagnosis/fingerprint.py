"""A hash of a model's bits: two runs that print the same one ended with the same weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

_FORM = b"fastconv fingerprint 1\n"


def fingerprint(model: Any, include_optimizer: bool = False) -> str:
    """The SHA-256 of a model's weights: the same bits have the same hash, on any device, in any process.

    Hashed are the weights in the order of `model.weights`, each with its place, its name within its layer ("kernel"),
    its shape and its bytes. Names of layers are not: automatic ones count the layers that the process made before.

    Args:
        model: built.
        include_optimizer: hash also the number of training steps and the optimizer's slots, what training goes on with.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: if the model has no weights yet, or no optimizer is there to include.

    >>> print(fastconv.fingerprint(model)[:16])  # for a paper, or to compare two runs
    """
    if not model.built:
        raise ValueError(
            f"fingerprint: expected a model with weights. Received: {model.name!r}, which is not built. Start it with "
            "an Input, or call fit first"
        )
    if include_optimizer and model.optimizer is None:
        raise ValueError(f"fingerprint: expected a compiled model to include its optimizer. Received: {model.name!r}")
    digest = hashlib.sha256(_FORM)
    _add(digest, ((weight.name, weight.array) for weight in model.weights))
    if include_optimizer:
        steps = model.optimizer.iterations
        digest.update(f"optimizer {type(model.optimizer).__name__} after {steps} steps\n".encode())
        for slot, arrays in (model.optimizer_slots() if steps else {}).items():  # all zeros before the first step
            _add(digest, ((slot, array) for array in arrays))
    return digest.hexdigest()


def _add(digest: Any, arrays: Iterable[tuple[str, np.ndarray]]) -> None:
    for place, (name, array) in enumerate(arrays):
        digest.update(f"{place} {name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array, "<f4"))
