"""Convolutions with batch normalization on either side are the separate ops, one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
import tolerances
from helpers import REFERENCE, conv2d_norm, example, float32, small_integers

from fastconv import _core

SHAPES = [shape for shape in shapes.CONV2D if shape.n > 1]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
# A pointwise weight gradient sums pixels in another order where it need not copy its rows.
not_pointwise = pytest.mark.parametrize("shape", [s for s in SHAPES if (s.r, s.s) != (1, 1)], ids=str)
some_shapes = pytest.mark.parametrize("shape", SHAPES[::5], ids=str)
NORM = ("mean", "rstd", "gamma", "beta", "slope")


def applied(ops, x, norm, prefix):
    return ops.run("batchnorm_apply", x=x, **{name: norm[f"{prefix}_{name}"] for name in NORM}).y


def gradient_of_y(ops, a):
    """dy as the convolution makes it of its arguments: scale * dz + (y - mean) * s + o, rounded as one chain."""
    scale = (a["y_rstd"] * a["y_gamma"]).astype(np.float64)
    centred = (a["y"] - a["y_mean"]).astype(np.float64)
    z = applied(ops, a["y"], a | {"y_slope": 1.0}, "y")
    dz = np.where(z > 0, a["dy"], np.float32(a["y_slope"]) * a["dy"]).astype(np.float64)
    return scale * dz + centred * a["y_coefficients"][0] + a["y_coefficients"][1]


@every_shape
@pytest.mark.parametrize("slope", [1.0, 0.0, 0.3])
def test_fprop_of_a_normalized_input_has_the_bits_of_two_steps(ops, rng, shape, slope):
    a = example("conv2d_fprop", rng, shape)
    norm = conv2d_norm(rng, "x", a["geometry"].c, slope)
    expected = ops.run("conv2d_fprop", **a | {"x": applied(ops, a["x"], norm, "x")}).y
    np.testing.assert_array_equal(ops.run("conv2d_fprop", **a, **norm).y, expected)


@not_pointwise
def test_wgrad_of_a_normalized_input_has_the_bits_of_two_steps(ops, rng, shape):
    a = example("conv2d_wgrad", rng, shape)
    norm = conv2d_norm(rng, "x", a["geometry"].c)
    expected = ops.run("conv2d_wgrad", **a | {"x": applied(ops, a["x"], norm, "x")})
    actual = ops.run("conv2d_wgrad", **a, **norm)
    np.testing.assert_array_equal(actual.dw, expected.dw)
    np.testing.assert_array_equal(actual.db, expected.db)


@every_shape
def test_fprop_takes_the_statistics_of_its_output(ops, rng, shape):
    a = example("conv2d_fprop", rng, shape)
    moving = {name: np.abs(float32(rng, a["geometry"].k)) for name in ("moving_mean", "moving_variance")}
    moving |= {"momentum": 0.9, "epsilon": 1e-3}
    actual = ops.run("conv2d_fprop", **a, **moving)
    np.testing.assert_array_equal(actual.y, ops.run("conv2d_fprop", **a).y)
    expected = REFERENCE.run("batchnorm_forward", x=actual.y, gamma=None, beta=None, slope=1.0, **moving)
    # sums in blocks, merged in double: a handful of roundings of the mean and of its square's scale
    scale = np.abs(actual.y).mean(axis=(0, 1, 2))
    tolerances.assert_close(actual.mean, expected.mean, 8 * tolerances.UNIT * scale)
    tolerances.assert_close(actual.rstd, expected.rstd, 64 * tolerances.UNIT * expected.rstd)
    tolerances.assert_close(actual.moving_mean, expected.moving_mean, 8 * tolerances.UNIT * (scale + 1))
    bound = 64 * tolerances.UNIT * expected.moving_variance
    tolerances.assert_close(actual.moving_variance, expected.moving_variance, bound)


@every_shape
def test_backward_alone_is_exact_on_integers(ops, rng, shape):
    g = shape.geometry()
    x, dy, w = small_integers(rng, *g.x_shape), small_integers(rng, *g.y_shape), small_integers(rng, *g.w_shape)
    actual = ops.run("conv2d_backward", geometry=g, x=x, dy=dy, w=w)
    expected = REFERENCE.run("conv2d_backward", geometry=g, x=x, dy=dy, w=w)
    for name in ("dx", "dw", "db"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), err_msg=name)


@every_shape
def test_backward_between_two_normalizations_is_the_separate_steps(ops, rng, shape):
    a = example("conv2d_backward", rng, shape)
    g, actual = a["geometry"], ops.run("conv2d_backward", **a)
    dy = gradient_of_y(ops, a)
    size = np.abs(dy) + np.abs((a["y"] - a["y_mean"]) * a["y_coefficients"][0]) + np.abs(a["y_coefficients"][1])
    x = applied(ops, a["x"], a, "x")
    dx = REFERENCE.run("conv2d_dgrad", geometry=g, dy=dy, w=a["w"]).dx
    wgrad = REFERENCE.run("conv2d_wgrad", geometry=g, x=x, dy=dy)
    # dy carries up to 6 roundings of its terms, whose magnitudes are at most 3 * size
    bound = REFERENCE.run("conv2d_dgrad", geometry=g, dy=3 * size, w=np.abs(a["w"])).dx
    tolerances.assert_close(actual.dx, dx, tolerances.sum_of_products(ops.name, g.r * g.s * g.k + 6, bound))
    bound, pixels = REFERENCE.run("conv2d_wgrad", geometry=g, x=np.abs(x), dy=3 * size), g.n * g.p * g.q
    tolerances.assert_close(actual.dw, wgrad.dw, tolerances.sum_of_products(ops.name, pixels + 6, bound.dw))
    tolerances.assert_close(actual.db, wgrad.db, tolerances.gamma(pixels + 7) * bound.db)


@every_shape
def test_backward_takes_the_sums_of_the_normalization_before_it(ops, rng, shape):
    a = example("conv2d_backward", rng, shape)
    actual = ops.run("conv2d_backward", **a)
    norm = {name: a[f"x_{name}"] for name in NORM}
    run = lambda runner: runner.run("batchnorm_backward", dy=actual.dx, x=a["x"], dx=None, **norm)  # noqa: E731
    expected, same = run(REFERENCE), run(ops)
    for name in ("dgamma", "dbeta", "coefficients"):
        value, other = getattr(expected, name), getattr(same, name)
        # as far from the reference as batchnorm_backward itself, whose test derives the bound, or a few roundings
        slack = 4 * np.abs(other - value) + 64 * tolerances.UNIT * np.abs(value).max()
        tolerances.assert_close(getattr(actual, f"x_{name}"), value, slack)


@some_shapes
def test_backward_without_dx_gives_the_same_dw(ops, rng, shape):
    a = {k: v for k, v in example("conv2d_backward", rng, shape).items() if not k.startswith("x_")}
    expected = ops.run("conv2d_backward", **a)
    actual = ops.run("conv2d_backward", **a | {"dx": None, "w": None})
    bound = 0
    if not ops.name.startswith("cpu"):  # one kernel for both gradients adds pixels in another order
        g, dy = a["geometry"], np.abs(gradient_of_y(ops, a))
        bound = REFERENCE.run("conv2d_wgrad", geometry=g, x=np.abs(a["x"]), dy=dy).dw
        bound = 2 * tolerances.sum_of_products(ops.name, g.n * g.p * g.q, bound)
    tolerances.assert_close(actual.dw, expected.dw, bound)


@some_shapes
def test_the_reference_makes_the_same_of_all_arguments(ops, rng, shape):
    a = example("conv2d_backward", rng, shape)
    actual, expected = ops.run("conv2d_backward", **a), REFERENCE.run("conv2d_backward", **a)
    for name in ("dx", "dw", "db", "x_dgamma", "x_dbeta", "x_coefficients"):
        value = getattr(expected, name)
        np.testing.assert_allclose(getattr(actual, name), value, rtol=1e-3, atol=1e-4 * np.abs(value).max())


def test_backward_fits_where_images_are_many_and_small():
    def geometry(n, size, channels):
        return shapes.Conv2DShape(n, size, size, channels, channels, 3, 3, (1, 1), "same").geometry()

    assert _core.conv2d_backward_fits(geometry(32, 16, 64))
    assert not _core.conv2d_backward_fits(geometry(4, 16, 64))  # too few images to share out
    assert not _core.conv2d_backward_fits(geometry(32, 128, 64))  # an image is too large for the cache


@pytest.mark.parametrize("missing", ["y", "y_coefficients", "w", "x_mean"])
def test_half_an_argument_is_refused(rng, missing):
    a = example("conv2d_backward", rng, SHAPES[0])
    g = a["geometry"]
    outputs = {"dx": np.zeros(g.x_shape, np.float32), "dw": np.zeros(g.w_shape, np.float32), "db": None}
    sums = {"x_coefficients": np.zeros((2, g.c), np.float32)}
    a |= outputs | sums | {"workspace": np.zeros(1 << 20, np.float32)}
    with pytest.raises(ValueError, match="expected .*Received.*None"):
        _core.conv2d_backward(**a | {missing: None})
