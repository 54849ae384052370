"""What each layer makes of an image."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv import rng
from fastconv.geometry import positive_int
from fastconv.models import Model, structure
from fastconv.plot.figure import SMALL, Path, finish, new_figure
from fastconv.plot.labels import as_pictures
from fastconv.plot.page import Page, colours_of

_TILE = 0.52  # inches


class Maps(NamedTuple):
    """The output of one call of a layer."""

    name: str
    values: np.ndarray  # (H, W, channels)


def plot_feature_maps(
    model: Model, image: Any, path: Path = None, *, layers: Sequence[str] | None = None, max_channels: int = 16
) -> list[Any]:
    """Draws an image and what the layers make of it, a row of channels for each, as in prediction.

    Each row has a scale of its own, at its right: from 0 up where no number is negative, else around 0, which is white
    (blue below, red above). What is not finite is black.

    Args:
        model: a model with layers whose output is images (H, W, channels); those of models inside it count.
        image: one sample of the model's input shape, with or without a batch axis of 1, scaled as in training; for a
            model with several inputs a list or dict of them.
        path: image file to write, whole or not at all. Default: a pyplot figure.
        layers: names of the layers to draw, "model/layer" inside another model. Default: all whose output is images,
            0.7 inches each.
        max_channels: most channels to draw of a layer, the first ones.

    Returns:
        The list of matplotlib axes, the images of the input first.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the image is not of the model's input shape, a name is unknown, or no layer makes images.

    Example:

    >>> plot_feature_maps(model, x_test[0], "feature_maps.png", layers=["conv2d", "conv2d_1"])  # doctest: +SKIP
    """
    most = positive_int(max_channels, "max_channels")
    samples = _samples(model, image)
    maps = _computed(model, samples)
    if layers is not None:
        maps = _chosen(maps, layers)
    if not maps:
        raise ValueError(f"plot_feature_maps: expected a model whose layers make images. Received: {model.name!r}, "
                         "none of whose layers has an output of shape (N, H, W, C)")  # fmt: skip
    inputs = [
        Maps(name, sample[0]) for name, sample in zip(model.input_names, samples, strict=True) if sample.ndim == 4
    ]

    page = Page(new_figure(path, 1, 1))
    labels = [_label(one, most) for one in (*inputs, *maps)]
    left = 0.2 + max(page.text_width(label, SMALL) for label in labels)
    axes, bars = [], []
    for i, (one, label) in enumerate(zip((*inputs, *maps), labels, strict=True)):
        height, width, channels = one.values.shape
        size = _TILE, _TILE * min(max(height / width, 0.25), 4)
        if i < len(inputs) and channels in (1, 3):
            picture = as_pictures(one.values[None], "image")[0]
            ax, _ = page.tiles(left, [[picture]], size, {"cmap": "gray", "vmin": 0, "vmax": 1})
        else:
            tiles = [one.values[:, :, c] for c in range(min(most, channels))]
            ax, image = page.tiles(left, [tiles], size, colours_of(one.values))
            bars.append((image, page.top, size[1]))
        ax.set_xticks([])
        ax.set_yticks(ax.get_yticks(), [label], parse_math=False)
        axes.append(ax)
        page.top += max(size[1], 0.3) + 0.18
    right = page.right + 0.12
    for image, top, height in bars:
        page.colour_bar(image, right, top, height)
    page.fit()
    finish(page.figure, path)
    return axes


def _label(maps: Maps, most: int) -> str:
    height, width, channels = maps.values.shape
    shown = f"{most} of {channels}" if most < channels else f"{channels}"
    return f"{maps.name}\n{height}×{width}, {shown} channel{'' if channels == 1 else 's'}"


def _samples(model: Model, image: Any) -> list[np.ndarray]:
    """The inputs as batches of one."""
    if not isinstance(model, Model):
        raise ValueError(f"plot_feature_maps: expected a model. Received: {type(model).__name__}")
    if not model.built:
        shape = np.shape(image)
        model.build((None, *(shape[1:] if len(shape) == 4 else shape)))
    samples = []
    values = structure.arranged(image, model.input_names, "image")
    for tensor, value in zip(model.inputs, values, strict=True):
        value, shape = np.asarray(value), tensor.shape[1:]
        if value.shape not in (shape, (1, *shape)) or value.dtype.kind not in "biuf":
            raise ValueError(
                f"image: expected one sample of shape {shape}, as {model.name!r} takes. "
                f"Received: dtype {value.dtype}, shape {value.shape}"
            )
        samples.append(value.reshape(1, *shape).astype(np.float32))
    return samples


def _computed(model: Model, samples: list[np.ndarray]) -> list[Maps]:
    """The maps, computed by a copy, so that the model keeps its arrays and plans (it may be in the midst of `fit`);
    random numbers go on as if there was none."""
    state = rng.get_state()
    try:
        return list(_maps(copy.deepcopy(model), samples))
    finally:
        rng.set_state(state)


def _maps(model: Model, samples: list[np.ndarray], prefix: str = "") -> Iterable[Maps]:
    """The images that layers make, in the order of computation, those in models inside at their place."""
    values = dict(zip(model.inputs, samples, strict=True))
    nodes = [node for node in model.nodes if node.outputs[0] not in values]
    tensors = [tensor for node in nodes for tensor in node.outputs]
    if tensors:
        # A name of its own, since an automatic one would change the next model's.
        made = Model(model.inputs, tensors, name="feature_maps").predict(samples, verbose=0)
        values.update(zip(tensors, made if len(tensors) > 1 else [made], strict=True))
    for node in nodes:
        name = prefix + node.layer.name
        calls = [other for other in nodes if other.layer is node.layer]
        if len(calls) > 1:
            name += f" (call {calls.index(node) + 1})"
        if isinstance(node.layer, Model):
            yield from _maps(node.layer, [values[tensor] for tensor in node.inputs], f"{name}/")
            continue
        for i, tensor in enumerate(node.outputs):
            if len(tensor.shape) == 4:
                yield Maps(f"{name} (output {i + 1})" if len(node.outputs) > 1 else name, values[tensor][0])


def _chosen(maps: list[Maps], names: Sequence[str]) -> list[Maps]:
    """Those of the names, in all calls and outputs unless a name says which."""
    plain = [re.sub(r" \((call|output) \d+\)", "", one.name) for one in maps]
    known = {*plain, *(one.name for one in maps)}
    if not isinstance(names, (list, tuple)) or not names or any(name not in known for name in names):
        raise ValueError(f"layers: expected a list of {sorted(known)}. Received: layers={names!r}")
    return [one for one, name in zip(maps, plain, strict=True) if one.name in names or name in names]
