from __future__ import annotations

import math
from collections.abc import Callable

from fastconv import geometry
from fastconv.layers.activation import emit_activation
from fastconv.layers.base import Initializer, Shape
from fastconv.layers.core import channels_of
from fastconv.layers.kernel import KernelLayer, Penalty


class Dense(KernelLayer):
    """y = activation(x @ kernel + bias) over the last axis: a 1x1 convolution, run by the convolution's kernels.

    Args:
        units: number of outputs.
        activation: None or a name that `Activation` takes.
        use_bias: add one number per unit.
        kernel_initializer: object, name or callable from shape to array; see `KernelLayer` for this and what follows.
        bias_initializer: likewise.
        kernel_regularizer: penalty that is added to the loss: `regularizers.L1`, `L2`, `L1L2`, a name or None.
        bias_regularizer: likewise.
        activity_regularizer: None.
        kernel_constraint: None.
        bias_constraint: None.
        trainable: whether the weights learn; settable later.

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
        activation: str | Callable | None = None,
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Penalty = None,
        bias_regularizer: Penalty = None,
        activity_regularizer: None = None,
        kernel_constraint: None = None,
        bias_constraint: None = None,
        name: str | None = None,
        input_shape: Shape | None = None,
        trainable: bool = True,
    ):
        initializers = kernel_initializer, bias_initializer
        penalties = kernel_regularizer, bias_regularizer, activity_regularizer
        constraints = kernel_constraint, bias_constraint
        super().__init__(activation, use_bias, *initializers, *penalties, *constraints, name, input_shape, trainable)
        self.units = geometry.positive_int(units, "units")

    def build(self, input_shape):
        self.make_weights((channels_of(input_shape, self.name), self.units), self.units)

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
