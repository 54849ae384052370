"""penalty of every backend: L1 and L2 of ranges of the weights, and their gradient."""

from __future__ import annotations

import numpy as np
import pytest
import tolerances
from helpers import float32, small_integers

RANGES = np.array([[0, 5], [16, 17], [17, 17], [32, 40_000]])
RATES = np.array([[0.5, 0.25, 1], [0.0, 2.0, 0], [1.0, 1.0, 1], [0.125, 0.0, 1]], np.float32)
SIZE = 40_003


def penalty(ops, w, dw, ranges=RANGES, rates=RATES, samples=3):
    return ops.run("penalty", w=w, dw=dw, ranges=np.asarray(ranges, np.int64), rates=rates, samples=samples)


def expected(w, dw, ranges=RANGES, rates=RATES, samples=3):
    w, total, gradient = w.astype(np.float64), 0.0, dw.astype(np.float64)
    for (begin, end), (l1, l2, kept) in zip(ranges, rates, strict=True):
        x = w[begin:end]
        total += samples * (l1 * np.abs(x) + l2 * x * x).sum()
        gradient[begin:end] = kept * gradient[begin:end] + l1 * np.sign(x) + 2 * l2 * x
    return total, gradient


def test_whole_numbers_exactly(ops, rng):
    w, dw = small_integers(rng, SIZE), small_integers(rng, SIZE)
    w[::7] = 0
    total, gradient = expected(w, dw)
    actual = penalty(ops, w, dw)
    assert actual.totals[0] == total
    np.testing.assert_array_equal(actual.dw, gradient)


def test_any_numbers(ops, rng):
    w, dw = float32(rng, SIZE), float32(rng, SIZE)
    total, gradient = expected(w, dw)
    actual = penalty(ops, w, dw)
    assert abs(actual.totals[0] - total) <= tolerances.gamma(520) * total
    tolerances.assert_close(actual.dw, gradient, tolerances.gamma(4) * (np.abs(dw) + np.abs(gradient - dw)))


def test_the_total_alone(ops, rng):
    w, dw = float32(rng, SIZE), float32(rng, SIZE)
    assert penalty(ops, w, None).totals[0] == penalty(ops, w, dw).totals[0]


def test_agrees_with_the_reference(ops, reference, rng):
    w, dw = float32(rng, SIZE), float32(rng, SIZE)
    actual, right = penalty(ops, w, dw), penalty(reference, w, dw)
    np.testing.assert_allclose(actual.totals, right.totals, rtol=1e-6)
    np.testing.assert_allclose(actual.dw, right.dw, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rates", [[[1.0, 0.0, 1.0]], [[0.0, 1.0, 1.0]]])
def test_nan_reaches_the_total_and_its_own_gradient_alone(ops, rates):
    w = np.ones(40, np.float32)
    w[35] = np.nan
    actual = penalty(ops, w, np.zeros(40, np.float32), [[0, 40]], np.array(rates, np.float32))
    assert np.isnan(actual.totals[0]) and np.flatnonzero(np.isnan(actual.dw)).tolist() == [35]


def test_a_gradient_that_no_step_makes_is_set_and_not_added_to(ops):
    stale = np.array([np.nan, np.inf, 3], np.float32)
    rates = np.array([[0.5, 0.0, 0.0]], np.float32)
    actual = penalty(ops, np.array([1, -1, 0], np.float32), stale, [[0, 3]], rates)
    np.testing.assert_array_equal(actual.dw, [0.5, -0.5, 0])


def test_no_ranges_no_penalty(ops):
    ones = np.ones(4, np.float32)
    actual = penalty(ops, ones, ones, np.zeros((0, 2)), np.zeros((0, 3), np.float32))
    assert actual.totals[0] == 0
    np.testing.assert_array_equal(actual.dw, ones)


@pytest.mark.parametrize("name, size", [("dw", 4), ("rates", 4)])
def test_arrays_of_another_size_are_refused(ops, name, size):
    arrays = {"w": np.ones(3, np.float32), "dw": np.ones(3, np.float32), "rates": np.ones((1, 3), np.float32)}
    with pytest.raises(ValueError, match=rf"{name}: expected \d elements.*Received: shape"):
        penalty(ops, **arrays | {name: np.ones(size, np.float32)}, ranges=[[0, 3]])
