"""The arena of a plan as a picture: steps from left to right, bytes from top to bottom, a box for each buffer."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from fastconv import html

if TYPE_CHECKING:
    from fastconv.diagnosis.explain_plan import PlanExplanation

_KINDS = {"input": "#2ca02c", "activation": "#1f77b4", "gradient": "#ff7f0e", "workspace": "#9467bd"}
_LEFT, _TOP, _RIGHT, _BOTTOM = 64.0, 44.0, 12.0, 40.0
_HEIGHT = 360.0  # of the arena
_LEAST_STEP, _MOST_STEP, _WIDTH = 9.0, 44.0, 900.0  # of a step; of all steps, where these bounds allow
_CHARACTER, _LINE = 6.0, 12.0  # of a label, of 10 pixels
_LEAST_SHARE = 1 / 2000  # of the arena's height: what is smaller is drawn of this size


def draw(plan: PlanExplanation, background: str = "none") -> str:
    """An SVG with a title for each box, which browsers show under the pointer."""
    columns = len(plan.steps) + 2  # before the first step, the steps, after the last
    step = min(max(_WIDTH / columns, _LEAST_STEP), _MOST_STEP)
    right, base = _LEFT + columns * step, _TOP + _HEIGHT
    scale = _HEIGHT / max(plan.arena_bytes, 1)
    at = lambda number: _LEFT + (number + 1) * step  # noqa: E731

    shapes = [f'<rect width="100%" height="100%" fill="{background}"/>'] if background != "none" else []
    phases = [s.phase for s in plan.steps]
    for phase in dict.fromkeys(phases):
        first = phases.index(phase)
        if first:
            shapes.append(_line(at(first), _TOP - 14, at(first), base))
        end = at(first + phases.count(phase)) if phases[-1] != phase else right
        shapes.append(html.text(at(first) + 3, _TOP - 5, phase[: int((end - at(first)) / _CHARACTER)]))
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = _TOP + share * _HEIGHT
        shapes.append(_line(_LEFT, y, right, y))
        shapes.append(html.text(_LEFT - 5, y + 4, f"{share * plan.arena_bytes / 1e6:.2f}", "end"))
    for b in plan.buffers:
        x, y = at(b.first), _TOP + b.offset * scale
        width, height = (b.last - b.first + 1) * step, max(b.bytes * scale, _LEAST_SHARE * _HEIGHT)
        about = (
            f"{b.name} {'x'.join(map(str, b.shape))}: {b.bytes:,} bytes at {b.offset:,}, steps {b.first} to {b.last}"
        )
        box = f'x="{x + 0.5:.2f}" y="{y:.2f}" width="{width - 1:.2f}" height="{height:.2f}"'
        shapes.append(
            f'<rect {box} fill="{_KINDS[b.kind]}" fill-opacity="0.55" stroke="{_KINDS[b.kind]}" stroke-width="0.7">'
            f"<title>{escape(about)}</title></rect>"
        )
        fits = int((width - 6) / _CHARACTER)
        if height >= _LINE and fits >= 3:
            label = b.name if len(b.name) <= fits else b.name[: fits - 1] + "…"
            shapes.append(html.text(x + 3, y + height / 2 + 3.5, label, more=' font-size="10" pointer-events="none"'))
    every = -(-len(plan.steps) * 18 // max(int(columns * step), 1))
    for number in range(0, len(plan.steps), max(every, 1)):
        shapes.append(html.text(at(number) + step / 2, base + 16, str(number), "middle"))
    shapes.append(html.text(_LEFT - 5, base + 16, "step", "end"))
    shapes.append(html.text(_LEFT - 5, _TOP - 12, "MB", "end"))
    x = _LEFT
    for kind, colour in _KINDS.items():
        shapes.append(f'<rect x="{x:g}" y="{base + 25:g}" width="10" height="10" fill="{colour}" fill-opacity="0.55"/>')
        shapes.append(html.text(x + 14, base + 34, kind))
        x += 26 + _CHARACTER * len(kind)
    title = (
        f"Arena, {plan.mode}, batch {plan.batch_size}: {plan.arena_bytes / 1e6:.2f} MB, "
        f"without sharing {plan.unshared_bytes / 1e6:.2f} MB"
    )
    shapes.append(html.text(_LEFT, 14, title, more=' font-weight="bold"'))
    width = max(right + _RIGHT, _LEFT + 7 * len(title))
    return html.svg(width, base + _BOTTOM, title, shapes)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.2f} {y1:.2f}L{x2:.2f} {y2:.2f}" stroke="currentColor" opacity="0.25"/>'
