"""Functions of Keras' and TensorFlow's that fastconv has in another form."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import fastconv


class PhysicalDevice(NamedTuple):
    """As of TensorFlow: a name such as "/physical_device:GPU:0", and "CPU" or "GPU"."""

    name: str
    device_type: str


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The processors that models run on here: the CPU, and a GPU where fastconv uses it.

    Args:
        device_type: "CPU" or "GPU" alone; None for all.
    Source: tf.config.list_physical_devices.
    """
    kinds = ["CPU", "GPU"] if fastconv.get_device() == "cuda" else ["CPU"]
    return [PhysicalDevice(f"/physical_device:{kind}:0", kind) for kind in kinds if device_type in (None, kind)]


class Picture:
    """What `plot_model` returns: a drawing in a notebook, its file's name elsewhere."""

    def __init__(self, path: Path, svg: str):
        self._path, self._svg = path, svg

    def __repr__(self) -> str:
        return f"<Picture in {self._path}>"

    def _repr_svg_(self) -> str:
        return self._svg


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Picture:
    """Draws a model with `fastconv.plot.plot_model`: as SVG, so that `to_file` ends in .svg whatever was asked for.

    Args:
        model: a built model.
        to_file: the file to write, but for its ending.
        show_shapes: for Keras' sake, as all others but the next: the drawing has names, classes and shapes in any case.
        show_dtype: see `show_shapes`.
        show_layer_names: see `show_shapes`.
        rankdir: see `show_shapes`.
        expand_nested: whether models used as layers are drawn with the layers inside them.
        dpi: see `show_shapes`.
        show_layer_activations: see `show_shapes`.
        show_trainable: see `show_shapes`.
    Source: keras.utils.plot_model.
    """
    from fastconv.plot import plot_model

    path = Path(to_file).with_suffix(".svg")
    return Picture(path, plot_model(model, path, expand_nested=expand_nested))
