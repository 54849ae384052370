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


MERGES = (
    *((name, {}, ((2, 5), (2, 5))) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")),
    *((name, {}, ((2, 3), (2, 3), (2, 3))) for name in ("Add", "Multiply", "Average", "Maximum", "Minimum")),
    ("Add", {}, ((2, 1, 1, 3), (2, 2, 2, 3))),
    ("Multiply", {}, ((2, 2, 2, 3), (2, 1, 1, 3))),
    ("Multiply", {}, ((2, 2, 2, 3), (2, 2, 2, 1))),
    ("Multiply", {}, ((2, 2, 2, 3), (2, 3))),
    ("Subtract", {}, ((2, 1, 3), (2, 4, 3))),
    ("Maximum", {}, ((2, 4, 3), (2, 4, 1))),
    ("Concatenate", {}, ((2, 2, 2, 3), (2, 2, 2, 1), (2, 2, 2, 2))),
    ("Concatenate", {"axis": 1}, ((2, 2, 3), (2, 1, 3))),
    ("Concatenate", {"axis": -2}, ((2, 2, 2, 3), (2, 2, 1, 3))),
    ("Reshape", {"target_shape": [2, -1]}, ((2, 6),)),
)
PRELU = (None, [1], [2], [3], [1, 2], [1, 3], [2, 3], [1, 2, 3])


def merges(rng) -> list:
    cases = []
    for name, arguments, shapes in MERGES:
        layer, arrays = getattr(keras.layers, name)(**arguments), [eighths(rng, shape) for shape in shapes]
        dy = eighths(rng, layer(arrays if len(arrays) > 1 else arrays[0]).shape)
        cases.append({"layer": name, "arguments": arguments, **answer(layer, arrays, dy)})
    return cases


def prelu(rng) -> list:
    cases, shape = [], (2, 3, 2, 3)
    for axes in PRELU:
        layer = keras.layers.PReLU(shared_axes=axes)
        layer.build(shape)
        given = [eighths(rng, layer.alpha.shape)]
        answers = answer(layer, [eighths(rng, shape)], eighths(rng, shape), given)
        cases.append({"layer": "PReLU", "arguments": {"shared_axes": axes}, **answers})
    return cases


def scales(rng) -> list:
    """Rescaling and Normalization, after adapt where nothing else is given."""
    cases, x = [], eighths(rng, (3, 2, 2, 2))
    for name, arguments in (
        ("Rescaling", {"scale": 0.25, "offset": -1.5}),
        ("Normalization", {}),
        ("Normalization", {"axis": None}),
        ("Normalization", {"axis": [1, 2, 3]}),
        ("Normalization", {"invert": True}),
        ("Normalization", {"mean": 0.5, "variance": 4.0}),
        ("Normalization", {"mean": [0.5, -1.0], "variance": [0.0, 2.0]}),
        ("Normalization", {"mean": [0.5, -1.0], "variance": [0.0, 2.0], "invert": True}),
    ):
        layer = getattr(keras.layers, name)(**arguments)
        if name == "Normalization" and "mean" not in arguments:
            layer.adapt(x)
        y, weights = listed(layer(x)), [listed(w) for w in layer.get_weights()]
        cases.append({"layer": name, "arguments": arguments, "inputs": listed(x), "weights": weights, "y": y})
    return cases


def translations(rng) -> list:
    """RandomTranslation by shares that leave no choice. Of a wrapped image only whole pixels, and not all of them."""
    cases, x = [], eighths(rng, (1, 4, 5, 1))
    shares = {
        mode: [(0.5, -0.4), (-0.25, 1.0), (0.3, -0.25), (-0.7, 0.1)] for mode in ("reflect", "nearest", "constant")
    }
    for fill_mode, pairs in {**shares, "wrap": [(0.5, -0.4), (-0.25, 0.6)]}.items():
        for height, width in pairs:
            arguments = {"height_factor": [height] * 2, "width_factor": [width] * 2, "fill_mode": fill_mode}
            arguments["fill_value"] = 0.5
            y = keras.layers.RandomTranslation(**arguments)(x, training=True)
            cases.append({"layer": "RandomTranslation", "arguments": arguments, "inputs": listed(x), "y": listed(y)})
    return cases


def record(seed: int) -> dict:
    """Return all cases, each list from a generator of its own so that a new one leaves the others as they were."""
    generators = iter(np.random.default_rng(seed).spawn(8))
    return {kind.__name__: kind(next(generators)) for kind in (activations, merges, prelu, scales, translations)}
