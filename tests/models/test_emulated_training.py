"""Whole models trained by the CUDA kernels, which the emulator runs on the host, beside the CPU."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from fake_device import EmulatedMemory

from fastconv import Sequential, config, layers, optimizers, utils
from fastconv.callbacks import LambdaCallback
from fastconv.models.networks import NETWORKS
from fastconv.models.objective import Objective
from fastconv.plan.executor import Executor

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("fastconv._emulator"), reason="the emulator is not built")


@pytest.fixture
def emulated():
    from fastconv import _emulator
    from fastconv.ops.cuda_ops import CudaOps

    return CudaOps(_emulator, EmulatedMemory())


def data(count, shape, classes, dtype=np.float32):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, *shape)).astype(dtype), rng.integers(classes, size=count)


def small_network():
    return Sequential(
        [
            layers.Input((3,)),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Dropout(0.25),
            layers.Activation("softmax"),
        ]
    )


def test_bytes_are_scaled_moved_and_cut_as_on_the_cpu(use, on_cpu, emulated):
    def train():
        utils.set_random_seed(0)
        model = Sequential(
            [
                layers.Input((6, 6, 3)),
                layers.Rescaling(1 / 255),
                layers.RandomFlip(),
                layers.RandomTranslation(0.3, 0.3),
            ]
            + [layers.RandomCrop(4, 4, seed=5), layers.Normalization(mean=0.5, variance=0.25), layers.Flatten()]
            + [layers.Dense(3, activation="softmax")]
        )
        model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        x, y = data(40, (6, 6, 3), 3, np.uint8)
        history = model.fit(x, y, batch_size=16, epochs=2, verbose=0, validation_split=0.3).history
        return [*history.values(), *(w.tolist() for w in model.get_weights())]

    expected = on_cpu(train)
    use(emulated)
    for found, right in zip(train(), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_steps_gather_count_and_draw_as_on_the_cpu(use, on_cpu, emulated, monkeypatch, resident, dtype):
    def train():
        utils.set_random_seed(0)
        model = small_network()
        model.compile(optimizers.Adam(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
        x, y = data(50, (3,), 3, dtype)
        history = model.fit(x, y, batch_size=16, epochs=2, verbose=0, validation_split=0.3).history
        return [*history.values(), *(w.tolist() for w in model.get_weights())]

    expected = on_cpu(train)
    if not resident:
        monkeypatch.setattr(emulated.memory, "free_bytes", lambda: 0)
    use(emulated)
    for found, right in zip(train(), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)
    assert emulated.memory.launches == 2 * (3 + 1)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.AdamW(
            optimizers.schedules.CosineDecay(0.1, 10), weight_decay=0.1, global_clipnorm=0.1, use_ema=True
        ),
        lambda: optimizers.Adam(0.1, amsgrad=True, clipvalue=0.01),
        lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True, clipnorm=0.1),
    ],
)
def test_optimizers_take_the_steps_they_take_on_the_cpu(use, on_cpu, emulated, optimizer):
    def train():
        utils.set_random_seed(0)
        model = Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(3, activation="softmax")])
        model.compile(optimizer(), "sparse_categorical_crossentropy")
        x, y = data(40, (3,), 3)
        model.fit(x / 255, y, batch_size=8, verbose=0)
        return model.get_weights()

    expected = on_cpu(train)
    use(emulated)
    for found, right in zip(train(), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_learn_what_they_learn_on_the_cpu(use, on_cpu, emulated, name):
    def train():
        utils.set_random_seed(0)
        utils.clear_session()
        model, seen = NETWORKS[name].factory(), []
        # Updates in proportion to the gradients; Adam's first ones have their signs alone, of rounding errors, too.
        model.compile(optimizers.SGD(1e-3, momentum=0.9), "sparse_categorical_crossentropy")
        x, y = data(12, (32, 32, 3), 10)
        watch = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
        model.fit(x / 255, y, batch_size=6, verbose=0, callbacks=[watch])
        return seen

    expected = on_cpu(train)
    use(emulated)
    np.testing.assert_allclose(train(), expected, rtol=1e-5)


def test_another_precision_makes_another_plan(emulated):
    utils.set_random_seed(0)
    executor = Executor(small_network(), emulated, Objective("categorical_crossentropy"), optimizers.SGD())
    plan = executor.plan("train", 2)
    try:
        config.set_float32_matmul_precision("high")
        assert executor.plan("train", 2) is not plan
    finally:
        config.set_float32_matmul_precision("highest")
    assert executor.plan("train", 2) is plan
