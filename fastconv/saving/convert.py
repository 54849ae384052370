"""Models of Keras' to fastconv's and back, in memory: layers, weights, settings of `compile`, the optimizer's state."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from fastconv.models import Model
from fastconv.saving.keras_file import load_model, save_model


def from_keras(model: Any, custom_objects: Mapping[str, type] | None = None) -> Model:
    """A fastconv model like a Keras one.

    Args:
        model: a built `keras.Sequential` or functional `keras.Model`.
        custom_objects: fastconv's layers of your own, by the names of the Keras layers they stand for (`load_model`).

    Raises:
        FormatError: naming what fastconv has no equivalent for.

    >>> fastconv.from_keras(keras.models.load_model("old.h5")).save("new.keras")
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        return load_model(path, custom_objects)


def to_keras(model: Model) -> Any:
    """A Keras model like a fastconv one.

    Args:
        model: a built model of layers that Keras has.

    Raises:
        ImportError: without keras or h5py.
    """
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        save_model(model, path)
        return keras.saving.load_model(path)
