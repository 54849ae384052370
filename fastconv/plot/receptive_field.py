"""The part of an image that an output depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastconv import geometry
from fastconv.layers import Layer
from fastconv.models import Model
from fastconv.plot.fields import Call, Field, Graph, extent, middle
from fastconv.plot.figure import MAGNITUDES, SMALL, WRONG, Path, finish, legend, new_figure
from fastconv.plot.page import Page

_SIDE = 4.5  # inches of an image


class Seen(NamedTuple):
    """What a layer sees of an input."""

    name: str
    endless: Field  # padding included: as in an image without borders
    reached: Field  # in the image


def plot_receptive_field(
    model: Model,
    layer: Layer | str | None = None,
    image_size: int | Sequence[int] | None = None,
    path: Path = None,
    *,
    position: Sequence[int] | None = None,
) -> list[Any]:
    """Draws which pixels of the input one pixel of a layer's output depends on, and how that grows layer by layer.

    It is computed from kernels, strides, dilations and padding along the graph; weights have no part in it. A field is
    the smallest rectangle with all pixels: between the taps of a dilated kernel some do not count. Frames of layers
    before are those of their pixels in the middle of what the layer sees. What lies in the padding is hatched. Flatten,
    Reshape and global pooling see all of an image.

    Args:
        model: a built model of images.
        layer: a layer of it, or its name, "model/layer" inside another model. Default: the last one whose output is
            images.
        image_size: int or (height, width) of the input, if it shall be another than the model's.
        path: image file to write, whole or not at all. Default: a pyplot figure.
        position: row and column of the output's pixel. Default: the one in the middle.

    Returns:
        The list of matplotlib axes, one for each input that the layer depends on.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the model has no images, the layer is unknown, the position is outside its output, or a layer on
            the way cannot take images of this size or is of an unknown kind.
    Source: Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks".

    Example:

    >>> plot_receptive_field(model, "conv2d_3", path="receptive_field.png")  # doctest: +SKIP
    """
    if not isinstance(model, Model) or not model.built:
        raise ValueError(f"plot_receptive_field: expected a built model. Received: {model!r}")
    graph = Graph(model, None if image_size is None else geometry.pair(image_size, "image_size"))
    call = _chosen(graph, model, layer)
    shape = graph.shapes[call.outputs[0]]
    position = _position(position, shape, call.name)
    inputs = [number for number in graph.inputs if len(graph.shapes[number]) == 4]
    seen = {number: _seen(graph, call, position, number) for number in inputs}
    seen = {number: fields for number, fields in seen.items() if fields}
    if not seen:
        raise ValueError(f"plot_receptive_field: expected a layer that depends on an image. Received: {call.name!r}")

    page, axes = Page(new_figure(path, 1, 1)), []
    where = f" at {position} of {shape[1]}×{shape[2]}" if len(shape) == 4 else ""
    page.title(f"What {call.name} sees{where}")
    for number, fields in seen.items():
        name = model.input_names[graph.inputs.index(number)] if len(inputs) > 1 else None
        axes.append(_draw(page, fields, graph.shapes[number][1:3], name))
    page.fit()
    finish(page.figure, path)
    return axes


def _chosen(graph: Graph, model: Model, layer: Layer | str | None) -> Call:
    """The call asked for; of several of a layer the first."""
    if layer is None:
        images = [call for call in graph.calls if len(graph.shapes[call.outputs[0]]) == 4]
        if not images or not any(len(graph.shapes[number]) == 4 for number in graph.inputs):
            raise ValueError(f"plot_receptive_field: expected a model of images. Received: {model.name!r}, "
                             "none of whose layers has an output of shape (N, H, W, C)")  # fmt: skip
        return images[-1]
    for call in graph.calls:
        if call.layer is layer or call.name == layer:
            return call
    names = list(dict.fromkeys(call.name for call in graph.calls))
    raise ValueError(f"layer: expected one of {names}. Received: layer={layer!r}")


def _position(position: Sequence[int] | None, shape: Sequence[Any], name: str) -> tuple[int, int]:
    if len(shape) != 4:
        if position is not None:
            raise ValueError(f"position: expected None, as the output of {name!r} has no rows and columns. "
                             f"Received: position={position!r}")  # fmt: skip
        return 0, 0
    if position is None:
        return middle(tuple((0, size - 1) for size in shape[1:3]))
    found = tuple(position) if isinstance(position, (list, tuple)) else ()
    if len(found) != 2 or not all(type(p) is int and 0 <= p < n for p, n in zip(found, shape[1:3], strict=True)):
        raise ValueError(
            f"position: expected a row and a column within {shape[1]}×{shape[2]}, the output of {name!r}. "
            f"Received: position={position!r}"
        )
    return found


def _seen(graph: Graph, call: Call, position: tuple[int, int], number: int) -> list[Seen]:
    """What the layers up to the one of `call` see of an input, where it is more than those before see."""
    on_the_way = graph.fields(call.outputs[0], position, clipped=True)
    found: list[Seen] = []
    for other in graph.calls:
        if other.outputs[0] not in on_the_way or None in on_the_way[other.outputs[0]]:
            continue
        centre = position if other is call else middle(on_the_way[other.outputs[0]])
        endless, reached = (graph.fields(other.outputs[0], centre, clipped).get(number) for clipped in (False, True))
        if reached is None or None in reached:
            continue
        extents = [tuple(map(extent, field)) for field in (endless, *(seen.endless for seen in found[-1:]))]
        if not found or any(a > b for a, b in zip(*extents, strict=True)):
            found.append(Seen(other.name, endless, reached))
        elif other is call:  # what it sees itself, under the name of the layer that sees so much first
            found[-1] = Seen(found[-1].name, endless, reached)
    return found


def _draw(page: Page, fields: list[Seen], size: Sequence[int], title: str | None) -> Any:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    (height, width), last = size, fields[-1]
    # The image with what of the padding is seen, but no more of it than the image's size on each side.
    (top, bottom), (left, right) = (
        (max(min(span[0], 0), -n) - 1, min(max(span[1], n - 1), 2 * n) + 1)
        for span, n in zip(last.endless, size, strict=True)
    )
    pixel = _SIDE / max(bottom - top + 1, right - left + 1)
    ax = page.axes(0.4, page.top, (right - left + 1) * pixel, (bottom - top + 1) * pixel)
    ax.set_xlim(left - 0.5, right + 0.5)
    ax.set_ylim(bottom + 0.5, top - 0.5)
    ax.add_patch(Rectangle((-0.5, -0.5), width, height, facecolor="#f2f2f2", edgecolor="none"))
    ax.add_patch(Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor="black", linewidth=1.2, zorder=3))
    if max(size) <= 64:
        lines = {"color": "white", "linewidth": 0.6}
        ax.vlines([x - 0.5 for x in range(1, width)], -0.5, height - 0.5, **lines)
        ax.hlines([y - 0.5 for y in range(1, height)], -0.5, width - 0.5, **lines)
    colours = [colormaps[MAGNITUDES](0.9 * i / max(len(fields) - 1, 1)) for i in range(len(fields))]
    handles = []
    ax.add_patch(Rectangle(*_rectangle(last.endless), fill=False, hatch="////", edgecolor="#bbbbbb", linewidth=0))
    ax.add_patch(Rectangle(*_rectangle(last.reached), facecolor="#fff7cc", edgecolor="none"))
    for i, (field, colour) in enumerate(zip(fields, colours, strict=True)):
        frame = Rectangle(*_rectangle(field.endless), fill=False, edgecolor=colour, linewidth=2, zorder=5 - i / 100)
        handles.append(ax.add_patch(frame))
    row, column = middle(last.reached)
    ax.plot([column], [row], marker="+", color=WRONG, markersize=8, zorder=6)

    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(labelsize=SMALL)
    names = [_described(field) for field in fields]
    beside = page.axes(
        0.55 + (right - left + 1) * pixel, page.top, 0.6 + max(page.text_width(name, SMALL) for name in names), 1
    )
    beside.set_axis_off()
    legend(beside, handles, names, loc="upper left", borderpad=0, borderaxespad=0, frameon=False)
    if title is not None:
        ax.set_xlabel(title, fontsize=SMALL, parse_math=False)
    page.top += max((bottom - top + 1) * pixel + 0.4, 0.2 * len(names))
    return ax


def _rectangle(field: Field) -> tuple[tuple[float, float], int, int]:
    """Corner, width and height; pixels are centred on whole numbers."""
    rows, columns = field
    return (columns[0] - 0.5, rows[0] - 0.5), extent(columns), extent(rows)


def _described(field: Seen) -> str:
    endless, reached = ("×".join(str(extent(span)) for span in spans) for spans in (field.endless, field.reached))
    return f"{field.name}: {endless}" if endless == reached else f"{field.name}: {endless}, {reached} in the image"
