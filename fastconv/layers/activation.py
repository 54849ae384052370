"""Activations: as layers, and by the names that other layers take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from fastconv import initializers
from fastconv.checks import number, refused
from fastconv.layers.base import Initializer, Layer, Shape
from fastconv.layers.broadcast import extents

LEAKY_RELU_FUNCTION_SLOPE = 0.2  # of activation="leaky_relu" in Keras; the layer LeakyReLU has 0.3

_SLOPES = {"relu": 0.0, "leaky_relu": LEAKY_RELU_FUNCTION_SLOPE}
# Function and parameters of activation_forward; gelu_tanh is Keras' gelu(approximate=True).
_FUNCTIONS = {
    "elu": ("elu", (1.0,)),
    "exponential": ("exponential", ()),
    "gelu": ("gelu", ()),
    "gelu_tanh": ("gelu_tanh", ()),
    "hard_sigmoid": ("hard_sigmoid", ()),
    "hard_silu": ("hard_silu", ()),
    "hard_swish": ("hard_silu", ()),
    "mish": ("mish", ()),
    "relu6": ("relu", (0.0, 6.0, 0.0)),
    "selu": ("selu", ()),
    "sigmoid": ("sigmoid", ()),
    "silu": ("silu", ()),
    "softplus": ("softplus", ()),
    "softsign": ("softsign", ()),
    "swish": ("silu", ()),
    "tanh": ("tanh", ()),
}
NAMES = tuple(sorted({"linear", "softmax", *_SLOPES, *_FUNCTIONS}))


def check_activation(name: str | Callable | None) -> str:
    """The activation's name, "linear" for None; of a function of `fastconv.activations`, that of the function.

    Raises:
        ValueError: listing the known names.
    """
    if name is None:
        return "linear"
    if callable(name) and name.__module__ == "fastconv.activations":
        name = name.__name__
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError(f"activation: expected None or one of {list(NAMES)}. Received: activation={name!r}")
    return name


def emit_leaky_relu(graph, x, slope: float, name: str):
    y = graph.buffer(x.shape, f"{name}.activation")
    graph.emit("leaky_relu_forward", {"y": y}, x=x, slope=slope)
    return y


def emit_function(graph, x, function: str, parameters: tuple[float, ...], name: str):
    """Emits a function of the table in csrc/activation/functions.h."""
    y = graph.buffer(x.shape, f"{name}.activation")
    graph.emit("activation_forward", {"y": y}, x=x, function=function, parameters=parameters)
    return y


def emit_activation(graph, activation: str, x, name: str):
    """Emits the named activation of `x`; "linear" emits nothing."""
    if activation == "softmax":
        y = graph.buffer(x.shape, f"{name}.softmax")
        graph.emit("softmax_forward", {"y": y}, x=x)
        return y
    if activation in _SLOPES:
        return emit_leaky_relu(graph, x, _SLOPES[activation], name)
    if activation in _FUNCTIONS:
        return emit_function(graph, x, *_FUNCTIONS[activation], name)
    return x


class LeakyReLU(Layer):
    """x where x > 0, else negative_slope * x.

    Args:
        negative_slope: factor for negative inputs; `alpha`, its old name, is accepted.

    Input and output shape: any.
    Raises: ValueError if the slope is negative or not a number.
    Source: keras.layers.LeakyReLU; Maas et al. 2013.

    >>> LeakyReLU().negative_slope
    0.3
    """

    old_arguments = ("alpha",)

    def __init__(
        self,
        negative_slope: float = 0.3,
        name: str | None = None,
        input_shape: Shape | None = None,
        alpha: float | None = None,
    ):
        super().__init__(name, input_shape)
        given = {"negative_slope": negative_slope} if alpha is None else {"alpha": alpha}
        self.negative_slope = number(*given.values(), *given, 0)

    def emit(self, graph, x):
        return emit_leaky_relu(graph, x, self.negative_slope, self.name)


class ReLU(Layer):
    """max(x, 0), or with arguments: max_value where x is above it, x above the threshold, and below that
    negative_slope * (x - threshold).

    Args:
        max_value: largest output, None for no limit.
        negative_slope: factor below the threshold.
        threshold: where the slope begins.

    Input and output shape: any.
    Raises: ValueError if an argument is negative or not a number.
    Source: keras.layers.ReLU.

    >>> ReLU(max_value=6).max_value
    6.0
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(name, input_shape)
        self.max_value = None if max_value is None else number(max_value, "max_value", 0)
        self.negative_slope = number(negative_slope, "negative_slope", 0)
        self.threshold = number(threshold, "threshold", 0)

    def emit(self, graph, x):
        if self.max_value is None and self.threshold == 0:
            return emit_leaky_relu(graph, x, self.negative_slope, self.name)
        largest = math.inf if self.max_value is None else self.max_value
        return emit_function(graph, x, "relu", (self.negative_slope, largest, self.threshold), self.name)


class PReLU(Layer):
    """x where x > 0, else alpha * x with a learned alpha for each element of a sample.

    Args:
        alpha_initializer: name or callable from shape to array.
        shared_axes: axes along which one alpha serves all, such as (1, 2) for one per channel of images; 1 is the first
            after the batch.

    Input and output shape: (N, ...).
    Weights: alpha of a sample's shape, 1 along the shared axes; zeros.
    Raises: ValueError at build if shared_axes are not axes of the input, or alternate with others more often than those
        of images can.
    Source: keras.layers.PReLU; He et al. 2015, arXiv:1502.01852.

    >>> PReLU(shared_axes=[1, 2]).shared_axes
    [1, 2]
    """

    def __init__(
        self,
        alpha_initializer: Initializer = "zeros",
        shared_axes: int | Sequence[int] | None = None,
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(name, input_shape)
        self.alpha_initializer = initializers.checked(alpha_initializer, "alpha_initializer")
        axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes
        if axes is not None and not (isinstance(axes, (list, tuple)) and all(isinstance(axis, int) for axis in axes)):
            raise refused("shared_axes", "an axis counted from 1, or several", shared_axes)
        self.shared_axes = axes and list(axes)
        self.alpha = None

    def build(self, input_shape):
        shared, rank = self.shared_axes or [], len(input_shape)
        shape = tuple(1 if axis in shared else input_shape[axis] for axis in range(1, rank))
        known = all(isinstance(axis, int) and 1 <= axis < rank for axis in shared)
        if not known or extents(input_shape, (1, *shape)) is None:
            raise ValueError(
                f"shared_axes: expected axes from 1 to {rank - 1}, in two runs at most. "
                f"Received: shared_axes={self.shared_axes!r}"
            )
        self.alpha = self.weight("alpha", shape, self.alpha_initializer)

    def check_input(self, input_shape):
        shape, sizes = self.alpha.shape, tuple(input_shape[1:])
        if len(sizes) != len(shape) or any(a not in (1, n) for a, n in zip(shape, sizes, strict=True)):
            raise ValueError(
                f"{self.name}: expected an input that fits its alpha of shape {shape}. Received: {tuple(input_shape)}"
            )

    def emit(self, graph, x):
        y = graph.buffer(x.shape, f"{self.name}.activation")
        sizes = extents(x.shape, (1, *self.alpha.shape))
        graph.emit("binary_forward", {"y": y}, a=x, b=graph.weight(self.alpha), function="prelu", extents=sizes)
        return y


class ELU(Layer):
    """x where x > 0, else alpha * (exp(x) - 1).

    Args:
        alpha: minus the limit far below 0.

    Input and output shape: any.
    Raises: ValueError if alpha is not a finite number.
    Source: keras.layers.ELU; Clevert et al. 2015, arXiv:1511.07289.

    >>> ELU().alpha
    1.0
    """

    def __init__(self, alpha: float = 1.0, name: str | None = None, input_shape: Shape | None = None):
        super().__init__(name, input_shape)
        self.alpha = number(alpha, "alpha")

    def emit(self, graph, x):
        return emit_function(graph, x, "elu", (self.alpha,), self.name)


class Softmax(Layer):
    """exp(x) divided by its sum over the last axis. A cross-entropy after it is computed from x.

    Args:
        axis: of the sum; only the last one.

    Input and output shape: (N, ..., C).
    Raises: ValueError when it is called on a tensor whose last axis is another.
    Source: keras.layers.Softmax.

    >>> Softmax().compute_output_shape((8, 10))
    (8, 10)
    """

    def __init__(self, axis: int = -1, name: str | None = None, input_shape: Shape | None = None):
        super().__init__(name, input_shape)
        self.axis = axis

    def compute_output_shape(self, input_shape):
        if self.axis not in (-1, len(input_shape) - 1):
            raise ValueError(f"axis: expected -1 or {len(input_shape) - 1}, the last one. Received: axis={self.axis!r}")
        return tuple(input_shape)

    def emit(self, graph, x):
        return emit_activation(graph, "softmax", x, self.name)


class Activation(Layer):
    """An activation by its name, or a function of `fastconv.activations`.

    Args:
        activation: None, "linear", "relu", "relu6", "leaky_relu" (slope 0.2, as in Keras), "elu", "selu", "gelu",
            "gelu_tanh" (Keras' gelu with approximate=True), "silu" or "swish", "hard_silu" or "hard_swish", "sigmoid",
            "hard_sigmoid", "tanh", "softplus", "softsign", "exponential", "mish" or "softmax" (over the last axis).

    Input and output shape: any.
    Raises: ValueError listing the known names.
    Source: keras.layers.Activation.

    >>> Activation("softmax").activation
    'softmax'
    """

    def __init__(self, activation: str | Callable | None, name: str | None = None, input_shape: Shape | None = None):
        super().__init__(name, input_shape)
        self.activation = check_activation(activation)

    def emit(self, graph, x):
        return emit_activation(graph, self.activation, x, self.name)
