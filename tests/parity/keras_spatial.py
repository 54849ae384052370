"""Small images through Keras' layers on images, forward and backward; `record_tensorflow.py` calls `record`.

This file imports Keras at the top and is imported by the recorder alone.
"""

from __future__ import annotations

import keras
import numpy as np
from keras_elementwise import answer

# Class, arguments, shape of the input.
LAYERS = (
    ("MaxPooling2D", {}, (2, 5, 4, 3)),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 6, 5, 2)),
    ("MaxPooling2D", {"pool_size": [2, 3], "strides": 1}, (1, 4, 5, 3)),
    ("AveragePooling2D", {"pool_size": 2}, (2, 5, 4, 3)),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 6, 5, 2)),
    ("AveragePooling2D", {"pool_size": [2, 3], "strides": 1, "padding": "same"}, (1, 4, 5, 3)),
    ("GlobalMaxPooling2D", {}, (2, 4, 3, 3)),
    ("GlobalMaxPooling2D", {"keepdims": True}, (2, 4, 3, 3)),
    ("GlobalAveragePooling2D", {}, (2, 4, 3, 3)),
    ("GlobalAveragePooling2D", {"keepdims": True}, (2, 4, 3, 3)),
)


def quarters(rng, shape):
    """Numbers from -1 to 1, many of them equal."""
    return (rng.integers(-4, 5, shape) / 4).astype(np.float32)


def record(seed: int) -> dict:
    rng, cases = np.random.default_rng(seed), []
    for name, arguments, shape in LAYERS:
        layer, x = getattr(keras.layers, name)(**arguments), quarters(rng, shape)
        if name == "GlobalMaxPooling2D":  # equals share its gradient in TensorFlow: let there be none
            x += np.arange(x.size, dtype=np.float32).reshape(shape) / 1024
        y = layer(x)
        weights = [quarters(rng, w.shape) for w in layer.weights]
        cases.append({"layer": name, "arguments": arguments, **answer(layer, [x], quarters(rng, y.shape), weights)})
    return {"layers": cases}
