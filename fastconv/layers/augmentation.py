"""Layers that change images at random in training; in evaluation and prediction they change nothing.

What they draw depends on the seed, the step and the number of the image in its batch alone (the generator of
`Dropout`), so a run repeats to the bit, with any number of threads and on every device.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence

import numpy as np

from fastconv.checks import number
from fastconv.geometry import positive_int
from fastconv.layers.base import Layer, Shape, require_rank

_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")
_FILL_MODES = ("constant", "nearest", "reflect", "wrap")


class _RandomImages(Layer):
    """Base: images of rank 4, a seed."""

    def __init__(self, seed: int | None, name: str | None, input_shape: Shape | None):
        super().__init__(name, input_shape)
        if seed is not None and not isinstance(seed, numbers.Integral):
            raise ValueError(f"seed: expected an integer or None. Received: seed={seed!r}")
        self.seed = seed

    def compute_output_shape(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        return tuple(input_shape)

    def _window(self, graph, x, flip="none", rows=(0, 0), columns=(0, 0), whole=True, fill=("constant", 0.0)):
        """Emits a window of each image, of the layer's output shape."""
        y = graph.buffer(self.compute_output_shape(x.shape), f"{self.name}.y")
        seed = graph.state("seed", dtype="int64")
        if self.seed is not None:
            seed = graph.constant(f"{self.name}.seed", np.array([self.seed], np.int64))
        graph.emit(
            "random_window",
            {"y": y},
            x=x,
            seed=seed,
            step=graph.state("step", dtype="int64"),
            flip=flip,
            rows=rows,
            columns=columns,
            whole=whole,
            fill_mode=fill[0],
            fill_value=fill[1],
            stream=graph.new_stream(),
        )
        return y


class RandomFlip(_RandomImages):
    """Mirrors every second image, on average.

    Args:
        mode: "horizontal" (left and right), "vertical", or "horizontal_and_vertical", where an image is mirrored both
            ways or not at all, as in Keras.
        seed: None for the model's.

    Input and output shape: (N, H, W, C).
    Raises: ValueError on an unknown mode; in training, after layers with weights: it has no gradient.
    Source: keras.layers.RandomFlip.

    >>> RandomFlip("horizontal").compute_output_shape((8, 32, 32, 3))
    (8, 32, 32, 3)
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(seed, name, input_shape)
        if mode not in _FLIPS:
            raise ValueError(f"mode: expected one of {list(_FLIPS)}. Received: mode={mode!r}")
        self.mode = mode

    def emit(self, graph, x):
        return self._window(graph, x, flip=self.mode) if graph.layers_train else x


class RandomTranslation(_RandomImages):
    """Moves every image by its own share of its height and width.

    Args:
        height_factor: largest share, down or up, in [-1, 1]; or (lowest, highest), positive is down.
        width_factor: likewise, positive is right.
        fill_mode: how an image goes on beyond its border: "reflect" (d c b a | a b c d | d c b a), "wrap"
            (a b c d | a b c d), "nearest" (a a a a | a b c d), or "constant".
        interpolation: "bilinear" between pixels, or "nearest" for whole ones.
        seed: None for the model's.
        fill_value: beyond the border, for "constant".

    A wrapped image repeats without end, and pixels between its last and its first are interpolated; Keras on TensorFlow
    takes one of the two there, and the border beyond a whole image.

    Input and output shape: (N, H, W, C).
    Raises: ValueError on an argument out of range; in training, after layers with weights: it has no gradient.
    Source: keras.layers.RandomTranslation.

    >>> RandomTranslation(0.125, (-0.25, 0.0)).width_factor
    (-0.25, 0.0)
    """

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float],
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(seed, name, input_shape)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height_limits = _limits(height_factor, "height_factor")
        self._width_limits = _limits(width_factor, "width_factor")
        if fill_mode not in _FILL_MODES:
            raise ValueError(f"fill_mode: expected one of {list(_FILL_MODES)}. Received: fill_mode={fill_mode!r}")
        if interpolation not in ("bilinear", "nearest"):
            raise ValueError(
                f'interpolation: expected "bilinear" or "nearest". Received: interpolation={interpolation!r}'
            )
        self.fill_mode, self.interpolation, self.fill_value = fill_mode, interpolation, number(fill_value, "fill_value")

    def emit(self, graph, x):
        if not graph.layers_train:
            return x
        whole = self.interpolation == "nearest"
        places = (
            tuple(-limit * size + 0.5 * whole for limit in reversed(limits))  # the window moves the other way
            for limits, size in ((self._height_limits, x.shape[1]), (self._width_limits, x.shape[2]))
        )
        return self._window(graph, x, "none", *places, whole, (self.fill_mode, self.fill_value))


class RandomCrop(_RandomImages):
    """A window of each image: at a random place in training, in the middle otherwise.

    Keras 3.15 draws one place for a whole batch, and does not crop in evaluation and prediction.

    Args:
        height: rows of the window.
        width: columns of the window.
        seed: None for the model's.

    Input shape: (N, H, W, C). Output shape: (N, height, width, C).
    Raises: ValueError if a size is not positive or larger than the image; in training, after layers with weights: it
        has no gradient.
    Source: keras.layers.RandomCrop.

    >>> RandomCrop(28, 28).compute_output_shape((8, 32, 32, 3))
    (8, 28, 28, 3)
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(seed, name, input_shape)
        self.height, self.width = positive_int(height, "height"), positive_int(width, "width")

    def compute_output_shape(self, input_shape):
        n, h, w, c = super().compute_output_shape(input_shape)
        if self.height > h or self.width > w:
            raise ValueError(
                f"{self.name}: expected images of {self.height}x{self.width} pixels or more. "
                f"Received: shape {tuple(input_shape)}"
            )
        return (n, self.height, self.width, c)

    def emit(self, graph, x):
        spare = (x.shape[1] - self.height, x.shape[2] - self.width)
        if not any(spare):
            return x
        if graph.layers_train:
            return self._window(graph, x, "none", *((0, places + 1) for places in spare))
        return self._window(graph, x, "none", *((places // 2, places // 2) for places in spare))


def _limits(factor, name: str) -> tuple[float, float]:
    """Lowest and highest share."""
    pair = factor if isinstance(factor, (tuple, list)) else (-factor, factor) if _is_share(factor) else ()
    if len(pair) != 2 or not all(map(_is_share, pair)):
        raise ValueError(f"{name}: expected a number in [-1, 1] or two. Received: {name}={factor!r}")
    return float(min(pair)), float(max(pair))


def _is_share(value) -> bool:
    return isinstance(value, numbers.Real) and -1 <= value <= 1
