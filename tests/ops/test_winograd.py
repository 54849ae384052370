"""3x3 convolutions through Winograd's F(4x4, 3x3): correct to a bound of their own, on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
import tolerances
from helpers import REFERENCE, conv2d_norm, example, float32

from fastconv import _core, config

pytestmark = pytest.mark.cpu_only  # other backends compute every convolution directly

# Odd sizes, partial tiles and vectors, bands of large images, both paddings, one image and many.
SIZES = [
    *((n, h, w, 32, 48) for n, h, w in ((1, 4, 4), (2, 5, 7), (3, 16, 16), (17, 6, 9), (1, 33, 18))),
    *((2, 10, 10, c, k) for c, k in ((16, 16), (17, 33), (64, 32), (40, 100), (128, 128))),
    (1, 150, 20, 16, 16),
]
SHAPES = [shapes.Conv2DShape(*size, 3, 3, (1, 1), padding) for size in SIZES for padding in ("same", "valid")]
SHAPES = [shape for shape in SHAPES if shape.h > 5 or shape.padding == "same"]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)

# The transforms' sums are short, but their terms are larger than the products they stand for: times the sum of absolute
# products, the error measured 3e-7 to 1e-6 where a direct sum measures 1.5e-7 to 5e-7. Bounded by 8 times the latter's
# guarantee at 32 terms, whatever the number of channels: rounding errors of further channels cancel.
BOUND = 8 * tolerances.gamma(33)


@pytest.fixture
def winograd(ops):
    """`ops`, with Winograd allowed: the fixture `ops` forbids it, and allows it again at the end of the test."""
    _core.conv2d_allow_winograd(True)
    return ops


def absolute(arguments):
    return {name: np.abs(a) if isinstance(a, np.ndarray) else a for name, a in arguments.items()}


def assert_close(runner, op, output, arguments):
    actual = getattr(runner.run(op, **arguments), output)
    scale = getattr(REFERENCE.run(op, **absolute(arguments)), output)
    tolerances.assert_close(actual, getattr(REFERENCE.run(op, **arguments), output), BOUND * scale)


def differs_from_direct(runner, op, output, arguments):
    """Whether the result has other bits than the direct one: that Winograd was used at all."""
    actual = getattr(runner.run(op, **arguments), output)
    _core.conv2d_allow_winograd(False)
    direct = getattr(runner.run(op, **arguments), output)
    _core.conv2d_allow_winograd(True)
    return actual.tobytes() != direct.tobytes()


@every_shape
def test_fprop_matches_reference(winograd, rng, shape):
    arguments = example("conv2d_fprop", rng, shape)
    assert_close(winograd, "conv2d_fprop", "y", arguments)
    assert differs_from_direct(winograd, "conv2d_fprop", "y", arguments)


@every_shape
def test_dgrad_matches_reference(winograd, rng, shape):
    arguments = example("conv2d_dgrad", rng, shape)
    assert_close(winograd, "conv2d_dgrad", "dx", arguments)
    assert differs_from_direct(winograd, "conv2d_dgrad", "dx", arguments)


@every_shape
def test_wgrad_matches_reference(winograd, rng, shape):
    arguments = example("conv2d_wgrad", rng, shape)
    assert_close(winograd, "conv2d_wgrad", "dw", arguments)
    assert_close(winograd, "conv2d_wgrad", "db", arguments)
    assert differs_from_direct(winograd, "conv2d_wgrad", "dw", arguments)


@every_shape
def test_backward_matches_reference(winograd, rng, shape):
    g = shape.geometry()
    arguments = {"geometry": g, "x": float32(rng, *g.x_shape), "dy": float32(rng, *g.y_shape)}
    arguments["w"] = float32(rng, *g.w_shape)
    for output in ("dx", "dw", "db"):
        assert_close(winograd, "conv2d_backward", output, arguments)


@every_shape
def test_backward_between_two_normalizations_is_near_the_direct_one(winograd, rng, shape):
    arguments = example("conv2d_backward", rng, shape)
    actual = winograd.run("conv2d_backward", **arguments)
    expected = REFERENCE.run("conv2d_backward", **arguments)
    for output in ("dx", "dw", "db", "x_dgamma", "x_dbeta", "x_coefficients"):
        value = getattr(expected, output)
        np.testing.assert_allclose(getattr(actual, output), value, rtol=1e-3, atol=1e-4 * np.abs(value).max())


@every_shape
def test_a_normalized_input_has_the_bits_of_two_steps(winograd, rng, shape):
    arguments = example("conv2d_fprop", rng, shape)
    norm = conv2d_norm(rng, "x", arguments["geometry"].c)
    apply = {name.removeprefix("x_"): value for name, value in norm.items()}
    x = winograd.run("batchnorm_apply", x=arguments["x"], **apply).y
    expected = winograd.run("conv2d_fprop", **arguments | {"x": x}).y
    np.testing.assert_array_equal(winograd.run("conv2d_fprop", **arguments, **norm).y, expected)


@pytest.mark.parametrize("op", ["conv2d_fprop", "conv2d_dgrad", "conv2d_wgrad", "conv2d_backward"])
@pytest.mark.parametrize("shape", SHAPES[4:8], ids=str)
def test_the_same_bits_for_any_number_of_threads(winograd, rng, threads, op, shape):
    arguments, results = example(op, rng, shape), []
    for count in (1, 2, 3, 7):
        threads(count)
        result = vars(winograd.run(op, **arguments))
        results.append({name: a.tobytes() for name, a in result.items() if isinstance(a, np.ndarray)})
    assert all(result == results[0] for result in results)


def test_an_images_result_does_not_depend_on_the_others(winograd, rng):
    arguments = example("conv2d_fprop", rng, shapes.Conv2DShape(7, 10, 10, 32, 32, 3, 3, (1, 1), "same"))
    together = winograd.run("conv2d_fprop", **arguments).y
    for i in range(7):
        g = arguments["geometry"]._replace(n=1)
        alone = winograd.run("conv2d_fprop", **arguments | {"geometry": g, "x": arguments["x"][i : i + 1]}).y
        np.testing.assert_array_equal(alone[0], together[i])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_nan_or_inf_stays_in_the_tiles_that_meet_it(winograd, rng, value):
    arguments = example("conv2d_fprop", rng, shapes.Conv2DShape(2, 16, 16, 32, 32, 3, 3, (1, 1), "same"))
    arguments["x"][1, 6, 8, 5] = value
    bad = ~np.isfinite(winograd.run("conv2d_fprop", **arguments).y)
    assert not bad[0].any()
    assert bad[1, 5:8, 7:10].all()  # what a direct sum spoils
    # outputs 4i .. 4i+3 read rows 4i-1 .. 4i+4: row 6 is one tile's, column 8 is two tiles'
    assert not np.delete(bad[1], slice(4, 8), axis=0).any()
    assert not np.delete(bad[1], slice(4, 12), axis=1).any()


@pytest.mark.parametrize("op, output", [("conv2d_fprop", "y"), ("conv2d_dgrad", "dx"), ("conv2d_wgrad", "dw")])
def test_padding_on_all_sides_makes_outputs_that_fill_more_tiles_than_the_image(winograd, rng, op, output):
    shape = shapes.Conv2DShape(2, 11, 11, 32, 32, 3, 3, (1, 1), "same")
    g = shape.geometry()._replace(p=13, q=13, pad_top=2, pad_left=2)
    sizes = {"x": g.x_shape, "w": g.w_shape, "b": (g.k,), "dy": g.y_shape}
    arguments = {name: float32(rng, *sizes[name]) for name in example(op, rng, shape) if name != "geometry"}
    assert_close(winograd, op, output, arguments | {"geometry": g})
    assert differs_from_direct(winograd, op, output, arguments | {"geometry": g})


def test_other_convolutions_stay_direct(winograd, rng):
    cases = [(3, (2, 1), 32), (3, (1, 2), 32), (5, (1, 1), 32), (1, (1, 1), 32), (3, (1, 1), 3), (3, (1, 1), 4096)]
    for kernel, strides, channels in cases:
        shape = shapes.Conv2DShape(2, 12, 12, channels, 32, kernel, kernel, strides, "same")
        assert not differs_from_direct(winograd, "conv2d_fprop", "y", example("conv2d_fprop", rng, shape))


def test_the_algorithm_can_be_chosen():
    assert config.conv_algorithm() == "auto"
    config.set_conv_algorithm("direct")
    try:
        assert config.conv_algorithm() == "direct" and not _core.conv2d_allows_winograd()
    finally:
        config.set_conv_algorithm("auto")


def test_an_unknown_algorithm_is_refused():
    with pytest.raises(ValueError, match='expected "auto" or "direct". Received: \'fft\''):
        config.set_conv_algorithm("fft")
