"""What a warp computes together: products of TF32 and of bfloat16, exchanged values."""

from __future__ import annotations

import numpy as np
import pytest


def rounded(x: np.ndarray) -> np.ndarray:
    """TF32 by arithmetic, for numbers whose rounding neither overflows nor is subnormal: ties away from zero."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    scaled = mantissa * 2.0**11
    return np.ldexp(np.copysign(np.floor(np.abs(scaled) + 0.5), scaled) / 2.0**11, exponent)


def multiply(run, a, b, c):
    x = np.concatenate([matrix.astype(np.float32).ravel() for matrix in (a, b, c)])
    return run("multiply", threads=32, x=x, y=np.full(128, np.nan, np.float32)).reshape(16, 8)


def test_the_fragments_lie_as_the_layout_says(run, order, rng):
    a, b, c = (rng.integers(-9, 10, size=size) for size in ((16, 8), (8, 8), (16, 8)))
    np.testing.assert_array_equal(multiply(run, a, b, c), a @ b + c)


def test_products_of_random_numbers(run, rng):
    a, b, c = (rng.normal(size=size).astype(np.float32) for size in ((16, 8), (8, 8), (16, 8)))
    exact = rounded(a) @ rounded(b) + c
    size = np.abs(rounded(a)) @ np.abs(rounded(b)) + np.abs(c)
    # Products of two numbers of 11 bits are exact in float32; each of the 8 sums adds half a unit in the last place.
    assert (np.abs(multiply(run, a, b, c) - exact) <= 8 * 2.0**-24 * size * (1 + 2.0**-20)).all()


def test_one_product_is_exact(run, rng):
    a, b = np.zeros((16, 8), np.float32), np.zeros((8, 8), np.float32)
    a[:, 3], b[3] = rng.normal(size=16), rng.normal(size=8)
    np.testing.assert_array_equal(multiply(run, a, b, np.zeros((16, 8))), rounded(a) @ rounded(b))


def test_every_warp_has_its_own_products(run, emulator):
    emulator.count(True)
    run("multiply_often", threads=96, grid=(2, 1, 1), n=7)
    assert emulator.counts()["multiply_often"]["mma"] == 2 * 3 * 7


def test_rounding_to_tf32(run, rng):
    x = (rng.normal(size=1024) * 2.0 ** rng.integers(-60, 60, size=1024)).astype(np.float32)
    np.testing.assert_array_equal(run("round", threads=1024, x=x), rounded(x))


TIE = 1 + 2.0**-11


@pytest.mark.parametrize(
    "x, expected",
    [
        (TIE, 1 + 2.0**-10),
        (-TIE, -1 - 2.0**-10),
        (1 + 3 * 2.0**-11, 1 + 2.0**-9),
        (np.nextafter(np.float32(TIE), np.float32(0)), 1),
        (0.0, 0),
        (3 * 2.0**-137, 2.0**-135),  # subnormal, its last bit there 2**-136
        (np.finfo(np.float32).max, np.inf),
        (np.inf, np.inf),
        (-np.inf, -np.inf),
        (np.nan, np.nan),
    ],
)
def test_rounding_to_tf32_of_ties_and_special_values(run, x, expected):
    y = run("round", threads=32, x=np.full(32, x, np.float32))
    np.testing.assert_array_equal(y, np.full(32, expected, np.float32))


def test_rounding_keeps_a_nan_whose_payload_lies_in_the_lower_bits(run):
    x = np.full(32, 0x7F800001, np.uint32).view(np.float32)
    assert np.isnan(run("round", threads=32, x=x)).all()


def test_the_lower_bits_of_an_operand_are_not_read(run, rng):
    x = rng.normal(size=32).astype(np.float32)
    upper = (x.view(np.uint32) & 0xFFFFE000).view(np.float32)
    y = run("operands", threads=32, x=x)  # lane 4 g + t holds element (g, t) of A
    np.testing.assert_array_equal(y.reshape(8, 4), upper.reshape(8, 4))


# ---- bfloat16


def test_the_fragments_of_bfloat16_lie_as_the_layout_says(run, order, rng):
    a, b, c = (rng.integers(-9, 10, size=size) for size in ((16, 16), (16, 8), (16, 8)))
    x = np.concatenate([matrix.astype(np.float32).ravel() for matrix in (a, b, c)])
    y = run("multiply_bfloat16", threads=32, x=x, y=np.full(128, np.nan, np.float32))
    np.testing.assert_array_equal(y.reshape(16, 8), a @ b + c)


@pytest.mark.parametrize("pitch", [8, 24, 56])
@pytest.mark.parametrize("transposed", [0, 1])
def test_lanes_get_their_pairs_of_four_matrices(run, order, transposed, pitch):
    x, lanes, pair = np.arange(256, dtype=np.float32), np.arange(32)[:, None, None], np.arange(2)
    y = run("matrices", threads=32, x=x, y=np.full(256, np.nan, np.float32), how=transposed, n=pitch)
    matrices = x.reshape(4, 8, 8)
    places = (lanes // 4, lanes % 4 * 2 + pair)[:: -1 if transposed else 1]
    np.testing.assert_array_equal(y.reshape(32, 4, 2), matrices[np.arange(4)[:, None], places[0], places[1]])


def test_rows_of_matrices_lie_on_16_bytes(run):
    with pytest.raises(RuntimeError, match="load_matrices of shared memory at 12, which is not on 16 bytes"):
        run("matrices", threads=32, x=np.zeros(256, np.float32), y=np.zeros(256, np.float32), n=12)


@pytest.mark.parametrize(
    "x, expected",
    [
        (1 + 2.0**-8, 1),
        (1 + 3 * 2.0**-8, 1 + 2.0**-6),
        (-1 - 2.0**-8 - 2.0**-20, -1 - 2.0**-7),
        (2.0**-134, 0),  # half of the last bit of subnormal numbers
        (3 * 2.0**-134, 2.0**-132),
        (np.finfo(np.float32).max, np.inf),
        (-np.inf, -np.inf),
        (np.nan, np.nan),
        (np.uint32(0x7F800001).view(np.float32), np.nan),
    ],
)
def test_rounding_to_bfloat16(run, x, expected):
    y = run("round_to_bfloat16", threads=32, x=np.full(32, x, np.float32))
    np.testing.assert_array_equal(y, np.full(32, expected, np.float32))


# ---- exchanged values


@pytest.mark.parametrize("mask", [0, 1, 2, 4, 8, 16, 31])
def test_lanes_exchange_values(run, order, x, mask):
    np.testing.assert_array_equal(run("exchange", x=x, n=mask), x[np.arange(64) ^ mask])
