"""Fixtures of the tests of pictures."""

import numpy as np
import pytest

from fastconv import layers, utils
from fastconv.models import Model


@pytest.fixture
def pyplot(monkeypatch):
    """matplotlib without a window system; its figures are closed after the test."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    yield pyplot
    pyplot.close("all")


@pytest.fixture
def small():
    """A model with names as automatic ones begin: images of 8x8x3, a convolution of 4 filters, its ReLU, 5 classes."""
    utils.clear_session()
    image = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(image)
    x = layers.ReLU()(x)
    return Model(image, layers.Dense(5, activation="softmax")(layers.Flatten()(x)))


@pytest.fixture
def image():
    return np.random.default_rng(0).random((8, 8, 3), np.float32)
