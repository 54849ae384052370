"""Whole models to and from Keras' .keras files: a zip archive of config.json, metadata.json and model.weights.h5."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv.layers.weight import weights_from_file
from fastconv.models import Model
from fastconv.models.model import require_built
from fastconv.saving import keras_compile, keras_weights
from fastconv.saving.atomic import StrPath, atomic_write
from fastconv.saving.hdf5 import FormatError, read_arrays
from fastconv.saving.keras_config import users_classes
from fastconv.saving.keras_model import model_entry, model_of

SUFFIX = ".keras"
KERAS_VERSION = "3.15.1"  # whose files these are like
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MAX_CONFIG_BYTES = 1 << 24
_MAX_RATIO = 100  # of a member to its compressed size: Keras compresses nothing, a zip bomb 1000-fold


def save_model(model: Model, path: StrPath, include_optimizer: bool = True) -> None:
    """Writes layers, weights, settings of `compile` and the optimizer's state to a `.keras` file, whole or not at all.

    Keras 3.15 opens it.

    Args:
        model: a built model.
        path: the file, ending in ".keras"; an existing one is replaced.
        include_optimizer: False leaves out the optimizer's state.

    Raises:
        ValueError: the name ends otherwise, the model is not built, or holds what no file can name, such as a function
            of the user's own. A class of theirs is named, and `load_model` has to be given it.
        ImportError: without h5py.
        OSError: the file cannot be written; what was there before is unchanged.
    """
    path = os.fspath(path)
    if not path.endswith(SUFFIX):
        raise ValueError(f'filepath: expected a name that ends in "{SUFFIX}". Received: {path!r}')
    require_built(model)
    config = {**model_entry(model), "compile_config": keras_compile.config_of(model)}
    keras_compile.store_policy(config, model.dtype_policy)
    metadata = {"keras_version": KERAS_VERSION, "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S")}
    members = {
        _METADATA: json.dumps(metadata).encode(),
        _CONFIG: json.dumps(config).encode(),
        _WEIGHTS: keras_weights.write(model, include_optimizer),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    with atomic_write(path) as file:
        file.write(content.getvalue())


def load_model(filepath: StrPath, custom_objects: Mapping[str, type] | None = None, compile: bool = True) -> Model:  # noqa: A002 (Keras' word)
    """The model of a `.keras` file, of Keras' or of ours: as it was saved, ready to go on.

    Nothing of the file is executed: layers and settings are looked up among fastconv's own and those given. The whole
    file is checked before a model is returned, and no more memory is taken than it has weights.

    Args:
        filepath: the file.
        custom_objects: classes of your own that the file may name, by their names. Their `from_config` is called with
            settings out of the file.
        compile: whether to compile the model as it was and to restore the optimizer's state. Where there is no GPU, a
            model of the policy "mixed_bfloat16" is compiled with "float32", with a warning.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: a ValueError: the file is damaged, or has what fastconv has no equivalent for, by name.
        TypeError: one of `custom_objects` is no class of a layer or of other settings.

    >>> model = fastconv.load_model("cnn.keras")
    >>> model = fastconv.load_model("mine.keras", custom_objects={"Scale": Scale})
    """
    path = os.fspath(filepath)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no model file {path}")
    with open(path, "rb") as file, users_classes(custom_objects):
        return load(file.read(), path, compile)


def load(content: bytes, source: str, compile: bool = True) -> Model:  # noqa: A002
    """The model of a file's content, as `load_model`; `source` names it in errors."""
    try:
        members = _members(content)
        config = _json(members, _CONFIG)
        arrays = read_arrays(members[_WEIGHTS])
        with weights_from_file(sum(array.size for array in arrays.values())):
            model = model_of(config)
        keras_weights.assign(model, arrays, _order(config, model))
        if compile and isinstance(config.get("compile_config"), dict):
            keras_compile.compile_model(model, config)
            keras_weights.assign_state(model, arrays)
    except FormatError as error:
        raise FormatError(f"{source}: {error}") from error
    return model


def contents(content: bytes) -> tuple[dict[str, Any], dict[str, Any], dict[str, np.ndarray]]:
    """Config, metadata and arrays of a file's content, for those who look into it without making a model of it."""
    members = _members(content)
    return _json(members, _CONFIG), _json(members, _METADATA), read_arrays(members[_WEIGHTS])


def _members(content: bytes) -> dict[str, bytes]:
    """The three files of the archive, each read by its name and never unpacked to disk."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: _member(archive, name, len(content)) for name in (_CONFIG, _METADATA, _WEIGHTS)}
    except FormatError:
        raise
    except Exception as error:  # zipfile lets errors of many kinds through on damaged archives
        raise FormatError(f"damaged, or no .keras file: {error}") from error


def _member(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise FormatError(f"expected {name} in it. Received: {archive.namelist()[:5]}") from None
    limit = _MAX_RATIO * size if name == _WEIGHTS else _MAX_CONFIG_BYTES
    if info.file_size > min(limit, _MAX_RATIO * max(info.compress_size, 1)):
        raise FormatError(f"expected {name} of reasonable size. Received: {info.file_size} bytes")
    return archive.read(info)


def _json(members: dict[str, bytes], name: str) -> dict[str, Any]:
    try:
        config = json.loads(members[name])
    except (ValueError, RecursionError) as error:
        raise FormatError(f"expected a {name} that can be read. Received: {error}") from error
    if not isinstance(config, dict):
        raise FormatError(f"expected a {name} of names and values. Received: {type(config).__name__}")
    return config


def _order(config: dict[str, Any], model: Model) -> list[str] | None:
    """Names of the layers as Keras counted them in the weights file."""
    if config["class_name"] == "Sequential":
        return None
    names = [str(entry["config"].get("name")) for entry in config["config"]["layers"]]
    if sorted(names) != sorted(layer.name for layer in model.layers):
        raise FormatError(f"expected a name of its own for every layer that the outputs need. Received: {names}"[:300])
    return names
