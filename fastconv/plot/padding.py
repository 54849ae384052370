"""Where "same" padding puts its zeros."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv import geometry
from fastconv.plot.figure import RIGHT, SMALL, WRONG, Path, finish, new_figure

_WHOLE, _END = 22, 8  # pixels; of a longer row both ends are drawn, with two windows at least
_NUMBERED = 60  # cells; more have no room for names
_MOST = 400  # cells; more are no picture
_GAP = 2  # cells, in place of those in the middle


class Padded(NamedTuple):
    """One axis of an image with zeros around, and the windows on it."""

    title: str
    before: int
    after: int  # zeros
    outputs: int


def plot_padding(size: int, kernel: int, stride: int = 1, padding: str = "same", path: Path = None) -> list[Any]:
    """Draws the pixels along one axis of an image, the zeros around them, and the windows of a convolution.

    For "same" padding there are two pictures: Keras' rule, where an odd zero goes after the last pixel, and PyTorch's
    `padding=(kernel - 1) // 2`, as many on both sides. At stride 2 on an even size a kernel of 3 gets the zeros (0, 1)
    from the one and (1, 1) from the other: the windows lie on other pixels, and weights of the one make other numbers
    in the other.

    Args:
        size: pixels along the axis.
        kernel: pixels of a window.
        stride: pixels from window to window.
        padding: "same" or "valid".
        path: image file to write, whole or not at all. Default: a pyplot figure.

    Returns:
        The list of matplotlib axes, Keras' first.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: a number is no positive integer, the window does not fit without padding, or is too
            large to draw.
    Source: `fastconv.geometry.window`; PyTorch's torch.nn.Conv2d for the other.

    Example:

    >>> plot_padding(8, 3, 2, path="padding.png")  # doctest: +SKIP
    """
    size = geometry.positive_int(size, "size")
    kernel, stride = geometry.positive_int(kernel, "kernel"), geometry.positive_int(stride, "stride")
    padding = geometry.check_padding(padding)
    if padding == "valid" and kernel > size:
        raise ValueError(f'kernel: expected at most size={size} where padding is "valid". Received: kernel={kernel}')
    if min(size + 2 * kernel, 2 * (kernel + stride)) > _MOST:
        raise ValueError(f"kernel, stride: expected windows of fewer pixels, to be drawn. "
                         f"Received: kernel={kernel}, stride={stride}")  # fmt: skip
    rows = _rows(size, kernel, stride, padding)

    levels = max(_levels(row, kernel, stride) for row in rows)
    places = [x for row in rows for x in _columns(row, size, kernel + stride).values()]
    first, last = min(places), max(places)
    height = 0.95 + 0.14 * min(levels, 12)
    figure = new_figure(path, min(max(0.36 * (last - first + 2), 5.5), 20), height * len(rows))
    axes = list(figure.subplots(len(rows), 1, squeeze=False)[:, 0])
    for ax, row in zip(axes, rows, strict=True):
        _draw(ax, row, size, kernel, stride)
        ax.set_xlim(first - 0.2, last + 1.2)
    finish(figure, path)
    return axes


def _rows(size: int, kernel: int, stride: int, padding: str) -> list[Padded]:
    outputs, before = geometry.window(size, kernel, stride, padding)
    after = max((outputs - 1) * stride + kernel - size - before, 0)
    if padding == "valid":
        return [Padded('padding="valid": no zeros', 0, 0, outputs)]
    both = (kernel - 1) // 2
    keras = Padded(f'Keras, padding="same": zeros ({before}, {after})', before, after, outputs)
    if kernel > size + 2 * both:
        return [keras]
    theirs = (size + 2 * both - kernel) // stride + 1
    return [keras, Padded(f"PyTorch, padding={both}: zeros ({both}, {both})", both, both, theirs)]


def _columns(row: Padded, size: int, two_windows: int) -> dict[int, float]:
    """The place of each pixel that is drawn, the same for all rows; those before the first are negative."""
    end = max(_END, two_windows)
    if size <= max(_WHOLE, 2 * end):
        return {i: float(i) for i in range(-row.before, size + row.after)}
    last = range(size - end, size + row.after)
    return {i: float(i) for i in range(-row.before, end)} | {i: float(end + _GAP + k) for k, i in enumerate(last)}


def _levels(row: Padded, kernel: int, stride: int) -> int:
    """Windows that lie over one pixel."""
    return min(-(-kernel // stride), row.outputs)


def _draw(ax: Any, row: Padded, size: int, kernel: int, stride: int) -> None:
    from matplotlib.patches import Rectangle

    columns = _columns(row, size, kernel + stride)
    starts = [i for i in columns if (i + row.before) % stride == 0 and (i + row.before) // stride < row.outputs]
    read = {i for i in columns if (i + row.before) - min((i + row.before) // stride, row.outputs - 1) * stride < kernel}
    for i, x in columns.items():
        zero = not 0 <= i < size
        style = {"facecolor": "white" if zero else "#dcebf6" if i in read else "#f2f2f2"}
        style.update({"edgecolor": WRONG, "hatch": "///"} if zero and i in read else {"edgecolor": "#777777"})
        ax.add_patch(Rectangle((x, 0), 1, 1, linewidth=0.8, **style))
        if len(columns) > _NUMBERED:
            continue
        colour = "black" if i in read else "#999999"
        text = ax.text(
            x + 0.5, 0.5, "0" if zero else f"x{i}", ha="center", va="center", fontsize=SMALL, color=colour, zorder=3
        )
        if zero:
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.6})
    levels = _levels(row, kernel, stride)
    step = min(0.4, 4.8 / levels)
    ends = [(columns[i], columns.get(i + kernel - 1)) for i in starts]
    drawn = [(a, b) for a, b in ends if b is not None and b - a == kernel - 1]  # others lie over what is left out
    for k, (a, b) in enumerate(drawn):
        y = 1.25 + step * (k % levels)
        ax.plot([a + 0.1, b + 0.9], [y, y], color=RIGHT, linewidth=2.5)
    if len(columns) < row.before + size + row.after:
        ax.text(columns[size - 1] / 2 + 0.5, 0.5, "…", ha="center", va="center")
    ax.set_ylim(-0.1, 1.35 + step * levels)
    ax.set_axis_off()
    plural = "" if row.outputs == 1 else "s"
    ax.set_title(f"{row.title}, {row.outputs} window{plural} of {kernel}, stride {stride}", fontsize=10, loc="left")
