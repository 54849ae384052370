"""Whole training steps of the network "cnn" on the CUDA kernels, run on the host, against the CPU's."""

import numpy as np
import pytest
from parity import golden

import fastconv
from fastconv import device, optimizers, utils
from fastconv.models import networks
from fastconv.ops import get_ops

pytest.importorskip("fastconv._emulator", reason="built without FASTCONV_EMULATOR=ON")

RECORDED = golden.load("golden_losses")
CNN = RECORDED["runs"]["cnn"]  # kernels enlarged tenfold: steps do not multiply small differences
LOSS_TOLERANCE = 1e-5  # relative
# Of the largest of a weight's gradient. The batch normalization of two rows multiplies rounding errors: the CPU's
# direct and Winograd convolutions give gradients 4e-5 apart.
GRADIENT_TOLERANCE = 2e-4


@pytest.fixture
def train(monkeypatch):
    """A function that trains on a backend and returns the model and its losses."""
    (images, labels), _ = fastconv.datasets.load_sample()

    def run(ops, batch, steps):
        monkeypatch.setattr(device, "_ops", ops)
        utils.clear_session()
        model = networks.cnn(dropout=0.0)
        model.set_weights(golden.golden_weights(CNN["weight_shapes"], RECORDED["seed"], CNN["gain"]))
        model.compile(optimizers.Adam(CNN["learning_rate"]), RECORDED["loss"])
        parts = [slice(batch * i, batch * (i + 1)) for i in range(steps)]
        return model, [model.train_on_batch(golden.scaled(images[p]), golden.one_hot(labels[p])) for p in parts]

    return run


@pytest.fixture
def emulated():
    from fake_device import EmulatedMemory

    from fastconv import _emulator
    from fastconv.ops.cuda_ops import CudaOps

    yield CudaOps(_emulator, EmulatedMemory())
    _emulator.set_order("forward")


def gradients(model):
    executor = model._executor
    return {w.path: executor.memory.download(executor.store.gradient_of(w)) for w in model.weights if w.trainable}


def test_a_step_of_two_images_has_the_gradients_of_the_cpu(train, emulated):
    expected, actual = (gradients(train(ops, 2, 1)[0]) for ops in (get_ops("cpu"), emulated))
    for path, gradient in expected.items():
        bound = GRADIENT_TOLERANCE * np.abs(gradient).max()
        np.testing.assert_allclose(actual[path], gradient, rtol=0, atol=bound, err_msg=path)


@pytest.mark.parametrize("order", ["reverse", "random"])
def test_a_step_has_the_same_bits_in_any_order_of_threads(train, emulated, order):
    from fastconv import _emulator

    first = train(emulated, 2, 1)[0].get_weights()
    _emulator.set_order(order, 1)
    for a, b in zip(train(emulated, 2, 1)[0].get_weights(), first, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_losses_of_ten_steps_are_those_of_the_cpu(train, emulated):
    expected, actual = (train(ops, RECORDED["batch_size"], 10)[1] for ops in (get_ops("cpu"), emulated))
    np.testing.assert_allclose(actual, expected, rtol=LOSS_TOLERANCE)
