from __future__ import annotations

from collections.abc import Callable, Sequence

from fastconv import geometry
from fastconv.layers.activation import emit_activation
from fastconv.layers.base import Initializer, Shape, require_rank
from fastconv.layers.kernel import KernelLayer, Penalty
from fastconv.layers.rearrange import emit_dilated, emit_swap_axes


def check_dilation(dilation_rate, strides: tuple[int, int]) -> tuple[int, int]:
    """`dilation_rate` as a pair.

    Raises:
        ValueError: if it is not positive, or above 1 beside a stride above 1.
    """
    dilation = geometry.pair(dilation_rate, "dilation_rate")
    if max(dilation) > 1 and max(strides) > 1:
        raise ValueError(
            "dilation_rate: expected 1 where strides are above 1. "
            f"Received: dilation_rate={dilation_rate!r}, strides={strides}"
        )
    return dilation


class Conv2D(KernelLayer):
    """2D convolution of NHWC images with a bank of filters.

    Args:
        filters: number of output channels, K.
        kernel_size: int or (R, S), in pixels.
        strides: int or (vertical, horizontal), in pixels.
        padding: "valid" (none) or "same" (output = ceil(input / stride); an odd zero goes bottom and right).
        data_format: None or "channels_last".
        dilation_rate: int or a pair, pixels from tap to tap; 1 where a stride is not.
        groups: as many convolutions, each of its part of the channels with its part of the filters.
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
    Weights: kernel (R, S, C / groups, K), Glorot uniform; bias (K,), zeros.
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
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        groups: int = 1,
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
        self.filters = geometry.positive_int(filters, "filters")
        self.kernel_size = geometry.pair(kernel_size, "kernel_size")
        self.strides = geometry.pair(strides, "strides")
        self.padding = geometry.check_padding(padding)
        self.data_format = geometry.check_data_format(data_format)
        self.dilation_rate = check_dilation(dilation_rate, self.strides)
        self.groups = geometry.positive_int(groups, "groups")
        if self.filters % self.groups:
            raise ValueError(f"filters: expected a multiple of groups={groups}. Received: filters={filters}")

    def build(self, input_shape):
        self._geometry(input_shape)
        if input_shape[-1] % self.groups:
            raise ValueError(
                f"{self.name}: expected input channels that are a multiple of groups={self.groups}. "
                f"Received: shape {tuple(input_shape)}"
            )
        shape = (*self.kernel_size, input_shape[-1] // self.groups, self.filters)
        self.make_weights(shape, self.filters)

    def check_input(self, input_shape):
        channels = self.kernel.shape[2] * self.groups
        if self._geometry(input_shape).c != channels:
            raise ValueError(
                f"{self.name}: expected {channels} input channels, as its kernel has. "
                f"Received: shape {tuple(input_shape)}"
            )

    def _geometry(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        shape = (input_shape[0] or 1, *input_shape[1:])
        window = geometry.dilated(self.kernel_size, self.dilation_rate)
        return geometry.conv2d(shape, self.filters, window, self.strides, self.padding)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._geometry(input_shape).y_shape[1:])

    def emit(self, graph, x):
        def convolve(x, padding):
            if self.groups > 1:
                return self._emit_groups(graph, x, padding)
            shape = geometry.conv2d(x.shape, self.filters, self.kernel_size, self.strides, padding)
            y = graph.buffer(shape.y_shape, f"{self.name}.y")
            graph.emit("conv2d_fprop", {"y": y}, geometry=shape, x=x, w=graph.weight(self.kernel), b=self._bias(graph))
            return y

        y = emit_dilated(graph, x, self.kernel_size, self.dilation_rate, self.padding, self.name, convolve)
        return emit_activation(graph, self.activation, y, self.name)

    def _bias(self, graph):
        return None if self.bias is None else graph.weight(self.bias)

    def _emit_groups(self, graph, x, padding):
        """Channels and filters group by group, a convolution for each, and its outputs back beside each other."""
        groups, (*window, channels, filters) = self.groups, self.kernel.shape
        filters //= groups
        shape = geometry.conv2d((*x.shape[:3], channels), filters, window, self.strides, padding)
        pixels, outputs = shape.n * shape.h * shape.w, shape.n * shape.p * shape.q
        entries = shape.r * shape.s * channels
        name = self.name
        x = emit_swap_axes(graph, x, pixels, groups, (groups, *shape.x_shape), f"{name}.x groups")
        w = emit_swap_axes(
            graph, graph.weight(self.kernel), entries, groups, (groups, *shape.w_shape), f"{name}.groups"
        )
        y = graph.buffer((groups, *shape.y_shape), f"{name}.y groups")
        graph.emit("grouped_conv2d_fprop", {"y": y}, geometry=shape, x=x, w=w, b=self._bias(graph))
        return emit_swap_axes(graph, y, groups, outputs, (*shape.y_shape[:3], self.filters), f"{name}.y")
