"""Layers with trainable=False: what learns, what is computed for it, and from when on it counts."""

from __future__ import annotations

import copy
import importlib.util
import warnings

import numpy as np
import pytest
from parity import golden

from fastconv import Sequential, layers, models, optimizers, utils

RECORDED = golden.load("keras_optimizers")["frozen"]
X, Y = np.array(RECORDED["x"], np.float32), np.array(RECORDED["y"])
CROSSENTROPY = "sparse_categorical_crossentropy"


def network():
    return Sequential(
        [
            layers.Input((6,)),
            layers.Dense(8, kernel_regularizer="l2", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.LeakyReLU(),
            layers.Dense(3, activation="softmax", name="last"),
        ]
    )


def compiled(model, *frozen, optimizer=None):
    for name in frozen:
        model.get_layer(name).trainable = False
    model.compile(optimizer or optimizers.SGD(0.125, momentum=0.5), CROSSENTROPY)
    return model


def ops_of(model):
    return [step.op for step in model._ready().plan("train", 4).steps]


@pytest.mark.parametrize("name", RECORDED["cases"])
def test_the_steps_of_keras(name):
    case, model = RECORDED["cases"][name], compiled(network(), name)
    model.set_weights([np.array(w) for w in case["start"]])
    losses = [model.train_on_batch(X, Y) for _ in range(5)]
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-5)
    for received, expected in zip(model.get_weights(), case["weights"], strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)
    assert sum(w.array.size for w in model.trainable_weights) == case["trainable"]
    assert model.optimizer.variable_count() == case["variable_count"]


@pytest.mark.skipif(not importlib.util.find_spec("fastconv._emulator"), reason="the emulator is not built")
def test_the_steps_on_the_emulator(use, on_cpu):
    from fake_device import EmulatedMemory

    from fastconv import _emulator
    from fastconv.ops.cuda_ops import CudaOps

    def train():
        model = compiled(network(), "norm")
        model.set_weights([np.array(w) for w in RECORDED["cases"]["norm"]["start"]])
        model.train_on_batch(X, Y)
        return model.get_weights()

    expected = on_cpu(train)
    use(CudaOps(_emulator, EmulatedMemory()))
    for received, right in zip(train(), expected, strict=True):
        np.testing.assert_allclose(received, right, rtol=1e-5, atol=1e-6)


# ---- which steps there are


def test_frozen_layers_on_images_pass_gradients_on_and_have_none():
    frozen = [
        layers.Conv2D(4, 3, groups=2, padding="same"),
        layers.Conv2DTranspose(4, 3),
        layers.DepthwiseConv2D(3),
        layers.PReLU("ones", shared_axes=[1, 2]),
    ]
    ends = [layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")]
    model = Sequential([layers.Input((5, 5, 2)), layers.Conv2D(4, 3, padding="same"), *frozen, *ends])
    for layer in frozen:
        layer.trainable = False
    model.compile(optimizers.SGD(0.5), CROSSENTROPY)
    assert not {"grouped_conv2d_wgrad", "depthwise_conv2d_wgrad", "sum_forward"} & set(ops_of(model))
    before = [w.numpy() for w in model.weights]
    model.train_on_batch(np.random.default_rng(1).random((4, 5, 5, 2), np.float32), np.array([0, 1, 2, 0]))
    learned = [not np.array_equal(w.numpy(), old) for w, old in zip(model.weights, before, strict=True)]
    assert learned == [w in (*model.layers[0].weights, *model.layers[-1].weights) for w in model.weights]


def test_backward_stops_before_what_is_frozen():
    plain, frozen = ops_of(compiled(network())), ops_of(compiled(network(), "first", "norm"))
    assert plain.count("conv2d_fprop") == frozen.count("conv2d_fprop") == 2
    after = frozen[frozen.index("softmax_xent") + 1 :]
    assert after == ["conv2d_wgrad", "sgd_update"]  # no gradient of activations, none of the first, no penalty


def test_a_frozen_layer_in_the_middle_passes_gradients_on():
    ops = ops_of(compiled(network(), "last"))
    after = ops[ops.index("softmax_xent") + 1 :]
    assert after.count("conv2d_dgrad") == 1 and after.count("conv2d_wgrad") == 1


def test_frozen_weights_are_not_in_the_optimizers_array():
    model = compiled(network(), "first")
    learning = model._ready().store.learning
    assert [w.path for w in learning] == ["norm/gamma", "norm/beta", "last/kernel", "last/bias"]


def test_all_frozen():
    model = compiled(network(), "first", "norm", "last")
    before = model.get_weights()
    loss = model.train_on_batch(X, Y)
    assert loss == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-6)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- the attribute


def test_it_can_be_set_before_and_after_build_and_by_the_constructor():
    for layer in (layers.Dense(2, trainable=False), layers.Dense(2)):
        layer.trainable = False
        layer(layers.Input((3,)))
        assert layer.trainable_weights == [] and layer.non_trainable_weights == [layer.kernel, layer.bias]
        layer.trainable = True
        assert layer.trainable_weights == [layer.kernel, layer.bias]


def test_a_model_sets_it_for_all_its_layers():
    model = network()
    model.trainable = False
    assert not model.trainable and not any(layer.trainable for layer in model.layers)
    assert model.trainable_weights == [] and len(model.non_trainable_weights) == 8
    model.trainable = True
    assert len(model.trainable_weights) == 6 and len(model.non_trainable_weights) == 2


def test_the_summary_counts_what_learns(capsys):
    model = network()
    model.get_layer("first").trainable = False
    model.summary()
    shown = capsys.readouterr().out
    assert "Trainable params: 43 " in shown and "Non-trainable params: 72 " in shown


# ---- from when on


def test_a_change_after_compile_counts_from_the_next_one_and_is_told_once():
    model = compiled(network())
    model.get_layer("first").trainable = False
    with pytest.warns(UserWarning, match=r"fit: `trainable` of \['first'\] changed since compile"):
        model.fit(X, Y, verbose=0)
    before = model.get_layer("first").get_weights()[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, Y, verbose=0)
        assert (model.get_layer("first").get_weights()[0] != before).any()
        before = model.get_layer("first").get_weights()[0]
        compiled(model).fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.get_layer("first").get_weights()[0], before)


def test_a_model_that_is_built_later_takes_what_is_set_then():
    model = Sequential([layers.Dense(4, name="first"), layers.Dense(3, activation="softmax")])
    model.compile("sgd", CROSSENTROPY)
    model.layers[0].trainable = False
    model.fit(X, Y, verbose=0)
    assert [w.layer_name for w in model._ready().store.learning] == [model.layers[1].name] * 2


def test_a_copy_keeps_what_is_frozen():
    model = copy.deepcopy(compiled(network(), "first"))
    before = model.get_weights()
    model.train_on_batch(X, Y)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert (model.get_weights()[6] != before[6]).any()


def test_two_models_share_layers_that_learn_in_one_of_them():
    """The way generative adversarial networks are compiled."""
    utils.set_random_seed(0)
    image, noise = layers.Input((6,)), layers.Input((4,))
    judge, maker = layers.Dense(3, activation="softmax"), layers.Dense(6)
    discriminator = models.Model(image, judge(image))
    discriminator.compile("sgd", CROSSENTROPY)
    discriminator.trainable = False
    both = models.Model(noise, judge(maker(noise)))
    both.compile("sgd", CROSSENTROPY)
    for _ in range(2):
        before = judge.get_weights()[0], maker.get_weights()[0]
        both.train_on_batch(X[:, :4], Y)
        np.testing.assert_array_equal(judge.get_weights()[0], before[0])
        assert (maker.get_weights()[0] != before[1]).any()
        discriminator.train_on_batch(X, Y)
        assert (judge.get_weights()[0] != before[0]).any()
