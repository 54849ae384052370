"""Layers as users write them."""

from __future__ import annotations

import numpy as np

from fastconv.layers import Layer


class Scale(Layer):
    """A factor for each channel: one weight."""

    def build(self, input_shape):
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")

    def forward(self, x):
        return x * self.factor.value

    def backward(self, dy, x, y):
        return dy * self.factor.value, (dy * x).reshape(-1, x.shape[-1]).sum(axis=0)


class Linear(Layer):
    """A dense layer: settings, two weights, another shape."""

    def __init__(self, units, regularizer=None, **options):
        super().__init__(**options)
        self.units, self.regularizer = units, regularizer

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel", regularizer=self.regularizer)
        self.bias = self.add_weight((self.units,), "zeros", name="bias")

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def forward(self, x):
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy, x, y):
        return dy @ self.kernel.value.T, x.T @ dy, dy.sum(axis=0)


class Gate(Layer):
    """Two inputs: the first times the sigmoid of the second."""

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def forward(self, inputs):
        x, gate = inputs
        return x / (1 + np.exp(-gate))

    def backward(self, dy, inputs, y):
        x, gate = inputs
        open_ = 1 / (1 + np.exp(-gate))
        return [dy * open_, dy * y * (1 - open_)]


class Halves(Layer):
    """Two outputs: the channels of either half."""

    def compute_output_shape(self, input_shape):
        *outer, channels = input_shape
        return [(*outer, channels // 2), (*outer, channels - channels // 2)]

    def forward(self, x):
        return np.split(x, [x.shape[-1] // 2], axis=-1)

    def backward(self, dy, x, y):
        return np.concatenate(dy, axis=-1)


class Centered(Layer):
    """Subtracts a moving mean, which it keeps itself; in training that of the batch."""

    def build(self, input_shape):
        self.mean = self.add_weight(input_shape[1:], "zeros", trainable=False, name="mean")

    def forward(self, x, training=False):
        mean = x.mean(axis=0) if training else self.mean.value
        if training:
            self.mean.value[...] = 0.5 * self.mean.value + 0.5 * mean
        return x - mean

    def backward(self, dy, x, y):
        return dy - dy.mean(axis=0)


class Square(Layer):
    """Without a gradient."""

    def forward(self, x):
        return x * x
