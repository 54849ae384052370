"""Input, Flatten and Reshape: layers that compute nothing."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

from fastconv.geometry import sample_shape
from fastconv.layers.base import Layer, Node, Shape, Tensor


class InputLayer(Layer):
    """Where samples enter a functional model."""

    def __init__(self, shape: Sequence[int], name: str | None = None):
        super().__init__(name)
        self.batch_shape = (None, *sample_shape(shape, "shape"))
        self.built = True


def Input(shape: Sequence[int], name: str | None = None) -> Tensor:  # noqa: N802 (Keras' name)
    """A symbolic tensor for samples of `shape` (without the batch).

    Args:
        shape: sizes of one sample, such as (32, 32, 3).
        name: of the input layer.

    Returns:
        A tensor to call layers on.

    Raises:
        ValueError: if shape is not made of positive integers.

    >>> Input((32, 32, 3)).shape
    (None, 32, 32, 3)
    """
    layer = InputLayer(shape, name)
    return Node(layer, [], layer.batch_shape).output


class Flatten(Layer):
    """Every sample as one row, in the order of memory (rows, columns, channels).

    Input shape: (N, ...). Output shape: (N, product of the rest).
    Source: keras.layers.Flatten.

    >>> Flatten().compute_output_shape((8, 8, 8, 64))
    (8, 4096)
    """

    def compute_output_shape(self, input_shape):
        return (input_shape[0], math.prod(input_shape[1:]))

    def emit(self, graph, x):
        return graph.view(x, self.compute_output_shape(x.shape), f"{self.name}.y")


class Reshape(Layer):
    """Every sample in another shape, its numbers in the order of memory.

    Args:
        target_shape: sizes of a sample; one of them may be -1, for what is left.

    Input shape: (N, ...). Output shape: (N, *target_shape).
    Raises: ValueError if target_shape is not made of positive integers and at most one -1, or does not fit the input.
    Source: keras.layers.Reshape.

    >>> Reshape((8, 8, -1)).compute_output_shape((None, 4096))
    (None, 8, 8, 64)
    """

    def __init__(self, target_shape: Sequence[int], name: str | None = None, input_shape: Shape | None = None):
        super().__init__(name, input_shape)
        sizes = list(target_shape) if isinstance(target_shape, (list, tuple)) else []
        whole = all(isinstance(size, numbers.Integral) and (size > 0 or size == -1) for size in sizes)
        if not sizes or not whole or sizes.count(-1) > 1:
            raise ValueError(
                "target_shape: expected positive integers, of which one may be -1. "
                f"Received: target_shape={target_shape!r}"
            )
        self.target_shape = tuple(map(int, sizes))

    def compute_output_shape(self, input_shape):
        count, known = math.prod(input_shape[1:]), math.prod(size for size in self.target_shape if size > 0)
        if count % known or (count != known and -1 not in self.target_shape):
            raise ValueError(
                f"target_shape: expected {count} elements, as a sample of shape {tuple(input_shape[1:])} has. "
                f"Received: target_shape={self.target_shape}"
            )
        return (input_shape[0], *(count // known if size == -1 else size for size in self.target_shape))

    def emit(self, graph, x):
        return graph.view(x, self.compute_output_shape(x.shape), f"{self.name}.y")


def channels_of(input_shape: Shape, layer: str) -> int:
    """The size of the last axis, after a check that there is one beside the batch."""
    if len(input_shape) < 2:
        raise ValueError(f"{layer}: expected an input of rank 2 or more. Received: shape {tuple(input_shape)}")
    return input_shape[-1]
