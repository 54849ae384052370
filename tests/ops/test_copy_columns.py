"""copy_columns of every backend, to the bit, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import float32


@pytest.mark.parametrize(
    ("rows", "x_pitch", "x_at", "y_pitch", "y_at", "columns"),
    [
        (1, 1, 0, 1, 0, 1),
        (3, 5, 0, 9, 4, 5),
        (7, 9, 2, 4, 0, 4),
        (40, 3, 1, 70, 33, 2),
        (2, 40_000, 5, 40_010, 9, 39_995),
    ],
)
def test_columns(ops, rng, rows, x_pitch, x_at, y_pitch, y_at, columns):
    x, y = float32(rng, rows, x_pitch), float32(rng, rows, y_pitch)
    expected = y.copy()
    expected[:, y_at : y_at + columns] = x[:, x_at : x_at + columns]
    cut = {"rows": rows, "columns": columns, "x_at": x_at, "y_at": y_at}
    np.testing.assert_array_equal(ops.run("copy_columns", x=x, y=y, **cut).y, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 4}, "rows: expected a number that both sizes are multiples of. Received: 4"),
        ({"rows": 0}, "rows: expected"),
        ({"columns": 0}, "columns: expected a positive number. Received: 0"),
        ({"x_at": 3}, "x_at: expected a column of x with all columns after it. Received: 3"),
        ({"x_at": -1}, "x_at: expected"),
        ({"y_at": 4}, "y_at: expected a column of y with all columns after it. Received: 4"),
    ],
)
def test_what_does_not_fit_is_refused(ops, change, message):
    arrays = ops.arrays(x=np.zeros((2, 5), np.float32), y=np.zeros((2, 6), np.float32))
    with pytest.raises(ValueError, match=message):
        ops.ops.copy_columns(**arrays, **{"rows": 2, "columns": 3, "x_at": 0, "y_at": 0, **change})
