"""What layers with a kernel share: how it and the bias are made, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastconv import initializers, regularizers
from fastconv.checks import flag
from fastconv.layers.activation import check_activation
from fastconv.layers.base import Initializer, Layer, Shape, refuse

Penalty = str | regularizers.Regularizer | None


class KernelLayer(Layer):
    """Base of layers with a kernel and perhaps a bias. Their own arguments come before these, in Keras' order.

    Args:
        activation: None or a name that `Activation` takes; applied to the result.
        use_bias: whether there is a bias, one number per output channel.
        kernel_initializer: of `fastconv.initializers`: an object, a name or a callable from shape to array.
        bias_initializer: likewise.
        kernel_regularizer: a penalty that is added to the loss, of `fastconv.regularizers`: an object, a name or None.
        bias_regularizer: likewise.
        activity_regularizer: not supported: None. So are the two constraints.
        kernel_constraint: see above.
        bias_constraint: see above.
        name: see `Layer`.
        input_shape: see `Layer`.
        trainable: see `Layer`.
    """

    def __init__(
        self,
        activation: str | Callable | None,
        use_bias: bool,
        kernel_initializer: Initializer,
        bias_initializer: Initializer,
        kernel_regularizer: Penalty,
        bias_regularizer: Penalty,
        activity_regularizer: None,
        kernel_constraint: None,
        bias_constraint: None,
        name: str | None,
        input_shape: Shape | None,
        trainable: bool,
    ):
        super().__init__(name, input_shape, trainable)
        self.activation, self.use_bias = check_activation(activation), flag(use_bias, "use_bias")
        self.kernel_initializer = initializers.checked(kernel_initializer, "kernel_initializer")
        self.bias_initializer = initializers.checked(bias_initializer, "bias_initializer")
        self.kernel_regularizer = regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = regularizers.get(bias_regularizer, "bias_regularizer")
        self.activity_regularizer = refuse(activity_regularizer, "activity_regularizer")
        self.kernel_constraint = refuse(kernel_constraint, "kernel_constraint")
        self.bias_constraint = refuse(bias_constraint, "bias_constraint")
        self.kernel: Any = None
        self.bias: Any = None

    def make_weights(self, shape: Sequence[int], channels: int) -> None:
        """The kernel of this shape, and the bias of so many output channels."""
        self.kernel = self.weight("kernel", shape, self.kernel_initializer, regularizer=self.kernel_regularizer)
        if self.use_bias:
            self.bias = self.weight("bias", (channels,), self.bias_initializer, regularizer=self.bias_regularizer)
