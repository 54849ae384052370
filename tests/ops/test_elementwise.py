"""add_forward of every backend; one rounding, so float32 must agree to the bit. And the search for NaN and infinity."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
from helpers import float32


@pytest.mark.parametrize("count", shapes.ELEMENTWISE)
def test_add(ops, rng, count):
    a, b = float32(rng, count), float32(rng, count)
    np.testing.assert_array_equal(ops.run("add_forward", a=a, b=b).y, a + b)


def test_add_keeps_nan_and_infinity(ops):
    a = np.array([np.nan, np.inf, np.inf, -np.inf, 1] * 7, np.float32)
    b = np.array([1, 1, -np.inf, -np.inf, np.nan] * 7, np.float32)
    np.testing.assert_array_equal(ops.run("add_forward", a=a, b=b).y, [np.nan, np.inf, np.nan, -np.inf, np.nan] * 7)


@pytest.mark.parametrize("name", ["a", "b"])
def test_add_in_place(ops, rng, name):
    a, b = float32(rng, 1001), float32(rng, 1001)
    np.testing.assert_array_equal(ops.run("add_forward", a=a, b=b, shared={"y": name}).y, a + b)


@pytest.mark.parametrize("name", ["b", "y"])
def test_add_refuses_arrays_of_another_size(ops, name):
    arrays = {key: np.zeros(5, np.float32) for key in ("a", "b", "y")} | {name: np.zeros(4, np.float32)}
    with pytest.raises(ValueError, match=rf"{name}: expected 5 elements.*Received: shape \(4,\)"):
        ops.ops.add_forward(**ops.arrays(**arrays))


# ---- first_non_finite


@pytest.mark.parametrize("count", [0, *shapes.ELEMENTWISE, 70_001, 200_000])
def test_nothing_is_found_among_finite_numbers(ops, rng, count):
    x = float32(rng, count)
    x[::7] = np.finfo(np.float32).max
    assert ops.run("first_non_finite", x=x).returned == -1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", [0, 1, 63, 64, 1023, 1024, 65_535, 65_536, 199_999])
def test_the_first_non_finite_number_is_found(ops, rng, index, value):
    x = float32(rng, 200_000)
    x[index] = value
    x[index + 1 :: 501] = np.nan
    assert ops.run("first_non_finite", x=x).returned == index
