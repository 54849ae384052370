"""The state of a run of `fit` in a file: a safetensors file of its arrays, with all else as JSON beside them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from fastconv.saving.atomic import atomic_write
from fastconv.saving.safetensors_file import check_length

FORMAT, _VERSION = "fastconv.backup", "1"
_ARRAY = "$array"


def write(path: str, state: dict[str, Any]) -> None:
    """Replaces the file by one of this state: dicts and lists of numbers, words, None and NumPy arrays."""
    from safetensors.numpy import save

    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_without_arrays(state, arrays), default=lambda number: number.item())
    content = save(arrays, {"format": FORMAT, "version": _VERSION, "state": text})
    with atomic_write(path) as file:
        file.write(content)


def read(path: str) -> dict[str, Any]:
    """The state in a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or no file of a backup.
    """
    from safetensors import SafetensorError, safe_open

    check_length(path)
    try:
        with safe_open(path, framework="np") as file:
            about = file.metadata() or {}
            if about.get("format") != FORMAT or about.get("version") != _VERSION:
                raise ValueError(f"expected format {FORMAT!r}, version {_VERSION}. Received: {about.get('format')!r}")
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        return _with_arrays(json.loads(about["state"]), arrays)
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} is damaged or no backup: {error}") from error


def _without_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """`value` with a name in place of each array, which is put into `arrays`."""
    if isinstance(value, np.ndarray):
        name = str(len(arrays))
        arrays[name] = np.ascontiguousarray(value)
        return {_ARRAY: name}
    if isinstance(value, dict):
        return {key: _without_arrays(item, arrays) for key, item in value.items()}
    return [_without_arrays(item, arrays) for item in value] if isinstance(value, (list, tuple)) else value


def _with_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    return [_with_arrays(item, arrays) for item in value] if isinstance(value, list) else value
