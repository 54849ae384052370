"""The LayerStatistics callback: its numbers, when they are taken, that training goes on as without it, TensorBoard."""

import json

import numpy as np
import pytest
from fake_device import FakeOps
from plan.test_gradients import NETWORKS
from small_training import BATCH, STEPS, data, fit, network

import fastconv
from fastconv import Sequential, device, layers, models, optimizers, utils
from fastconv.callbacks import BackupAndRestore, LayerStatistics

ACTIVATION = ["activation_mean", "activation_std", "activation_max", "activation_zeros"]
WEIGHTS = [
    "gradient_norm",
    "gradient_mean",
    "gradient_std",
    "gradient_max",
    "gradient_zeros",
    "weight_norm",
    "update_ratio",
]


def batch():
    x, y = data()
    return x[:BATCH], y[:BATCH]


def linear(rate=0.5):
    """Of which everything can be computed by hand: y = relu(x @ w), mean squared error."""
    model = Sequential(
        [layers.Input((2,)), layers.Dense(2, "relu", use_bias=False, name="d", kernel_initializer="ones")]
    )
    model.compile(optimizers.SGD(rate), "mse")
    return model


def test_the_numbers_are_right():
    x, y = np.array([[1.0, 2.0], [-3.0, 1.0]]), np.array([[1.0, 3.0], [1.0, 1.0]])
    statistics = LayerStatistics(x, y)
    model = linear(rate=1e-9)  # the weights stay ones, but for rounding
    model.fit(x, y, epochs=1, verbose=0, callbacks=[statistics])
    output = np.array([[3.0, 3.0], [0.0, 0.0]])
    gradient = x.T @ ((output - y) * (output > 0)) * 2 / 4
    found = {name: values[0] for name, values in statistics.history["d"].items()}
    assert list(found) == ACTIVATION + WEIGHTS
    expected = {
        "activation_mean": 1.5,
        "activation_std": 1.5,
        "activation_max": 3.0,
        "activation_zeros": 0.5,
        "gradient_norm": np.linalg.norm(gradient),
        "gradient_mean": gradient.mean(),
        "gradient_std": gradient.std(),
        "gradient_max": np.abs(gradient).max(),
        "gradient_zeros": 0.5,
        "weight_norm": 2.0,
        "update_ratio": 0.0,
    }
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_update_is_the_optimizers():
    x, y = np.array([[1.0, 2.0], [-3.0, 1.0]]), np.array([[1.0, 3.0], [1.0, 1.0]])
    statistics = LayerStatistics(x, y)
    linear(rate=0.5).fit(x, y, epochs=1, verbose=0, callbacks=[statistics])
    found = {name: values[0] for name, values in statistics.history["d"].items()}
    assert found["update_ratio"] == pytest.approx(0.5 * found["gradient_norm"] / found["weight_norm"], rel=1e-5)
    assert found["update_ratio"] > 0.01


def test_gradients_are_those_before_clipping():
    x, y = np.array([[1.0, 2.0], [-3.0, 1.0]]), np.array([[1.0, 3.0], [1.0, 1.0]])
    model, statistics = linear(), LayerStatistics(x, y)
    model.compile(optimizers.SGD(0.5, clipnorm=1e-3), "mse")
    model.fit(x, y, epochs=1, verbose=0, callbacks=[statistics])
    found = {name: values[0] for name, values in statistics.history["d"].items()}
    assert found["gradient_norm"] > 0.1 and found["update_ratio"] == pytest.approx(
        5e-4 / found["weight_norm"], rel=1e-4
    )


@pytest.mark.parametrize("frequency, steps", [("epoch", [4, 8]), (3, [3, 6]), (1, [*range(1, 9)])])
def test_it_records_as_often_as_asked(frequency, steps):
    statistics = LayerStatistics(*batch(), frequency=frequency)
    fit(network(), *data(), callbacks=[statistics])
    assert statistics.steps == steps and steps[-1] <= 2 * STEPS
    assert {len(v) for layer in statistics.history.values() for v in layer.values()} == {len(steps)}


def test_layers_are_in_order_and_those_without_weights_have_activations():
    statistics = LayerStatistics(*batch())
    fit(network(), *data(), callbacks=[statistics])
    names = {layer: list(values) for layer, values in statistics.history.items()}
    assert list(names) == ["conv2d", "batch_normalization", "leaky_re_lu", "dropout", "dense"]
    assert names["leaky_re_lu"] == names["dropout"] == ACTIVATION and names["conv2d"] == ACTIVATION + WEIGHTS
    assert 0.1 < statistics.history["dropout"]["activation_zeros"][0] < 0.4
    assert statistics.history["batch_normalization"]["activation_std"][0] == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("frequency", ["epoch", 2])
def test_training_is_the_same_to_the_bit(frequency):
    with_it, without = network(), network()
    utils.set_random_seed(3)
    fit(with_it, *data(), callbacks=[LayerStatistics(*batch(), frequency=frequency)])
    utils.set_random_seed(3)
    fit(without, *data())
    assert fastconv.fingerprint(with_it, True) == fastconv.fingerprint(without, True)


@pytest.mark.parametrize("frequency", ["epoch", 2])
def test_it_records_on_a_device_and_leaves_no_trace_there(monkeypatch, frequency):
    ops = FakeOps()
    monkeypatch.setattr(device, "ops", lambda: ops)
    statistics, with_it, without = LayerStatistics(*batch(), frequency=frequency), network(), network()
    for model, callbacks in ((with_it, [statistics]), (without, [])):
        utils.set_random_seed(3)
        fit(model, *data(), callbacks=callbacks)
    assert fastconv.fingerprint(with_it, True) == fastconv.fingerprint(without, True)
    monkeypatch.undo()
    on_host, model = LayerStatistics(*batch(), frequency=frequency), network()
    utils.set_random_seed(3)
    fit(model, *data(), callbacks=[on_host])
    assert statistics.steps == on_host.steps
    for layer, values in on_host.history.items():
        for name, numbers in values.items():
            assert statistics.history[layer][name] == pytest.approx(numbers, rel=1e-2, abs=1e-4), (layer, name)


def test_dead_units_and_frozen_layers_are_seen():
    image = layers.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="dead", bias_initializer=lambda shape: np.full(shape, -1e6))(image)
    x = layers.Dense(8, name="frozen", trainable=False)(layers.Flatten()(x))
    model = models.Model(image, layers.Dense(3, "softmax")(x))
    model.compile("adam", "categorical_crossentropy")
    statistics = LayerStatistics(*batch())
    fit(model, *data(), callbacks=[statistics])
    dead, frozen = statistics.history["dead"], statistics.history["frozen"]
    assert dead["activation_zeros"] == [1, 1] and dead["gradient_norm"] == [0, 0] and dead["gradient_zeros"] == [1, 1]
    assert list(frozen) == ACTIVATION


def test_a_second_fit_goes_on():
    statistics, model = LayerStatistics(*batch()), network()
    fit(model, *data(), callbacks=[statistics])
    fit(model, *data(), callbacks=[statistics])
    assert statistics.steps == [4, 8, 12, 16] and len(statistics.history["dense"]["weight_norm"]) == 4


def test_it_works_on_nested_models_and_several_outputs():
    inner = Sequential([layers.Input((4,)), layers.Dense(3, "tanh", name="within")])
    image = layers.Input((4,))
    x = inner(image)
    model = models.Model(image, [layers.Dense(2, name="a")(x), layers.Dense(1, name="b")(x)])
    model.compile("adam", "mse")
    x, y = np.ones((8, 4)), [np.ones((8, 2)), np.ones((8, 1))]
    statistics = LayerStatistics(x, y)
    model.fit(x, y, verbose=0, callbacks=[statistics])
    assert list(statistics.history) == ["within", "a", "b"]
    assert all(list(values) == ACTIVATION + WEIGHTS for values in statistics.history.values())


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_it_records_any_layer(network):
    model = network()
    model.compile("adam", "categorical_crossentropy")
    x, y = np.random.default_rng(0).normal(size=(6, *model.inputs[0].shape[1:])), np.eye(5)[[0, 1, 2, 3, 4, 0]]
    statistics = LayerStatistics(x, y)
    model.fit(x, y, verbose=0, callbacks=[statistics])
    names = {weight.layer_name for weight in model.trainable_weights}
    assert names <= statistics.history.keys()
    for name, values in statistics.history.items():
        assert list(values) == ACTIVATION + (WEIGHTS if name in names else [])
        assert np.isfinite([*values.values()]).all()


def test_tensorboards_files_have_the_numbers(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    statistics = LayerStatistics(*batch(), log_dir=tmp_path / "logs")
    fit(network(), *data(), callbacks=[statistics])
    (path,) = (tmp_path / "logs").iterdir()
    content, found = path.read_bytes(), {}
    while content:  # a record: length, its checksum, the event, its checksum
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        found.update({(value.tag, event.step): value.simple_value for value in event.summary.value})
        content = content[16 + length :]
    for i, step in enumerate(statistics.steps):
        for layer, values in statistics.history.items():
            for name, numbers in values.items():
                assert found.pop((f"layer/{name}/{layer}", step)) == pytest.approx(numbers[i], rel=1e-6)
    assert found == {}


def test_a_backup_keeps_it(tmp_path):
    def run(epochs, resume=False):
        statistics = LayerStatistics(*batch())
        utils.set_random_seed(1)
        backup = BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        fit(network(), *data(), epochs=epochs, resume=resume, callbacks=[statistics, backup])
        return statistics

    run(2)
    resumed = run(4, resume=True)
    assert resumed.steps == [4, 8, 12, 16] and len(resumed.history["dense"]["gradient_norm"]) == 4
    json.dumps(resumed.get_state())


def test_what_cannot_be_is_refused():
    for frequency in ("batch", 0, True, 1.5):
        with pytest.raises(
            ValueError, match='frequency: expected "epoch" or a number of batches. Received: frequency='
        ):
            LayerStatistics(*batch(), frequency=frequency)
    with pytest.raises(ValueError, match=r"x: expected shape \(N, 6, 6, 3\)"):
        fit(network(), *data(), callbacks=[LayerStatistics(np.ones((4, 5, 5, 3)), np.eye(3)[:4])])


def test_without_tensorboardx_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    LayerStatistics(*batch())
    with pytest.raises(ImportError, match=r'pip install "fastconv\[tensorboard\]"'):
        LayerStatistics(*batch(), log_dir=tmp_path)
