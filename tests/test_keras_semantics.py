"""What fastconv computes and prints against cases recorded from Keras 3.15 on TensorFlow (parity/keras_cases.py)."""

import re

import numpy as np
import pytest
import shapes
from parity import golden, keras_networks

import fastconv
from fastconv import layers, models, ops, optimizers, utils
from fastconv.geometry import window
from fastconv.models.networks import NETWORKS

RECORDED = golden.load("keras_semantics")
PADDING = golden.load("tensorflow_padding")["rows"]
# Keras computes Adam's step size in float32, where 1 - 0.999 is off by 1.1e-5: its first steps are that much too long.
STEP_SIZE_ERROR = 2e-5


def named(case):
    """A short name for a case in pytest's output."""
    first = next(key for key in ("optimizer", "layer", "shape", "logits", "num_classes", "padding") if key in case)
    return re.sub(r"[^\w.,=-]+", "_", f"{case[first]}_{case.get('arguments', case.get('label', ''))}").strip("_")


def arrays(case, *keys):
    return [np.array(case[key], np.float32) for key in keys]


def close(actual, expected, rtol=1e-5, atol=1e-6):
    np.testing.assert_allclose(actual, np.array(expected), rtol=rtol, atol=atol)


def compiled(model, optimizer, metrics=("accuracy",)):
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=list(metrics))
    return model


def tiny_model(optimizer, weights, metrics=("accuracy",)):
    """Dense(3, softmax) on four numbers."""
    utils.clear_session()
    model = fastconv.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])
    model.set_weights([np.array(w, np.float32) for w in weights])
    return compiled(model, optimizer, metrics)


# ---- padding ----


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_output_sizes_and_padding_are_tensorflows(padding):
    rows = [row for row in PADDING if row[3] == padding]
    received = [[*row[:4], *window(*row[:4])] for row in rows]
    assert received == [row[:6] for row in rows] and len(rows) > 300


def test_every_listed_shape_pads_as_tensorflow_measured():
    measured = {tuple(row[:4]): row[4:6] for row in PADDING}
    for shape in shapes.CONV2D:
        g = shape.geometry()
        assert measured[shape.h, shape.r, shape.stride[0], shape.padding] == [g.p, g.pad_top], shape
        assert measured[shape.w, shape.s, shape.stride[1], shape.padding] == [g.q, g.pad_left], shape


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_conv2d_pads_as_tensorflow_measured(padding, stride):
    rng = np.random.default_rng(1)
    wrong = []
    for row in PADDING:
        size, kernel_size, row_stride, row_padding, outputs, before, _ = row
        if (row_padding, row_stride) != (padding, stride):
            continue
        x, kernel = rng.integers(1, 1000, size), rng.integers(1, 1000, kernel_size)
        y = ops.conv2d(x.reshape(1, 1, -1, 1), kernel.reshape(1, -1, 1, 1), strides=(1, stride), padding=padding)
        if not np.array_equal(y.reshape(-1), golden.correlate(x, kernel, stride, before, outputs)):
            wrong.append(row)
    assert wrong == []


# ---- layers ----


@pytest.mark.parametrize("case", RECORDED["layers"]["conv2d"], ids=lambda case: str(np.shape(case["kernel"])))
class TestConv2D:
    def test_layer(self, case):
        x, kernel, bias, y = arrays(case, "x", "kernel", "bias", "y")
        image = layers.Input(x.shape[1:])
        *size, _, filters = kernel.shape
        layer = layers.Conv2D(filters, tuple(size), strides=tuple(case["strides"]), padding=case["padding"])
        model = models.Model(image, layer(image))
        model.set_weights([kernel, bias])
        np.testing.assert_array_equal(model.predict(x, verbose=0), y)

    def test_dgrad(self, case):
        x, kernel, dy, dx = arrays(case, "x", "kernel", "dy", "dx")
        received = ops.conv2d_dgrad(dy, kernel, x.shape, strides=tuple(case["strides"]), padding=case["padding"])
        np.testing.assert_array_equal(received, dx)

    def test_wgrad(self, case):
        x, dy, dkernel = arrays(case, "x", "dy", "dkernel")
        received = ops.conv2d_wgrad(x, dy, dkernel.shape, strides=tuple(case["strides"]), padding=case["padding"])
        np.testing.assert_array_equal(received, dkernel)


@pytest.mark.parametrize("case", RECORDED["layers"]["dense"])
def test_dense(case):
    x, kernel, bias, y = arrays(case, "x", "kernel", "bias", "y")
    model = fastconv.Sequential([layers.Input((x.shape[1],)), layers.Dense(kernel.shape[1])])
    model.set_weights([kernel, bias])
    np.testing.assert_array_equal(model.predict(x, verbose=0), y)


@pytest.mark.parametrize("case", RECORDED["batch_normalization"], ids=lambda case: str(np.shape(case["x"])))
class TestBatchNormalization:
    def test_op(self, case):
        x, y, dy, dx, dgamma, dbeta = arrays(case, "x", "y", "dy", "dx", "dgamma", "dbeta")
        gamma, beta = np.float32(case["weights"][0]), np.float32(case["weights"][1])
        received, mean, variance = ops.batch_norm(x, gamma, beta)
        close(received, y, atol=1e-5)
        for actual, expected in zip(
            ops.batch_norm_backward(dy, x, gamma, mean, variance), (dx, dgamma, dbeta), strict=True
        ):
            close(actual, expected, atol=1e-5)

    def test_moving_statistics_after_one_step(self, case):
        x = np.array(case["x"], np.float32)
        image = layers.Input(x.shape[1:])
        layer = layers.BatchNormalization()
        output = layers.Dense(2, activation="softmax")(layers.Flatten()(layer(image)))
        model = compiled(models.Model(image, output), optimizers.SGD(learning_rate=0.0))
        layer.set_weights([np.float32(w) for w in case["weights"]])
        model.train_on_batch(x, np.eye(2, dtype=np.float32)[np.zeros(len(x), int)])
        _, _, moving_mean, moving_variance = layer.get_weights()
        close([moving_mean, moving_variance], [case["moving_mean"], case["moving_variance"]])

    def test_inference(self, case):
        x = np.array(case["x"], np.float32)
        image = layers.Input(x.shape[1:])
        model = models.Model(image, layers.BatchNormalization()(image))
        model.set_weights([*map(np.float32, case["weights"][:2]), case["moving_mean"], case["moving_variance"]])
        close(model.predict(x, verbose=0), case["inference_after_the_step"])


@pytest.mark.parametrize("case", RECORDED["activations"], ids=named)
class TestActivations:
    def test_forward(self, case):
        x, y = arrays(case, "x", "y")
        numbers = layers.Input((len(x),))
        model = models.Model(numbers, getattr(layers, case["layer"])(**case["arguments"])(numbers))
        np.testing.assert_array_equal(model.predict(x[np.newaxis], verbose=0)[0], y)

    def test_gradient(self, case):
        x, gradient = arrays(case, "x", "gradient")
        slope = float(gradient[0])
        np.testing.assert_array_equal(ops.leaky_relu_backward(np.ones_like(x), x, negative_slope=slope), gradient)


@pytest.mark.parametrize("case", RECORDED["softmax_crossentropy"], ids=named)
def test_softmax_crossentropy_is_not_clipped(case):
    model = fastconv.Sequential([layers.Input((3,)), layers.Dense(3, activation="softmax")])
    model.set_weights([np.eye(3), np.zeros(3)])
    compiled(model, optimizers.SGD(learning_rate=1.0))
    x, y = np.float32([case["logits"]]), np.eye(3, dtype=np.float32)[[case["label"]]]
    probabilities = model.predict_on_batch(x)[0]
    loss, accuracy = model.train_on_batch(x, y)
    received = [*probabilities, loss, accuracy, *-model.get_weights()[1]]
    close(received, [*case["probabilities"], case["loss"], case["accuracy"], *case["gradient"]], atol=1e-7)


@pytest.mark.parametrize("case", RECORDED["glorot"], ids=named)
def test_glorot_limit(case):
    *window_size, channels, units = case["shape"]
    utils.set_random_seed(1)
    if window_size:
        layer, image = layers.Conv2D(units, tuple(window_size)), layers.Input((8, 8, channels))
    else:
        layer, image = layers.Dense(units), layers.Input((channels,))
    layer(image)
    largest = np.abs(layer.get_weights()[0]).max()
    assert 0.95 * case["limit"] < largest <= case["limit"] * (1 + 1e-6)


# ---- optimizers ----


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("case", RECORDED["optimizers"], ids=named)
def test_optimizer_trajectory(case, backend):
    chosen, config = ops.get_ops(backend), case["config"]
    w, rate, step = np.array(case["start"], np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64)
    slots = [np.zeros_like(w), np.zeros_like(w)]
    for gradient, learning_rate, expected in zip(
        case["gradients"], case["learning_rates"], case["trajectory"], strict=True
    ):
        dw, rate[0] = np.array(gradient, np.float32), learning_rate
        step += 1
        if case["optimizer"] == "Adam":
            chosen.adam_update(w, dw, *slots, rate, step, config["beta_1"], config["beta_2"], config["epsilon"])
        else:
            velocity = slots[0] if config["momentum"] else None
            chosen.sgd_update(w, dw, velocity, rate, config["momentum"], config["nesterov"])
        close(w, expected, rtol=1e-6, atol=STEP_SIZE_ERROR * case["learning_rates"][0])


@pytest.mark.parametrize("case", RECORDED["optimizers"], ids=named)
def test_optimizer_defaults(case):
    optimizer = getattr(optimizers, case["optimizer"])(**case["arguments"])
    received = {key: getattr(optimizer, key) for key in case["config"]}
    assert received == pytest.approx(case["config"])


@pytest.mark.parametrize("case", RECORDED["tiny_training"], ids=named)
class TestTinyTraining:
    def test_losses_and_weights_of_each_step(self, case):
        x, y = arrays(case, "x", "y")
        optimizer = getattr(optimizers, case["optimizer"])(**case["arguments"])
        model = tiny_model(optimizer, case["start"])
        for step, expected in enumerate(case["train_on_batch"]):
            if step == 2:
                optimizer.learning_rate = optimizer.learning_rate / 2
            close(model.train_on_batch(x, y), expected, rtol=2e-5)
            kernel, bias = model.get_weights()
            close(kernel, case["weights"][step][0], atol=5e-6)
            close(bias, case["weights"][step][1], atol=5e-6)

    def test_test_and_predict_on_batch(self, case):
        x, y = arrays(case, "x", "y")
        model = tiny_model("sgd", case["weights"][-1])
        close(model.test_on_batch(x, y), case["test_on_batch"])
        close(model.predict_on_batch(x), case["predict_on_batch"])


# ---- networks ----


def in_the_notebooks_words(name):
    return keras_networks.build(fastconv, name)


def by_name(name):
    return NETWORKS[name].factory()


@pytest.mark.parametrize(
    ("make", "name"),
    [*((in_the_notebooks_words, name) for name in RECORDED["networks"]), *((by_name, name) for name in NETWORKS)],
)
class TestNetworks:
    @pytest.fixture
    def network(self, make, name):
        utils.clear_session()
        return make(name)

    def test_counts(self, network, name):
        recorded = RECORDED["networks"][name]
        counts = [
            sum(w.array.size for w in group) for group in (network.trainable_weights, network.non_trainable_weights)
        ]
        received = [network.count_params(), *counts]
        assert received == [recorded[key] for key in ("parameters", "trainable", "non_trainable")]

    def test_layer_names(self, network, name):
        recorded = RECORDED["networks"][name]
        received = [network.name, [[layer.name, type(layer).__name__] for layer in network.layers]]
        assert received == [recorded["name"], recorded["layers"]]

    def test_output_shapes(self, network, name):
        expected = [tuple(shape) for shape in RECORDED["networks"][name]["output_shapes"]]
        assert [tuple(layer.output.shape) for layer in network.layers] == expected

    def test_order_of_the_weights(self, network, name):
        received = [[w.path, list(w.shape)] for w in network.weights]
        assert received == RECORDED["networks"][name]["weights"]

    def test_size_of_the_optimizer(self, network, name):
        compiled(network, "adam")
        network.train_on_batch(np.zeros((1, *network.input_shape[1:])), np.eye(10)[:1])
        assert network.optimizer.variable_count() == RECORDED["networks"][name]["adam_variables"]


@pytest.fixture
def narrow(monkeypatch):
    """Without a terminal, 80 columns are assumed."""
    monkeypatch.setenv("COLUMNS", "80")


class TestSummary:
    @pytest.mark.parametrize("name", ["cnn", "mlp"])
    def test_text(self, name, narrow, capsys):
        utils.clear_session()
        NETWORKS[name].factory().summary()
        assert capsys.readouterr().out == RECORDED["summaries"][name]

    @pytest.mark.parametrize("name", ["cnn", "mlp"])
    def test_print_fn(self, name, narrow):
        utils.clear_session()
        received = []
        NETWORKS[name].factory().summary(print_fn=received.append)
        assert received == RECORDED["summaries"][f"{name} print_fn"]

    @pytest.mark.parametrize("name", ["cnn", "mlp"])
    def test_optimizer_is_counted_after_the_first_step_only(self, name, narrow, capsys):
        utils.clear_session()
        model = compiled(NETWORKS[name].factory(), "adam")
        model.summary()
        assert capsys.readouterr().out == RECORDED["summaries"][f"{name} compiled"]
        model.train_on_batch(np.zeros((2, 32, 32, 3)), np.eye(10)[:2])
        model.summary()
        assert capsys.readouterr().out == RECORDED["summaries"][f"{name} after a step"]
        model.summary(line_length=60)
        assert capsys.readouterr().out == RECORDED["summaries"][f"{name} line_length=60"]

    def test_sequential_before_and_after_build(self, narrow, capsys):
        utils.clear_session()
        model = fastconv.Sequential([layers.Flatten(), layers.Dense(4)])
        model.summary()
        assert capsys.readouterr().out == RECORDED["summaries"]["unbuilt"]
        model.build((None, 2, 3))
        model.summary()
        assert capsys.readouterr().out == RECORDED["summaries"]["built"]


# ---- fit, evaluate, predict, utils ----


def lines_without_times(text):
    return re.sub(r"\d+m?u?s(?=/step| - )", "#", text).splitlines()


class TestFit:
    x, y = arrays(RECORDED["fit"], "x", "y")
    zeros = (np.zeros((4, 3)), np.zeros(3))

    @pytest.fixture(params=["plain", "validation_data", "validation_split", "no metrics"])
    def run(self, request, capsys):
        recorded = RECORDED["fit"][request.param]
        arguments = dict(recorded["arguments"])
        if request.param == "validation_data":
            arguments["validation_data"] = (self.x[:3], self.y[:3])
        metrics = () if request.param == "no metrics" else ("accuracy",)
        model = tiny_model(optimizers.SGD(learning_rate=0.5), self.zeros, metrics)
        history = model.fit(self.x, self.y, **arguments)
        return recorded, history, capsys.readouterr().out, model

    def test_history(self, run):
        recorded, history, _, _ = run
        assert list(history.history) == recorded["keys"]
        for key, values in recorded["history"].items():
            close(history.history[key], values)

    def test_epochs_and_params(self, run):
        recorded, history, _, _ = run
        params = {key: history.params[key] for key in recorded["params"]}
        assert (history.epoch, params) == (recorded["epoch"], recorded["params"])

    def test_weights(self, run):
        recorded, _, _, model = run
        for received, expected in zip(model.get_weights(), recorded["weights"], strict=True):
            close(received, expected)

    def test_output_of_verbose_2(self, run):
        recorded, _, output, _ = run
        assert lines_without_times(output) == recorded["output"]

    def test_evaluate(self, capsys):
        recorded = RECORDED["fit"]["evaluate"]
        model = tiny_model(optimizers.SGD(learning_rate=0.5), self.zeros)
        received = model.evaluate(self.x, self.y, batch_size=2, verbose=0)
        assert isinstance(received, list) and received == pytest.approx(recorded["list"])
        named_values = model.evaluate(self.x, self.y, batch_size=2, verbose=0, return_dict=True)
        assert named_values == pytest.approx(recorded["dict"])
        model.evaluate(self.x, self.y, batch_size=2, verbose=2)
        assert lines_without_times(capsys.readouterr().out) == recorded["verbose=2"]

    def test_evaluate_without_metrics_is_a_float(self):
        model = tiny_model(optimizers.SGD(learning_rate=0.5), self.zeros, ())
        received = model.evaluate(self.x, self.y, batch_size=2, verbose=0)
        assert isinstance(received, float)
        assert received == pytest.approx(RECORDED["fit"]["evaluate"]["loss alone"])

    def test_predict(self):
        received = tiny_model("sgd", self.zeros).predict(self.x, verbose=0)
        recorded = RECORDED["fit"]["predict"]
        assert [list(received.shape), str(received.dtype)] == [recorded["shape"], recorded["dtype"]]


@pytest.mark.parametrize("case", RECORDED["to_categorical"])
def test_to_categorical(case):
    received = utils.to_categorical(np.array(case["x"], np.uint8), case["num_classes"])
    assert str(received.dtype) == case["dtype"]
    np.testing.assert_array_equal(received, case["y"])
