"""Activations as functions: as `activation=` of layers, on symbolic tensors, and on arrays.

On a tensor a function adds a layer that computes it; on an array of any shape it returns float32 values. Layers take
these functions as `activation`, as well as their names.

>>> from fastconv import activations
>>> layers.Dense(64, activation=activations.gelu).activation
'gelu'
>>> activations.relu([[-1.0, 2.0]])
array([[0., 2.]], dtype=float32)

Raises: ValueError on settings that the layer of this name does not take; TypeError on what is neither tensor nor array.
Source: keras.activations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import layers
from fastconv.layers.activation import LEAKY_RELU_FUNCTION_SLOPE, NAMES, check_activation
from fastconv.layers.base import Layer, Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    Input = Tensor | npt.ArrayLike


def relu(x: Input, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """max(x, 0), or with arguments what `layers.ReLU` computes."""
    return _applied(layers.ReLU(max_value, negative_slope, threshold), x)


def leaky_relu(x: Input, negative_slope: float = LEAKY_RELU_FUNCTION_SLOPE) -> Any:
    """x where x > 0, else negative_slope * x. The slope is 0.2 here, and 0.3 of `layers.LeakyReLU`, as in Keras."""
    return _applied(layers.LeakyReLU(negative_slope), x)


def elu(x: Input, alpha: float = 1.0) -> Any:
    """x where x > 0, else alpha * (exp(x) - 1)."""
    return _applied(layers.ELU(alpha), x)


def gelu(x: Input, approximate: bool = False) -> Any:
    """x times the share of a normal distribution that is below x; approximately, with a tanh."""
    return _applied(layers.Activation("gelu_tanh" if approximate else "gelu"), x)


def softmax(x: Input, axis: int = -1) -> Any:
    """exp(x) divided by its sum over the last axis."""
    return _applied(layers.Softmax(axis), x)


def exponential(x: Input) -> Any:
    """exp(x)."""
    return _applied(layers.Activation("exponential"), x)


def hard_sigmoid(x: Input) -> Any:
    """x / 6 + 1/2, but not below 0 or above 1."""
    return _applied(layers.Activation("hard_sigmoid"), x)


def hard_silu(x: Input) -> Any:
    """x * hard_sigmoid(x)."""
    return _applied(layers.Activation("hard_silu"), x)


def hard_swish(x: Input) -> Any:
    """`hard_silu` by another name."""
    return _applied(layers.Activation("hard_swish"), x)


def linear(x: Input) -> Any:
    """x."""
    return _applied(layers.Activation("linear"), x)


def mish(x: Input) -> Any:
    """x * tanh(softplus(x))."""
    return _applied(layers.Activation("mish"), x)


def relu6(x: Input) -> Any:
    """x, but not below 0 or above 6."""
    return _applied(layers.Activation("relu6"), x)


def selu(x: Input) -> Any:
    """1.0507 * elu(x, 1.6733): outputs keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return _applied(layers.Activation("selu"), x)


def sigmoid(x: Input) -> Any:
    """1 / (1 + exp(-x))."""
    return _applied(layers.Activation("sigmoid"), x)


def silu(x: Input) -> Any:
    """x * sigmoid(x)."""
    return _applied(layers.Activation("silu"), x)


def softplus(x: Input) -> Any:
    """log(1 + exp(x))."""
    return _applied(layers.Activation("softplus"), x)


def softsign(x: Input) -> Any:
    """x / (1 + |x|)."""
    return _applied(layers.Activation("softsign"), x)


def swish(x: Input) -> Any:
    """`silu` by another name."""
    return _applied(layers.Activation("swish"), x)


def tanh(x: Input) -> Any:
    """The hyperbolic tangent."""
    return _applied(layers.Activation("tanh"), x)


__all__ = sorted({*NAMES, "get"} - {"gelu_tanh"})


def get(identifier: str | Callable[..., Any] | None) -> Callable[..., Any]:
    """The function of a name; `linear` for None. A function is returned as it is.

    Raises:
        ValueError: listing the known names.

    >>> activations.get("tanh") is activations.tanh
    True
    """
    if callable(identifier):
        return identifier
    name = check_activation(identifier)
    return (lambda x: gelu(x, approximate=True)) if name == "gelu_tanh" else globals()[name]


def _applied(layer: Layer, x: Any) -> Any:
    if isinstance(x, Tensor):
        return layer(x)
    from fastconv.models import Sequential

    values = np.asarray(x, np.float32)
    rows = values if values.ndim > 1 else values.reshape(1, -1)
    if not rows.size:
        return values
    return Sequential([layers.Input(rows.shape[1:]), layer]).predict_on_batch(rows).reshape(values.shape)
