"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.plot.figure import MAGNITUDES, SMALL, Path, finish, new_figure
from fastconv.plot.labels import class_names, class_numbers
from fastconv.plot.page import Page

_MOST_NUMBERS = 25  # classes; cells of more have no room for a number
_CELL = 0.42  # inches


def plot_confusion_matrix(
    y_true: Any, y_pred: Any, classes: Sequence[str] | None = None, path: Path = None
) -> list[Any]:
    """Draws how often each class was predicted as which: a row for each true class, a column for each predicted one.

    Cells have the number of samples; their colour is its share of the row, so that the diagonal shows each class'
    recall. The title has the accuracy.

    Args:
        y_true: class numbers (N,) or (N, 1), or one-hot labels (N, classes).
        y_pred: what `model.predict` returned, (N, classes), or class numbers.
        classes: names of the classes; numbers if None.
        path: image file to write, whole or not at all. Default: a pyplot figure.

    Returns:
        A list of one matplotlib axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the labels are no classes, differ in number, or there are fewer names than classes.

    Example:

    >>> plot_confusion_matrix(y_test, model.predict(x_test), cifar10.LABELS, "confusion.png")  # doctest: +SKIP
    """
    (true, _), (predicted, _) = class_numbers(y_true, "y_true"), class_numbers(y_pred, "y_pred")
    if len(true) != len(predicted):
        raise ValueError(
            f"y_pred: expected as many samples as y_true, {len(true)}. Received: y_pred of {len(predicted)} samples"
        )
    columns = [np.shape(y)[1] for y in (y_true, y_pred) if np.ndim(y) == 2]
    names = class_names(classes, max(int(true.max()) + 1, int(predicted.max()) + 1, *columns, 0))
    count = len(names)
    counts = np.bincount(true * count + predicted, minlength=count * count).reshape(count, count)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    page = Page(new_figure(path, 1, 1))
    right = int(np.trace(counts))
    page.title(f"{right:,} of {len(true):,} right ({right / len(true):.1%})")
    longest = max(page.text_width(name, SMALL) for name in names)
    left, side = 0.5 + longest, min(max(_CELL * count, 1.5), 10)
    ax = page.axes(left, page.top, side, side)
    image = ax.imshow(shares, cmap=MAGNITUDES, vmin=0, vmax=1)
    step = -(-count // 40)  # labels stay apart
    ticks = range(0, count, step)
    ax.set_xticks(ticks, names[::step], rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    ax.set_yticks(ticks, names[::step], parse_math=False)
    ax.tick_params(labelsize=SMALL)
    ax.set_xlabel("predicted", fontsize=SMALL)
    ax.set_ylabel("true", fontsize=SMALL)
    if count <= _MOST_NUMBERS:
        for (i, j), number in np.ndenumerate(counts):
            colour = "black" if shares[i, j] > 0.6 else "white"
            ax.text(j, i, f"{number}", ha="center", va="center", color=colour, fontsize=SMALL)
    page.colour_bar(image, left + side + 0.2, page.top, side, "share of the true class")
    page.top += side + 0.42 + 0.75 * longest  # the names below are turned
    page.fit()
    finish(page.figure, path)
    return [ax]
