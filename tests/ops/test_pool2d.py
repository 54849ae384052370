"""The pooling ops of every backend against the reference, and the reference against its definition and adjoints."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers import REFERENCE, float32, small_integers
from tolerances import assert_close, gamma

from fastconv import geometry

# x shape, pool size, strides, padding: remainders of channels, windows that overlap, leave gaps, or are whole images
CASES = [
    *(((2, 4, 5, c), 2, 2, "valid") for c in (1, 3, 4, 7, 8, 15, 16, 17, 33)),
    *(((1, 7, 9, 5), size, stride, padding)
      for size, stride, padding in itertools.product((2, 3), (1, 2, 3), ("valid", "same"))),
    ((2, 5, 4, 3), (2, 3), (3, 1), "same"),
    ((1, 3, 2, 9), 5, 2, "same"),
    ((3, 6, 5, 18), (6, 5), None, "valid"),
    ((1, 1, 1, 2), 1, 4, "same"),
    ((1, 3, 200, 20), 3, 2, "same"),
]  # fmt: skip
IDS = [f"{'x'.join(map(str, x))}_{size}_s{stride}_{padding}" for x, size, stride, padding in CASES]
every_case = pytest.mark.parametrize("g", [geometry.pool2d(*case) for case in CASES], ids=IDS)
FEW = [geometry.pool2d(*case) for case in CASES[9:22:2]]


def distinct(rng, shape):
    return rng.permutation(np.prod(shape)).reshape(shape).astype(np.float32) - 40


def windows_by_definition(g, x):
    """Each output's place, and the pixels of its window inside the image as (tap, row, column)."""
    for n, p, q, c in np.ndindex(g.y_shape):
        pixels = [(r * g.s + s, p * g.stride_h + r - g.pad_top, q * g.stride_w + s - g.pad_left)
                  for r in range(g.r) for s in range(g.s)]  # fmt: skip
        inside = [(tap, x[n, h, w, c]) for tap, h, w in pixels if 0 <= h < g.h and 0 <= w < g.w]
        yield (n, p, q, c), inside


# ---- the reference


@pytest.mark.parametrize("g", FEW, ids=str)
def test_the_reference_is_its_definition(rng, g):
    x = small_integers(rng, *g.x_shape).astype(np.float64)
    largest = REFERENCE.run("maxpool2d_forward", geometry=g, x=x)
    mean = REFERENCE.run("avgpool2d_forward", geometry=g, x=x, mean=True).y
    total = REFERENCE.run("avgpool2d_forward", geometry=g, x=x, mean=False).y
    for at, inside in windows_by_definition(g, x):
        values = [value for _, value in inside]
        assert largest.y[at] == max(values)
        assert largest.index[at] == inside[values.index(max(values))][0]
        assert mean[at] == pytest.approx(np.mean(values), rel=1e-14)
        assert total[at] == sum(values)


@pytest.mark.parametrize("g", FEW, ids=str)
def test_gradients_of_the_reference_are_adjoints(rng, g):
    """Both are linear where the largest stay the largest: <pool(x), dy> = <x, backward(dy)>, exactly."""
    x, dy = distinct(rng, g.x_shape), small_integers(rng, *g.y_shape)
    largest = REFERENCE.run("maxpool2d_forward", geometry=g, x=x)
    dx = REFERENCE.run("maxpool2d_backward", geometry=g, dy=dy, index=largest.index).dx
    assert (largest.y * dy).sum() == (dx * x).sum()
    total = REFERENCE.run("avgpool2d_forward", geometry=g, x=x, mean=False).y
    dx = REFERENCE.run("avgpool2d_backward", geometry=g, dy=dy, mean=False).dx
    assert (total * dy).sum() == (dx * x).sum()
    mean = REFERENCE.run("avgpool2d_forward", geometry=g, x=x, mean=True).y
    dx = REFERENCE.run("avgpool2d_backward", geometry=g, dy=dy, mean=True).dx
    assert (mean * dy).sum() == pytest.approx((dx * x).sum(), rel=1e-12)


# ---- every backend


@every_case
def test_max(ops, rng, g):
    x = float32(rng, *g.x_shape)
    expected, actual = (backend.run("maxpool2d_forward", geometry=g, x=x) for backend in (REFERENCE, ops))
    np.testing.assert_array_equal(actual.y, expected.y)
    np.testing.assert_array_equal(actual.index, expected.index)


@every_case
def test_max_backward(ops, rng, g):
    x, dy = small_integers(rng, *g.x_shape), small_integers(rng, *g.y_shape)
    index = REFERENCE.run("maxpool2d_forward", geometry=g, x=x).index
    expected = REFERENCE.run("maxpool2d_backward", geometry=g, dy=dy, index=index).dx
    np.testing.assert_array_equal(ops.run("maxpool2d_backward", geometry=g, dy=dy, index=index).dx, expected)


@pytest.mark.parametrize("mean", [True, False], ids=["mean", "sum"])
@every_case
def test_average(ops, rng, g, mean):
    x = float32(rng, *g.x_shape)
    expected = REFERENCE.run("avgpool2d_forward", geometry=g, x=x, mean=mean).y
    magnitude = REFERENCE.run("avgpool2d_forward", geometry=g, x=np.abs(x), mean=mean).y
    actual = ops.run("avgpool2d_forward", geometry=g, x=x, mean=mean).y
    assert_close(actual, expected, gamma(g.r + g.s) * magnitude)


@pytest.mark.parametrize("mean", [True, False], ids=["mean", "sum"])
@every_case
def test_average_backward(ops, rng, g, mean):
    dy = float32(rng, *g.y_shape)
    expected = REFERENCE.run("avgpool2d_backward", geometry=g, dy=dy, mean=mean).dx
    magnitude = REFERENCE.run("avgpool2d_backward", geometry=g, dy=np.abs(dy), mean=mean).dx
    actual = ops.run("avgpool2d_backward", geometry=g, dy=dy, mean=mean).dx
    assert_close(actual, expected, gamma(g.r * g.s + 2) * magnitude)


def test_sums_of_whole_numbers_are_exact(ops, rng):
    g = geometry.pool2d((2, 7, 6, 19), 3, 2, "same")
    x, dy = small_integers(rng, *g.x_shape), small_integers(rng, *g.y_shape)
    for op, given in (("avgpool2d_forward", {"x": x}), ("avgpool2d_backward", {"dy": dy})):
        expected, actual = (backend.run(op, geometry=g, **given, mean=False) for backend in (REFERENCE, ops))
        for name, array in vars(expected).items():
            np.testing.assert_array_equal(getattr(actual, name), array)


@pytest.mark.parametrize("channels", [1, 16, 19])
def test_the_mean_of_ones_at_the_border_is_one(ops, channels):
    g = geometry.pool2d((1, 5, 5, channels), 3, 2, "same")
    y = ops.run("avgpool2d_forward", geometry=g, x=np.ones(g.x_shape, np.float32), mean=True).y
    np.testing.assert_array_equal(y, 1)


@pytest.mark.parametrize("channels", [1, 16, 19])
def test_negative_numbers_at_the_border_stay(ops, channels):
    g = geometry.pool2d((1, 5, 5, channels), 3, 2, "same")
    y = ops.run("maxpool2d_forward", geometry=g, x=np.full(g.x_shape, -3, np.float32)).y
    np.testing.assert_array_equal(y, -3)


NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    "window, largest, tap",
    [
        ([2, 2, 1, 2], 2, 0),
        ([1, 2, 2, 0], 2, 1),
        ([-0.0, 0.0, -1, -1], 0, 0),
        ([-INF, -INF, -INF, -INF], -INF, 0),
        ([1, INF, INF, 0], INF, 1),
        ([NAN, 1, INF, 2], NAN, 0),
        ([1, 2, NAN, INF], NAN, 2),
        ([5, NAN, NAN, 7], NAN, 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 16, 19])
def test_the_first_of_equals_and_nan_above_all(ops, window, largest, tap, channels):
    x = np.repeat(np.float32(window), channels).reshape(1, 2, 2, channels)
    g = geometry.pool2d(x.shape, 2)
    actual = ops.run("maxpool2d_forward", geometry=g, x=x)
    np.testing.assert_array_equal(actual.y, np.full(g.y_shape, largest))
    np.testing.assert_array_equal(actual.index, np.full(g.y_shape, tap))


def test_nan_and_infinity_of_a_gradient_reach_their_pixels_alone(ops):
    g = geometry.pool2d((1, 2, 4, 17), 2)
    dy, index = np.ones(g.y_shape, np.float32), np.full(g.y_shape, 3, np.float32)
    dy[0, 0, 0], dy[0, 0, 1] = NAN, INF
    dx = ops.run("maxpool2d_backward", geometry=g, dy=dy, index=index).dx
    np.testing.assert_array_equal(dx[0, 1, 1::2, 0], [NAN, INF])
    np.testing.assert_array_equal(dx[0, 0], 0)
    np.testing.assert_array_equal(dx[0, 1, ::2], 0)


def test_max_without_its_index(ops, rng):
    g = geometry.pool2d((2, 5, 6, 19), 3, 2, "same")
    x = float32(rng, *g.x_shape)
    y = ops.run("maxpool2d_forward", geometry=g, x=x, index=None).y
    np.testing.assert_array_equal(y, REFERENCE.run("maxpool2d_forward", geometry=g, x=x).y)


@pytest.mark.parametrize(
    "change, message",
    [({"k": 4}, "as many filters as channels.*Received: 4"), ({"p": 9}, "windows that begin inside the image"),
     ({"r": 5000, "s": 5000}, "at most 2.24 pixels")],
    ids=str,
)  # fmt: skip
def test_an_impossible_geometry_is_refused(ops, change, message):
    g = geometry.pool2d((1, 6, 6, 3), 2)._replace(**change)
    arrays = ops.arrays(x=np.zeros(g.x_shape, np.float32), y=np.zeros(g.y_shape, np.float32))
    with pytest.raises(ValueError, match=message):
        ops.ops.avgpool2d_forward(geometry=g, **arrays, mean=True)


def test_arrays_of_another_size_are_refused(ops):
    g = geometry.pool2d((1, 4, 4, 3), 2)
    arrays = ops.arrays(x=np.zeros(g.x_shape, np.float32), y=np.zeros(g.x_shape, np.float32))
    with pytest.raises(ValueError, match="y: expected 12 elements"):
        ops.ops.avgpool2d_forward(geometry=g, **arrays, mean=True)
