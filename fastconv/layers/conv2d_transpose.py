from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from fastconv import geometry
from fastconv.layers.activation import emit_activation
from fastconv.layers.base import Initializer, Shape, require_rank
from fastconv.layers.conv2d import check_dilation
from fastconv.layers.kernel import KernelLayer, Penalty
from fastconv.layers.rearrange import emit_batch_to_space, emit_space_to_batch


class Conv2DTranspose(KernelLayer):
    """Transposed convolution of NHWC images: the gradient of `Conv2D` with respect to its images, as a layer.

    Args:
        filters: number of output channels.
        kernel_size: int or (R, S), in pixels.
        strides: int or (vertical, horizontal), in pixels of the output.
        padding: "valid" or "same" (output = input * stride).
        output_padding: None, or an int or a pair below the strides, pixels that are added to the output.
        data_format: None or "channels_last".
        dilation_rate: int or a pair, pixels from tap to tap; 1 where a stride is not.
        activation: None or a name, applied to the result.
        use_bias: add one number per filter.
        kernel_initializer: object, name or callable from shape to array; see `KernelLayer` for this and what follows.
        bias_initializer: likewise.
        kernel_regularizer: penalty that is added to the loss: `regularizers.L1`, `L2`, `L1L2`, a name or None.
        bias_regularizer: likewise.
        activity_regularizer: None.
        kernel_constraint: None.
        bias_constraint: None.
        trainable: whether the weights learn; settable later.

    Input shape: (N, H, W, C). Output shape: (N, P, Q, filters), see `fastconv.geometry.transposed_size`.
    Weights: kernel (R, S, filters, C), Glorot uniform; bias (filters,), zeros.
    Raises: ValueError if an argument is out of range.
    Source: keras.layers.Conv2DTranspose; Dumoulin and Visin 2016, arXiv:1603.07285.

    >>> Conv2DTranspose(16, 3, strides=2, padding="same").compute_output_shape((8, 7, 7, 32))
    (8, 14, 14, 16)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
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
        self.output_padding = self._check_output_padding(output_padding)
        self.data_format = geometry.check_data_format(data_format)
        self.dilation_rate = check_dilation(dilation_rate, self.strides)

    def _check_output_padding(self, value):
        if value is None:
            return None
        values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
        inside = len(values) == 2 and all(
            type(n) is int and 0 <= n < stride for n, stride in zip(values, self.strides, strict=True)
        )
        if not inside:
            raise ValueError(
                f"output_padding: expected None, or ints from 0 to below the strides {self.strides}. "
                f"Received: output_padding={value!r}"
            )
        return values

    def build(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        self.make_weights((*self.kernel_size, self.filters, input_shape[-1]), self.filters)

    def check_input(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        if input_shape[-1] != self.kernel.shape[3]:
            raise ValueError(
                f"{self.name}: expected {self.kernel.shape[3]} input channels, as its kernel has. "
                f"Received: shape {tuple(input_shape)}"
            )

    def compute_output_shape(self, input_shape):
        require_rank(input_shape, 4, self.name, "(N, H, W, C)")
        axes = zip(
            input_shape[1:3],
            geometry.dilated(self.kernel_size, self.dilation_rate),
            self.strides,
            self.output_padding or (None, None),
            strict=True,
        )
        sizes = (geometry.transposed_size(n, k, s, self.padding, extra) for n, k, s, extra in axes)
        return (input_shape[0], *sizes, self.filters)

    def emit(self, graph, x):
        y = self._emit_dgrad(graph, x, self.compute_output_shape(x.shape))
        if self.bias is not None:
            sums, y = y, graph.buffer(y.shape, f"{self.name}.biased")
            extents = (1, 1, math.prod(y.shape[:-1]), self.filters)
            graph.emit("binary_forward", {"y": y}, a=sums, b=graph.weight(self.bias), function="add", extents=extents)
        return emit_activation(graph, self.activation, y, self.name)

    def _emit_dgrad(self, graph, x, shape):
        """The gradient of the convolution whose output is x, phase by phase where it is dilated."""
        n, p, q, filters = shape
        if self.dilation_rate != (1, 1):
            windows = geometry.dilated(self.kernel_size, self.dilation_rate)
            pads = [geometry.window(size, k, 1, self.padding)[1] for size, k in zip((p, q), windows, strict=True)]
            lines, columns = (-(-size // d) for size, d in zip(x.shape[1:3], self.dilation_rate, strict=True))
            x = emit_space_to_batch(graph, x, lines, columns, f"{self.name}.phases", self.dilation_rate)
            shape = (x.shape[0], lines + self.kernel_size[0] - 1, columns + self.kernel_size[1] - 1, filters)
        padding = self.padding if self.dilation_rate == (1, 1) else "valid"
        g = geometry.conv2d(shape, x.shape[-1], self.kernel_size, self.strides, padding)
        y = graph.buffer(shape, f"{self.name}.y")
        graph.emit("conv2d_dgrad", {"dx": y}, geometry=g, dy=x, w=graph.weight(self.kernel))
        if self.dilation_rate == (1, 1):
            return y
        return emit_batch_to_space(graph, y, p, q, f"{self.name}.images", self.dilation_rate, pads)
