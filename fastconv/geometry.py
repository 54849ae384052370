"""Sizes and zero padding of convolutions: the one place that knows TensorFlow's asymmetric "same" padding."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import NamedTuple

PADDINGS = ("valid", "same")


class Conv2DGeometry(NamedTuple):
    """A convolution's sizes in explicit ints, as the kernels take them (field order = csrc/conv2d/conv2d.h).

    Input N, H, W, C; filters R x S x C x K; output N, P, Q, K; strides and the zeros before the first row and column.
    The zeros after the last ones follow from P and Q.
    """

    n: int
    h: int
    w: int
    c: int
    k: int
    r: int
    s: int
    p: int
    q: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return (self.n, self.h, self.w, self.c)

    @property
    def w_shape(self) -> tuple[int, int, int, int]:
        return (self.r, self.s, self.c, self.k)

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        return (self.n, self.p, self.q, self.k)

    @property
    def multiplications(self) -> int:
        """Products of one forward pass, those with padding zeros included (what frameworks count)."""
        return self.n * self.p * self.q * self.k * self.r * self.s * self.c


def positive_int(value: object, name: str) -> int:
    """`value` as an int above 0, whatever integer type it has.

    Raises:
        ValueError: if it is not an integer, or not positive.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name}: expected a positive integer. Received: {name}={value!r}") from None
    if isinstance(value, bool) or number <= 0:
        raise ValueError(f"{name}: expected a positive integer. Received: {name}={value!r}")
    return number


def sample_shape(value: Sequence[int], name: str) -> tuple[int, ...]:
    """The sizes of one sample, all above 0.

    Raises:
        ValueError: naming the argument and what was received.
    """
    try:
        sizes = tuple(value)
    except TypeError:
        raise ValueError(f"{name}: expected sizes, such as (32, 32, 3). Received: {name}={value!r}") from None
    return tuple(positive_int(size, name) for size in sizes)


def pair(value: int | Sequence[int], name: str) -> tuple[int, int]:
    """An int or a pair of ints as (vertical, horizontal), both above 0.

    Raises:
        ValueError: naming the argument and what was received.
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name}: expected an int or a pair of ints. Received: {name}={value!r}")
    try:
        vertical, horizontal = (positive_int(v, name) for v in values)
    except ValueError:
        raise ValueError(f"{name}: expected positive integers. Received: {name}={value!r}") from None
    return vertical, horizontal


def check_padding(padding: str) -> str:
    """`padding` in lower case, if it is one that exists."""
    if not isinstance(padding, str) or padding.lower() not in PADDINGS:
        raise ValueError(f'padding: expected "valid" or "same". Received: padding={padding!r}')
    return padding.lower()


def check_data_format(data_format: str | None) -> str:
    """ "channels_last", the one layout there is.

    Raises:
        ValueError: on any other.
    """
    if data_format is not None and not (isinstance(data_format, str) and data_format == "channels_last"):
        raise ValueError(f'data_format: expected None or "channels_last". Received: data_format={data_format!r}')
    return "channels_last"


def dilated(kernel_size: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """The sizes of a window whose taps are `dilation` pixels apart.

    >>> dilated((3, 5), (2, 1))
    (5, 5)
    """
    return tuple((taps - 1) * step + 1 for taps, step in zip(kernel_size, dilation, strict=True))


def transposed_size(size: int, kernel: int, stride: int, padding: str, output_padding: int | None) -> int:
    """Output size of a transposed convolution along one axis: Keras' rule.

    >>> transposed_size(7, 3, 2, "same", None)
    14
    """
    if output_padding is None:
        return size * stride if padding == "same" else (size - 1) * stride + max(kernel, stride)
    return (size - 1) * stride + (kernel % 2 if padding == "same" else kernel) + output_padding


def window(size: int, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """Output size and zeros before the first element, along one axis.

    "valid" adds no zeros. "same" gives ceil(size / stride) outputs; where the zeros are odd in number, the extra one
    goes after (TensorFlow's rule, https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2), so stride 2 on
    an even size with a 3-wide kernel pads (0, 1), where PyTorch's padding=1 pads (1, 1).

    >>> window(32, 3, 2, "same")
    (16, 0)
    """
    if padding == "same":
        out = -(-size // stride)
        return out, max((out - 1) * stride + kernel - size, 0) // 2
    return (size - kernel) // stride + 1, 0


def conv2d(
    x_shape: Sequence[int],
    filters: int,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = (1, 1),
    padding: str = "valid",
    window_name: str = "kernel_size",
) -> Conv2DGeometry:
    """The geometry of a Conv2D on `x_shape` (N, H, W, C); errors call its window `window_name`.

    Raises:
        ValueError: if a size is not positive or the window does not fit a "valid" image.
    """
    if len(x_shape) != 4:
        raise ValueError(f"conv2d: expected an input of rank 4 (N, H, W, C). Received: shape {tuple(x_shape)}")
    if 0 in x_shape:
        raise ValueError(f"conv2d: expected an input with no empty axis. Received: shape {tuple(x_shape)}")
    n, h, w, c = (positive_int(size, "input size") for size in x_shape)
    filters = positive_int(filters, "filters")
    (r, s), (stride_h, stride_w) = pair(kernel_size, window_name), pair(strides, "strides")
    padding = check_padding(padding)
    if padding == "valid" and (r > h or s > w):
        raise ValueError(
            f'{window_name}: expected a window inside the image where padding is "valid". '
            f"Received: {window_name}={(r, s)}, image {(h, w)}"
        )
    (p, pad_top), (q, pad_left) = window(h, r, stride_h, padding), window(w, s, stride_w, padding)
    # A stride beyond the image reads one pixel a row whatever its size; cut, it fits the kernels' integers.
    stride_h, stride_w = min(stride_h, h + r), min(stride_w, w + s)
    g = Conv2DGeometry(n, h, w, c, filters, r, s, p, q, stride_h, stride_w, pad_top, pad_left)
    for name, shape in (("input", g.x_shape), ("kernel", g.w_shape), ("output", g.y_shape)):
        if math.prod(shape) >= 2**60:
            raise ValueError(f"conv2d: expected sizes of the {name} that fit in memory. Received: shape {shape}")
    return g


def depthwise_conv2d(
    x_shape: Sequence[int],
    depth_multiplier: int,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = (1, 1),
    padding: str = "valid",
) -> Conv2DGeometry:
    """The geometry of a depthwise convolution, with `depth_multiplier` filters for each channel.

    Raises:
        ValueError: as `conv2d`.
    """
    return conv2d(x_shape, x_shape[-1] * depth_multiplier, kernel_size, strides, padding)


def pool2d(
    x_shape: Sequence[int],
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
) -> Conv2DGeometry:
    """The geometry of a pooling: that of a convolution with a filter for each channel. Strides: None is `pool_size`.

    Raises:
        ValueError: as `conv2d`.
    """
    strides = pool_size if strides is None else strides
    return conv2d(x_shape, x_shape[-1], pool_size, strides, padding, window_name="pool_size")


def dense(rows: int, inputs: int, units: int) -> Conv2DGeometry:
    """A dense layer as a 1x1 convolution over one image of `rows` pixels in a line."""
    return Conv2DGeometry(1, 1, rows, inputs, units, 1, 1, 1, rows, 1, 1, 0, 0)
