"""A figure whose parts are placed to the hundredth of an inch: layouts of matplotlib move small images about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.plot.figure import MAGNITUDES, SIGNED, SMALL

GAP = 0.04  # inches between tiles
NOT_FINITE = "black"
_MARGIN = 0.1


class Page:
    """A figure that is filled from the top; places are in inches from its left and top edge.

    Its size is set when all is there (`fit`), and the places follow then.
    """

    def __init__(self, figure: Any):
        self.figure, self.top, self.right = figure, _MARGIN, 0.0
        self._placed: list[tuple[Any, float, float, float, float]] = []
        figure.set_layout_engine("none")

    def text_width(self, text: str, size: float) -> float:
        """Inches that a text takes, its longest line."""
        artist = self.figure.text(0, 0, text, fontsize=size, parse_math=False)
        width = artist.get_window_extent().width / self.figure.dpi
        artist.remove()
        return width

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        ax = self.figure.add_axes((0, 0, 1, 1), label=str(len(self._placed)))
        self._placed.append((ax, left, top, width, height))
        self.right = max(self.right, left + width)
        return ax

    def title(self, text: str) -> None:
        ax = self.axes(_MARGIN, self.top, self.text_width(text, 11), 0.25)
        ax.set_axis_off()
        ax.text(0, 0.5, text, fontsize=11, va="center", parse_math=False)
        self.top += 0.35

    def tiles(
        self, left: float, rows: Sequence[Sequence[np.ndarray]], size: tuple[float, float], colours: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Draws tiles of `size` (width, height) at the left place and below what is there.

        Returns:
            The axes, whose ticks are the numbers of columns and rows, and the last image, for a colour bar.
        """
        width, height = size
        wide, high = len(rows[0]) * (width + GAP) - GAP, len(rows) * (height + GAP) - GAP
        ax = self.axes(left, self.top, wide, high)
        for i, row in enumerate(rows):
            for j, tile in enumerate(row):
                x, y = j * (width + GAP), i * (height + GAP)
                extent = (x, x + width, y + height, y)
                shown = ax.imshow(tile, extent=extent, aspect="auto", interpolation="nearest", **colours)
        ax.set_xlim(0, wide)
        ax.set_ylim(high, 0)
        ax.set_frame_on(False)
        ax.set_xticks([j * (width + GAP) + width / 2 for j in range(len(rows[0]))], range(len(rows[0])))
        ax.set_yticks([i * (height + GAP) + height / 2 for i in range(len(rows))], range(len(rows)))
        ax.tick_params(length=0, labelsize=SMALL)
        return ax, shown

    def colour_bar(self, image: Any, left: float, top: float, height: float, label: str = "") -> None:
        """A colour bar whose ends and middle have their numbers."""
        bar = self.figure.colorbar(image, cax=self.axes(left, top, 0.1, height))
        low, high = image.norm.vmin, image.norm.vmax
        ticks = low, (low + high) / 2, high
        bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
        bar.ax.tick_params(labelsize=SMALL, length=2)
        bar.set_label(label, fontsize=SMALL)
        widest = max(self.text_width(f"{tick:.3g}", SMALL) for tick in ticks)
        self.right = max(self.right, left + widest + (0.4 if label else 0.2))

    def fit(self) -> None:
        """Gives the figure the size of what is on it."""
        width, height = self.right + _MARGIN, self.top + _MARGIN
        self.figure.set_size_inches(width, height)
        for ax, left, top, wide, high in self._placed:
            ax.set_position((left / width, 1 - (top + high) / height, wide / width, high / height))


def colours_of(values: np.ndarray) -> dict[str, Any]:
    """The colour map and scale for numbers: centred on 0 where some are negative, else from 0 up."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    finite = values[np.isfinite(values)]
    largest = float(np.abs(finite).max(initial=0)) or 1.0
    signed = bool((finite < 0).any())
    colours = colormaps[SIGNED if signed else MAGNITUDES].with_extremes(bad=NOT_FINITE)
    return {"cmap": colours, "norm": Normalize(-largest if signed else 0, largest)}
