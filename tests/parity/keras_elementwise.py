"""Small inputs of Keras' elementwise layers, their outputs and gradients; `record_tensorflow.py` calls `record`.

A case holds its inputs beside what Keras answered, so that a test needs nothing but the JSON. This file imports Keras
at the top and is imported by the recorder alone.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

NAMES = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "swish", "sigmoid", "hard_sigmoid", "hard_silu",
    "hard_swish", "tanh", "softplus", "softsign", "exponential", "mish", "softmax", "linear",
)  # fmt: skip
ACTIVATIONS = (
    *(("Activation", {"activation": name}) for name in NAMES),
    ("LeakyReLU", {}),
    ("ReLU", {}),
    ("ReLU", {"max_value": 1.5}),
    ("ReLU", {"max_value": 2.0, "negative_slope": 0.25, "threshold": 0.3125}),
    ("ReLU", {"threshold": 1.0}),
    ("ELU", {}),
    ("ELU", {"alpha": 0.25}),
    ("Softmax", {}),
)


def eighths(rng, shape):
    """Numbers that float32 holds exactly, 0 among them."""
    return (rng.integers(-32, 33, shape) / 8).astype(np.float32)


def listed(value):
    return np.asarray(value).tolist()


def answer(layer, arrays, dy, weights=()):
    """Output and gradients of a layer called on tensors of these values."""
    tensors = [tf.constant(array) for array in arrays]
    argument = tensors if len(tensors) > 1 else tensors[0]
    layer(argument)
    layer.set_weights(list(weights))
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = layer(argument)
    sources = [*tensors, *(w.value for w in layer.trainable_weights)]
    gradients = tape.gradient(y, sources, output_gradients=tf.constant(dy))
    return {
        "inputs": [listed(array) for array in arrays],
        "weights": [listed(w) for w in weights],
        "dy": listed(dy),
        "y": listed(y),
        "gradients": [listed(gradient) for gradient in gradients],
    }


def activations(rng) -> list:
    """The layers of `ACTIVATIONS`, and what fastconv calls "gelu_tanh"."""
    made = [(name, arguments, getattr(keras.layers, name)(**arguments)) for name, arguments in ACTIVATIONS]
    gelu_tanh = keras.layers.Activation(lambda x: keras.activations.gelu(x, approximate=True))
    cases = []
    for name, arguments, layer in (*made, ("Activation", {"activation": "gelu_tanh"}, gelu_tanh)):
        x, dy = eighths(rng, (2, 8)), eighths(rng, (2, 8))
        x[0, 0] = 0
        cases.append({"layer": name, "arguments": arguments, **answer(layer, [x], dy)})
    return cases


def record(seed: int) -> dict:
    rng = np.random.default_rng(seed)
    return {"activations": activations(rng)}
