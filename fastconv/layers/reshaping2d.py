"""Layers that add, repeat or drop pixels: ZeroPadding2D, Cropping2D, UpSampling2D."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastconv import geometry
from fastconv.layers.base import Layer, Shape, require_rank
from fastconv.layers.broadcast import extents
from fastconv.layers.rearrange import emit_batch_to_space, emit_space_to_batch

_INTERPOLATIONS = ("nearest", "bilinear")

Sides = tuple[tuple[int, int], tuple[int, int]]


def _sides(value, name: str) -> Sides:
    """An int, a pair, or a pair of pairs as ((top, bottom), (left, right)).

    Raises:
        ValueError: naming the argument and what was received.
    """
    axes = value if isinstance(value, (tuple, list)) else (value, value)
    pairs = [tuple(axis) if isinstance(axis, (tuple, list)) else (axis, axis) for axis in axes]
    if len(pairs) != 2 or any(len(p) != 2 or any(type(n) is not int or n < 0 for n in p) for p in pairs):
        raise ValueError(
            f"{name}: expected an int, two ints or ((top, bottom), (left, right)), none negative. "
            f"Received: {name}={value!r}"
        )
    return tuple(pairs)


class ZeroPadding2D(Layer):
    """Zeros around images.

    Args:
        padding: int, (vertical, horizontal) or ((top, bottom), (left, right)), in pixels.
        data_format: None or "channels_last".

    Input shape: (N, H, W, C). Output shape: (N, H + top + bottom, W + left + right, C).
    Raises: ValueError if an argument is out of range.
    Source: keras.layers.ZeroPadding2D.

    >>> ZeroPadding2D(((1, 2), (0, 3))).compute_output_shape((8, 5, 4, 3))
    (8, 8, 7, 3)
    """

    def __init__(
        self,
        padding: int | Sequence = (1, 1),
        data_format: str | None = None,
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(name, input_shape)
        self.padding = _sides(padding, "padding")
        self.data_format = geometry.check_data_format(data_format)

    def compute_output_shape(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        n, h, w, c = input_shape
        return (n, h + sum(self.padding[0]), w + sum(self.padding[1]), c)

    def emit(self, graph, x):
        _, lines, columns, _ = self.compute_output_shape(x.shape)
        (top, _), (left, _) = self.padding
        return emit_space_to_batch(graph, x, lines, columns, f"{self.name}.y", padding=(top, left))


class Cropping2D(Layer):
    """Images without pixels at their borders.

    Args:
        cropping: int, (vertical, horizontal) or ((top, bottom), (left, right)), in pixels.
        data_format: None or "channels_last".

    Input shape: (N, H, W, C). Output shape: (N, H - top - bottom, W - left - right, C).
    Raises: ValueError if an argument is out of range, and when called if nothing is left.
    Source: keras.layers.Cropping2D.

    >>> Cropping2D(((1, 2), (0, 3))).compute_output_shape((8, 5, 4, 3))
    (8, 2, 1, 3)
    """

    def __init__(
        self,
        cropping: int | Sequence = ((0, 0), (0, 0)),
        data_format: str | None = None,
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(name, input_shape)
        self.cropping = _sides(cropping, "cropping")
        self.data_format = geometry.check_data_format(data_format)

    def compute_output_shape(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        n, h, w, c = input_shape
        lines, columns = h - sum(self.cropping[0]), w - sum(self.cropping[1])
        if lines < 1 or columns < 1:
            raise ValueError(
                f"cropping: expected to leave a pixel of an image of {(h, w)}. Received: cropping={self.cropping}"
            )
        return (n, lines, columns, c)

    def emit(self, graph, x):
        _, lines, columns, _ = self.compute_output_shape(x.shape)
        (top, _), (left, _) = self.cropping
        return emit_batch_to_space(graph, x, lines, columns, f"{self.name}.y", padding=(top, left))


class UpSampling2D(Layer):
    """Larger images: every pixel repeated, or straight lines from the centre of each pixel to the next.

    Args:
        size: int or (vertical, horizontal), how many times larger.
        data_format: None or "channels_last".
        interpolation: "nearest", or "bilinear"; beyond the outermost centres that is "nearest", too.

    Input shape: (N, H, W, C). Output shape: (N, H * vertical, W * horizontal, C).
    Raises: ValueError if an argument is out of range.
    Source: keras.layers.UpSampling2D.

    >>> UpSampling2D((2, 3)).compute_output_shape((8, 4, 4, 16))
    (8, 8, 12, 16)
    """

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(name, input_shape)
        self.size = geometry.pair(size, "size")
        self.data_format = geometry.check_data_format(data_format)
        if interpolation not in _INTERPOLATIONS:
            raise ValueError(
                f"interpolation: expected one of {_INTERPOLATIONS}. Received: interpolation={interpolation!r}"
            )
        self.interpolation = interpolation

    def compute_output_shape(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        n, h, w, c = input_shape
        return (n, h * self.size[0], w * self.size[1], c)

    def emit(self, graph, x):
        y = graph.buffer(self.compute_output_shape(x.shape), f"{self.name}.y")
        if self.interpolation == "nearest":
            sums = geometry.pool2d(y.shape, self.size)  # over the copies of a pixel: their gradient copies it
            graph.emit("avgpool2d_backward", {"dx": y}, geometry=sums, dy=x, mean=False)
            return y
        (down, missing_down), (across, missing_across) = map(_tent, x.shape[1:3], self.size)
        filters = _for_channels(np.multiply.outer(down, across)[..., None, None], x.shape[-1], axis=2)
        scale = _for_channels(np.multiply.outer(missing_down, missing_across)[None, ..., None], x.shape[-1], axis=3)
        shape = geometry.depthwise_conv2d(y.shape, 1, filters.shape[:2], self.size, "same")
        sums = graph.buffer(y.shape, f"{self.name}.sums")
        w, b = graph.constant(f"{self.name}.filters", filters), graph.constant(f"{self.name}.scale", scale)
        graph.emit("depthwise_conv2d_dgrad", {"dx": sums}, geometry=shape, dy=x, w=w)
        sizes = extents(y.shape, b.shape)
        graph.emit("binary_forward", {"y": y}, a=sums, b=b, function="multiply", extents=sizes)
        return y


def _tent(size: int, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Along one axis: what a pixel adds to the new ones around it, less and less up to the next centres; and by what
    each new pixel is then multiplied, since those beyond the outermost centres lack the share of a missing pixel."""
    taps = 2 * factor - factor % 2
    shares = 1 - np.abs(np.arange(taps) - (taps - 1) / 2) / factor
    centres = (np.arange(size * factor) + 0.5) / factor - 0.5  # of the new pixels, counted in old ones
    return shares, 1 / (1 + np.minimum(centres, 0) + np.minimum(size - 1 - centres, 0))


def _for_channels(values: np.ndarray, channels: int, axis: int) -> np.ndarray:
    return np.repeat(values.astype(np.float32), channels, axis)
