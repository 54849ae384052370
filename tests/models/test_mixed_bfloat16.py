"""Models compiled with dtype_policy="mixed_bfloat16", on the emulator of CUDA, beside float32 on the CPU."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from fake_device import EmulatedMemory
from parity import golden

import fastconv
from fastconv import Sequential, layers, optimizers, utils
from fastconv.models import networks
from fastconv.ops import get_ops

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("fastconv._emulator"), reason="the emulator is not built")

RECORDED = golden.load("golden_losses")
CNN = RECORDED["runs"]["cnn"]
# Relative. On the way to the loss are 11 roundings of activations, by 2**-8 at most and of either sign; those of a
# layer's numbers are independent, and add up as their squares do.
LOSS_TOLERANCE = np.sqrt(11) * 2.0**-8


@pytest.fixture
def emulated():
    from fastconv import _emulator
    from fastconv.ops.cuda_ops import CudaOps

    return CudaOps(_emulator, EmulatedMemory())


def cnn(policy):
    utils.clear_session()
    model = networks.cnn(dropout=0.0)
    model.set_weights(golden.golden_weights(CNN["weight_shapes"], RECORDED["seed"], CNN["gain"]))
    model.compile(optimizers.Adam(CNN["learning_rate"]), RECORDED["loss"], dtype_policy=policy)
    return model


def small(policy="mixed_bfloat16"):
    utils.set_random_seed(0)
    parts = [
        layers.Input((8, 8, 3)),
        layers.Conv2D(8, 3, strides=2, padding="same"),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.Conv2D(8, 3, padding="same"),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.Flatten(),
        layers.Dropout(0.1),
        layers.Dense(3, activation="softmax"),
    ]
    model = Sequential(parts)
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"], dtype_policy=policy)
    return model


def data(count=48):
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=count)
    return (rng.normal(size=(count, 8, 8, 3)) + y[:, None, None, None]).astype(np.float32), y


def test_first_losses_of_cnn_are_those_of_float32(use):
    (images, labels), _ = fastconv.datasets.load_sample()

    def losses(ops, policy):
        use(ops)
        model = cnn(policy)
        parts = [slice(4 * i, 4 * (i + 1)) for i in range(2)]
        return [model.train_on_batch(golden.scaled(images[p]), golden.one_hot(labels[p])) for p in parts]

    from fastconv import _emulator
    from fastconv.ops.cuda_ops import CudaOps

    expected = losses(get_ops("cpu"), None)
    actual = losses(CudaOps(_emulator, EmulatedMemory()), "mixed_bfloat16")
    np.testing.assert_allclose(actual, expected, rtol=LOSS_TOLERANCE)
    assert actual != expected


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_model_learns(use, emulated, dtype):
    use(emulated)
    model, (x, y) = small(), data()
    x = x if dtype == np.float32 else np.clip(40 * x + 80, 0, 255).astype(np.uint8)
    history = model.fit(x, y, batch_size=16, epochs=6, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0] and history["accuracy"][-1] > 0.8


def test_it_evaluates_and_predicts_as_float32_does(use, emulated):
    use(emulated)
    model, (x, y) = small(), data()
    model.fit(x, y, batch_size=16, epochs=2, verbose=0)
    loss, predicted = model.evaluate(x, y, verbose=0)[0], model.predict(x, verbose=0)
    use(get_ops("cpu"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    np.testing.assert_allclose(loss, model.evaluate(x, y, verbose=0), rtol=0.02)
    np.testing.assert_allclose(predicted, model.predict(x, verbose=0), atol=0.05)


def test_weights_and_their_updates_stay_float32(use, emulated):
    use(emulated)
    model, (x, y) = small(), data(16)
    model.train_on_batch(x, y)
    kernel = model.layers[0].get_weights()[0]
    assert kernel.dtype == np.float32
    assert (kernel.view(np.uint32) & 0xFFFF).any()  # more bits than bfloat16 has


def test_another_policy_or_device_takes_the_weights_over(use, emulated):
    use(emulated)
    model, (x, y) = small(), data(16)
    model.train_on_batch(x, y)
    before, predicted = model.get_weights(), model.predict(x, verbose=0)
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    np.testing.assert_allclose(model.predict(x, verbose=0), predicted, atol=0.05)
    use(get_ops("cpu"))
    np.testing.assert_allclose(model.predict(x, verbose=0), predicted, atol=0.05)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_cpu_refuses_at_compile(use):
    use(get_ops("cpu"))
    with pytest.raises(RuntimeError, match="dtype_policy: expected a GPU.*Received: a model on the CPU.*set_device"):
        small()


def test_the_cpu_refuses_a_model_that_was_compiled_for_a_gpu(use, emulated):
    use(emulated)
    model, (x, y) = small(), data(16)
    use(get_ops("cpu"))
    with pytest.raises(RuntimeError, match="dtype_policy: expected a GPU"):
        model.train_on_batch(x, y)


def test_a_refused_compile_leaves_the_model_as_it_was(use):
    use(get_ops("cpu"))
    model = small(None)
    optimizer = model.optimizer
    with pytest.raises(RuntimeError, match="dtype_policy"):
        model.compile("sgd", "categorical_crossentropy", dtype_policy="mixed_bfloat16")
    assert model.optimizer is optimizer and model.dtype_policy == "float32"
