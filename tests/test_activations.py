"""Activations as functions: on arrays against what Keras answered for the layers, on tensors, and as arguments."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from parity import golden

from fastconv import activations, layers, load_model
from fastconv.models import Model

RECORDED = golden.load("keras_elementwise")["activations"]
BY_NAME = {
    case["arguments"]["activation"]: case
    for case in RECORDED
    if case["layer"] == "Activation" and not callable(case["arguments"]["activation"])
}
FUNCTIONS = sorted(set(activations.__all__) - {"get"})


def close(received, expected):
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_on_arrays_it_computes_what_the_layer_does(name):
    x = np.linspace(-4, 8, 24).reshape(2, 3, 4)
    image = layers.Input((3, 4))
    expected = Model(image, layers.Activation(name)(image)).predict(x, verbose=0)
    received = getattr(activations, name)(x)
    assert received.dtype == np.float32 and received.shape == x.shape
    np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("name", sorted(BY_NAME.keys() & set(FUNCTIONS)))
def test_the_values_of_keras(name):
    close(getattr(activations, name)(BY_NAME[name]["inputs"][0]), BY_NAME[name]["y"])


def test_arguments():
    x = np.array([-3.0, -1.0, 0.5, 7.0])
    close(activations.relu(x, negative_slope=0.5, max_value=6, threshold=1), [-2, -1, -0.25, 6])
    close(activations.leaky_relu(x), [-0.6, -0.2, 0.5, 7])
    close(activations.leaky_relu(x, 0.5), [-1.5, -0.5, 0.5, 7])
    close(activations.elu(x, alpha=2.0), [2 * np.expm1(-3), 2 * np.expm1(-1), 0.5, 7])
    close(activations.gelu(x, approximate=True), activations.get("gelu_tanh")(x))
    with pytest.raises(ValueError, match="negative_slope: expected"):
        activations.relu(x, negative_slope="much")
    with pytest.raises(ValueError, match="axis: expected -1 or 1"):
        activations.softmax(np.ones((2, 3)), axis=0)


def test_odd_arrays():
    assert activations.relu(-1.0).shape == () and activations.relu([]).shape == (0,)
    close(activations.softmax([0.0, np.log(3)]), [0.25, 0.75])
    assert np.isnan(activations.tanh(np.array([np.nan, 1.0]))).tolist() == [True, False]
    with pytest.raises(ValueError, match="could not convert"):
        activations.relu("text")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_layers_take_the_functions(name):
    function = getattr(activations, name)
    assert layers.Dense(3, activation=function).activation == name == function.__name__
    assert layers.Activation(function).activation == name and activations.get(name) is function
    assert inspect.getdoc(function)


def test_other_functions_are_refused():
    for other in (np.tanh, activations.get, lambda x: x, activations.Layer):
        with pytest.raises(ValueError, match="activation: expected None or one of"):
            layers.Dense(3, activation=other)
    with pytest.raises(ValueError, match="activation: expected None or one of"):
        activations.get("rellu")
    assert activations.get(None) is activations.linear and activations.get(np.tanh) is np.tanh


def test_on_tensors_it_adds_a_layer(tmp_path):
    image = layers.Input((5,))
    x = activations.leaky_relu(layers.Dense(4, activation=activations.tanh)(image), 0.1)
    model = Model(image, activations.softmax(x))
    model.save(tmp_path / "model.keras")
    samples = np.arange(10).reshape(2, 5) / 10
    np.testing.assert_array_equal(load_model(tmp_path / "model.keras").predict(samples), model.predict(samples))
    assert [type(layer).__name__ for layer in model.layers][1:] == ["Dense", "LeakyReLU", "Softmax"]
