"""conv2d_backward with the weight gradient of the convolution that made x, whose dy is then stored nowhere."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
import tolerances
from helpers import REFERENCE, conv2d_source_example

from fastconv import _core

Shape = shapes.Conv2DShape
# What made x: square and other filters at each stride and padding, few and many filters, images smaller than the
# filter, of odd sizes, more than there are parts.
SOURCES = [
    *[s for s in shapes.CONV2D if (s.n, s.h, s.w) in ((2, 9, 8), (2, 8, 9))][::2],
    *[s for s in shapes.CONV2D if (s.n, s.h, s.w, s.r) in ((2, 4, 5, 3), (2, 1, 2, 4), (2, 3, 2, 7))][::5],
    Shape(17, 12, 13, 3, 20, 3, 3, (1, 1), "same"),
    Shape(33, 8, 8, 1, 16, 5, 4, (1, 2), "same"),
    Shape(16, 16, 16, 3, 16, 3, 3, (2, 2), "same"),
]
every_source = pytest.mark.parametrize("source", SOURCES, ids=str)
some_sources = pytest.mark.parametrize("source", SOURCES[-3:], ids=str)
NORM = ("mean", "rstd", "gamma", "beta", "slope")
consumers = pytest.mark.parametrize("stride", [1, 2])


def source_example(ops, rng, source, stride, **more):
    """As `conv2d_source_example`, of what the backend takes: few entries of a filter, on a GPU."""
    a = conv2d_source_example(rng, source, stride, **more)
    if not (ops.name.startswith("cpu") or ops.ops.conv2d_backward_fits(a["geometry"], a["x_geometry"])):
        pytest.skip("conv2d_backward_fits: no")
    return a


def without_source(arguments):
    return {k: v for k, v in arguments.items() if k not in ("x_geometry", "x_input", "x_w", "dx")}


@every_source
@consumers
def test_x_dw_is_the_weight_gradient_from_dx(ops, rng, source, stride):
    a = source_example(ops, rng, source, stride)
    actual = ops.run("conv2d_backward", **a)
    g, x, w = a["x_geometry"], a["x_input"], a["x_w"]
    # the same dx, as bits, and what batch normalization's backward pass makes of it
    dx = ops.run("conv2d_backward", **without_source(a)).dx
    scale, centred = a["x_rstd"] * a["x_gamma"], a["x"].astype(np.float64) - a["x_mean"]
    dz = scale * np.where(centred * scale + a["x_beta"] > 0, dx, a["x_slope"] * dx.astype(np.float64))
    slope, offset = actual.x_coefficients.astype(np.float64)
    expected = REFERENCE.run("conv2d_wgrad", geometry=g, x=x, dy=dz + centred * slope + offset, db=None).dw
    # each term is a sum over all pixels of y, with some roundings more; y is found again as the sum of its products
    y = REFERENCE.run("conv2d_fprop", geometry=g, x=np.abs(x), w=np.abs(w), b=None).y
    size = np.abs(dz) + np.abs(slope) * (y + y.mean(axis=(0, 1, 2))) + np.abs(offset)
    bound = REFERENCE.run("conv2d_wgrad", geometry=g, x=np.abs(x), dy=size, db=None).dw
    tolerances.assert_close(actual.x_dw, expected, tolerances.sum_of_products(ops.name, g.n * g.p * g.q + 16, bound))


@some_sources
@consumers
def test_all_else_keeps_its_bits(ops, rng, source, stride):
    a = conv2d_source_example(rng, source, stride)
    actual = ops.run("conv2d_backward", **a)
    plain = ops.run("conv2d_backward", **without_source(a))
    for name in ("dw", "db", "x_dgamma", "x_dbeta", "x_coefficients"):
        assert getattr(actual, name).tobytes() == getattr(plain, name).tobytes(), name


@pytest.mark.cpu_only
@some_sources
def test_behind_winograd(ops, rng, source):
    """Several small images at once, and rows of zeros around dy."""
    a = conv2d_source_example(rng, source, 1, filters=16)
    direct = ops.run("conv2d_backward", **a)
    _core.conv2d_allow_winograd(True)
    winograd = ops.run("conv2d_backward", **a)
    assert winograd.dw.tobytes() != direct.dw.tobytes()
    np.testing.assert_allclose(winograd.x_dw, direct.x_dw, rtol=1e-3, atol=1e-4 * np.abs(direct.x_dw).max())


@pytest.mark.parametrize("gamma", [True, False])
def test_the_reference_makes_the_same(ops, rng, gamma):
    a = conv2d_source_example(rng, SOURCES[-1], 2)
    if not gamma:
        a["x_gamma"] = None
    actual, expected = ops.run("conv2d_backward", **a).x_dw, REFERENCE.run("conv2d_backward", **a).x_dw
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.cpu_only
@some_sources
@consumers
def test_the_same_bits_for_any_number_of_threads(ops, rng, threads, source, stride):
    a = conv2d_source_example(rng, source, stride)
    found = set()
    for count in (1, 2, 3, 7):
        threads(count)
        found.add(ops.run("conv2d_backward", **a).x_dw.tobytes())
    assert len(found) == 1


def test_an_offset_of_the_images_costs_no_more_than_in_separate_steps(ops, rng):
    """sum p (x) dz and offset * sum p grow with it and cancel."""
    a = conv2d_source_example(rng, Shape(64, 16, 16, 3, 16, 3, 3, (1, 1), "same"), 1, offset=3.0)
    actual = ops.run("conv2d_backward", **a)
    y = {"y": a["x"], "y_coefficients": actual.x_coefficients} | {f"y_{name}": a[f"x_{name}"] for name in NORM}
    dx = ops.run("conv2d_backward", **without_source(a)).dx
    separate = {"geometry": a["x_geometry"], "x": a["x_input"], "dy": dx, "w": None, "dx": None, "db": None} | y
    expected, dw = REFERENCE.run("conv2d_backward", **a).x_dw, ops.run("conv2d_backward", **separate).dw
    joined, apart = (np.sqrt(np.mean((x - expected) ** 2)) for x in (actual.x_dw, dw))
    assert joined < 3 * apart


def test_backward_fits_with_a_source_of_more_filters_than_inputs_of_a_row():
    def fits(c, k, size=16):
        source = Shape(32, size, size, c, k, 3, 3, (1, 1), "same").geometry()
        return _core.conv2d_backward_fits(Shape(32, size, size, k, 32, 3, 3, (1, 1), "same").geometry(), source)

    assert fits(3, 32)
    assert not fits(16, 32)  # 48 x 48 products instead of 48 x 32
    assert not fits(3, 32, size=48)  # an image fits the cache, but not with its dx
    assert _core.conv2d_backward_fits(Shape(32, 48, 48, 32, 32, 3, 3, (1, 1), "same").geometry())


@pytest.mark.parametrize("missing", ["x_geometry", "x_input", "x_w", "w", "x_coefficients", "x_mean"])
def test_half_a_source_is_refused(rng, missing):
    with pytest.raises(ValueError, match="expected .*Received.*None"):
        _core.conv2d_backward(**arguments(rng) | {missing: None})


def test_dx_beside_a_source_is_refused(rng):
    a = arguments(rng)
    with pytest.raises(ValueError, match="dx: expected None beside x_dw. Received: an array"):
        _core.conv2d_backward(**a | {"dx": np.zeros_like(a["x"])})


def test_a_source_of_other_outputs_is_refused(rng):
    a = arguments(rng)
    with pytest.raises(ValueError, match="x_geometry: expected .* 16x8x8x16. Received: 16x8x7x16"):
        _core.conv2d_backward(**a | {"x_geometry": a["x_geometry"]._replace(q=7)})


def arguments(rng):
    a = conv2d_source_example(rng, SOURCES[-1], 1)
    outputs = {"dw": a["w"].shape, "x_dw": a["x_w"].shape, "x_coefficients": (2, a["geometry"].c)}
    arrays = {name: np.zeros(shape, np.float32) for name, shape in outputs.items()}
    return a | arrays | {"db": None, "workspace": np.zeros(1 << 20, np.float32)}
