"""Layers with several inputs."""

from __future__ import annotations

import functools
import math

from fastconv.layers.activation import emit_function
from fastconv.layers.base import Layer
from fastconv.layers.broadcast import broadcast_shape, extents


def _of_one_rank(shapes):
    """The shapes, those of a lower rank with axes of size 1 after the batch, as in Keras."""
    rank = max(map(len, shapes))
    return [(shape[0], *[1] * (rank - len(shape)), *shape[1:]) for shape in shapes]


def _joined(a, b):
    """The shape of a and b together, if one of them has it and the other can be used again along it."""
    shape = broadcast_shape(a, b)
    return shape if shape in (a, b) and extents(shape, b if shape == a else a) is not None else None


def emit_binary(graph, function: str, a, b, name: str):
    """Emits `function` of two buffers of one rank, either of which may have sizes of 1."""
    shape = broadcast_shape(a.shape, b.shape)
    y = graph.buffer(shape, name)
    if a.shape != shape and function == "subtract":  # a - b = -b + a
        function, b = "add", emit_function(graph, b, "linear", (-1.0, 0.0), f"{name}.negative")
    if a.shape != shape:
        a, b = b, a
    if function == "add" and a.shape == b.shape:
        graph.emit("add_forward", {"y": y}, a=a, b=b)
    else:
        graph.emit("binary_forward", {"y": y}, a=a, b=b, function=function, extents=extents(shape, b.shape))
    return y


class Merge(Layer):
    """Base of the layers that join tensors element by element: `function` of two, of that and the third, and so on."""

    function: str

    def _input_shapes(self, tensors):
        shapes = [t.shape for t in tensors]
        if len(shapes) < 2:
            raise ValueError(f"{self.name}: expected two or more inputs. Received: {shapes}")
        if functools.reduce(lambda a, b: a and _joined(a, b), _of_one_rank(shapes)) is None:
            raise ValueError(
                f"{self.name}: expected inputs of one shape, or each of the shape of those before it, or with sizes "
                f"of 1 along one run of its axes beside the batch. Received: {shapes}"
            )
        return shapes

    def compute_output_shape(self, input_shape):
        return functools.reduce(broadcast_shape, _of_one_rank([tuple(shape) for shape in input_shape]))

    def emit(self, graph, *inputs):
        shapes = _of_one_rank([x.shape for x in inputs])
        alike = [
            x if x.shape == shape else graph.view(x, shape, f"{self.name}.x{i}")
            for i, (x, shape) in enumerate(zip(inputs, shapes, strict=True))
        ]
        y = alike[0]
        for i, x in enumerate(alike[1:], start=1):
            y = emit_binary(graph, self.function, y, x, f"{self.name}.y{i}")
        return y


class Add(Merge):
    """The sum of two or more tensors: the joint of a residual connection.

    Input shape: a list of equal shapes; sizes of 1 stand for any, as in (N, 1, 1, C) beside (N, H, W, C), in one run of
    axes. Output shape: the largest.
    Raises: ValueError if there are fewer than two inputs or their shapes do not fit.
    Source: keras.layers.Add.

    >>> Add().compute_output_shape([(8, 16), (8, 16)])
    (8, 16)
    """

    function = "add"


class Multiply(Merge):
    """The product of two or more tensors, such as features and a gate for each channel.

    Input and output shape: as of `Add`.
    Raises: ValueError as `Add`.
    Source: keras.layers.Multiply.

    >>> Multiply().compute_output_shape([(8, 5, 5, 16), (8, 1, 1, 16)])
    (8, 5, 5, 16)
    """

    function = "multiply"


class Subtract(Merge):
    """The first of two tensors minus the second.

    Input and output shape: as of `Add`.
    Raises: ValueError unless there are two inputs whose shapes fit.
    Source: keras.layers.Subtract.

    >>> Subtract().compute_output_shape([(8, 16), (8, 16)])
    (8, 16)
    """

    function = "subtract"

    def _input_shapes(self, tensors):
        if len(tensors) != 2:
            raise ValueError(f"{self.name}: expected two inputs. Received: {len(tensors)}")
        return super()._input_shapes(tensors)


class Average(Merge):
    """The mean of two or more tensors.

    Input and output shape: as of `Add`.
    Raises: ValueError as `Add`.
    Source: keras.layers.Average.

    >>> Average().compute_output_shape([(8, 16), (8, 16)])
    (8, 16)
    """

    function = "add"

    def emit(self, graph, *inputs):
        total = super().emit(graph, *inputs)
        return emit_function(graph, total, "linear", (1 / len(inputs), 0.0), self.name)


class Maximum(Merge):
    """The largest of two or more tensors, element by element. The gradient of equals goes to the first of them.

    Input and output shape: as of `Add`.
    Raises: ValueError as `Add`.
    Source: keras.layers.Maximum.

    >>> Maximum().compute_output_shape([(8, 16), (8, 16)])
    (8, 16)
    """

    function = "maximum"


class Minimum(Merge):
    """The smallest of two or more tensors, element by element. The gradient of equals goes to the first of them.

    Input and output shape: as of `Add`.
    Raises: ValueError as `Add`.
    Source: keras.layers.Minimum.

    >>> Minimum().compute_output_shape([(8, 16), (8, 16)])
    (8, 16)
    """

    function = "minimum"


class Concatenate(Layer):
    """Tensors side by side along one axis.

    Args:
        axis: any but the batch.

    Input shape: a list of shapes that differ along the axis at most. Output shape: with their sum there.
    Raises: ValueError if there are fewer than two inputs, their shapes do not fit or the axis is that of the batch.
    Source: keras.layers.Concatenate.

    >>> Concatenate().compute_output_shape([(8, 5, 5, 16), (8, 5, 5, 3)])
    (8, 5, 5, 19)
    """

    def __init__(self, axis: int = -1, name: str | None = None):
        super().__init__(name)
        if not isinstance(axis, int) or axis == 0:
            raise ValueError(f"axis: expected the number of an axis after the batch. Received: axis={axis!r}")
        self.axis = axis

    def _input_shapes(self, tensors):
        shapes = [t.shape for t in tensors]
        rank = len(shapes[0]) if shapes else 0
        at = self.axis % rank if rank and -rank < self.axis < rank else 0
        if len(shapes) < 2 or not at or len({(*s[:at], None, *s[at + 1 :]) for s in shapes}) > 1:
            raise ValueError(
                f"{self.name}: expected two or more inputs whose shapes differ along axis {self.axis} at most. "
                f"Received: {shapes}"
            )
        return shapes

    def compute_output_shape(self, input_shape):
        shape = list(input_shape[0])
        shape[self.axis] = sum(s[self.axis] for s in input_shape)
        return tuple(shape)

    def emit(self, graph, *inputs):
        shape = self.compute_output_shape([x.shape for x in inputs])
        axis = self.axis % len(shape)
        y, at = graph.buffer(shape, f"{self.name}.y"), 0
        for x in inputs:
            columns = math.prod(x.shape[axis:])
            cut = {"rows": math.prod(shape[:axis]), "columns": columns, "x_at": 0, "y_at": at}
            graph.emit("copy_columns", {"y": y}, x=x, **cut)
            at += columns
        return y
