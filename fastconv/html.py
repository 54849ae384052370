"""Tables and curves as HTML: the `_repr_html_` of what a notebook shows. Colours are the page's, light or dark."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from typing import Any

COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f")
_MOST_POINTS = 400  # of a line: more than it has pixels


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "", words: Collection[int] = (0,)) -> str:
    """A table whose columns of these places are words and all others numbers; all text is escaped."""
    aligned = ["left" if i in words else "right" for i in range(len(head))]

    def line(cells: Sequence[Any], tag: str) -> str:
        styled = zip(cells, aligned, strict=True)
        return "<tr>" + "".join(f'<{tag} style="text-align:{a}">{escape(str(c))}</{tag}>' for c, a in styled) + "</tr>"

    title = f'<caption style="text-align:left">{escape(caption)}</caption>' if caption else ""
    body = "".join(line(row, "td") for row in rows)
    return f"<table>{title}<thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>"


def paragraphs(lines: Iterable[str]) -> str:
    return "".join(f"<div>{escape(line)}</div>" for line in lines)


def svg(width: float, height: float, title: str, shapes: Iterable[str]) -> str:
    """A drawing of `shapes` (elements of SVG) with a title for readers of screens; also a file by itself."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" font-family="sans-serif" font-size="11" fill="currentColor">'
        f"<title>{escape(title)}</title>{''.join(shapes)}</svg>"
    )


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = "currentColor", more: str = "") -> str:
    """An element of SVG: words whose start, middle or end is at x, on the line y."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}"{more}>{escape(words)}</text>'


def curves(title: str, series: Mapping[str, Sequence[float]], first: int = 1) -> str:
    """Lines over the same numbers, from `first` on, as inline SVG; where a value is not finite, a line is interrupted.

    Args:
        title: what is drawn.
        series: by their names values, as many for each.
        first: the number that belongs to the first value.
    """
    width, height, left, top, right, bottom = 280.0, 150.0, 52.0, 20.0, 8.0, 32.0
    finite = [v for values in series.values() for v in values if math.isfinite(v)] or [0.0]
    low, high = min(finite), max(finite)
    count = max(map(len, series.values()))
    right_edge, base = width - right, height - bottom
    step = -(-count // _MOST_POINTS)

    def place(i: int, value: float) -> tuple[float, float]:
        x = left + (right_edge - left) * (i / (count - 1) if count > 1 else 0.5)
        return x, base - (base - top) * ((value - low) / (high - low) if high > low else 0.5)

    shapes = [
        text(left, 13, title, more=' font-weight="bold"'),
        f'<path d="M{left:g} {top:g}V{base:g}H{right_edge:g}" fill="none" stroke="currentColor" opacity="0.4"/>',
        text(left - 4, top + 4, f"{high:.4g}", "end"),
        text(left, base + 13, str(first)),
    ]
    if high > low:
        shapes.append(text(left - 4, base + 3, f"{low:.4g}", "end"))
    if count > 1:
        shapes.append(text(right_edge, base + 13, str(first + count - 1), "end"))
    at = left
    for (name, values), colour in zip(series.items(), COLOURS, strict=False):
        for run in _finite_runs(values, step):
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(i, values[i]) for i in run))
            if len(run) > 1:
                shapes.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            else:
                x, y = place(run[0], values[run[0]])
                shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>')
        shapes.append(text(at, height - 4, name, colour=colour))
        at += 7.0 * len(name) + 10
    return svg(width, height, title, shapes)


def _finite_runs(values: Sequence[float], step: int) -> list[list[int]]:
    """The places of values that follow each other and are finite, every `step`-th and the last."""
    runs: list[list[int]] = [[]]
    for i in dict.fromkeys([*range(0, len(values), step), len(values) - 1]):
        if math.isfinite(values[i]):
            runs[-1].append(i)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]
