"""Denormal numbers, which slow arithmetic down up to a hundredfold, are zero to every kernel on every thread.

That the caller keeps its own is in test_determinism.py.
"""

from __future__ import annotations

import helpers
import numpy as np
import pytest
import shapes

from fastconv import _core

CONVOLUTION = shapes.Conv2DShape(40, 8, 8, 16, 16, 3, 3, (1, 1), "same")  # 40 images: work for every thread
CHANNELS = (3000, 17)
NUMBERS = (100_000,)
CONVOLUTIONS = [  # op, shape, the input that is denormal, the output that is 0 then
    ("conv2d_fprop", CONVOLUTION, "x", "y"),
    ("conv2d_fprop", CONVOLUTION, "w", "y"),
    ("conv2d_dgrad", CONVOLUTION, "dy", "dx"),
    ("conv2d_dgrad", CONVOLUTION, "w", "dx"),
    ("conv2d_wgrad", CONVOLUTION, "x", "dw"),
    ("conv2d_wgrad", CONVOLUTION, "dy", "dw"),
    ("conv2d_backward", CONVOLUTION, "w", "dx"),
]
OTHERS = [
    ("batchnorm_apply", CHANNELS, "gamma", "y"),
    ("batchnorm_backward", CHANNELS, "gamma", "dx"),
    ("dropout_forward", NUMBERS, "x", "y"),
    ("adam_update", NUMBERS, "m", "m"),
    ("sgd_update", NUMBERS, "velocity", "velocity"),
]
ADDED = ("b", "beta", "dw")  # to a product with what is denormal


def assert_denormal_input_gives_zero(ops, rng, threads, op, shape, name, output):
    given = helpers.example(op, rng, shape)
    given |= {added: np.zeros_like(given[added]) for added in ADDED if added in given}
    given[name] = np.full_like(given[name], 1e-40)
    for count in (1, 3):
        threads(count)
        result = getattr(ops.run(op, **given), output)
        assert not result.any(), f"{count} threads: {result.flat[np.flatnonzero(result)[0]]}"


@pytest.mark.parametrize("winograd", [False, True], ids=["direct", "winograd"])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=lambda case: f"{case[0]}-{case[2]}")
def test_denormals_are_zero_to_convolutions(ops, rng, threads, case, winograd):
    _core.conv2d_allow_winograd(winograd)
    assert_denormal_input_gives_zero(ops, rng, threads, *case)


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: f"{case[0]}-{case[2]}")
def test_denormals_are_zero_to_other_ops(ops, rng, threads, case):
    assert_denormal_input_gives_zero(ops, rng, threads, *case)
