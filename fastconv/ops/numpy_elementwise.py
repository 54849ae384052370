"""The reference of the elementwise ops."""

from __future__ import annotations

import math

import numpy as np

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x > 0, 1, e) / (1 + e)


def _sigmoid_slope(x):
    return _sigmoid(x) * _sigmoid(-x)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _relu(x, slope, max_value, threshold):
    above = x - threshold
    below = np.maximum(above, 0) if slope == 0 else slope * above
    return np.minimum(np.where(above > 0, x, below), max_value)


def _relu_slope(x, slope, max_value, threshold):
    return np.where(x > threshold, np.where(x > max_value, 0, 1), slope)


_SELU_SCALE, _SELU_ALPHA = 1.05070098735548, 1.6732632423543772


def _normal(x):
    return 0.5 * (1 + _erf(x / math.sqrt(2)))


def _gelu_exponent(x):
    return 2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def _gelu_tanh_slope(x):
    u, slope = _gelu_exponent(x), 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return _sigmoid(u) + x * _sigmoid_slope(u) * slope


def _hard_sigmoid(x):
    return np.clip(x + 3, 0, 6) / 6


def _hard_sigmoid_slope(x):
    return np.where(np.abs(x) < 3, 1 / 6, 0)


def _mish_slope(x):
    return np.tanh(_softplus(x)) + x * (1 - np.tanh(_softplus(x)) ** 2) * _sigmoid(x)


# y and dy/dx of x and the parameters.
ACTIVATIONS = {
    "linear": (lambda x, scale, offset: x * scale + offset, lambda x, scale, offset: np.full_like(x, scale)),
    "relu": (_relu, _relu_slope),
    "elu": (
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda x, alpha: np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0))),
    ),
    "selu": (
        lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0))),
        lambda x: _SELU_SCALE * np.where(x < 0, _SELU_ALPHA * np.exp(np.minimum(x, 0)), 1),
    ),
    "gelu": (
        lambda x: x * _normal(x),
        lambda x: _normal(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
    ),
    "gelu_tanh": (lambda x: x * _sigmoid(_gelu_exponent(x)), _gelu_tanh_slope),
    "silu": (lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) + x * _sigmoid_slope(x)),
    "sigmoid": (_sigmoid, _sigmoid_slope),
    "hard_sigmoid": (_hard_sigmoid, _hard_sigmoid_slope),
    "hard_silu": (
        lambda x: x * _hard_sigmoid(x),
        lambda x: _hard_sigmoid(x) + x * _hard_sigmoid_slope(x),
    ),
    "tanh": (np.tanh, lambda x: 4 * _sigmoid_slope(2 * x)),
    "softplus": (_softplus, _sigmoid),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "exponential": (np.exp, np.exp),
    "mish": (lambda x: x * np.tanh(_softplus(x)), _mish_slope),
}


# y, dy/da and dy/db of a and b.
BINARY = {
    "add": (np.add, lambda a, b: 1, lambda a, b: 1),
    "subtract": (np.subtract, lambda a, b: 1, lambda a, b: -1),
    "multiply": (np.multiply, lambda a, b: b, lambda a, b: a),
    "maximum": (np.maximum, lambda a, b: a >= b, lambda a, b: a < b),
    "minimum": (np.minimum, lambda a, b: a <= b, lambda a, b: a > b),
    "prelu": (
        lambda a, b: np.where(a > 0, a, b * a),
        lambda a, b: np.where(a > 0, 1, np.where(a < 0, b, 0)),
        lambda a, b: np.minimum(a, 0),
    ),
    "scale_by_root": (
        lambda a, b: a * np.maximum(np.sqrt(b), 1e-7),
        lambda a, b: np.maximum(np.sqrt(b), 1e-7),
        lambda a, b: 0.5 * a / np.maximum(np.sqrt(b), 1e-7),
    ),
}


def _again(b, extents):
    """b as it is used along p and r."""
    return b.reshape(1, extents[1], 1, extents[3])


class NumpyElementwise:
    """The methods of `fastconv.ops.numpy_ops.NumpyOps` that are elementwise."""

    def activation_forward(self, x, y, function, parameters):
        y[...] = ACTIVATIONS[function][0](x, *parameters)

    def activation_backward(self, dy, x, dx, function, parameters):
        dx[...] = dy * ACTIVATIONS[function][1](x, *parameters)

    def binary_forward(self, a, b, y, function, extents):
        y.reshape(extents)[...] = BINARY[function][0](a.reshape(extents), _again(b, extents))

    def binary_backward(self, dy, a, b, da, db, function, extents):
        dy, operands = dy.reshape(extents), (a.reshape(extents), _again(b, extents))
        for gradient, derivative in zip((da, db), BINARY[function][1:], strict=True):
            if gradient is not None:
                gradient.reshape(extents)[...] = dy * derivative(*operands)

    def sum_forward(self, x, y, extents, workspace):
        y.reshape(extents[1], extents[3])[...] = x.reshape(extents).sum(axis=(0, 2))

    def copy_columns(self, x, y, rows, columns, x_at, y_at):
        y.reshape(rows, -1)[:, y_at : y_at + columns] = x.reshape(rows, -1)[:, x_at : x_at + columns]
