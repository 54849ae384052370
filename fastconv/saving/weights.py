"""The weights of a model to and from a file: safetensors, or Keras' .weights.h5."""

from __future__ import annotations

import os
import re
from typing import Any

from fastconv.saving import keras_weights, safetensors_file
from fastconv.saving.atomic import StrPath, atomic_write
from fastconv.saving.hdf5 import FormatError, read_arrays

_SAFETENSORS, _KERAS = ".safetensors", ".weights.h5"


def save_weights(model: Any, path: StrPath) -> None:
    """Writes the model's weights to a file, whole or not at all.

    Args:
        model: a model that has weights.
        path: the file, ending in ".safetensors" or, for Keras, ".weights.h5"; an existing one is replaced.

    Raises:
        ValueError: the name ends otherwise, or the model has no weights yet.
        OSError: the file cannot be written; what was there before is unchanged.
        ImportError: for Keras, without h5py.
    """
    path = _checked(model, path)
    content = keras_weights.write(model) if path.endswith(_KERAS) else safetensors_file.write(model)
    with atomic_write(path) as file:
        file.write(content)


def load_weights(model: Any, path: StrPath) -> None:
    """Reads weights of the same layers, written by `save_weights` or by Keras, into a model.

    The whole file is checked before the first weight changes: after an error the model is as it was.

    Args:
        model: a model that has weights.
        path: the file, ending in ".safetensors" or ".weights.h5".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or holds the weights of another model.
    """
    path = _checked(model, path)
    if os.path.isdir(path):
        raise ValueError(f"Expected a weights file. Received a folder: {path}")
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no weights file {path}")
    if not path.endswith(_KERAS):
        safetensors_file.read_into(model, path)
        return
    with open(path, "rb") as file:
        content = file.read()
    try:
        keras_weights.assign(model, read_arrays(content))
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def _checked(model: Any, path: StrPath) -> str:
    path = os.fspath(path)
    if not path.endswith((_SAFETENSORS, _KERAS)):
        stem = re.sub(r"(\.weights)?\.(h5|hdf5|keras)$", "", path)
        raise ValueError(
            f'Weights are kept in files whose names end in "{_SAFETENSORS}" or, as Keras has them, "{_KERAS}", such as '
            f"{stem + _SAFETENSORS!r}. Received: path={path!r}"
        )
    if not model.built or not model.weights:
        raise ValueError(
            f"The model {model.name!r} has no weights yet, so there is nothing to save to or load from {path!r}. "
            "Start it with an Input, or call fit first."
        )
    return path
