"""`model.summary()`: Keras 3's table of layers, to the character.

Layout after keras.utils.summary_utils of Keras 3.15; the numbers below (widths, column positions) are its own.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastconv.checks import number, refused
from fastconv.geometry import positive_int
from fastconv.models.arithmetic import arithmetic

_COLUMNS = ("Layer (type)", "Output Shape", "Param #", "Connected to")
_PLAIN = (88, (0.45, 0.80, 1.0))  # widest default table, right edges of the columns
_BRANCHING = (108, (0.3, 0.56, 0.74, 1.0))
_TRAINABLE_WIDTH = 12
_ARITHMETIC_WIDTH = 44
_MIN_COLUMN = 4


def summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
    show_arithmetic: bool = False,
) -> None:
    """Prints a table of the model's layers with their output shapes and parameter counts.

    Args:
        model: the model.
        line_length: width of the table, in characters. Default: the terminal's less 4, at most 88, or 108 for a model
            with branches.
        positions: right edges of the columns as parts of the width, such as (0.45, 0.8, 1.0).
        print_fn: function that receives the whole text, once, instead of printing it.
        expand_nested: show the layers of models used as layers, too.
        show_trainable: add a column with Y or N for layers with weights.
        layer_range: names, or regular expressions, of the first and the last layer to show. The totals below the
            table stay those of the whole model.
        show_arithmetic: add a column that says how sizes and parameters come about, such as
            "490 = (4 x 4 x 3 + 1) x 10". Keras has no such.

    Raises:
        ValueError: the table is too narrow for its columns, or `layer_range` matches no layer.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    if print_fn is not None and not callable(print_fn):
        raise refused("print_fn", "a function of the text", print_fn)
    branching = _is_branching(model)
    header = list(_COLUMNS if branching else _COLUMNS[:3])
    justify = ["left", "left", "right", "left"][: len(header)]
    default_length, default_positions = _BRANCHING if branching else _PLAIN
    if positions is not None and not isinstance(positions, (list, tuple)):
        raise refused("positions", "a list of numbers", positions)
    edges = [number(edge, "positions", 0) for edge in positions or default_positions]
    if show_trainable:
        default_length += _TRAINABLE_WIDTH
        edges = [edge * 0.9 for edge in edges] + [1.0]
        header.append("Trainable")
        justify.append("center")
    if show_arithmetic:
        share = default_length / (default_length + _ARITHMETIC_WIDTH)
        default_length += _ARITHMETIC_WIDTH
        edges = [edge * share for edge in edges] + [1.0]
        header.append("Arithmetic")
        justify.append("left")
    if len(edges) != len(header):
        given = len(header) - show_trainable - show_arithmetic
        raise ValueError(f"positions must have {given} values, one a column. Received: positions={positions}")
    room = min(default_length, shutil.get_terminal_size().columns - 4)
    line_length = positive_int(line_length, "line_length") if line_length else room

    widths = _column_widths(edges, line_length)
    columns = [Column(name, justify=j, width=w) for name, j, w in zip(header, justify, widths, strict=True)]
    table = Table(*columns, width=line_length, show_lines=True)
    shown = _layers_in_range(model.layers, layer_range)
    for row in _rows(model, shown, branching, expand_nested, show_trainable, show_arithmetic):
        table.add_row(*row)

    console = Console(highlight=False, **({"force_terminal": False, "color_system": None} if print_fn else {}))
    # Keras cuts a table that is wider than the terminal; the width asked for is kept here.
    console.width = max(console.width, line_length)
    if print_fn:
        console.begin_capture()
    console.print(f'[bold]Model: "{escape(model.name)}"[/]')
    console.print(table)
    for line in _totals(model):
        console.print(line)
    if print_fn:
        print_fn(console.end_capture())


def summary_html(model: Any) -> str:
    """The same table as HTML, for notebooks."""
    from rich.text import Text

    from fastconv import html

    branching = _is_branching(model)
    plain = lambda markup: Text.from_markup(markup).plain  # noqa: E731
    rows = [[*map(plain, row)] for row in _rows(model, model.layers, branching, True, False, False)]
    head = _COLUMNS if branching else _COLUMNS[:3]
    caption = f'Model: "{model.name}"'
    return html.table(head, rows, caption, words=(0, 1, 3)) + html.paragraphs(map(plain, _totals(model)))


def _column_widths(edges: Sequence[float], line_length: int) -> list[int]:
    widths = []
    for edge in edges:
        widths.append(int(edge * line_length) - sum(widths))
        if widths[-1] < _MIN_COLUMN:
            raise ValueError(
                f"Every column of the summary needs at least {_MIN_COLUMN} characters. "
                f"Received: line_length={line_length}, positions={tuple(edges)}"
            )
    return widths


# --- rows ------------------------------------------------------------------------------------------------------------


def _rows(
    model: Any,
    layers: Iterable[Any],
    branching: bool,
    expand_nested: bool,
    show_trainable: bool,
    show_arithmetic: bool,
    level: int = 0,
) -> Iterable[list[str]]:
    for layer in layers:
        row = [_title(layer, level), _shapes(layer), _params(layer)]
        if branching:
            row.append(_connections(model, layer))
        if show_trainable:
            row.append(_trainable(layer))
        if show_arithmetic:
            row.append("\n".join(arithmetic(layer)))
        yield row
        if expand_nested and getattr(layer, "layers", None):
            # A nested layer's connections lie inside the nested model.
            yield from _rows(model, layer.layers, branching, True, show_trainable, show_arithmetic, level + 1)


def _title(layer: Any, level: int) -> str:
    from rich.markup import escape

    prefix = "   " * level + "└ " if level else ""
    kind = "Functional" if type(layer).__name__ == "Model" else type(layer).__name__  # Keras' name of the same class
    return f"{escape(prefix + layer.name)} ([color(33)]{escape(kind)}[/])"


def _shapes(layer: Any) -> str:
    """Of the outputs of the layer's last call."""
    if not layer.calls:
        return "?"
    shapes = [_shape(tensor.shape) for tensor in layer.calls[-1].outputs]
    return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"


def _shape(shape: Sequence[int | None]) -> str:
    return f"({', '.join('[color(45)]None[/]' if size is None else _green(size) for size in shape)})"


def _params(layer: Any) -> str:
    return _green(f"{layer.count_params():,}") if layer.built else f"{_green(0)} (unbuilt)"


def _connections(model: Any, layer: Any) -> str:
    """The sources of the layer's inputs as "name[call][output]"."""
    from rich.markup import escape

    sources = [tensor for node in layer.calls if node in model.nodes for tensor in node.inputs]
    texts = [f"{escape(t.node.layer.name)}[{_green(t.node.number)}][{_green(t.index)}]" for t in sources]
    return ", ".join(texts) or "-"


def _trainable(layer: Any) -> str:
    if not layer.weights:
        return "[bold]-[/]"
    return "[bold][color(34)]Y[/][/]" if layer.trainable_weights else "[bold][color(9)]N[/][/]"


def _green(value: Any) -> str:
    return f"[color(34)]{value}[/]"


def _is_branching(model: Any) -> bool:
    """Whether the model is anything but one chain of layers, each used once."""
    if not model.built:
        return False
    nodes = model.nodes
    chain = all(
        len(node.inputs) == 1 and node.inputs[0].node is previous
        for previous, node in zip(nodes, nodes[1:], strict=False)
    )
    return not chain or len({id(node.layer) for node in nodes}) < len(nodes)


def _layers_in_range(layers: Sequence[Any], layer_range: Sequence[str] | None) -> Sequence[Any]:
    if layer_range is None:
        return layers
    pair = layer_range if isinstance(layer_range, (list, tuple)) else ()
    if len(pair) != 2 or not all(isinstance(name, str) for name in pair):
        raise ValueError(f"layer_range must be two strings. Received: layer_range={layer_range}")
    first, last = ([i for i, layer in enumerate(layers) if re.match(name, layer.name)] for name in layer_range)
    if not first or not last:
        raise ValueError(
            f"layer_range must match names of the model's layers: {', '.join(layer.name for layer in layers)}. "
            f"Received: layer_range={layer_range}"
        )
    if min(first) > max(last):  # given in reverse
        first, last = last, first
    return layers[min(first) : max(last) + 1]


# --- totals ----------------------------------------------------------------------------------------------------------


def _totals(model: Any) -> Iterable[str]:
    trainable, non_trainable = _count(model.trainable_weights), _count(model.non_trainable_weights)
    lines = [
        ("Trainable params", trainable, 4 * trainable),
        ("Non-trainable params", non_trainable, 4 * non_trainable),
    ]
    if model.optimizer is not None and model.optimizer.iterations:
        count = model.optimizer.variable_count()
        lines.append(("Optimizer params", count, 4 * count + 4))  # the iteration is an int64, all else float32
    lines.insert(0, ("Total params", sum(line[1] for line in lines), sum(line[2] for line in lines)))
    return [f"[bold] {name}: [/]{_green(f'{count:,}')} ({_bytes(size)})" for name, count, size in lines]


def _count(weights: Iterable[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _bytes(size: float) -> str:
    unit = "B"
    for larger in ("KB", "MB", "GB", "TB", "PB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.2f} {unit}"
