"""Elementwise layers, forward and backward, against what Keras answered (parity/keras_elementwise.py)."""

import numpy as np
import pytest
from layer_runner import run_layer
from parity import golden

from fastconv import layers
from fastconv.ops import get_ops

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
