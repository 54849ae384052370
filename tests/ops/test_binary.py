"""binary_forward and binary_backward of every backend: one rounding, so float32 must agree with NumPy to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import float32

from fastconv.ops.numpy_elementwise import BINARY

ALIKE = [(1, 1, 1, count) for count in (*range(1, 35), 100, 16_384, 16_385)]
AGAIN = [  # b is used again
    (1, 1, 7, 3), (1, 1, 5, 16), (1, 1, 600, 33), (1, 3, 5, 4), (2, 3, 5, 17), (2, 3, 7, 1), (5, 1, 40, 1),
    (3, 4, 1, 1), (3, 1, 1, 5), (2, 40, 1, 500),
]  # fmt: skip


def operands(rng, extents, function=""):
    """a, b and dy; some elements of a and b are equal."""
    p, q, r, s = extents
    a, b, dy = float32(rng, *extents), float32(rng, q, s), float32(rng, *extents)
    b = np.abs(b) if function == "scale_by_root" else b
    a[..., ::3] = np.broadcast_to(b.reshape(1, q, 1, s), extents)[..., ::3]
    return a, b, dy


@pytest.mark.parametrize("function", BINARY)
@pytest.mark.parametrize("extents", AGAIN, ids=str)
def test_forward(ops, rng, function, extents):
    a, b, _ = operands(rng, extents, function)
    y = ops.run("binary_forward", a=a, b=b, function=function, extents=extents).y
    np.testing.assert_array_equal(y, BINARY[function][0](a, b[None, :, None]))


@pytest.mark.parametrize("function", BINARY)
@pytest.mark.parametrize("extents", AGAIN, ids=str)
def test_backward(ops, rng, function, extents):
    a, b, dy = operands(rng, extents, function)
    actual = ops.run("binary_backward", dy=dy, a=a, b=b, function=function, extents=extents)
    _, by_a, by_b = BINARY[function]
    np.testing.assert_array_equal(actual.da, dy * np.float32(by_a(a, b[None, :, None])))
    np.testing.assert_array_equal(actual.db, dy * np.float32(by_b(a, b[None, :, None])))


@pytest.mark.parametrize("extents", ALIKE, ids=lambda e: str(e[3]))
def test_arrays_of_one_shape(ops, rng, extents):
    a, b, dy = operands(rng, extents)
    given = {"a": a, "b": b, "function": "multiply", "extents": extents}
    np.testing.assert_array_equal(ops.run("binary_forward", **given).y, a * b)
    actual = ops.run("binary_backward", dy=dy, **given)
    np.testing.assert_array_equal(actual.da, dy * b)
    np.testing.assert_array_equal(actual.db, dy * a)


@pytest.mark.parametrize("left_out", ["da", "db"])
def test_either_gradient_may_be_left_out(ops, rng, left_out):
    a, b, dy = operands(rng, (1, 1, 4, 9))
    given = {"dy": dy, "a": a, "b": b, "function": "multiply", "extents": (1, 1, 4, 9)}
    other = {"da": "db", "db": "da"}[left_out]
    actual = ops.run("binary_backward", **given, **{left_out: None})
    np.testing.assert_array_equal(getattr(actual, other), getattr(ops.run("binary_backward", **given), other))


@pytest.mark.parametrize("function", ["maximum", "minimum"])
def test_the_better_of_infinities_and_nan(ops, function):
    a, b = (np.array(values, np.float32) for values in zip(
        (np.nan, 1), (1, np.nan), (np.inf, np.inf), (-np.inf, -np.inf), (np.inf, -np.inf), (-np.inf, 2), (3e38, 3e38),
        strict=True))  # fmt: skip
    extents = (1, 1, 1, len(a))
    y = ops.run("binary_forward", a=a, b=b, function=function, extents=extents).y
    np.testing.assert_array_equal(y, BINARY[function][0](a, b))


def test_in_place(ops, rng):
    extents = (2, 3, 5, 17)
    a, b, dy = operands(rng, extents)
    given = {"a": a, "b": b, "function": "multiply", "extents": extents}
    expected = ops.run("binary_backward", dy=dy, **given)
    np.testing.assert_array_equal(ops.run("binary_forward", **given, shared={"y": "a"}).y, a * b[None, :, None])
    actual = ops.run("binary_backward", dy=dy, **given, shared={"da": "dy", "db": "a"})
    np.testing.assert_array_equal(actual.da, expected.da)
    np.testing.assert_array_equal(actual.db, expected.db)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"function": "mutliply"}, "function: expected the name.*function=mutliply"),
        ({"extents": (1, 1, 0, 5)}, "expected (four positive numbers|0 elements). Received: "),
        ({"extents": (1, 1, 1, 6)}, r"a: expected 6 elements.*Received: shape \(5,\)"),
        ({"extents": (1, 1, 5, 1)}, r"b: expected 1 elements.*Received: shape \(5,\)"),
    ],
)
def test_what_does_not_fit_is_refused(ops, change, message):
    arrays = ops.arrays(**{name: np.zeros(5, np.float32) for name in ("a", "b", "y")})
    with pytest.raises(ValueError, match=message):
        ops.ops.binary_forward(**arrays, **{"function": "multiply", "extents": (1, 1, 1, 5), **change})
