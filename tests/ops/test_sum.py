"""sum_forward of every backend: whole numbers exactly, others as the double sum rounded once."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import float32, small_integers

SHAPES = [
    (1, 1, 1, 1), (1, 1, 1, 40), (1, 1, 37, 1), (5, 1, 1, 1), (1, 1, 9, 33), (3, 2, 5, 1), (3, 2, 5, 4), (2, 3, 1, 31),
    (2, 1, 300, 70), (4, 3, 1000, 1), (1, 1, 9000, 5), (1, 2, 5000, 17),
]  # fmt: skip


@pytest.mark.parametrize("extents", SHAPES, ids=str)
def test_whole_numbers(ops, rng, extents):
    x = small_integers(rng, *extents)
    y = ops.run("sum_forward", x=x, extents=extents).y
    np.testing.assert_array_equal(y, x.sum(axis=(0, 2)))


@pytest.mark.parametrize("extents", SHAPES[4:], ids=str)
def test_sums_are_double(ops, rng, extents):
    x = float32(rng, *extents, offset=1e4)
    y = ops.run("sum_forward", x=x, extents=extents).y
    np.testing.assert_allclose(y, x.sum(axis=(0, 2), dtype=np.float64), rtol=2.0**-24)


def test_nan_stays_in_its_sum(ops, rng):
    x = float32(rng, 2, 3, 40, 5)
    x[1, 2, 7, 3] = np.nan
    y = ops.run("sum_forward", x=x, extents=x.shape).y
    assert np.argwhere(np.isnan(y)).tolist() == [[2, 3]]


def test_a_workspace_that_is_too_small_is_refused(ops):
    x, y = np.zeros((1, 1, 9, 5), np.float32), np.zeros(5, np.float32)
    with pytest.raises(ValueError, match="sum_forward: expected .* bytes of workspace"):
        ops.ops.sum_forward(**ops.arrays(x=x, y=y), extents=(1, 1, 9, 5), workspace=None)
