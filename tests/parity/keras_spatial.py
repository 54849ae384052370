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
    ("ZeroPadding2D", {}, (2, 2, 3, 2)),
    ("ZeroPadding2D", {"padding": [[1, 2], [0, 3]]}, (1, 2, 3, 2)),
    ("Cropping2D", {"cropping": [[1, 2], [0, 1]]}, (1, 5, 3, 2)),
    ("UpSampling2D", {"size": [2, 3]}, (1, 2, 3, 2)),
    ("UpSampling2D", {"size": [2, 3], "interpolation": "bilinear"}, (2, 3, 4, 2)),
    ("UpSampling2D", {"size": [5, 4], "interpolation": "bilinear"}, (1, 2, 1, 3)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2}, (1, 4, 4, 4)),
    ("Conv2D", {"filters": 3, "kernel_size": 2, "dilation_rate": 2, "padding": "same"}, (1, 4, 5, 2)),
    ("Conv2D", {"filters": 3, "kernel_size": [3, 2], "dilation_rate": [1, 3], "use_bias": False}, (1, 4, 5, 2)),
    ("Conv2D", {"filters": 2, "kernel_size": 3, "dilation_rate": [2, 1], "padding": "same", "activation": "relu"},
     (2, 5, 4, 1)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}, (1, 2, 3, 2)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2}, (1, 2, 3, 2)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 2, "strides": 3, "use_bias": False}, (1, 2, 3, 2)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
     (1, 2, 3, 2)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 4, "strides": [1, 2], "padding": "same", "activation": "relu"},
     (1, 3, 2, 2)),
    ("DepthwiseConv2D", {"kernel_size": 3}, (1, 4, 5, 3)),
    ("DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2}, (1, 4, 5, 2)),
    ("DepthwiseConv2D", {"kernel_size": 2, "dilation_rate": 2, "padding": "same", "activation": "relu"}, (1, 4, 3, 2)),
    ("SeparableConv2D", {"filters": 3, "kernel_size": 3, "padding": "same"}, (1, 4, 3, 2)),
    ("SeparableConv2D", {"filters": 2, "kernel_size": 2, "strides": 2, "depth_multiplier": 3, "use_bias": False},
     (1, 4, 5, 2)),
    ("SeparableConv2D", {"filters": 2, "kernel_size": 2, "dilation_rate": 2}, (1, 4, 5, 2)),
)  # fmt: skip


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
