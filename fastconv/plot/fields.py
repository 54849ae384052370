"""Which pixels of an input an output depends on: windows followed backwards along the graph, by arithmetic alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from fastconv import geometry, layers
from fastconv.models import Model

Span = tuple[int, int] | None  # the first and last row, or column; None: no pixel at all
Field = tuple[Span, Span]  # rows and columns; both of them None or neither
Places = tuple[frozenset[int], frozenset[int]]  # rows and columns, each that counts; none or some of both
Shape = tuple[Any, ...]

_NOTHING: Places = (frozenset(), frozenset())
_POINT: Places = (frozenset({0}), frozenset({0}))  # of what has no rows and columns
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
        start = tuple(frozenset({p}) for p in position) if len(self.shapes[tensor]) == 4 else _POINT
        places = {tensor: start}
        for call in reversed(self.calls):
            for output, number in itertools.product(call.outputs, call.inputs):
                if output not in places:
                    continue
                found = self._before(call, number, output, places[output])
                if clipped and len(self.shapes[number]) == 4:
                    sizes = self.shapes[number][1:3]
                    found = tuple(
                        frozenset(p for p in axis if 0 <= p < n) for axis, n in zip(found, sizes, strict=True)
                    )
                if not all(found):
                    found = _NOTHING
                places[number] = tuple(a | b for a, b in zip(places.get(number, _NOTHING), found, strict=True))
        return {number: tuple(map(_span, axes)) for number, axes in places.items()}

    def _before(self, call: Call, number: int, output: int, places: Places) -> Places:
        """What of an input of a call these places of an output depend on."""
        layer, shape = call.layer, self.shapes[number]
        known = isinstance(layer, (*_IN_PLACE, *_MERGES, *_WINDOWS, *_WHOLE, *_MOVES))
        if isinstance(layer, layers.Concatenate):
            known = layer.axis in (-1, len(shape) - 1)
        if not known:
            raise ValueError(
                f"{call.name}: expected a layer whose receptive field is known. Received: {type(layer).__name__}"
            )
        if places == _NOTHING:
            return _NOTHING
        if len(shape) != 4:
            return _POINT
        if len(self.shapes[output]) != 4 or isinstance(layer, _WHOLE):
            return tuple(frozenset(range(size)) for size in shape[1:3])
        axes = zip(places, shape[1:3], self.shapes[output][1:3], (0, 1), strict=True)
        return tuple(
            frozenset(read for place in some for read in _read(layer, place, size, made, axis))
            for some, size, made, axis in axes
        )


def _read(layer: Any, place: int, size: int, made: int, axis: int) -> Iterable[int]:
    """The rows (axis 0) or columns of an input of `size` that one of the output, which has `made`, depends on."""
    if isinstance(layer, _MERGES):
        return [place if size == made else 0]  # one row serves all
    if isinstance(layer, _WINDOWS):
        taps, stride, before = _window(layer, axis, size)
        return [place * stride - before + tap for tap in taps]
    if isinstance(layer, layers.Conv2DTranspose):
        taps, stride, before = _window(layer, axis, made)
        return [(place + before - tap) // stride for tap in taps if (place + before - tap) % stride == 0]
    if isinstance(layer, layers.ZeroPadding2D):
        return [place - layer.padding[axis][0]]
    if isinstance(layer, layers.Cropping2D):
        return [place + layer.cropping[axis][0]]
    if isinstance(layer, layers.RandomCrop):  # from the middle, as in prediction
        return [place + (size - made) // 2]
    if isinstance(layer, layers.UpSampling2D):
        factor = layer.size[axis]
        if layer.interpolation == "nearest":
            return [place // factor]
        # The centre of a new pixel lies at (place + 1/2) / factor - 1/2 among the old ones, between two of them.
        return [(2 * place + 1 - factor) // (2 * factor), -((factor - 1 - 2 * place) // (2 * factor))]
    return [place]


_MOVES = (layers.Conv2DTranspose, layers.Cropping2D, layers.RandomCrop, layers.UpSampling2D, layers.ZeroPadding2D)


def _window(layer: Any, axis: int, size: int) -> tuple[range, int, int]:
    """The places of the taps, the stride and the zeros before the first pixel, along one axis of that size."""
    if hasattr(layer, "pool_size"):
        taps = range(layer.pool_size[axis])
    else:
        extents = geometry.dilated(layer.kernel_size, layer.dilation_rate)
        taps = range(0, extents[axis], layer.dilation_rate[axis])
    stride = layer.strides[axis]
    return taps, stride, geometry.window(size, taps[-1] + 1, stride, layer.padding)[1]


def _span(places: frozenset[int]) -> Span:
    return (min(places), max(places)) if places else None


def extent(span: Span) -> int:
    """How many rows or columns there are.

    >>> extent((-1, 1))
    3
    """
    return 0 if span is None else span[1] - span[0] + 1


def middle(field: Field) -> tuple[int, int]:
    """The row and column in the middle of a field that is not empty; of two the first."""
    return tuple((first + last) // 2 for first, last in field)
