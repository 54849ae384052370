"""A look between the steps: the numbers that training would have, and no trace left."""

import numpy as np
import pytest
from fake_device import FakeOps
from small_training import BATCH, data, fit, network

import fastconv
from fastconv import Sequential, callbacks, device, layers, optimizers, regularizers, utils
from fastconv.diagnosis.probe import Probe, spread

POLICY = {"rtol": 2e-4, "atol": 1e-6}  # between fused and unfused kernels


def batch(model):
    x, y = data()
    return model._checked(x[:BATCH], y[:BATCH])


def trained(**options):
    model = network()
    if options:
        model.compile(loss="categorical_crossentropy", **options)
    fit(model, *data(), epochs=1)
    return model


def test_gradients_are_those_of_the_next_step():
    model = network()
    model.layers[0].kernel.regularizer = regularizers.L2(0.1)
    model.compile(optimizers.SGD(1.0), "categorical_crossentropy")
    samples = batch(model)
    probe = Probe(model, "train", BATCH)
    assert probe.run(samples) > 0
    found = {weight: values.copy() for weight, values in probe.gradients()}
    before = {weight: weight.numpy() for weight in found}
    model.train_on_batch(samples.inputs[0], samples.targets[0])
    for weight, values in found.items():
        np.testing.assert_allclose(before[weight] - weight.numpy(), values, err_msg=weight.path, **POLICY)


@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.SGD(0.1, momentum=0.9),
        optimizers.Adam(0.01, weight_decay=0.1, global_clipnorm=1.0, use_ema=True),
        optimizers.RMSprop(0.01),
    ],
    ids=lambda optimizer: optimizer.name,
)
def test_updates_are_those_of_the_next_step(optimizer):
    model = trained(optimizer=optimizer)
    samples = batch(model)
    probe = Probe(model, "train", BATCH)
    probe.run(samples)
    found = {weight: values.copy() for weight, values in probe.updates()}
    before = {weight: weight.numpy() for weight in found}
    model.train_on_batch(samples.inputs[0], samples.targets[0])
    for weight, values in found.items():
        np.testing.assert_allclose(weight.numpy() - before[weight], values, err_msg=weight.path, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("mode", ["train", "evaluate", "predict"])
def test_a_look_leaves_no_trace(mode):
    model, other = trained(), trained()
    samples = batch(model)
    probe = Probe(model, mode, BATCH)
    loss = probe.run(samples)
    if mode == "evaluate":
        assert loss == pytest.approx(model.test_on_batch(samples.inputs[0], samples.targets[0])[0], rel=1e-5)
    if mode == "train":
        list(probe.updates())
    for one in (model, other):
        utils.set_random_seed(1)
        fit(one, *data(), epochs=1)
    assert fastconv.fingerprint(model, True) == fastconv.fingerprint(other, True)


def test_a_users_layer_keeps_what_it_counts():
    class Counting(layers.Layer):
        def build(self, input_shape):
            self.count = self.add_weight((1,), "zeros", trainable=False, name="count")

        def forward(self, x, training):
            if training:
                self.count.value[...] += 1
            return x * 1.0

        def backward(self, dy, x, y):
            return dy

    model = Sequential([layers.Input((4,)), Counting(name="counting"), layers.Dense(2)])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 4)), np.ones((8, 2))
    statistics = callbacks.LayerStatistics(x, y)
    model.fit(x, y, batch_size=2, epochs=3, verbose=0, callbacks=[statistics])
    assert model.get_layer("counting").count.numpy() == 12
    assert statistics.history["counting"]["activation_mean"] == [1, 1, 1]


def test_each_step_is_shown_with_its_arrays():
    model = trained()
    samples, seen = batch(model), {}

    def visit(step, values):
        if step.op == "leaky_relu_forward":
            seen[step.layer] = values("x").copy(), values("y").copy()

    Probe(model, "predict", BATCH).run(samples, visit)
    ((x, y),) = seen.values()
    np.testing.assert_array_equal(y, np.where(x > 0, x, np.float32(0.3) * x))
    assert x.shape == (BATCH, 6, 6, 8) and (x < 0).any()


def test_it_looks_on_a_device(monkeypatch):
    on_host = trained()
    expected = {weight.path: values.copy() for weight, values in _gradients(on_host)}
    ops = FakeOps()
    monkeypatch.setattr(device, "ops", lambda: ops)
    on_device = network()
    on_device.set_weights(on_host.get_weights())
    on_device._ready().plan("predict", 1)
    for weight, values in _gradients(on_device):
        assert values.shape == expected[weight.path].shape and np.isfinite(values).all()
    shapes = []
    Probe(on_device, "train", BATCH).run(batch(on_device), lambda step, values: shapes.append(values("y").shape)
                                         if step.op == "batchnorm_forward" else None)  # fmt: skip
    assert shapes == [(BATCH, 6, 6, 8)]


def _gradients(model):
    probe = Probe(model, "train", BATCH)
    probe.run(batch(model))
    list(probe.updates())
    return probe.gradients()


def test_samples_are_spread_evenly():
    model = network()
    x, y = data()
    some = spread(model._checked(x, y), 3)
    np.testing.assert_array_equal(some.inputs[0], x[[0, 24, 49]])
    assert len(spread(some, 10)) == 3
