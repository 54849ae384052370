"""Layers and models that are called with training=False, and do what they do in prediction while others train."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from fastconv import layers, load_model, models, optimizers, utils

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(16, 6, 6, 3)).astype(np.float32), np.arange(16) % 3


def network(training=False):
    """An image through a base, with random numbers and batch normalization, and through one more normalization."""
    utils.clear_session()
    utils.set_random_seed(0)
    image = layers.Input((6, 6, 3))
    x = layers.BatchNormalization(name="inner")(layers.Conv2D(4, 3, name="conv")(layers.RandomFlip()(image)))
    base = models.Model(image, layers.Dropout(0.5)(layers.LeakyReLU()(x)), name="base")
    image = layers.Input((6, 6, 3))
    x = layers.BatchNormalization(name="outer")(layers.Flatten()(base(image, training=training)))
    model = models.Model(image, layers.Dense(3, activation="softmax")(x))
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model, base


def ops_of(model):
    return [step.op for step in model._ready().plan("train", 4).steps]


def test_a_model_that_is_called_so_does_what_it_does_in_prediction_and_learns():
    model, base = network()
    ops = ops_of(model)
    assert not {"dropout_forward", "random_window"} & set(ops) and {"batchnorm_inference", "batchnorm_forward"} < set(
        ops
    )
    assert "dropout_forward" in ops_of(network(training=None)[0])
    inner = base.get_layer("inner").weights
    before = [weight.numpy() for weight in inner]
    outer = model.get_layer("outer").moving_mean.numpy()
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    changed = {weight.name for weight, old in zip(inner, before, strict=True) if (weight.numpy() != old).any()}
    assert changed == {"gamma", "beta"} and (model.get_layer("outer").moving_mean.numpy() != outer).any()


def test_its_gradients_are_right():
    model, base = network()
    inner = base.get_layer("inner")
    inner.moving_mean.assign(rng.normal(size=4))
    inner.moving_variance.assign(rng.uniform(0.5, 2, size=4))
    report = model.check_gradients(X, Y)
    assert report.ok, report


def test_frozen_as_well_it_gives_what_it_predicts():
    """Transfer: what is behind it learns as from the predictions, computed once."""
    model, base = network()
    base.trainable = False
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    features = base.predict(X, verbose=0)
    x = layers.Input(features.shape[1:])
    y = layers.Dense(3, activation="softmax")(layers.BatchNormalization()(layers.Flatten()(x)))
    head = models.Model(x, y)
    head.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    head.set_weights(model.get_weights()[len(base.weights) :])
    of_model, of_head = (
        one.fit(given, Y, batch_size=4, epochs=2, shuffle=False, verbose=0).history["loss"]
        for one, given in ((model, X), (head, features))
    )
    np.testing.assert_allclose(of_model, of_head, rtol=1e-6)


@pytest.mark.parametrize("given", [True, 1, 0, "False"])
def test_anything_else_is_refused(given):
    with pytest.raises(ValueError, match=r"dropout.*: expected training=None, or False.*Received: training="):
        layers.Dropout(0.5)(layers.Input((3,)), training=given)


def test_files_keep_it(tmp_path):
    model, _ = network()
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    other = load_model(tmp_path / "model.keras")
    assert ops_of(other) == ops_of(model)
    assert other.train_on_batch(X, Y) == model.train_on_batch(X, Y)


def test_a_layer_of_the_users_is_told():
    told = []

    class Told(layers.Layer):
        def forward(self, x, training):
            told.append(training)
            return x + 0

        def backward(self, dy, x, y):
            return dy

    for training in (None, False):
        x = layers.Input((4,))
        model = models.Model(x, layers.Dense(2)(Told()(layers.Dense(4)(x), training=training)))
        model.compile("sgd", "mse")
        model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
    assert told == [True, False]


@pytest.mark.skipif(not importlib.util.find_spec("fastconv._emulator"), reason="the emulator is not built")
def test_the_steps_on_the_emulator(use, on_cpu):
    from fake_device import EmulatedMemory

    from fastconv import _emulator
    from fastconv.ops.cuda_ops import CudaOps

    def train():
        model, _ = network()
        model.train_on_batch(X[:2], Y[:2])
        return model.get_weights()

    expected = on_cpu(train)
    use(CudaOps(_emulator, EmulatedMemory()))
    for received, right in zip(train(), expected, strict=True):
        np.testing.assert_allclose(received, right, rtol=1e-5, atol=1e-6)
