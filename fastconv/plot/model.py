"""A model's graph as SVG, drawn without Graphviz and without matplotlib."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from fastconv.layers import InputLayer
from fastconv.models import Model
from fastconv.plot.figure import Path
from fastconv.plot.layout import BETWEEN, Edge, Layout, layered

_SIZE, _LINE, _PADDING = 12, 16, 8  # of the text, in pixels
_MARGIN = 12
_HEAD = 7  # the length of an arrow's head
_FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
# Fill and border, tints of the colours of Okabe and Ito.
_COLOURS = {
    "input": ("#fdf2d9", "#b87d00"),
    "weights": ("#dcebf6", "#0072b2"),
    "plain": ("#f4f4f4", "#777777"),
    "model": ("#f6e9f1", "#aa4488"),
}


class Svg(str):
    """SVG as text, which a notebook shows as a picture."""

    def _repr_svg_(self) -> str:
        return str(self)


class Box(NamedTuple):
    title: str
    lines: list[str]
    kind: str  # of _COLOURS
    is_output: bool
    inside: Graph | None = None  # of a model that is drawn with its layers

    def size(self) -> tuple[float, float]:
        text = max(_text_width(self.title, bold=True), *(_text_width(line) for line in self.lines))
        width, height = text + 2 * _PADDING, (1 + len(self.lines)) * _LINE + 2 * _PADDING - 4
        if self.inside is None:
            return width, height
        inside = self.inside.layout
        return max(width, inside.width + 2 * _MARGIN), height + inside.height + _MARGIN


class Graph(NamedTuple):
    boxes: list[Box]
    edges: list[Edge]
    layout: Layout


def plot_model(model: Model, path: Path = None, *, expand_nested: bool = False) -> Svg:
    """Draws the graph of a model: a box for each call of a layer, with name, class, parameters and output shape.

    Arrows lead from the top down. Boxes with weights are blue, inputs yellow, models used as layers purple, all others
    grey; what is an output of the model says so and has a thick border. A layer that is called again is drawn again,
    without its parameters.

    Args:
        model: a built model.
        path: `.svg` file to write, whole or not at all. Default: none.
        expand_nested: whether models used as layers are drawn with the layers inside them.

    Returns:
        The SVG, a str. As the last expression of a notebook's cell it is shown as a picture.

    Raises:
        ValueError: the model is not built, or the path has another suffix than `.svg`.
        OSError: the file cannot be written; one that was there stays as it was.

    Example:

    >>> plot_model(model, "model.svg")  # doctest: +SKIP
    """
    if not isinstance(model, Model) or not model.built:
        raise ValueError(f"plot_model: expected a built model. Received: {model!r}")
    if path is not None and not os.fspath(path).lower().endswith(".svg"):
        raise ValueError(f"path must end in .svg. Received: path={os.fspath(path)!r}")
    graph = graph_of(model, expand_nested)
    width, height = graph.layout.width + 2 * _MARGIN, graph.layout.height + 2 * _MARGIN
    svg = Svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" style="max-width: 100%; height: auto" font-family="{_FONT}" '
        f'font-size="{_SIZE}" role="img">\n'
        f"<title>{_text(model.name)}: {model.count_params():,} parameters</title>\n"
        f'<rect width="100%" height="100%" fill="white"/>\n{_drawn(graph, _MARGIN, _MARGIN)}</svg>\n'
    )
    if path is not None:
        from fastconv.saving import atomic_write

        with atomic_write(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(svg)
    return svg


# --- from a model to boxes -------------------------------------------------------------------------------------------


def graph_of(model: Model, expand_nested: bool) -> Graph:
    """The boxes of a model's calls, the arrows between them, and where they lie."""
    boxes, edges, sources = [], [], {}
    outputs = dict(zip(model.outputs, model.output_names, strict=True))
    nodes = set(model.nodes)
    for tensor in model.inputs:
        if tensor.node not in nodes:  # a model may begin between the layers of another one
            sources[tensor] = len(boxes)
            boxes.append(Box(tensor.node.layer.name, [f"input {tensor.shape}"], "input", False))
    calls: dict[Any, int] = {}
    for node in model.nodes:
        if node.outputs[0] in sources:
            continue
        calls[node.layer] = calls.get(node.layer, 0) + 1
        edges += [(sources[tensor], len(boxes)) for tensor in node.inputs]
        named = [outputs[tensor] for tensor in node.outputs if tensor in outputs]
        sources.update((tensor, len(boxes)) for tensor in node.outputs)
        boxes.append(_box(node, calls[node.layer], named, len(outputs), expand_nested))
    return Graph(boxes, edges, layered([box.size() for box in boxes], edges))


def _box(node: Any, call: int, outputs: list[str], of_outputs: int, expand_nested: bool) -> Box:
    layer, count = node.layer, node.layer.count_params()
    kind = type(layer).__name__
    what = "Functional" if kind == "Model" else kind  # as in `summary`
    if call > 1:
        what += f", call {call}" + (" with the same weights" if count else "")
    elif count:
        frozen = "" if layer.trainable_weights else ", frozen"
        what += f", {count:,} parameter{'' if count == 1 else 's'}{frozen}"
    lines = [what, *(str(tensor.shape) for tensor in node.outputs)]
    if outputs:
        lines.append(f"output {', '.join(outputs)}" if of_outputs > 1 else "output")
    if isinstance(layer, InputLayer):
        kind = "input"
    elif isinstance(layer, Model):
        kind = "model"
    else:
        kind = "weights" if layer.weights else "plain"
    inside = graph_of(layer, True) if expand_nested and isinstance(layer, Model) else None
    return Box(layer.name, lines, kind, bool(outputs), inside)


# --- from boxes to SVG -----------------------------------------------------------------------------------------------


def _drawn(graph: Graph, x: float, y: float) -> str:
    """The elements of a graph whose left upper corner is at (x, y)."""
    parts = [_arrow([(x + px, y + py) for px, py in route]) for route in graph.layout.routes]
    for box, (left, top) in zip(graph.boxes, graph.layout.places, strict=True):
        parts.append(_rectangle(box, x + left, y + top))
    return "".join(parts)


def _rectangle(box: Box, x: float, y: float) -> str:
    width, height = box.size()
    fill, border = _COLOURS[box.kind]
    parts = [
        f'<g class="layer"><rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4" '
        f'fill="{fill}" stroke="{border}" stroke-width="{2.5 if box.is_output else 1}"/>\n'
    ]
    for i, line in enumerate([box.title, *box.lines]):
        weight = ' font-weight="bold"' if i == 0 else ""
        parts.append(
            f'<text x="{x + width / 2:.1f}" y="{y + _PADDING + 10 + i * _LINE:.1f}" text-anchor="middle"'
            f"{weight}>{_text(line)}</text>\n"
        )
    parts.append("</g>\n")
    if box.inside is not None:
        inside = box.inside.layout
        below = y + height - _MARGIN - inside.height
        parts.append(_drawn(box.inside, x + (width - inside.width) / 2, below))
    return "".join(parts)


def _arrow(route: list[tuple[float, float]]) -> str:
    """Straight down between the points of a pair, a curve from pair to pair, and a head."""
    x, y = route[-1]
    route = [*route[:-2], (x, y - _HEAD), (x, y - _HEAD)]
    path = f"M{route[0][0]:.1f} {route[0][1]:.1f}"
    for i in range(1, len(route)):
        (x0, y0), (x1, y1) = route[i - 1], route[i]
        if i % 2:
            path += f"L{x1:.1f} {y1:.1f}"
        else:
            half = BETWEEN / 2
            path += f"C{x0:.1f} {y0 + half:.1f} {x1:.1f} {y1 - half:.1f} {x1:.1f} {y1:.1f}"
    head = f"{x:.1f},{y:.1f} {x - 3.5:.1f},{y - _HEAD:.1f} {x + 3.5:.1f},{y - _HEAD:.1f}"
    return f'<path class="arrow" d="{path}" fill="none" stroke="#444444"/><polygon points="{head}" fill="#444444"/>\n'


def _text(text: str) -> str:
    """Escaped, and without what XML 1.0 does not allow."""
    return escape(re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))


def _text_width(text: str, bold: bool = False) -> float:
    """Pixels that a text takes at most, in the widest of the fonts named."""
    width = 0.0
    for letter in text:
        if unicodedata.combining(letter):
            continue
        if unicodedata.east_asian_width(letter) in "WF":
            width += 1.05
        elif letter in "iljtfrI.,:;'|!()[]/- ":
            width += 0.45
        elif letter in "mwMW@%" or ord(letter) > 0x2000:
            width += 1.0
        else:
            width += 0.78 if letter.isupper() else 0.66
    return width * _SIZE * (1.1 if bold else 1)
