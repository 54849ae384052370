"""Images with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.geometry import positive_int
from fastconv.plot.figure import RIGHT, SMALL, WRONG, Path, finish, new_figure
from fastconv.plot.labels import as_pictures, class_names, class_numbers

_COLUMNS = 8


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

    columns = min(_COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    height, width = pictures.shape[1:3]
    inches = 1.15 * min(max(height / width, 0.25), 4) + (0.42 if labels else 0.1)
    figure = new_figure(path, max(1.25 * columns, 1.6), inches * rows)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in grid:
        ax.set_axis_off()
    axes = grid[: len(pictures)]
    for i, (ax, picture) in enumerate(zip(axes, pictures, strict=True)):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        numbers = [names[labels[name][i]] for name in ("y_pred", "y_true") if name in labels]
        if not numbers:
            continue
        text = numbers[0] if sure is None else f"{numbers[0]} {sure[i]:.0%}"
        style = {}
        if len(numbers) == 2:
            right = labels["y_pred"][i] == labels["y_true"][i]
            style = {"color": RIGHT if right else WRONG, "fontweight": "normal" if right else "bold"}
            text += "\n" if right else f"\n(is {numbers[1]})"
        ax.set_title(text, fontsize=SMALL, pad=2, parse_math=False, **style)
    finish(figure, path)
    return axes


def _are_probabilities(y: Any) -> bool:
    """Whether rows are probabilities that are not all 0 or 1."""
    y = np.asarray(y)
    inside = y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind == "f" and ((y >= 0) & (y <= 1)).all()
    return bool(inside and np.allclose(y.sum(axis=1), 1, atol=1e-3) and ((y > 0) & (y < 1)).any())
