from __future__ import annotations

from collections.abc import Sequence

from fastconv import geometry
from fastconv.layers.activation import emit_activation
from fastconv.layers.base import Initializer, Shape, require_rank
from fastconv.layers.kernel import KernelLayer, Penalty


class Conv2D(KernelLayer):
    """2D convolution of NHWC images with a bank of filters.

    Args:
        filters: number of output channels, K.
        kernel_size: int or (R, S), in pixels.
        strides: int or (vertical, horizontal), in pixels.
        padding: "valid" (none) or "same" (output = ceil(input / stride); an odd zero goes bottom and right).
        activation: None or a name that `Activation` takes; applied to the result.
        use_bias: add one number per filter. Redundant before BatchNormalization, whose mean takes it out again.
        kernel_initializer: object, name or callable from shape to array; see `KernelLayer` for this and what follows.
        bias_initializer: likewise.
        kernel_regularizer: penalty that is added to the loss: `regularizers.L1`, `L2`, `L1L2`, a name or None.
        bias_regularizer: likewise.
        activity_regularizer: None.
        kernel_constraint: None.
        bias_constraint: None.
        trainable: whether the weights learn; settable later.

    Input shape: (N, H, W, C). Output shape: (N, P, Q, K), see `fastconv.geometry.conv2d`.
    Weights: kernel (R, S, C, K), Glorot uniform; bias (K,), zeros.
    Raises: ValueError if an argument is out of range, and at build if the window does not fit a "valid" image.
    Source: keras.layers.Conv2D; the three passes follow Chetlur et al. 2014, arXiv:1410.0759.

    >>> Conv2D(32, 3, strides=2, padding="same").compute_output_shape((8, 32, 32, 3))
    (8, 16, 16, 32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        activation: str | None = None,
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
        self.filters = geometry.positive_int(filters, "filters")
        self.kernel_size = geometry.pair(kernel_size, "kernel_size")
        self.strides = geometry.pair(strides, "strides")
        self.padding = geometry.check_padding(padding)

    def build(self, input_shape):
        self._geometry(input_shape)
        self.make_weights((*self.kernel_size, input_shape[-1], self.filters), self.filters)

    def check_input(self, input_shape):
        if self._geometry(input_shape).c != self.kernel.shape[2]:
            raise ValueError(
                f"{self.name}: expected {self.kernel.shape[2]} input channels, as its kernel has. "
                f"Received: shape {tuple(input_shape)}"
            )

    def _geometry(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        shape = (input_shape[0] or 1, *input_shape[1:])
        return geometry.conv2d(shape, self.filters, self.kernel_size, self.strides, self.padding)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._geometry(input_shape).y_shape[1:])

    def emit(self, graph, x):
        shape = self._geometry(x.shape)
        y = graph.buffer(shape.y_shape, f"{self.name}.y")
        bias = None if self.bias is None else graph.weight(self.bias)
        graph.emit("conv2d_fprop", {"y": y}, geometry=shape, x=x, w=graph.weight(self.kernel), b=bias)
        return emit_activation(graph, self.activation, y, self.name)
