"""One thing, a list, or a dict by names: what models take for inputs, outputs and arrays, as a flat list and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv.layers.base import Tensor

Keys = tuple[str, ...] | int | None  # of a dict, sorted; the length of a list; None for a thing alone


def flatten(tensors: Any, argument: str) -> tuple[Keys, list[Tensor]]:
    """The form of `tensors` and a list of them; those of a dict in the order of its sorted keys, as in Keras.

    Raises:
        ValueError: if there is none, or something else.
    """
    keys: Keys = None
    if isinstance(tensors, dict):
        keys = tuple(sorted(tensors))
        tensors = [tensors[key] for key in keys]
    elif isinstance(tensors, (list, tuple)):
        keys = len(tensors)
    else:
        tensors = [tensors]
    if not tensors:
        raise ValueError(f"{argument}: expected at least one tensor. Received: none")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f"{argument}: expected tensors of Input(...) or a layer. Received: {type(tensor).__name__}"
            )
    return keys, list(tensors)


def packed(values: Sequence[Any], keys: Keys) -> Any:
    """A list of values in the form they were given in; one in a list is that one, as in Keras."""
    if isinstance(keys, tuple):
        return dict(zip(keys, values, strict=True))
    return values[0] if len(values) == 1 else list(values)


def names(tensors: Sequence[Tensor], keys: Keys) -> list[str]:
    """What tells tensors apart: keys, or the names of their layers."""
    return list(keys) if isinstance(keys, tuple) else [tensor.node.layer.name for tensor in tensors]


def arranged(values: Any, names: Sequence[str], argument: str) -> list[Any]:
    """One value per name: a dict's, a list's in its order, or the only one.

    Raises:
        ValueError: if one is missing or too much.
    """
    if isinstance(values, dict):
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(f"{argument}: expected the keys {list(names)}. Received: {sorted(map(str, values))}")
        return [values[name] for name in names]
    if len(names) == 1:
        in_list = isinstance(values, (list, tuple)) and len(values) == 1 and getattr(values[0], "ndim", 0)
        return [values[0] if in_list else values]
    if not isinstance(values, (list, tuple)) or len(values) != len(names):
        received = f"{len(values)} of them" if isinstance(values, (list, tuple)) else type(values).__name__
        raise ValueError(f"{argument}: expected a list or dict for {list(names)}. Received: {received}")
    return list(values)
