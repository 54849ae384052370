"""Fused plans against unfused ones, and the steps they consist of."""

import numpy as np
import pytest

from fastconv import layers, losses, models, optimizers, utils
from fastconv.ops import get_ops
from fastconv.plan import fuse
from fastconv.plan.executor import Executor


def network(act):
    x = image = layers.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = act()(x)
    x = layers.Flatten()(x)
    return models.Model(image, layers.Dense(5, activation="softmax")(x))


def train(fused, act=layers.LeakyReLU, backend="numpy", dtype=np.float64, model=None):
    utils.set_random_seed(3)
    model = model or network(act)
    executor = Executor(
        model, get_ops(backend), losses.CategoricalCrossentropy(), optimizers.Adam(0.01), fuse=fused, dtype=dtype
    )
    plan = executor.plan("train", 8)
    executor.arena.fill_with_nan()
    rng = np.random.default_rng(4)
    x, labels = rng.normal(size=(8, 6, 6, 3)), np.eye(5)[rng.integers(5, size=8)]
    for _ in range(3):
        plan.x[...], plan.labels[...] = x, labels
        executor.train_step(plan)
    return plan, executor.store.trainable.copy(), executor.store.state.copy()


@pytest.mark.parametrize("act", [layers.LeakyReLU, layers.ReLU])
def test_bn_act_equals_unfused_to_the_bit_on_the_reference(act):
    _, plain, plain_state = train((), act)
    _, fused, fused_state = train(("bn_act",), act)
    np.testing.assert_array_equal(fused, plain)
    np.testing.assert_array_equal(fused_state, plain_state)


@pytest.mark.parametrize("fused", [(), fuse.ALL], ids=["unfused", "fused"])
def test_compiled_kernels_follow_the_reference(fused):
    _, expected, expected_state = train(())
    _, actual, actual_state = train(fused, backend="cpu", dtype=np.float32)
    places = np.flatnonzero(expected)
    # three Adam steps of 0.01: a parameter whose gradient is rounding noise may differ by a few of them at most
    assert np.abs(actual[np.flatnonzero(actual)] - expected[places]).max() < 0.1
    assert np.median(np.abs(actual[np.flatnonzero(actual)] - expected[places])) < 1e-5
    np.testing.assert_allclose(
        actual_state[actual_state != 0], expected_state[expected_state != 0], rtol=1e-4, atol=1e-5
    )


def test_bn_act_removes_the_activation_step():
    ops = [step.op for step in train(("bn_act",))[0].steps]
    assert "leaky_relu_forward" not in ops and "leaky_relu_backward" not in ops


def test_bn_act_leaves_a_normalized_tensor_that_others_read():
    x = image = layers.Input((6,))
    x = layers.BatchNormalization()(layers.Dense(6)(x))
    x = layers.Add()([x, layers.LeakyReLU()(x)])
    model = models.Model(image, layers.Dense(5, activation="softmax")(x))
    executor = Executor(model, get_ops("numpy"), losses.CategoricalCrossentropy(), optimizers.SGD(0.1))
    assert "leaky_relu_forward" in [step.op for step in executor.plan("train", 4).steps]


def test_the_softmax_before_the_loss_is_dropped():
    ops = [step.op for step in train(())[0].steps]
    assert "softmax_forward" not in ops and "softmax_xent" in ops
