"""clip_by_norm and clip_by_value of every backend."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
import tolerances
from helpers import float32, small_integers

RANGES = np.array([[0, 5], [16, 17], [17, 17], [32, 40_000]])  # one empty, one of several parts
SIZE = 40_003


def by_norm(ops, dw, ranges, norm):
    return ops.run("clip_by_norm", dw=dw, ranges=np.asarray(ranges, np.int64), norm=norm).dw


@pytest.mark.parametrize("norm", [0.1, 3.0, 1e6])
def test_each_range_has_at_most_the_norm(ops, rng, norm):
    dw = float32(rng, SIZE)
    expected, bound = dw.astype(np.float64), np.zeros(SIZE)
    for begin, end in RANGES:
        part = expected[begin:end]
        n = np.sqrt((part * part).sum())
        if n > norm:
            part *= norm / n
            bound[begin:end] = tolerances.gamma(48) * np.abs(part)  # 32 sums within a run, and the roundings around
    tolerances.assert_close(by_norm(ops, dw, RANGES, norm), expected, bound)


@pytest.mark.parametrize("count", [1, 2, 15, 17, 33, 511, 513])
def test_norms_of_whole_numbers_are_exact(ops, rng, count):
    dw = small_integers(rng, count)
    square = (dw * dw).sum(dtype=np.float64)
    at_norm, below = np.float32(np.sqrt(square)), np.float32(np.sqrt(square) / 2)
    if float(at_norm) ** 2 >= square:
        np.testing.assert_array_equal(by_norm(ops, dw, [[0, count]], float(at_norm)), dw)
    factor = np.float32(float(below) / np.sqrt(square))
    np.testing.assert_array_equal(by_norm(ops, dw, [[0, count]], float(below)), dw * factor)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_a_norm_that_is_not_finite_makes_its_range_nan_but_for_zeros(ops, rng, bad):
    dw = float32(rng, 100, scale=0.01)
    dw[37], dw[40] = bad, 0  # zeros are what no step writes: NaN there would stay forever
    clipped = by_norm(ops, dw, [[0, 20], [20, 60], [60, 100]], 1.0)
    assert np.flatnonzero(~np.isnan(clipped[20:60])).tolist() == [20]
    np.testing.assert_array_equal(clipped[:20], dw[:20])
    np.testing.assert_array_equal(clipped[60:], dw[60:])


def test_gradients_of_zero_stay(ops):
    zeros = np.zeros(100, np.float32)
    np.testing.assert_array_equal(by_norm(ops, zeros, [[0, 50], [50, 100]], 1.0), zeros)


@pytest.mark.parametrize("count", shapes.ELEMENTWISE)
def test_by_value(ops, rng, count):
    dw = float32(rng, count)
    np.testing.assert_array_equal(ops.run("clip_by_value", dw=dw, limit=0.75).dw, np.clip(dw, -0.75, 0.75))


@pytest.mark.parametrize("copies", [1, 5])
def test_by_value_of_special_values(ops, copies):
    dw = np.tile(np.array([np.nan, np.inf, -np.inf, -0.5, 0.5, 0.25, 1e38], np.float32), copies)
    expected = np.tile(np.array([np.nan, 0.5, -0.5, -0.5, 0.5, 0.25, 0.5], np.float32), copies)
    np.testing.assert_array_equal(ops.run("clip_by_value", dw=dw, limit=0.5).dw, expected)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_bounds_that_are_not_positive_are_refused(ops, value):
    with pytest.raises(ValueError, match="norm > 0.*Received: norm="):
        by_norm(ops, np.ones(3, np.float32), [[0, 3]], value)
    with pytest.raises(ValueError, match="limit > 0.*Received: limit="):
        ops.run("clip_by_value", dw=np.ones(3, np.float32), limit=value)


@pytest.mark.cpu_only
@pytest.mark.parametrize("ranges", [[[0, 4]], [[-1, 2]], [[2, 1]], [[0, 2], [1, 3]]])
def test_ranges_beyond_the_array_or_out_of_order_are_refused(ops, ranges):
    with pytest.raises(ValueError, match="ranges: expected ascending pairs within 3 elements. Received:"):
        by_norm(ops, np.ones(3, np.float32), ranges, 1.0)


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_ranges_that_are_no_pairs_are_refused(ops, shape):
    with pytest.raises(ValueError, match="ranges: expected .*pairs"):
        by_norm(ops, np.ones(9, np.float32), np.zeros(shape, np.int64), 1.0)


def test_a_workspace_that_is_too_small_is_refused(ops):
    with pytest.raises(ValueError, match=r"clip_by_norm: expected \d+ bytes of workspace. Received: 0"):
        ops.run("clip_by_norm", dw=np.ones(3, np.float32), ranges=np.array([[0, 3]]), norm=1.0, workspace_bytes=0)
