"""LeakyReLU, ReLU, Activation, and the activations that other layers name."""

from __future__ import annotations

import math
import numbers

from fastconv.layers.base import Layer, Shape

LEAKY_RELU_FUNCTION_SLOPE = 0.2  # of activation="leaky_relu" in Keras; the layer LeakyReLU has 0.3

_SLOPES = {"relu": 0.0, "leaky_relu": LEAKY_RELU_FUNCTION_SLOPE}
_KNOWN = ("leaky_relu", "linear", "relu", "softmax")


def check_activation(name: str | None) -> str:
    """The activation's name, "linear" for None.

    Raises:
        ValueError: listing the known names.
    """
    if name is None:
        return "linear"
    if name not in _KNOWN:
        raise ValueError(f"activation: expected None or one of {list(_KNOWN)}. Received: activation={name!r}")
    return name


def emit_leaky_relu(graph, x, slope: float, name: str):
    y = graph.buffer(x.shape, f"{name}.activation")
    graph.emit("leaky_relu_forward", {"y": y}, x=x, slope=slope)
    return y


def emit_activation(graph, activation: str, x, name: str):
    """Emits the named activation of `x`; "linear" emits nothing."""
    if activation == "softmax":
        y = graph.buffer(x.shape, f"{name}.softmax")
        graph.emit("softmax_forward", {"y": y}, x=x)
        return y
    if activation in _SLOPES:
        return emit_leaky_relu(graph, x, _SLOPES[activation], name)
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

    def __init__(
        self,
        negative_slope: float = 0.3,
        name: str | None = None,
        input_shape: Shape | None = None,
        alpha: float | None = None,
    ):
        super().__init__(name, input_shape)
        slope = negative_slope if alpha is None else alpha
        if not isinstance(slope, numbers.Real) or not (math.isfinite(slope) and slope >= 0):
            raise ValueError(f"negative_slope: expected a number >= 0. Received: negative_slope={slope!r}")
        self.negative_slope = float(slope)

    def emit(self, graph, x):
        return emit_leaky_relu(graph, x, self.negative_slope, self.name)


class ReLU(Layer):
    """max(x, 0).

    Input and output shape: any.
    Source: keras.layers.ReLU.
    """

    def emit(self, graph, x):
        return emit_leaky_relu(graph, x, 0.0, self.name)


class Activation(Layer):
    """An activation by its name.

    Args:
        activation: "linear", "relu", "leaky_relu" (slope 0.2, as in Keras) or "softmax" (over the last axis).

    Input and output shape: any.
    Raises: ValueError listing the known names.
    Source: keras.layers.Activation.

    >>> Activation("softmax").activation
    'softmax'
    """

    def __init__(self, activation: str | None, name: str | None = None, input_shape: Shape | None = None):
        super().__init__(name, input_shape)
        self.activation = check_activation(activation)

    def emit(self, graph, x):
        return emit_activation(graph, self.activation, x, self.name)
