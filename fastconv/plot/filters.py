"""The filters of a convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.geometry import positive_int
from fastconv.layers import Conv2D, Conv2DTranspose, DepthwiseConv2D, Layer, SeparableConv2D
from fastconv.plot.figure import SMALL, Path, finish, new_figure
from fastconv.plot.page import GAP, Page, colours_of

_A_LINE = 16  # filters beside each other
_LEFT, _TILE, _NARROWEST = 0.6, 0.5, 0.18  # inches: to the tiles, their larger side, and their other one at least


def plot_filters(
    layer_or_model: Layer, path: Path = None, *, max_filters: int = 32, max_channels: int = 8
) -> list[Any]:
    """Draws the kernel of a convolution: a column for each filter, a row for each input channel.

    Weights of 0 are white, negative ones blue, positive ones red, on one scale for all; what is not finite is black.
    After a BatchNormalization the scale of a filter says nothing, its pattern does.

    Args:
        layer_or_model: a built Conv2D, Conv2DTranspose, DepthwiseConv2D or SeparableConv2D (its depthwise kernel), or
            a model, whose first such layer is drawn; layers of models inside it count.
        path: image file to write, whole or not at all. Default: a pyplot figure.
        max_filters: most filters to draw, the first ones.
        max_channels: most input channels to draw, the first ones; in a layer with groups those of a filter's group.

    Returns:
        The list of matplotlib axes, one for each 16 filters.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: there is no convolution, it is not built, or a limit is no positive integer.

    Example:

    >>> plot_filters(model.get_layer("conv2d"), "filters.png")  # doctest: +SKIP
    """
    layer = _convolution(layer_or_model)
    kernel = _kernel(layer)
    rows, columns, channels, filters = kernel.shape
    most_filters, most_channels = positive_int(max_filters, "max_filters"), positive_int(max_channels, "max_channels")
    shown = kernel[:, :, :most_channels, :most_filters]
    lines = [shown[..., i : i + _A_LINE] for i in range(0, shown.shape[-1], _A_LINE)]

    page, axes = Page(new_figure(path, 1, 1)), []
    colours, scale = colours_of(kernel), _TILE / max(rows, columns)
    width, height = max(columns * scale, _NARROWEST), max(rows * scale, _NARROWEST)
    page.title(
        f"{layer.name}: {_some(shown.shape[3], filters)} filters of {rows}×{columns}, "
        f"{_some(shown.shape[2], channels)} input channel{'' if channels == 1 else 's'}"
    )
    top = page.top
    for i, line in enumerate(lines):
        tiles = [[line[:, :, c, k] for k in range(line.shape[3])] for c in range(line.shape[2])]
        ax, image = page.tiles(_LEFT, tiles, (width, height), colours)
        ax.set_xticks(ax.get_xticks(), range(i * _A_LINE, i * _A_LINE + line.shape[3]))
        ax.set_ylabel("input channel", fontsize=SMALL)
        ax.set_xlabel("filter", fontsize=SMALL)
        page.top += len(tiles) * (height + GAP) + 0.4
        axes.append(ax)
    page.colour_bar(image, _LEFT + len(lines[0][0, 0, 0]) * (width + GAP) + 0.15, top, max(page.top - top - 0.44, 0.3))
    page.fit()
    finish(page.figure, path)
    return axes


def _some(shown: int, there: int) -> str:
    return f"{there}" if shown == there else f"{shown} of {there}"


def _convolution(layer_or_model: Any) -> Layer:
    """The layer itself, or a model's first convolution."""
    found = layer_or_model
    if hasattr(layer_or_model, "layers"):
        found = next(_convolutions(layer_or_model), layer_or_model)
    if not isinstance(found, (Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D)):
        raise ValueError(
            f"plot_filters: expected a convolution, or a model with one. Received: {layer_or_model!r}, which "
            f"{'has' if hasattr(layer_or_model, 'layers') else 'is'} none"
        )
    return found


def _convolutions(model: Any) -> Any:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _convolutions(layer)
        elif isinstance(layer, (Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D)):
            yield layer


def _kernel(layer: Layer) -> np.ndarray:
    """(R, S, channels, filters)."""
    if not layer.built:
        raise ValueError(f"plot_filters: expected a built layer. Received: {layer!r}; call it on an Input first")
    kernel = layer.weights[0].numpy()
    return kernel.swapaxes(2, 3) if isinstance(layer, Conv2DTranspose) else kernel
