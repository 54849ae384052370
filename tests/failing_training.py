"""Training that becomes non-finite."""

import numpy as np
import pytest
from small_training import fit

import fastconv
from fastconv import layers, optimizers, utils
from fastconv.models import Model


def stacked(depth=3, scale=1.0, normalize=False, rate=1e-3, loss="mse"):
    """Dense layers one after the other, their kernels so many times as large as they should be."""
    utils.set_random_seed(0)
    utils.clear_session()
    image = x = layers.Input((8,))
    for _ in range(depth):
        x = layers.Dense(8)(x)
        x = layers.BatchNormalization()(x) if normalize else x
    model = Model(image, layers.Dense(1)(x))
    for weight in model.trainable_weights:
        if weight.name == "kernel":
            weight.array *= scale
    model.compile(optimizers.SGD(rate), loss)
    return model


def numbers(count=40, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 8)).astype(np.float32), rng.normal(size=(count, 1)).astype(np.float32)


def failure(model, x, y, **arguments):
    """The report of a `fit` that fails."""
    with pytest.raises(fastconv.NonFiniteError) as caught:
        fit(model, x, y, **arguments)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert model.optimizer.iterations == caught.value.report.iterations
    return caught.value.report


def names(report):
    return [cause.name for cause in report.causes]
