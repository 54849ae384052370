"""Which arrays of an op may be None: on the CUDA backend those that the CPU's bindings take as None, and no others."""

from __future__ import annotations

import importlib.util
import inspect

import helpers
import numpy as np
import pytest
from shapes import Conv2DShape

from fastconv.ops import get_ops

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("fastconv._emulator"), reason="the emulator is not built")

CONVOLUTION = Conv2DShape(1, 4, 4, 3, 5, 3, 3, (1, 1), "same")


def arguments(op):
    """All that the op takes and writes, none of it None."""
    rng = np.random.default_rng(0)
    shape = CONVOLUTION if op.startswith("conv2d") else (2, 4, 4, 3) if op in helpers.IMAGES else (2, 3)
    given = helpers.example(op, rng, shape)
    given |= {n: v.astype(np.float32) for n, v in given.items() if getattr(v, "dtype", None) == np.float64}
    if op in ("conv2d_fprop", "conv2d_wgrad"):
        given |= helpers.conv2d_norm(rng, "x", CONVOLUTION.c)
    if op == "conv2d_fprop":
        given |= {name: helpers.float32(rng, CONVOLUTION.k) for name in ("moving_mean", "moving_variance")}
    for name, shape in helpers.OUTPUTS[op](given).items():
        given[name] = np.zeros(shape, np.float64 if name == "totals" else np.float32)
    if "workspace" in inspect.signature(getattr(get_ops("cpu"), op)).parameters:
        given["workspace"] = np.zeros(1 << 14, np.float32)
    return given


ARRAYS = [
    (op, name)
    for op in helpers.OUTPUTS
    for name, value in arguments(op).items()
    if isinstance(value, np.ndarray) and name != "workspace"  # how much of it there must be differs
]


def taken(op, given):
    try:
        getattr(get_ops("cpu"), op)(**given)
    except (TypeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("op, name", ARRAYS)
def test_only_what_is_optional_may_be_none(op, name):
    given = arguments(op) | {name: None}
    call = getattr(helpers.emulated_cuda(), op)
    if taken(op, given):
        call(**given)
        return
    with pytest.raises(ValueError, match=rf"\b{name}\b.*Received.*None"):
        call(**given)


@pytest.mark.parametrize("op", helpers.OUTPUTS)
def test_all_arguments_together_are_taken(op):
    assert taken(op, arguments(op))
