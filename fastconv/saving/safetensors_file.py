"""Weights to and from safetensors files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv.layers.base import snake_case

FORMAT = "fastconv.weights"
VERSION = "1"

_HEADER_LENGTH_BYTES = 8
# A header has about 120 bytes a weight. Without this bound a forged file could make the parser build 100 MB of them.
_MAX_HEADER_BYTES = 1 << 24
_MAX_LISTED = 4


def write(model: Any) -> bytes:
    """The content of a file of the model's weights. The names in it count layers, so that the automatic names of layers
    ("conv2d_3") do not matter to loading."""
    from safetensors.numpy import save

    import fastconv

    tensors = {key: np.ascontiguousarray(weight.array) for key, weight in _weights_by_key(model).items()}
    metadata = {"format": FORMAT, "version": VERSION, "fastconv": fastconv.__version__, "model": model.name}
    return save(tensors, metadata)


def read_into(model: Any, path: str) -> None:
    """Copies a file's arrays into the weights, all or none."""
    weights = _weights_by_key(model)
    arrays = _read(path, {key: tuple(weight.shape) for key, weight in weights.items()})
    for key, weight in weights.items():
        weight.assign(arrays[key])


def _weights_by_key(model: Any) -> dict[str, Any]:
    """The weights as "layers.<i>.<class>.<name>", where i counts the layers that have weights."""
    return {
        f"layers.{i}.{snake_case(type(layer).__name__)}.{weight.name}": weight
        for i, layer in enumerate(dict.fromkeys(_leaves(model)))
        for weight in layer.weights
    }


def _leaves(model: Any) -> Iterator[Any]:
    """The layers with weights, those of models within the model in their place."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        elif layer.weights:
            yield layer


def _read(path: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The file's arrays, once their names, types and shapes are found to be those of `shapes`."""
    from safetensors import SafetensorError, safe_open

    check_length(path)
    try:
        with safe_open(path, framework="np") as file:
            _check_format(path, file.metadata() or {})
            found = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            _check_names(path, shapes, found)
            _check_arrays(path, shapes, found)
            return {key: file.get_tensor(key) for key in shapes}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged or cut short: expected a whole safetensors file. Received: {error}"
        ) from error


def check_length(path: str) -> None:
    """Refuses what is too short, or whose header claims more than the file or reason allows."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        header = int.from_bytes(file.read(_HEADER_LENGTH_BYTES), "little")
    if size < _HEADER_LENGTH_BYTES or header > min(size - _HEADER_LENGTH_BYTES, _MAX_HEADER_BYTES):
        raise ValueError(
            f"{path} is cut short or is no safetensors file: expected 8 bytes with the length of the header, and the "
            f"header. Received: {size} bytes"
            + (f", which claim a header of {header}" if size >= _HEADER_LENGTH_BYTES else "")
        )


def _check_format(path: str, metadata: dict[str, str]) -> None:
    # Files of other origin have no such entry, or another one; their arrays decide.
    if metadata.get("format") == FORMAT and metadata.get("version") != VERSION:
        raise ValueError(
            f"{path} needs another version of fastconv: expected version {VERSION} of the file format. "
            f"Received: version {metadata.get('version')}, written by fastconv {metadata.get('fastconv')}"
        )


def _check_names(path: str, shapes: dict[str, Any], found: dict[str, Any]) -> None:
    missing = [key for key in shapes if key not in found]
    unexpected = [key for key in found if key not in shapes]
    if missing or unexpected:
        parts = [f"lacks {_listed(missing)}"] if missing else []
        parts += [f"has {_listed(sorted(unexpected))}, which the model has not"] if unexpected else []
        raise ValueError(
            f"{path} holds the weights of another model: expected {len(shapes)} arrays. "
            f"Received: {len(found)}; it {' and '.join(parts)}"
        )


def _check_arrays(path: str, shapes: dict[str, tuple[int, ...]], found: dict[str, Any]) -> None:
    wrong = []
    for key, shape in shapes.items():
        dtype, received = found[key].get_dtype(), tuple(found[key].get_shape())
        if dtype != "F32" or received != shape:
            wrong.append(f"{key}: expected float32 {shape}. Received: {dtype} {received}")
    if wrong:
        raise ValueError(
            f"{path} holds the weights of another model, {len(wrong)} of {len(shapes)} arrays differ: "
            + "; ".join(wrong[:_MAX_LISTED])
            + ("; ..." if len(wrong) > _MAX_LISTED else "")
        )


def _listed(keys: list[str]) -> str:
    return ", ".join(keys[:_MAX_LISTED]) + (f" and {len(keys) - _MAX_LISTED} more" if len(keys) > _MAX_LISTED else "")
