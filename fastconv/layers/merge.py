"""Layers with several inputs."""

from __future__ import annotations

from fastconv.layers.base import Layer


class Add(Layer):
    """The sum of two or more tensors of one shape: the joint of a residual connection.

    Input shape: a list of equal shapes. Output shape: that shape.
    Raises: ValueError if there are fewer than two inputs or their shapes differ.
    Source: keras.layers.Add.

    >>> Add().compute_output_shape([(8, 16), (8, 16)])
    (8, 16)
    """

    def _input_shapes(self, tensors):
        shapes = [t.shape for t in tensors]
        if len(shapes) < 2 or any(shape != shapes[0] for shape in shapes):
            raise ValueError(f"{self.name}: expected two or more inputs of one shape. Received: {shapes}")
        return shapes

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def emit(self, graph, *inputs):
        total = inputs[0]
        for i, x in enumerate(inputs[1:], start=1):
            y = graph.buffer(x.shape, f"{self.name}.y{i}")
            graph.emit("add_forward", {"y": y}, a=total, b=x)
            total = y
        return total
