"""Images with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.geometry import positive_int
from fastconv.plot.figure import RIGHT, SMALL, WRONG, Path, finish, new_figure
from fastconv.plot.labels import as_pictures, class_names, class_numbers
from fastconv.plot.page import Page

_COLUMNS, _TILE = 8, 1.15  # images beside each other, and the inches of one
_GREY = {"cmap": "gray", "vmin": 0, "vmax": 1}


def plot_images(
    x: Any,
    y_true: Any = None,
    y_pred: Any = None,
    classes: Sequence[str] | None = None,
    path: Path = None,
    *,
    max_images: int = 32,
) -> list[Any]:
    """Draws images in a grid, with predicted and true labels above them.

    A right prediction is blue; a wrong one is vermilion and in bold, with the true label below it. Probabilities add
    how sure the prediction was.

    Args:
        x: images (N, H, W, 3), (N, H, W, 1) or (N, H, W); 0..255, 0..1, or anything finite, which is then stretched
            from the smallest number to the largest.
        y_true: class numbers (N,) or (N, 1), or one-hot labels (N, classes). None: no labels.
        y_pred: what `model.predict` returned, (N, classes), or class numbers. None: true labels alone.
        classes: names of the classes; numbers if None.
        path: image file to write, whole or not at all. Default: a pyplot figure.
        max_images: most images to draw, the first ones.

    Returns:
        The list of matplotlib axes, one for each image.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: these are no images or no labels, differ in number, or there are fewer names than classes.

    Example:

    >>> plot_images(x_test[:16], y_test[:16], model.predict(x_test[:16]), cifar10.LABELS)  # doctest: +SKIP
    """
    pictures = as_pictures(x, "x")
    labels = {}
    for name, y in (("y_true", y_true), ("y_pred", y_pred)):
        if y is None:
            continue
        labels[name], given = class_numbers(y, name)
        if len(labels[name]) != len(pictures):
            raise ValueError(
                f"{name}: expected a label for each of {len(pictures)} images. Received: {len(labels[name])} labels"
            )
    sure = given if y_pred is not None and _are_probabilities(y_pred) else None
    names = class_names(classes, max((int(numbers.max()) + 1 for numbers in labels.values()), default=0))
    pictures = pictures[: positive_int(max_images, "max_images")]

    texts, styles = [], []
    for i in range(len(pictures)):
        numbers = [labels[name][i] for name in ("y_pred", "y_true") if name in labels]
        text = names[numbers[0]] if numbers else ""
        text += f" {sure[i]:.0%}" if sure is not None else ""
        wrong = len(numbers) == 2 and numbers[0] != numbers[1]
        texts.append(f"{text}\n(is {names[numbers[1]]})" if wrong else f"{text}\n" if len(numbers) == 2 else text)
        colour = (WRONG if wrong else RIGHT) if len(numbers) == 2 else "black"
        styles.append({"color": colour, "fontweight": "bold" if wrong else "normal"})

    page, axes = Page(new_figure(path, 1, 1)), []
    height, width = pictures.shape[1:3]
    size = _TILE, _TILE * min(max(height / width, 0.25), 4)
    above = 0.17 * (1 + max(text.count("\n") for text in texts)) if labels else 0.0
    step = max(_TILE, *(1.15 * page.text_width(text, SMALL) for text in texts)) + 0.1  # bold is wider
    for i, (picture, text, style) in enumerate(zip(pictures, texts, styles, strict=True)):
        column = i % _COLUMNS
        if column == 0:
            page.top += above
        ax, _ = page.tiles(0.1 + column * step + (step - _TILE) / 2, [[picture]], size, _GREY)
        ax.set_axis_off()
        ax.set_title(text, fontsize=SMALL, pad=2, parse_math=False, **style)
        axes.append(ax)
        page.right = max(page.right, (column + 1) * step)
        if column == _COLUMNS - 1 or i == len(pictures) - 1:
            page.top += size[1] + 0.1
    page.fit()
    finish(page.figure, path)
    return axes


def _are_probabilities(y: Any) -> bool:
    """Whether rows are probabilities that are not all 0 or 1."""
    y = np.asarray(y)
    inside = y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind == "f" and ((y >= 0) & (y <= 1)).all()
    return bool(inside and np.allclose(y.sum(axis=1), 1, atol=1e-3) and ((y > 0) & (y < 1)).any())
