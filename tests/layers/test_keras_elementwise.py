"""Elementwise layers, forward and backward, against what Keras answered (parity/keras_elementwise.py)."""

import numpy as np
import pytest
from layer_runner import run_layer
from parity import golden

from fastconv import layers, models
from fastconv.ops import get_ops
from fastconv.plan.graph import Graph

RECORDED = golden.load("keras_elementwise")


def named(case):
    return f"{case['layer']} {case['arguments'] or ''}".strip()


def check(case):
    layer = getattr(layers, case["layer"])(**case["arguments"])
    actual = run_layer(layer, case["inputs"], case["dy"], get_ops("cpu"), case["weights"])
    np.testing.assert_allclose(actual.y, case["y"], rtol=1e-5, atol=1e-5)
    assert len(actual.gradients) == len(case["gradients"])
    for gradient, expected in zip(actual.gradients, case["gradients"], strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", RECORDED["activations"], ids=named)
def test_activation(case):
    check(case)


@pytest.mark.parametrize("case", RECORDED["merges"], ids=named)
def test_merge(case):
    check(case)


@pytest.mark.parametrize("case", RECORDED["prelu"], ids=named)
def test_prelu(case):
    check(case)


@pytest.mark.parametrize("case", RECORDED["scales"], ids=named)
def test_scale(case):
    layer, x = getattr(layers, case["layer"])(**case["arguments"]), np.array(case["inputs"], np.float32)
    if case["weights"]:
        layer.adapt(x)
        for weight, expected in zip(layer.get_weights(), case["weights"], strict=True):
            np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)
    y = models.Sequential([layers.Input(x.shape[1:]), layer]).predict(x, verbose=0)
    np.testing.assert_allclose(y, case["y"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", RECORDED["translations"], ids=named)
def test_translation(case):
    x = np.array(case["inputs"], np.float32)
    graph = Graph("train", [x.shape])
    layers.RandomTranslation(**case["arguments"]).emit(graph, graph.inputs[0])
    y, counter = np.empty_like(x), np.array([1])
    get_ops("cpu").random_window(x=x, seed=counter, step=counter, y=y, **graph.steps[0].attrs)
    np.testing.assert_allclose(y, case["y"], rtol=1e-5, atol=1e-5)
