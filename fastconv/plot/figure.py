"""What all pictures share: a figure for a file or a notebook, its colours, and writing it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

Path = str | os.PathLike[str] | None

MAGNITUDES, SIGNED = "viridis", "RdBu_r"
# Blue and vermilion of Okabe and Ito, https://jfly.uni-koeln.de/color/: told apart with every kind of colour vision.
RIGHT, WRONG = "#0072B2", "#D55E00"
SMALL = 8  # points; the smallest text


def new_figure(path: Path, width: float, height: float) -> Any:
    """A figure of `width` by `height` inches: pyplot's, which a notebook shows, unless it is for a file.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('Pictures need matplotlib. Install it with: pip install "fastconv[plot]"') from error
    if path is not None:
        return Figure((width, height), layout="constrained")  # without pyplot: no window system, nothing kept open
    from matplotlib import pyplot

    return pyplot.figure(figsize=(width, height), layout="constrained")


def finish(figure: Any, path: Path) -> None:
    """Writes the figure where there is a path, in the format of its suffix.

    Raises:
        ValueError: matplotlib does not know the suffix.
        OSError: the file cannot be written; one that was there stays as it was.
    """
    from fastconv.saving import atomic_write

    if path is None:
        return
    path = os.fspath(path)
    suffix = os.path.splitext(path)[1].removeprefix(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if suffix not in known:
        raise ValueError(f"path must end in one of .{', .'.join(sorted(known))}. Received: path={path!r}")
    with atomic_write(path) as file:
        figure.savefig(file, format=suffix, dpi=120)


def legend(ax: Any, handles: Sequence[Any], names: Sequence[str], **settings: Any) -> None:
    """A legend that shows names as they are: matplotlib leaves out those with a leading underscore, and reads "$" as
    the beginning of a formula."""
    texts = ax.legend(handles, [str(i) for i in range(len(handles))], fontsize=SMALL, **settings).get_texts()
    for text, name in zip(texts, names, strict=True):
        text.set(text=name, parse_math=False)
