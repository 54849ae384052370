"""Penalties of weights: by Keras' names, in the loss and in the gradient."""

from types import SimpleNamespace

import numpy as np
import pytest
from parity import golden

import fastconv
from fastconv import layers, models, optimizers, regularizers, utils

X, Y = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32), np.arange(10) % 3


def test_values():
    x = np.array([[1, -2], [0, 3]], np.float32)
    assert regularizers.L1(0.5)(x) == 3 and regularizers.L2(0.5)(x) == 7
    assert regularizers.L1L2(0.5, 0.25)(x) == 6.5


@pytest.mark.parametrize(
    ("given", "l1", "l2"),
    [("l1", 0.01, 0), ("L1", 0.01, 0), ("l2", 0, 0.01), ("l1_l2", 0, 0), (regularizers.L1L2(0.5, 0.25), 0.5, 0.25),
     (regularizers.L2, 0, 0.01), (regularizers.l1_l2(l2=2), 0, 2)],
)  # fmt: skip
def test_names_and_defaults_are_those_of_keras(given, l1, l2):
    layer = layers.Dense(2, kernel_regularizer=given)
    layer(layers.Input((3,)))
    assert (layer.kernel.regularizer.l1, layer.kernel.regularizer.l2) == (l1, l2)
    assert layer.bias.regularizer is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: regularizers.L1(-0.1), "l1=-0.1"),
        (lambda: regularizers.L1L2(l2=float("inf")), "l2=inf"),
        (lambda: regularizers.L2("a"), "l2='a'"),
        (lambda: layers.Dense(3, kernel_regularizer="l3"), "kernel_regularizer: expected None, L1.*='l3'"),
        (lambda: layers.Conv2D(3, 3, bias_regularizer=abs), "bias_regularizer: expected"),
        (lambda: layers.Dense(3, activity_regularizer="l2"), "activity_regularizer: expected None.*='l2'"),
        (lambda: layers.Dense(3, kernel_constraint="non_neg"), "kernel_constraint: expected None.*='non_neg'"),
        (lambda: layers.Conv2D(3, 3, bias_constraint="non_neg"), "bias_constraint: expected None"),
        (lambda: layers.BatchNormalization(gamma_constraint="non_neg"), "gamma_constraint: expected None"),
        (lambda: layers.BatchNormalization(beta_regularizer=1), "beta_regularizer: expected"),
    ],
)
def test_what_has_no_meaning_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def small_model(**penalties):
    utils.set_random_seed(2)
    image = layers.Input((4,))
    x = layers.BatchNormalization(beta_regularizer=penalties.get("beta"))(image)
    x = layers.Dense(3, activation="softmax", kernel_regularizer=penalties.get("kernel"), name="out")(x)
    model = models.Model(image, x)
    model.compile(optimizers.SGD(1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_the_penalty_is_in_the_losses_and_in_nothing_else():
    plain, penalized = small_model(), small_model(kernel="l2", beta=regularizers.L1(0.5))
    penalized.layers[1].beta.assign(np.ones(4))
    plain.layers[1].beta.assign(np.ones(4))
    more = regularizers.L2()(penalized.get_layer("out").kernel.array) + 0.5 * 4
    expected, actual = (m.evaluate(X, Y, batch_size=4, verbose=0) for m in (plain, penalized))
    assert actual == pytest.approx([expected[0] + more, expected[1]], rel=1e-6)
    expected, actual = (m.train_on_batch(X, Y) for m in (plain, penalized))
    assert actual == pytest.approx([expected[0] + more, expected[1]], rel=1e-6)


def test_the_gradient_of_the_penalty():
    plain, penalized = small_model(), small_model(kernel=regularizers.L1L2(0.25, 0.125))
    before = penalized.get_layer("out").kernel.numpy()
    plain.train_on_batch(X, Y), penalized.train_on_batch(X, Y)
    moved = plain.get_layer("out").kernel.array - penalized.get_layer("out").kernel.array
    np.testing.assert_allclose(moved, 0.25 * np.sign(before) + 0.25 * before, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(plain.get_weights()[0], penalized.get_weights()[0])


def test_a_bias_whose_gradient_is_not_computed_has_that_of_its_penalty_in_each_step():
    layer = layers.Dense(3, bias_initializer="ones", bias_regularizer=regularizers.L2(0.25))
    output = layers.Softmax()(layers.BatchNormalization()(layer(image := layers.Input((4,)))))
    model = models.Model(image, output)
    model.compile(optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    for expected in (0.75, 0.5625, 0.421875):
        model.train_on_batch(X, Y)
        np.testing.assert_allclose(layer.bias.array, expected, rtol=1e-5)


def test_a_shared_layer_pays_once():
    image = layers.Input((4,))
    shared = layers.Dense(4, kernel_regularizer=regularizers.L2(0.5))
    model = models.Model(image, layers.Softmax()(shared(shared(image))))
    model.compile("sgd", "sparse_categorical_crossentropy")
    with_penalty = model.evaluate(X, Y, verbose=0)
    shared.kernel.regularizer = None
    model.compile("sgd", "sparse_categorical_crossentropy")
    more = with_penalty - model.evaluate(X, Y, verbose=0)
    assert more == pytest.approx(regularizers.L2(0.5)(shared.kernel.array), rel=1e-5)


# ---- AdamW with a global clipnorm, a cosine schedule with warm-up and penalties (parity/optimizer_cases.py)

RECORDED = golden.load("keras_optimizers")["training"]


@pytest.fixture(scope="module")
def trained():
    """Losses of the steps, evaluations before and after them, and the weights."""
    x, y = np.array(RECORDED["x"], np.float32), np.array(RECORDED["y"])
    schedule = optimizers.schedules.CosineDecay(0.0, 6, alpha=0.125, warmup_target=0.0625, warmup_steps=3)
    model = fastconv.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(8, kernel_regularizer=regularizers.L2(0.03125), bias_regularizer="l1"),
            layers.BatchNormalization(gamma_regularizer=regularizers.L1L2(l1=0.0625, l2=0.03125)),
            layers.LeakyReLU(),
            layers.Dense(3, activation="softmax", kernel_regularizer=regularizers.L1(0.015625)),
        ]
    )
    model.set_weights([np.array(w) for w in RECORDED["start"]])
    model.compile(
        optimizers.AdamW(schedule, weight_decay=0.125, global_clipnorm=0.5), "sparse_categorical_crossentropy"
    )
    first = model.evaluate(x, y, batch_size=5, verbose=0)
    parts = [slice(4 * (step % 3), 4 * (step % 3) + 4) for step in range(10)]
    losses = [model.train_on_batch(x[part], y[part]) for part in parts]
    return SimpleNamespace(
        losses=losses, evaluate=[first, model.evaluate(x, y, batch_size=5, verbose=0)], weights=model.get_weights()
    )


def test_losses_of_keras(trained):
    np.testing.assert_allclose(trained.losses, RECORDED["losses"], rtol=2e-5)


def test_evaluations_of_keras(trained):
    np.testing.assert_allclose(trained.evaluate, RECORDED["evaluate"], rtol=2e-5)


def test_weights_of_keras(trained):
    for received, expected in zip(trained.weights, RECORDED["weights"], strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)
