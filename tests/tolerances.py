"""How far a float32 result may be from the float64 one: bounds from the roundings made, not from what passed.

u = 2**-24 is the largest relative error of one float32 operation. A chain of n operations is off by at most
gamma(n) = n u / (1 - n u) of the magnitudes it handled (Higham, Accuracy and Stability of Numerical Algorithms, 2nd
edition, lemma 3.1). The float64 reference's own error, 2**-53 a step, is below the slack of any bound used here.
Nothing here allows for underflow: the tests' data stay far from 1e-38.
"""

from __future__ import annotations

import numpy as np

UNIT = 2.0**-24


def gamma(n) -> float:
    """Largest relative error of a chain of `n` float32 operations."""
    return n * UNIT / (1 - n * UNIT)


def float32_sum(products: int, magnitudes) -> np.ndarray:
    """Bound on the error of a float32 sum of `products` products.

    Args:
        products: number of terms.
        magnitudes: the same sum over absolute values, sum |a| |b|.

    Derivation: one rounding for a product, at most one for each of the `products` additions (the first one meets a bias
    or zero), whatever their order: no term carries more than products + 1 roundings. Fused multiply-adds make fewer.
    """
    return gamma(products + 1) * np.asarray(magnitudes, np.float64)


def tf32x3_sum(products: int, magnitudes) -> np.ndarray:
    """Bound on the error of a sum of `products` float32 products by tensor cores in precision "highest".

    Derivation: x = big + small + e. big is x rounded to 11 significant bits; x - big is exact, at most 2**-11 |x|, and
    has 12 bits, of which small loses the last if it has all: |e| <= 2**-23 |x| = 2 u |x|. Of x w are left out the
    product of small with small and that of either e with the other factor: at most 8 u |x w| and a term in u**2. The
    three products that are added are exact in float32. Tensor cores may truncate a sum, 2 u for an addition; of
    3 * products terms and a bias none meets more than 3 * products additions, whatever their order.
    """
    return gamma(6 * products + 9) * np.asarray(magnitudes, np.float64)


def tf32_sum(products: int, magnitudes) -> np.ndarray:
    """The same in precision "high": both factors rounded to 11 bits, by 2**-11, then exact products, truncated sums."""
    return ((1 + 2.0**-11) ** 2 * (1 + gamma(2 * products)) - 1) * np.asarray(magnitudes, np.float64)


def bfloat16_sum(products: int, magnitudes) -> np.ndarray:
    """The same of factors in bfloat16: products of 8 by 8 bits are exact, additions, one of a bias, truncated."""
    return gamma(2 * products + 2) * np.asarray(magnitudes, np.float64)


def sum_of_products(backend: str, products: int, magnitudes) -> np.ndarray:
    """Bound on the error of a convolution's sum on the backend of that name (the fixture `ops`)."""
    bound = float32_sum if backend.startswith("cpu") else tf32x3_sum
    return bound(products, magnitudes)


class Rounded:
    """A float64 array, and a bound on the error of float32 arithmetic that computes it (running error analysis).

    An operation passes the errors of its operands on and adds one rounding of its result (Higham, section 3.3).
    Writing a kernel's formula in these numbers yields the kernel's bound. Arrays enter as exact, since the tests'
    inputs are float32 values; Python numbers as rounded once.

    >>> third = Rounded(np.float32(1)) / Rounded(np.float32(3))
    >>> bool(abs(np.float32(1) / np.float32(3) - 1 / 3) <= third.error)
    True
    """

    def __init__(self, value, error=None):
        self.value = np.asarray(value, np.float64)
        if error is None:
            error = UNIT * np.abs(self.value) if type(value) in (int, float) else np.zeros_like(self.value)
        self.error = np.asarray(error, np.float64)

    @property
    def magnitude(self):
        """The largest absolute value that float32 may have reached."""
        return np.abs(self.value) + self.error

    def __add__(self, other):
        other = _as_rounded(other)
        return _one_rounding(self.value + other.value, self.error + other.error)

    def __sub__(self, other):
        other = _as_rounded(other)
        return _one_rounding(self.value - other.value, self.error + other.error)

    def __mul__(self, other):
        other = _as_rounded(other)
        return _one_rounding(self.value * other.value, self.magnitude * other.error + np.abs(other.value) * self.error)

    def __truediv__(self, other):
        other = _as_rounded(other)
        value = self.value / other.value
        return _one_rounding(value, (self.error + np.abs(value) * other.error) / (np.abs(other.value) - other.error))

    def sqrt(self):
        root, lowest = np.sqrt(self.value), np.sqrt(np.maximum(self.value - self.error, 0))
        return _one_rounding(root, root - lowest)

    def exp(self, ulps: float = 2):
        """The exponential by a function that is off by at most `ulps` units in the last place, of 2 u each."""
        value = np.exp(self.value)
        passed_on = value * np.expm1(self.error)
        return Rounded(value, passed_on + 2 * ulps * UNIT * (value + passed_on))

    def sum(self, axis=None):
        """The sum along `axis` (kept, of length 1) in any order: n - 1 roundings at most."""
        value = self.value.sum(axis=axis, keepdims=True)
        total = self.magnitude.sum(axis=axis, keepdims=True)
        return Rounded(value, self.error.sum(axis=axis, keepdims=True) + gamma(self.value.size // value.size) * total)

    def where(self, condition, other):
        """This where `condition` holds, else `other`."""
        other = _as_rounded(other)
        return Rounded(np.where(condition, self.value, other.value), np.where(condition, self.error, other.error))


def _as_rounded(value) -> Rounded:
    return value if isinstance(value, Rounded) else Rounded(value)


def _one_rounding(value, error) -> Rounded:
    return Rounded(value, error + UNIT * (np.abs(value) + error))


def assert_close(actual, expected, bound):
    """Asserts |actual - expected| <= bound, element by element; NaN in `actual` fails."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, f"expected shape {expected.shape}. Received: {actual.shape}"
    bound = np.broadcast_to(bound, expected.shape)
    error = np.abs(actual - expected)
    wrong = ~(error <= bound)
    if wrong.any():
        worst = np.unravel_index(np.argmax(np.where(wrong, np.nan_to_num(error - bound, nan=np.inf), -1)), wrong.shape)
        raise AssertionError(
            f"{wrong.sum()} of {wrong.size} elements are out of bounds, worst at {tuple(map(int, worst))}: "
            f"expected {expected[worst]!r} +- {bound[worst]:.3g}. Received: {actual[worst]!r}"
        )
