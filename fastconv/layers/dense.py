from __future__ import annotations

import math

from fastconv import geometry
from fastconv.layers.activation import check_activation, emit_activation
from fastconv.layers.base import Initializer, Layer, Shape
from fastconv.layers.core import channels_of


class Dense(Layer):
    """y = activation(x @ kernel + bias) over the last axis: a 1x1 convolution, run by the convolution's kernels.

    Args:
        units: number of outputs.
        activation: None or a name that `Activation` takes.
        use_bias: add one number per unit.
        kernel_initializer: name or callable from shape to array.
        bias_initializer: likewise.

    Input shape: (N, ..., C). Output shape: (N, ..., units).
    Weights: kernel (C, units), Glorot uniform; bias (units,), zeros.
    Raises: ValueError if units is not a positive integer or a name is unknown.
    Source: keras.layers.Dense.

    >>> Dense(10).compute_output_shape((8, 128))
    (8, 10)
    """

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(name, input_shape)
        self.units = geometry.positive_int(units, "units")
        self.activation = check_activation(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel = self.bias = None

    def build(self, input_shape):
        inputs = channels_of(input_shape, self.name)
        self.kernel = self.weight("kernel", (inputs, self.units), self.kernel_initializer)
        self.bias = self.weight("bias", (self.units,), self.bias_initializer) if self.use_bias else None

    def check_input(self, input_shape):
        if channels_of(input_shape, self.name) != self.kernel.shape[0]:
            raise ValueError(
                f"{self.name}: expected a last axis of {self.kernel.shape[0]}, as its kernel has. "
                f"Received: shape {tuple(input_shape)}"
            )

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def emit(self, graph, x):
        shape = geometry.dense(math.prod(x.shape[:-1]), x.shape[-1], self.units)
        y = graph.buffer(self.compute_output_shape(x.shape), f"{self.name}.y")
        bias = None if self.bias is None else graph.weight(self.bias)
        graph.emit("conv2d_fprop", {"y": y}, geometry=shape, x=x, w=graph.weight(self.kernel), b=bias)
        return emit_activation(graph, self.activation, y, self.name)
