"""Layers that bring data to a scale: they have no weights to train."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.checks import flag, number, refused
from fastconv.layers.activation import emit_function
from fastconv.layers.base import Layer, Shape

_SMALLEST_DEVIATION = 1e-7  # that Keras divides by


class Rescaling(Layer):
    """x * scale + offset. As a first layer it takes images of uint8 as they are.

    Args:
        scale: such as 1 / 255.
        offset: added after.

    Input and output shape: any.
    Raises: ValueError if an argument is not a finite number.
    Source: keras.layers.Rescaling.

    >>> Rescaling(1 / 127.5, offset=-1).offset
    -1.0
    """

    def __init__(self, scale: float, offset: float = 0.0, name: str | None = None, input_shape: Shape | None = None):
        super().__init__(name, input_shape)
        self.scale, self.offset = number(scale, "scale"), number(offset, "offset")

    def emit(self, graph, x):
        return emit_function(graph, x, "linear", (self.scale, self.offset), self.name)


class Normalization(Layer):
    """(x - mean) / sqrt(variance), with numbers that are given or taken from data before training.

    Args:
        axis: the axes that have a mean each, which are the last ones in any order: -1 for one per channel, (1, 2, 3)
            for one per element of an image; None for one in all.
        mean: a number, or one for each entry of the axes. With it, variance is given, too; without, call `adapt`.
        variance: likewise.
        invert: x * sqrt(variance) + mean instead.

    Input and output shape: (N, ...).
    Weights, where mean is not given: mean zeros, variance ones, count (unused, as in Keras); not trainable.
    Raises: ValueError if only one of mean and variance is given, and at build if the axes are not the last ones or mean
        does not fit them.
    Source: keras.layers.Normalization.

    >>> layer = Normalization()
    >>> layer.adapt(np.array([[1.0, 2.0], [3.0, 2.0]]))
    >>> layer.adapt_mean.array.tolist(), layer.adapt_variance.array.tolist()
    ([2.0, 2.0], [1.0, 0.0])
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(name, input_shape)
        if (mean is None) != (variance is None) or np.shape(mean) != np.shape(variance):
            raise ValueError(
                "mean: expected with a variance of its shape, or neither. "
                f"Received: mean={mean!r}, variance={variance!r}"
            )
        axes = axis if isinstance(axis, (list, tuple)) else () if axis is None else (axis,)
        if not all(isinstance(entry, numbers.Integral) for entry in axes):
            raise refused("axis", "None, an integer or several", axis)
        self._axes = tuple(axes)
        self.axis, self.invert = axis, flag(invert, "invert")
        self.mean, self.variance = mean, variance
        self.adapt_mean = self.adapt_variance = None
        self._shape: tuple[int, ...] = ()

    def build(self, input_shape):
        rank = len(input_shape)
        kept = sorted(axis % rank for axis in self._axes if -rank <= axis < rank)
        if len(kept) != len(self._axes) or kept != list(range(rank - len(kept), rank)) or kept[:1] == [0]:
            raise ValueError(f"axis: expected the last axes, not the batch, or None. Received: axis={self.axis!r}")
        self._shape = tuple(input_shape[axis] for axis in kept)
        if self.mean is None:
            self.adapt_mean = self.weight("mean", self._shape, "zeros", trainable=False)
            self.adapt_variance = self.weight("variance", self._shape, "ones", trainable=False)
            self.weight("count", (), "zeros", trainable=False)
            return
        try:
            np.broadcast_to(np.asarray(self.mean, np.float32), self._shape)
        except ValueError:
            raise ValueError(
                f"mean: expected a shape that fits {self._shape}. Received: shape {np.shape(self.mean)}"
            ) from None

    def check_input(self, input_shape):
        if tuple(input_shape[len(input_shape) - len(self._shape) :]) != self._shape:
            raise ValueError(
                f"{self.name}: expected an input whose last axes are {self._shape}. Received: {tuple(input_shape)}"
            )

    def adapt(self, data: Any) -> None:
        """Takes mean and variance from data.

        Args:
            data: an array (N, ...), or an iterable of batches; of a tuple the first entry counts.

        Raises:
            ValueError: if the layer was given them, there are no data, or their shape is not that of the layer.
        """
        if self.mean is not None:
            raise ValueError("adapt: expected a layer without mean and variance. Received: one that was given them")
        count, mean, squares = 0, 0.0, 0.0
        for batch in [data] if hasattr(data, "shape") else data:
            x = np.asarray(batch[0] if isinstance(batch, tuple) else batch)
            self.ensure_built((None, *x.shape[1:]))
            axes = tuple(range(x.ndim - len(self._shape)))
            size = math.prod(x.shape[: len(axes)])
            if not size:
                continue
            batch_mean = x.mean(axes, dtype=np.float64)
            moved = batch_mean - mean
            squares = squares + x.var(axes, dtype=np.float64) * size + moved**2 * (count * size / (count + size))
            mean, count = mean + moved * (size / (count + size)), count + size
        if not count:
            raise ValueError("data: expected at least one sample. Received: none")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(squares / count)

    def emit(self, graph, x):
        channels = math.prod(self._shape)
        rows = graph.view(x, (math.prod(x.shape) // channels, channels), f"{self.name}.rows")
        mean = self._values(graph, "mean", self.mean, self.adapt_mean)
        variance = self._values(graph, "variance", self.variance, self.adapt_variance)
        y = graph.buffer(rows.shape, f"{self.name}.y")
        if self.invert:
            scaled, extents = graph.buffer(rows.shape, f"{self.name}.scaled"), (1, 1, *rows.shape)
            graph.emit("binary_forward", {"y": scaled}, a=rows, b=variance, function="scale_by_root", extents=extents)
            graph.emit("binary_forward", {"y": y}, a=scaled, b=mean, function="add", extents=extents)
        else:
            statistics = {"moving_mean": mean, "moving_variance": variance, "epsilon": _SMALLEST_DEVIATION**2}
            graph.emit("batchnorm_inference", {"y": y}, x=rows, gamma=None, beta=None, **statistics, slope=1.0)
        return graph.view(y, x.shape, f"{self.name}.y")

    def _values(self, graph, name: str, given, weight):
        """The buffer of one number per column."""
        if given is None:
            return graph.view(graph.weight(weight), (math.prod(self._shape),), f"{self.name}.{name}")
        flat = np.broadcast_to(np.asarray(given, np.float32), self._shape).reshape(-1)
        return graph.constant(f"{self.name}.{name}", np.ascontiguousarray(flat))
