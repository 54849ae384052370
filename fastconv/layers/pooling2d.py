"""Pooling of images: MaxPooling2D, AveragePooling2D, and both over whole images."""

from __future__ import annotations

from collections.abc import Sequence

from fastconv import geometry
from fastconv.checks import flag
from fastconv.layers.base import Layer, Shape, require_rank


def _emit_max(graph, shape, x, name):
    y = graph.buffer(shape.y_shape, f"{name}.y")
    index = graph.buffer(shape.y_shape, f"{name}.index") if graph.training else None
    graph.emit("maxpool2d_forward", {"y": y, "index": index}, geometry=shape, x=x)
    return y


def _emit_mean(graph, shape, x, name):
    y = graph.buffer(shape.y_shape, f"{name}.y")
    graph.emit("avgpool2d_forward", {"y": y}, geometry=shape, x=x, mean=True)
    return y


class _Pooling2D(Layer):
    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(name, input_shape)
        self.pool_size = geometry.pair(pool_size, "pool_size")
        self.strides = self.pool_size if strides is None else geometry.pair(strides, "strides")
        self.padding = geometry.check_padding(padding)
        self.data_format = geometry.check_data_format(data_format)

    def _geometry(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        shape = (input_shape[0] or 1, *input_shape[1:])
        return geometry.pool2d(shape, self.pool_size, self.strides, self.padding)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._geometry(input_shape).y_shape[1:])


class MaxPooling2D(_Pooling2D):
    """The largest number of each window, channel by channel; `MaxPool2D` is the same.

    Args:
        pool_size: int or (vertical, horizontal), in pixels.
        strides: int or a pair, in pixels; None is `pool_size`.
        padding: "valid" (none) or "same" (output = ceil(input / stride)). Pixels beyond the image are in no window.
        data_format: None or "channels_last".

    The gradient goes to the first of equal numbers, row by row, as in TensorFlow. A window with a NaN gives NaN.

    Input shape: (N, H, W, C). Output shape: (N, P, Q, C), see `fastconv.geometry.pool2d`.
    Raises: ValueError if an argument is out of range, and when called if the window does not fit a "valid" image.
    Source: keras.layers.MaxPooling2D.

    >>> MaxPooling2D().compute_output_shape((8, 32, 32, 3))
    (8, 16, 16, 3)
    """

    def emit(self, graph, x):
        return _emit_max(graph, self._geometry(x.shape), x, self.name)


class AveragePooling2D(_Pooling2D):
    """The mean of each window, channel by channel; `AvgPool2D` is the same.

    Args:
        pool_size: int or (vertical, horizontal), in pixels.
        strides: int or a pair, in pixels; None is `pool_size`.
        padding: "valid" (none) or "same" (output = ceil(input / stride)). Pixels beyond the image do not count.
        data_format: None or "channels_last".

    Input shape: (N, H, W, C). Output shape: (N, P, Q, C), see `fastconv.geometry.pool2d`.
    Raises: ValueError if an argument is out of range, and when called if the window does not fit a "valid" image.
    Source: keras.layers.AveragePooling2D.

    >>> AveragePooling2D(3, strides=2, padding="same").compute_output_shape((8, 32, 32, 3))
    (8, 16, 16, 3)
    """

    def emit(self, graph, x):
        return _emit_mean(graph, self._geometry(x.shape), x, self.name)


class _GlobalPooling2D(Layer):
    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(name, input_shape)
        self.data_format = geometry.check_data_format(data_format)
        self.keepdims = flag(keepdims, "keepdims")

    def compute_output_shape(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        batch, channels = input_shape[0], input_shape[-1]
        return (batch, 1, 1, channels) if self.keepdims else (batch, channels)

    def _emit(self, graph, x, emit_pool):
        y = emit_pool(graph, geometry.pool2d(x.shape, x.shape[1:3]), x, self.name)
        return y if self.keepdims else graph.view(y, self.compute_output_shape(x.shape), f"{self.name}.row")


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest number of each channel of an image; `GlobalMaxPool2D` is the same.

    Args:
        data_format: None or "channels_last".
        keepdims: keep the axes of the image, with one row and one column.

    The gradient goes to the first of equal numbers, as in MaxPooling2D; Keras on TensorFlow shares it among them.

    Input shape: (N, H, W, C). Output shape: (N, C), or (N, 1, 1, C) with `keepdims`.
    Raises: ValueError on another data format, and when called on an input of another rank.
    Source: keras.layers.GlobalMaxPooling2D.

    >>> GlobalMaxPooling2D().compute_output_shape((8, 4, 4, 64))
    (8, 64)
    """

    def emit(self, graph, x):
        return self._emit(graph, x, _emit_max)


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each channel of an image; `GlobalAvgPool2D` is the same.

    Args:
        data_format: None or "channels_last".
        keepdims: keep the axes of the image, with one row and one column.

    Input shape: (N, H, W, C). Output shape: (N, C), or (N, 1, 1, C) with `keepdims`.
    Raises: ValueError on another data format, and when called on an input of another rank.
    Source: keras.layers.GlobalAveragePooling2D; Lin et al. 2013, arXiv:1312.4400.

    >>> GlobalAveragePooling2D(keepdims=True).compute_output_shape((8, 4, 4, 64))
    (8, 1, 1, 64)
    """

    def emit(self, graph, x):
        return self._emit(graph, x, _emit_mean)


MaxPool2D, AvgPool2D = MaxPooling2D, AveragePooling2D
GlobalMaxPool2D, GlobalAvgPool2D = GlobalMaxPooling2D, GlobalAveragePooling2D
