"""Whole training steps on the CUDA kernels, run on the host, against the CPU's."""

import numpy as np
import pytest
from parity import golden

import fastconv
from fastconv import device, optimizers, utils
from fastconv.models import networks
from fastconv.ops import get_ops

RECORDED = golden.load("golden_losses")["runs"]["cnn"]  # kernels enlarged tenfold: small differences stay small
SEED = golden.load("golden_losses")["seed"]
LOSS_TOLERANCE = 1e-5  # relative


@pytest.fixture(scope="module")
def emulated():
    pytest.importorskip("fastconv._emulator", reason="built without FASTCONV_EMULATOR=ON")
    from fake_device import EmulatedMemory

    from fastconv import _emulator
    from fastconv.ops.cuda_ops import CudaOps

    return lambda: CudaOps(_emulator, EmulatedMemory())


@pytest.fixture(scope="module")
def sample():
    (images, labels), _ = fastconv.datasets.load_sample()
    return golden.scaled(images[:32]), golden.one_hot(labels[:32])


def cnn(dropout=0.0):
    utils.clear_session()
    model = networks.cnn(dropout=dropout)
    model.set_weights(golden.golden_weights(RECORDED["weight_shapes"], SEED, RECORDED["gain"]))
    model.compile(optimizers.Adam(RECORDED["learning_rate"]), "categorical_crossentropy", metrics=["accuracy"])
    return model


def trained(monkeypatch, ops, x, y, steps, **change):
    """The model and its losses after steps on batches of two images."""
    monkeypatch.setattr(device, "_ops", ops)
    model = cnn(**change)
    return model, [model.train_on_batch(x[2 * i : 2 * i + 2], y[2 * i : 2 * i + 2])[0] for i in range(steps)]


def gradients(model):
    executor = model._executor
    return {w.path: executor.memory.download(executor.store.gradient_of(w)) for w in model.weights if w.trainable}
