"""Convolutions channel by channel: DepthwiseConv2D, SeparableConv2D."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastconv import geometry, initializers, regularizers
from fastconv.checks import flag
from fastconv.layers.activation import check_activation, emit_activation
from fastconv.layers.base import Initializer, Layer, Shape, refuse, require_rank
from fastconv.layers.conv2d import check_dilation
from fastconv.layers.kernel import Penalty
from fastconv.layers.rearrange import emit_dilated


class _Depthwise(Layer):
    """What both layers share: a filter bank for each channel."""

    def __init__(
        self,
        window: tuple,  # kernel size, strides, padding, dilation rate
        depth_multiplier: int,
        data_format: str | None,
        activation: str | Callable | None,
        use_bias: bool,
        starts: tuple[Initializer, Initializer],  # initializers of the depthwise kernel and the bias; what follows, too
        penalties: tuple[Penalty, Penalty],
        activity_regularizer: None,
        constraints: tuple[None, None],
        name: str | None,
        input_shape: Shape | None,
        trainable: bool,
    ):
        super().__init__(name, input_shape, trainable)
        kernel_size, strides, padding, dilation_rate = window
        self.kernel_size = geometry.pair(kernel_size, "kernel_size")
        self.strides = geometry.pair(strides, "strides")
        self.padding = geometry.check_padding(padding)
        self.dilation_rate = check_dilation(dilation_rate, self.strides)
        self.depth_multiplier = geometry.positive_int(depth_multiplier, "depth_multiplier")
        self.data_format = geometry.check_data_format(data_format)
        self.activation, self.use_bias = check_activation(activation), flag(use_bias, "use_bias")
        self.depthwise_initializer = initializers.checked(starts[0], "depthwise_initializer")
        self.bias_initializer = initializers.checked(starts[1], "bias_initializer")
        self.depthwise_regularizer = regularizers.get(penalties[0], "depthwise_regularizer")
        self.bias_regularizer = regularizers.get(penalties[1], "bias_regularizer")
        self.activity_regularizer = refuse(activity_regularizer, "activity_regularizer")
        self.depthwise_constraint = refuse(constraints[0], "depthwise_constraint")
        self.bias_constraint = refuse(constraints[1], "bias_constraint")
        self.bias = None

    def _make_depthwise(self, name, input_shape):
        """The depthwise kernel, and how many channels it makes."""
        depth = self._geometry(input_shape).k
        shape = (*self.kernel_size, input_shape[-1], self.depth_multiplier)
        return self.weight(name, shape, self.depthwise_initializer, regularizer=self.depthwise_regularizer), depth

    def _make_bias(self, channels):
        if self.use_bias:
            self.bias = self.weight("bias", (channels,), self.bias_initializer, regularizer=self.bias_regularizer)

    def _geometry(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        shape = (input_shape[0] or 1, *input_shape[1:])
        window = geometry.dilated(self.kernel_size, self.dilation_rate)
        return geometry.depthwise_conv2d(shape, self.depth_multiplier, window, self.strides, self.padding)

    def _check_channels(self, input_shape, kernel):
        if self._geometry(input_shape).c != kernel.shape[2]:
            raise ValueError(
                f"{self.name}: expected {kernel.shape[2]} input channels, as its kernel has. "
                f"Received: shape {tuple(input_shape)}"
            )

    def _emit_depthwise(self, graph, x, kernel, bias):
        b = None if bias is None else graph.weight(bias)

        def convolve(x, padding):
            settings = (self.depth_multiplier, self.kernel_size, self.strides, padding)
            shape = geometry.depthwise_conv2d(x.shape, *settings)
            y = graph.buffer(shape.y_shape, f"{self.name}.depthwise")
            graph.emit("depthwise_conv2d_fprop", {"y": y}, geometry=shape, x=x, w=graph.weight(kernel), b=b)
            return y

        return emit_dilated(graph, x, self.kernel_size, self.dilation_rate, self.padding, self.name, convolve)


class DepthwiseConv2D(_Depthwise):
    """2D convolution of each channel with filters of its own.

    Args:
        kernel_size: int or (R, S), in pixels.
        strides: int or (vertical, horizontal), in pixels.
        padding: "valid" (none) or "same" (output = ceil(input / stride); an odd zero goes bottom and right).
        depth_multiplier: filters of each channel, M.
        data_format: None or "channels_last".
        dilation_rate: int or a pair, pixels from tap to tap; 1 where a stride is not.
        activation: None or a name that `Activation` takes; applied to the result.
        use_bias: add one number per filter.
        depthwise_initializer: name or callable from shape to array.
        bias_initializer: likewise.
        depthwise_regularizer: penalty that is added to the loss: `regularizers.L1`, `L2`, `L1L2`, a name or None.
        bias_regularizer: likewise.
        activity_regularizer: None.
        depthwise_constraint: None.
        bias_constraint: None.
        trainable: whether the weights learn; settable later.

    Input shape: (N, H, W, C). Output shape: (N, P, Q, C * M), the filters of a channel beside each other.
    Weights: kernel (R, S, C, M), Glorot uniform; bias (C * M,), zeros.
    Raises: ValueError if an argument is out of range, and at build if the window does not fit a "valid" image.
    Source: keras.layers.DepthwiseConv2D; Howard et al. 2017, arXiv:1704.04861.

    >>> DepthwiseConv2D(3, padding="same", depth_multiplier=2).compute_output_shape((8, 32, 32, 3))
    (8, 32, 32, 6)
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        activation: str | Callable | None = None,
        use_bias: bool = True,
        depthwise_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        depthwise_regularizer: Penalty = None,
        bias_regularizer: Penalty = None,
        activity_regularizer: None = None,
        depthwise_constraint: None = None,
        bias_constraint: None = None,
        name: str | None = None,
        input_shape: Shape | None = None,
        trainable: bool = True,
    ):
        window, starts = (kernel_size, strides, padding, dilation_rate), (depthwise_initializer, bias_initializer)
        super().__init__(
            window,
            depth_multiplier,
            data_format,
            activation,
            use_bias,
            starts,
            (depthwise_regularizer, bias_regularizer),
            activity_regularizer,
            (depthwise_constraint, bias_constraint),
            name,
            input_shape,
            trainable,
        )
        self.kernel = None

    def build(self, input_shape):
        self.kernel, depth = self._make_depthwise("kernel", input_shape)
        self._make_bias(depth)

    def check_input(self, input_shape):
        self._check_channels(input_shape, self.kernel)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._geometry(input_shape).y_shape[1:])

    def emit(self, graph, x):
        y = self._emit_depthwise(graph, x, self.kernel, self.bias)
        return emit_activation(graph, self.activation, y, self.name)


class SeparableConv2D(_Depthwise):
    """A depthwise convolution, then one of 1x1 that mixes the channels.

    Args:
        filters: number of output channels, K.
        kernel_size: int or (R, S), in pixels.
        strides: int or (vertical, horizontal), in pixels.
        padding: "valid" (none) or "same" (output = ceil(input / stride); an odd zero goes bottom and right).
        data_format: None or "channels_last".
        dilation_rate: int or a pair, pixels from tap to tap; 1 where a stride is not.
        depth_multiplier: filters of each channel in the depthwise convolution, M.
        activation: None or a name that `Activation` takes; applied to the result.
        use_bias: add one number per filter.
        depthwise_initializer: name or callable from shape to array.
        pointwise_initializer: likewise.
        bias_initializer: likewise.
        depthwise_regularizer: penalty that is added to the loss: `regularizers.L1`, `L2`, `L1L2`, a name or None.
        pointwise_regularizer: likewise.
        bias_regularizer: likewise.
        activity_regularizer: None.
        depthwise_constraint: None.
        pointwise_constraint: None.
        bias_constraint: None.
        trainable: whether the weights learn; settable later.

    Input shape: (N, H, W, C). Output shape: (N, P, Q, K).
    Weights: depthwise_kernel (R, S, C, M) and pointwise_kernel (1, 1, C * M, K), Glorot uniform; bias (K,), zeros.
    Raises: ValueError if an argument is out of range, and at build if the window does not fit a "valid" image.
    Source: keras.layers.SeparableConv2D; Chollet 2017, arXiv:1610.02357.

    >>> SeparableConv2D(16, 3, strides=2, padding="same").compute_output_shape((8, 32, 32, 3))
    (8, 16, 16, 16)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        depth_multiplier: int = 1,
        activation: str | Callable | None = None,
        use_bias: bool = True,
        depthwise_initializer: Initializer = "glorot_uniform",
        pointwise_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        depthwise_regularizer: Penalty = None,
        pointwise_regularizer: Penalty = None,
        bias_regularizer: Penalty = None,
        activity_regularizer: None = None,
        depthwise_constraint: None = None,
        pointwise_constraint: None = None,
        bias_constraint: None = None,
        name: str | None = None,
        input_shape: Shape | None = None,
        trainable: bool = True,
    ):
        window, starts = (kernel_size, strides, padding, dilation_rate), (depthwise_initializer, bias_initializer)
        super().__init__(
            window,
            depth_multiplier,
            data_format,
            activation,
            use_bias,
            starts,
            (depthwise_regularizer, bias_regularizer),
            activity_regularizer,
            (depthwise_constraint, bias_constraint),
            name,
            input_shape,
            trainable,
        )
        self.filters = geometry.positive_int(filters, "filters")
        self.pointwise_initializer = initializers.checked(pointwise_initializer, "pointwise_initializer")
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer, "pointwise_regularizer")
        self.pointwise_constraint = refuse(pointwise_constraint, "pointwise_constraint")
        self.depthwise_kernel = self.pointwise_kernel = None

    def build(self, input_shape):
        self.depthwise_kernel, depth = self._make_depthwise("depthwise_kernel", input_shape)
        shape, penalty = (1, 1, depth, self.filters), self.pointwise_regularizer
        self.pointwise_kernel = self.weight("pointwise_kernel", shape, self.pointwise_initializer, regularizer=penalty)
        self._make_bias(self.filters)

    def check_input(self, input_shape):
        self._check_channels(input_shape, self.depthwise_kernel)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._geometry(input_shape).y_shape[1:3], self.filters)

    def emit(self, graph, x):
        x = self._emit_depthwise(graph, x, self.depthwise_kernel, None)
        shape = geometry.conv2d(x.shape, self.filters, 1)
        y = graph.buffer(shape.y_shape, f"{self.name}.y")
        w, b = graph.weight(self.pointwise_kernel), None if self.bias is None else graph.weight(self.bias)
        graph.emit("conv2d_fprop", {"y": y}, geometry=shape, x=x, w=w, b=b)
        return emit_activation(graph, self.activation, y, self.name)
