"""Files that travel: weights, whole models, and their way to and from other frameworks."""

from __future__ import annotations

from fastconv.saving.atomic import atomic_write
from fastconv.saving.convert import from_keras, to_keras
from fastconv.saving.hdf5 import FormatError
from fastconv.saving.keras_file import load_model, save_model
from fastconv.saving.onnx_file import save_onnx
from fastconv.saving.torch_file import load_torch, save_torch
from fastconv.saving.weights import load_weights, save_weights

__all__ = [
    "FormatError",
    "atomic_write",
    "from_keras",
    "load_model",
    "load_torch",
    "load_weights",
    "save_model",
    "save_onnx",
    "save_torch",
    "save_weights",
    "to_keras",
]
