"""The five networks of the example notebooks and a residual one, written against Keras' names.

`build(api, name)` takes the module to build with, so the same lines make a Keras model (`api=keras`) and a fastconv
model (`api=fastconv`): the recorder, the live parity tests and the benchmark's TensorFlow worker all start from here.
"""

from __future__ import annotations

NAMES = ("mlp", "conv", "cnn", "cnn-first-bn", "64x64x1", "resnet20")
LEARNING_RATES = {"mlp": 0.005, "conv": 0.0005, "cnn": 0.0005, "cnn-first-bn": 0.0005, "resnet20": 0.0001}


def build(api, name: str, dropout: float = 0.5):
    """Return an uncompiled model.

    Args:
        api: a module with `layers` and `models`, such as `keras` or `fastconv`.
        name: one of `NAMES`.
        dropout: rate of the Dropout of "cnn" and "cnn-first-bn"; 0 leaves the layer out.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {NAMES}. Received: name={name!r}")
    layers = api.layers
    x = image = layers.Input((64, 64, 1) if name == "64x64x1" else (32, 32, 3))
    if name == "mlp":
        x = layers.Flatten()(x)
        x = layers.Dense(200, activation="relu")(x)
        x = layers.Dense(150, activation="relu")(x)
    elif name in ("conv", "64x64x1"):
        filters, size, strides = (10, 4, 2) if name == "conv" else (2, 3, 1)
        x = layers.Conv2D(filters, size, strides=strides, padding="same")(x)
        x = layers.Conv2D(20, 3, strides=2, padding="same")(x)
        x = layers.Flatten()(x)
    elif name == "resnet20":
        x = residual(layers, x)
    else:
        for i, (filters, strides) in enumerate(((32, 1), (32, 2), (64, 1), (64, 2))):
            x = layers.Conv2D(filters, 3, strides=strides, padding="same")(x)
            if name == "cnn" or i == 0:
                x = layers.BatchNormalization()(x)
            x = layers.LeakyReLU()(x)
        x = layers.Flatten()(x)
        x = layers.Dense(128)(x)
        if name == "cnn":
            x = layers.BatchNormalization()(x)
        x = layers.LeakyReLU()(x)
        if dropout:
            x = layers.Dropout(rate=dropout)(x)
    return api.models.Model(image, layers.Dense(10, activation="softmax")(x))


def residual(layers, image):
    """Nine residual blocks, averaged over the image; a convolution of 1x1 where its size changes."""

    def convolved(x, filters, strides=1):
        settings = {"padding": "same", "kernel_initializer": "he_normal", "use_bias": False}
        return layers.BatchNormalization()(layers.Conv2D(filters, 3, strides=strides, **settings)(x))

    x = layers.ReLU()(convolved(image, 16))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        for step in (strides, 1, 1):
            y = convolved(layers.ReLU()(convolved(x, filters, step)), filters)
            if step != 1:
                x = layers.Conv2D(filters, 1, strides=step, kernel_initializer="he_normal", use_bias=False)(x)
            x = layers.ReLU()(layers.Add()([x, y]))
    return layers.GlobalAveragePooling2D()(x)
