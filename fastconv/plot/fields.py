"""Which pixels of an input an output depends on: windows followed backwards along the graph, by arithmetic alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from fastconv import geometry, layers
from fastconv.models import Model

Span = tuple[int, int] | None  # the first and last row, or column; None: no pixel at all
Field = tuple[Span, Span]  # rows and columns; both of them None or neither
Shape = tuple[Any, ...]

_NOTHING: Field = (None, None)
_POINT: Field = ((0, 0), (0, 0))  # of what has no rows and columns
_IN_PLACE = (
    layers.Activation,
    layers.BatchNormalization,
    layers.Dense,
    layers.Dropout,
    layers.ELU,
    layers.LeakyReLU,
    layers.Normalization,
    layers.PReLU,
    layers.RandomFlip,
    layers.RandomTranslation,
    layers.ReLU,
    layers.Rescaling,
    layers.Softmax,
)
_MERGES = (
    layers.Add,
    layers.Average,
    layers.Concatenate,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
)
_WINDOWS = (
    layers.AveragePooling2D,
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.MaxPooling2D,
    layers.SeparableConv2D,
)
_WHOLE = (layers.Flatten, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.Reshape)


class Call(NamedTuple):
    """One call of a layer, those within models inside included; tensors are numbers."""

    name: str  # "model/layer" within a model
    layer: Any
    inputs: list[int]
    outputs: list[int]


class Graph:
    """The calls of a model for images of some size.

    Args:
        model: a built model.
        image_size: height and width of all inputs that are images; None leaves them as they are.

    Raises:
        ValueError: if a layer cannot take images of this size.
    """

    def __init__(self, model: Model, image_size: tuple[int, int] | None):
        self.shapes: list[Shape] = []
        self.calls: list[Call] = []
        self.inputs = []
        for tensor in model.inputs:
            shape = tensor.shape
            if image_size is not None and len(shape) == 4:
                shape = (shape[0], *image_size, shape[3])
            self.inputs.append(self._tensor(shape))
        self._add(model, self.inputs, "")

    def _tensor(self, shape: Shape) -> int:
        self.shapes.append(shape)
        return len(self.shapes) - 1

    def _add(self, model: Model, inputs: Sequence[int], prefix: str) -> list[int]:
        numbers = dict(zip(model.inputs, inputs, strict=True))
        for node in model.nodes:
            if node.outputs[0] in numbers:
                continue
            read, name = [numbers[tensor] for tensor in node.inputs], prefix + node.layer.name
            if isinstance(node.layer, Model):
                made = self._add(node.layer, read, f"{name}/")
            else:
                shapes = [self.shapes[number] for number in read]
                shape = node.layer.compute_output_shape(shapes if len(shapes) > 1 else shapes[0])
                made = [self._tensor(tuple(one)) for one in (shape if len(node.outputs) > 1 else [shape])]
                self.calls.append(Call(name, node.layer, read, made))
            numbers.update(zip(node.outputs, made, strict=True))
        return [numbers[tensor] for tensor in model.outputs]

    def fields(self, tensor: int, position: tuple[int, int], clipped: bool) -> dict[int, Field]:
        """What of each tensor before it a pixel of `tensor` depends on, as rows and columns that hold all of it.

        Args:
            tensor: the number of a tensor.
            position: the row and column of the pixel, where the tensor has such.
            clipped: whether padding is left out; with it the field has the size that it has in an endless image.

        Raises:
            ValueError: if a layer on the way is of a kind that is not known here.
        """
        fields = {tensor: tuple((p, p) for p in position) if len(self.shapes[tensor]) == 4 else _POINT}
        for call in reversed(self.calls):
            for output, number in itertools.product(call.outputs, call.inputs):
                if output not in fields:
                    continue
                found = self._before(call, number, output, fields[output])
                if clipped and len(self.shapes[number]) == 4:
                    found = tuple(_clip(s, n) for s, n in zip(found, self.shapes[number][1:3], strict=True))
                if None in found:
                    found = _NOTHING
                fields[number] = tuple(map(_hull, fields.get(number, _NOTHING), found))
        return fields

    def _before(self, call: Call, number: int, output: int, field: Field) -> Field:
        """What of an input of a call the field of an output depends on."""
        layer, shape = call.layer, self.shapes[number]
        known = isinstance(layer, (*_IN_PLACE, *_MERGES, *_WINDOWS, *_WHOLE, *_MOVES))
        if isinstance(layer, layers.Concatenate):
            known = layer.axis in (-1, len(shape) - 1)
        if not known:
            raise ValueError(
                f"{call.name}: expected a layer whose receptive field is known. Received: {type(layer).__name__}"
            )
        if field == _NOTHING:
            return _NOTHING
        if len(shape) != 4:
            return _POINT
        if len(self.shapes[output]) != 4 or isinstance(layer, _WHOLE):
            return tuple((0, size - 1) for size in shape[1:3])
        sizes = zip(field, shape[1:3], self.shapes[output][1:3], (0, 1), strict=True)
        return tuple(_span_before(layer, span, n, made, axis) for span, n, made, axis in sizes)


def _span_before(layer: Any, span: tuple[int, int], size: int, made: int, axis: int) -> Span:
    """The rows (axis 0) or columns of an input of `size` that those of the output, `made` in all, depend on."""
    first, last = span
    if isinstance(layer, _MERGES):
        return span if size == made else (0, 0)  # one row serves all
    if isinstance(layer, _WINDOWS):
        kernel, stride, before = _window(layer, axis, size)
        return first * stride - before, last * stride - before + kernel - 1
    if isinstance(layer, layers.Conv2DTranspose):
        kernel, stride, before = _window(layer, axis, made)
        first, last = -((kernel - 1 - before - first) // stride), (last + before) // stride
        return (first, last) if first <= last else None
    if isinstance(layer, layers.ZeroPadding2D):
        return first - layer.padding[axis][0], last - layer.padding[axis][0]
    if isinstance(layer, layers.Cropping2D):
        return first + layer.cropping[axis][0], last + layer.cropping[axis][0]
    if isinstance(layer, layers.RandomCrop):  # from the middle, as in prediction
        return first + (size - made) // 2, last + (size - made) // 2
    if isinstance(layer, layers.UpSampling2D):
        factor = layer.size[axis]
        if layer.interpolation == "nearest":
            return first // factor, last // factor
        # The centre of a new pixel lies at (i + 1/2) / factor - 1/2 among the old ones, between two of them.
        return (2 * first + 1 - factor) // (2 * factor), -((factor - 1 - 2 * last) // (2 * factor))
    return span


_MOVES = (layers.Conv2DTranspose, layers.Cropping2D, layers.RandomCrop, layers.UpSampling2D, layers.ZeroPadding2D)


def _window(layer: Any, axis: int, size: int) -> tuple[int, int, int]:
    """Extent, stride and the zeros before the first pixel, along one axis of that size."""
    if hasattr(layer, "pool_size"):
        kernel = layer.pool_size[axis]
    else:
        kernel = geometry.dilated(layer.kernel_size, layer.dilation_rate)[axis]
    stride = layer.strides[axis]
    return kernel, stride, geometry.window(size, kernel, stride, layer.padding)[1]


def _clip(span: Span, size: int) -> Span:
    if span is None or span[1] < 0 or span[0] >= size:
        return None
    return max(span[0], 0), min(span[1], size - 1)


def _hull(one: Span, other: Span) -> Span:
    if one is None or other is None:
        return other if one is None else one
    return min(one[0], other[0]), max(one[1], other[1])


def extent(span: Span) -> int:
    """How many rows or columns there are.

    >>> extent((-1, 1))
    3
    """
    return 0 if span is None else span[1] - span[0] + 1


def middle(field: Field) -> tuple[int, int]:
    """The row and column in the middle of a field that is not empty; of two the first."""
    return tuple((first + last) // 2 for first, last in field)
