"""How large each layer's gradients are in the course of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastconv.plot.figure import MAGNITUDES, WRONG, Path, finish, legend, new_figure

_KEY = "gradient_norm"


def plot_gradient_norms(statistics: Any, path: Path = None) -> list[Any]:
    """Draws the norm of each layer's gradient over the steps of training, on a logarithmic scale.

    Colours go from the first layer (dark) to the last (light): gradients that vanish on their way back lie apart, the
    dark ones below. A gradient of 0 is a triangle at the lower edge; one that is not finite, a cross at the upper.

    Args:
        statistics: the callback `LayerStatistics` after training, or anything with its `history` (for each layer's name
            a dict whose "gradient_norm" is a list of numbers) and `steps` (their steps); or such a history alone,
            whose entries are then numbered from 1.
        path: image file to write, whole or not at all. Default: a pyplot figure.

    Returns:
        A list of one matplotlib axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: there is no norm, a layer has more or fewer than there are steps, or one is negative.

    Example:

    >>> plot_gradient_norms({"conv2d": {"gradient_norm": [0.9, 0.4]}, "dense": {"gradient_norm": [2.0, 1.1]}},
    ...                     "gradients.png")  # doctest: +SKIP
    """
    norms, steps = _read(statistics)
    figure = new_figure(path, 8, max(4.0, 0.8 + 0.18 * len(norms)))
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    ax = figure.add_subplot()
    lines = []
    for i, values in enumerate(norms.values()):
        colour = colormaps[MAGNITUDES](0.92 * i / max(len(norms) - 1, 1))
        shown = np.where(np.isfinite(values) & (values > 0), values, np.nan)
        lines += ax.plot(steps, shown, color=colour, linewidth=1.5, marker="." if len(steps) < 30 else None)
        for marker, where, place in (("v", values == 0, 0.015), ("x", ~np.isfinite(values), 0.985)):
            at = {"transform": ax.get_xaxis_transform(), "color": colour if marker == "v" else WRONG}
            ax.plot(steps[where], np.full(where.sum(), place), marker, markersize=6, **at)
    ax.set_yscale("log")
    _number(ax)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("step")
    ax.set_ylabel("norm of the gradient")
    ax.grid(alpha=0.3)
    legend(ax, lines, list(norms), loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    finish(figure, path)
    return [ax]


def _number(ax: Any) -> None:
    """Plain numbers along the logarithmic axis: 0.01, 0.1, 1; over less than two decades 2 and 5 as well."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    low, high = ax.get_ylim()
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    between = FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    ax.yaxis.set_minor_formatter(between if high / low < 100 else NullFormatter())


def _read(statistics: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The norms of each layer that has them, and the steps.

    Raises:
        ValueError: as `plot_gradient_norms`.
    """
    history = getattr(statistics, "history", statistics)
    if not isinstance(history, Mapping) or not all(isinstance(entry, Mapping) for entry in history.values()):
        raise ValueError(
            "plot_gradient_norms: expected the callback LayerStatistics, or a dict of layers' names with "
            f"{{'{_KEY}': [...]}} for each. Received: {type(statistics).__name__}"
        )
    norms = {name: np.asarray(entry[_KEY], np.float64) for name, entry in history.items() if _KEY in entry}
    if not norms or not any(values.size for values in norms.values()):
        raise ValueError(f"plot_gradient_norms: expected the norms of one step or more. Received: none in {history!r}")
    steps: Sequence[int] | None = getattr(statistics, "steps", None)
    if steps is None:
        steps = range(1, 1 + len(next(iter(norms.values()))))
    for name, values in norms.items():
        if values.shape != (len(steps),):
            raise ValueError(
                f"plot_gradient_norms: expected {len(steps)} norms of each layer, one a step. "
                f"Received: shape {values.shape} for {name!r}"
            )
        if (values < 0).any():
            raise ValueError(f"plot_gradient_norms: expected no norm below 0. Received: {values.min()} for {name!r}")
    return norms, np.asarray(steps)
