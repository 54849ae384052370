"""Curves of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastconv.callbacks import History
from fastconv.plot.figure import Path, finish, new_figure

Curves = Mapping[str, Sequence[float]]


def plot_history(history: History | Curves | Sequence[History | Curves], path: Path = None) -> list[Any]:
    """Draws loss and metrics over the epochs, training and validation together.

    Args:
        history: what `fit` returned, its `.history`, or a list of these from repeated `fit` calls, whose epochs are
            then numbered on; a dotted line stands where a new call began.
        path: image file to write (whole or not at all), in the format of its suffix. Default: a pyplot figure,
            for a notebook or `plt.show()`.

    Returns:
        The list of matplotlib axes, the loss first; `axes[0].figure` is the figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: no epoch was finished, or `history` is something else.

    Example:

    >>> plot_history({"loss": [1.5, 1.2], "val_loss": [1.6, 1.4]}, "curves.png")  # doctest: +SKIP
    """
    items = [history] if isinstance(history, (History, Mapping)) else history
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, (History, Mapping)) for item in items):
        raise ValueError(f"history: expected what fit returned, or a list of these. Received: history={history!r}")
    phases = [_curves(item) for item in items]
    phases = [phase for phase in phases if phase]
    if not phases:
        raise ValueError("plot_history needs at least one finished epoch. Received: an empty history")
    names = sorted({name.removeprefix("val_") for phase in phases for name in phase}, key=lambda n: (n != "loss", n))
    figure = new_figure(path, 5.5 * len(names), 4)
    axes = [figure.add_subplot(1, len(names), i + 1) for i in range(len(names))]
    for name, ax in zip(names, axes, strict=True):
        _draw(ax, name, phases)
    finish(figure, path)
    return axes


def _curves(history: History | Curves) -> Curves:
    curves = history.history if isinstance(history, History) else history
    return {name: values for name, values in curves.items() if len(values)}


def _draw(ax: Any, name: str, phases: Sequence[Curves]) -> None:
    from matplotlib.ticker import MaxNLocator

    lengths = [max(len(values) for values in phase.values()) for phase in phases]
    starts = [1 + sum(lengths[:i]) for i in range(len(phases))]
    for key, label in ((name, "training"), (f"val_{name}", "validation")):
        runs = [phase.get(key, ()) for phase in phases]
        epochs = [start + i for start, run in zip(starts, runs, strict=True) for i in range(len(run))]
        if epochs:
            ax.plot(epochs, [value for run in runs for value in run], marker=".", label=label)
    for start in starts[1:]:
        ax.axvline(start - 0.5, color="0.6", linestyle=":", linewidth=1)
    ax.set_xlabel("epoch")
    ax.set_ylabel(name)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    ax.legend()
