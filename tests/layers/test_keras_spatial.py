"""Layers on images, forward and backward on every backend, against what Keras answered (parity/keras_spatial.py)."""

import numpy as np
import pytest
from layer_runner import run_layer
from parity import golden

from fastconv import layers

RECORDED = golden.load("keras_spatial")


@pytest.mark.parametrize("case", RECORDED["layers"], ids=lambda case: f"{case['layer']} {case['arguments']}")
def test_layer(ops, case):
    layer = getattr(layers, case["layer"])(**case["arguments"])
    actual = run_layer(layer, case["inputs"], case["dy"], ops.ops, case["weights"])
    np.testing.assert_allclose(actual.y, case["y"], rtol=1e-5, atol=1e-5)
    assert len(actual.gradients) == len(case["gradients"])
    for gradient, expected in zip(actual.gradients, case["gradients"], strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)
