from __future__ import annotations

from collections.abc import Sequence

from fastconv import geometry
from fastconv.layers.activation import check_activation, emit_activation
from fastconv.layers.base import Initializer, Layer, Shape, require_rank


class Conv2D(Layer):
    """2D convolution of NHWC images with a bank of filters.

    Args:
        filters: number of output channels, K.
        kernel_size: int or (R, S), in pixels.
        strides: int or (vertical, horizontal), in pixels.
        padding: "valid" (none) or "same" (output = ceil(input / stride); an odd zero goes bottom and right).
        activation: None or a name that `Activation` takes; applied to the result.
        use_bias: add one number per filter. Redundant before BatchNormalization, whose mean takes it out again.
        kernel_initializer: name or callable from shape to array.
        bias_initializer: likewise.

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
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(name, input_shape)
        self.filters = geometry.positive_int(filters, "filters")
        self.kernel_size = geometry.pair(kernel_size, "kernel_size")
        self.strides = geometry.pair(strides, "strides")
        self.padding = geometry.check_padding(padding)
        self.activation = check_activation(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel = self.bias = None

    def build(self, input_shape):
        self._geometry(input_shape)
        shape = (*self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.weight("kernel", shape, self.kernel_initializer)
        self.bias = self.weight("bias", (self.filters,), self.bias_initializer) if self.use_bias else None

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
