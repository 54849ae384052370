"""The example networks for CIFAR-10, by name. They expect images scaled to 0..1 (x / 255).

Source: the networks of two course notebooks on Keras (see examples/).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fastconv import layers
from fastconv.models import Model

_BATCH_NORM = ("all", "first")


def mlp(input_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10) -> Model:
    """Two hidden layers, no convolution: 646,260 parameters.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: number of classes.
    """
    image = layers.Input(input_shape)
    x = layers.Flatten()(image)
    x = layers.Dense(200, activation="relu")(x)
    x = layers.Dense(150, activation="relu")(x)
    return Model(image, layers.Dense(classes, activation="softmax")(x))


def conv(input_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10) -> Model:
    """Two strided convolutions without activations: 15,120 parameters.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: number of classes.
    """
    image = layers.Input(input_shape)
    x = layers.Conv2D(10, 4, strides=2, padding="same")(image)
    x = layers.Conv2D(20, 3, strides=2, padding="same")(x)
    x = layers.Flatten()(x)
    return Model(image, layers.Dense(classes, activation="softmax")(x))


def cnn(
    input_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10, dropout: float = 0.5, batch_norm: str = "all"
) -> Model:
    """Four convolutions and a hidden layer with BatchNormalization and LeakyReLU: 592,554 parameters.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: number of classes.
        dropout: rate of the Dropout before the last layer; 0 leaves it out.
        batch_norm: "all", or "first" for a BatchNormalization after the first convolution only.
    """
    if batch_norm not in _BATCH_NORM:
        raise ValueError(f"batch_norm must be one of {_BATCH_NORM}. Received: batch_norm={batch_norm!r}")
    image = x = layers.Input(input_shape)
    for i, (filters, strides) in enumerate(((32, 1), (32, 2), (64, 1), (64, 2))):
        x = layers.Conv2D(filters, 3, strides=strides, padding="same")(x)
        x = _normalized(x, batch_norm == "all" or i == 0)
    x = layers.Flatten()(x)
    x = layers.Dense(128)(x)
    x = _normalized(x, batch_norm == "all")
    if dropout:
        x = layers.Dropout(dropout)(x)
    return Model(image, layers.Dense(classes, activation="softmax")(x))


def cnn_first_bn(input_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10, dropout: float = 0.5) -> Model:
    """`cnn` with the first of its BatchNormalization layers only: 591,402 parameters.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: number of classes.
        dropout: rate of the Dropout before the last layer; 0 leaves it out.
    """
    return cnn(input_shape, classes, dropout, batch_norm="first")


def resnet20(input_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10) -> Model:
    """Nineteen convolutions in nine residual blocks, and a Dense layer: 273,658 parameters.

    The network of He et al., "Deep residual learning for image recognition" (2016), section 4.2, whose shortcuts have a
    convolution of 1x1 where the size of the image changes, as in Keras' example `cifar10_resnet`.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: number of classes.
    """
    image = layers.Input(input_shape)
    x = layers.ReLU()(_convolved(image, 16))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        for block in range(3):
            step = strides if block == 0 else 1
            y = layers.ReLU()(_convolved(x, filters, strides=step))
            y = _convolved(y, filters)
            if step != 1:
                x = layers.Conv2D(filters, 1, strides=step, kernel_initializer="he_normal", use_bias=False)(x)
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return Model(image, layers.Dense(classes, activation="softmax")(x))


def _convolved(x: Any, filters: int, strides: int = 1) -> Any:
    """A 3x3 convolution without a bias, which the batch normalization after it would take away."""
    convolution = layers.Conv2D(
        filters, 3, strides=strides, padding="same", kernel_initializer="he_normal", use_bias=False
    )
    return layers.BatchNormalization()(convolution(x))


def _normalized(x: Any, batch_norm: bool) -> Any:
    if batch_norm:
        x = layers.BatchNormalization()(x)
    return layers.LeakyReLU()(x)


class Network(NamedTuple):
    factory: Callable[..., Model]
    learning_rate: float  # of Adam; the one the network was published with, where it was


NETWORKS = {
    "mlp": Network(mlp, 0.005),
    "conv": Network(conv, 0.0005),
    "cnn": Network(cnn, 0.0005),
    "cnn-first-bn": Network(cnn_first_bn, 0.0005),
    "resnet20": Network(resnet20, 0.001),
}
