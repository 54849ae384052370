"""batchnorm_forward, batchnorm_inference, batchnorm_backward of every backend, alone and fused with LeakyReLU and ReLU.

The steps are tested one by one, each against float64 on the float32 values that it was given: the statistics against x,
y against the statistics that the op itself returned, the gradients against the mean and rstd that they were given.
"""

from __future__ import annotations

import numpy as np
import pytest
import shapes
import tolerances
from helpers import float32
from tolerances import Rounded

every_shape = pytest.mark.parametrize("shape", shapes.BATCHNORM, ids=lambda s: "x".join(map(str, s)))
every_slope = pytest.mark.parametrize("slope", [1.0, 0.3, 0.0])
EPSILON, MOMENTUM = 1e-3, 0.99
STATE = ("x", "gamma", "beta", "moving_mean", "moving_variance")


def data(rng, shape):
    channels = shape[-1]
    return {
        "x": float32(rng, *shape, scale=2, offset=1),
        "dy": float32(rng, *shape),
        "gamma": float32(rng, channels, offset=0.5),
        "beta": float32(rng, channels),
        "moving_mean": float32(rng, channels),
        "moving_variance": np.abs(float32(rng, channels)) + np.float32(0.1),
    }


def forward(ops, d, slope=1.0, momentum=MOMENTUM, epsilon=EPSILON, **changes):
    arguments = {name: d[name] for name in STATE} | {"momentum": momentum, "epsilon": epsilon, "slope": slope}
    return ops.run("batchnorm_forward", **arguments | changes)


def inference(ops, d, slope=1.0, epsilon=EPSILON, **changes):
    arguments = {name: d[name] for name in STATE} | {"epsilon": epsilon, "slope": slope}
    return ops.run("batchnorm_inference", **arguments | changes)


def backward(ops, d, mean, rstd, slope=1.0, **changes):
    arguments = {name: d[name] for name in ("dy", "x", "gamma", "beta")} | {"mean": mean, "rstd": rstd, "slope": slope}
    return ops.run("batchnorm_backward", **arguments | changes)


def statistics(x):
    """Mean and biased variance of float32 values in float64, and bounds for float32.

    The variance is bounded for the corrected two-pass algorithm with any pivot as far off as a float32 mean may be:
    d = x - pivot, A = sum (|x - mean| + |pivot - mean|)^2. sum d^2 is off by gamma(n + 2) A, and (sum d)^2 / n by
    2 gamma(n + 2) A; the two roundings after them make n + 4 (Chan, Golub, LeVeque 1983, "Algorithms for computing the
    sample variance").
    """
    axes, n = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    x = x.astype(np.float64)
    mean, variance = x.mean(axes), x.var(axes)
    mean_bound = tolerances.gamma(n + 1) * np.abs(x).mean(axes)
    variance_bound = 3 * tolerances.gamma(n + 4) * ((np.abs(x - mean) + mean_bound) ** 2).mean(axes)
    return Rounded(mean, mean_bound), Rounded(variance, variance_bound)


def transformed(d, mean, rstd):
    """z = (x - mean) * (rstd * gamma) + beta, with its bound."""
    scale = Rounded(rstd) if d["gamma"] is None else Rounded(rstd) * d["gamma"]
    z = (Rounded(d["x"]) - mean) * scale
    return z if d["beta"] is None else z + d["beta"]


def activated(z, slope):
    """y = z > 0 ? z : slope * z. Of either sign within the bound of z, where that is larger than the kink at 0."""
    y = z.where(z.value > 0, z * Rounded(slope))
    return Rounded(y.value, np.maximum(y.error, z.error))


# ---- forward


@every_shape
def test_mean(ops, rng, shape):
    d = data(rng, shape)
    mean, _ = statistics(d["x"])
    tolerances.assert_close(forward(ops, d).mean, mean.value, mean.error)


@every_shape
def test_rstd(ops, rng, shape):
    d = data(rng, shape)
    _, variance = statistics(d["x"])
    rstd = Rounded(1.0, 0.0) / (variance + Rounded(EPSILON)).sqrt()
    tolerances.assert_close(forward(ops, d).rstd, rstd.value, rstd.error)


@every_shape
def test_moving_statistics_keep_momentum_and_take_the_biased_variance(ops, rng, shape):
    d = data(rng, shape)
    actual = forward(ops, d, momentum=0.9)
    for name, batch in zip(("moving_mean", "moving_variance"), statistics(d["x"]), strict=True):
        moved = Rounded(d[name]) * Rounded(0.9) + batch * Rounded(1 - 0.9)
        tolerances.assert_close(getattr(actual, name), moved.value, moved.error)


def test_moving_statistics_after_one_batch_are_those_of_keras(ops):
    x = np.array([[1, -2], [4, 0.5], [7, 3]], np.float32)
    d = {"x": x, "gamma": None, "beta": None, "moving_mean": np.zeros(2, "f4"), "moving_variance": np.ones(2, "f4")}
    actual = forward(ops, d)
    # keras.layers.BatchNormalization() of Keras 3.15.1 in float64
    np.testing.assert_allclose(actual.moving_mean, [0.04, 0.005], rtol=2e-7)
    np.testing.assert_allclose(actual.moving_variance, [1.05, 1.0316666666666667], rtol=2e-7)
    expected = [[-1.2246428220749606, -1.2245979284562214], [0, 0], [1.2246428220749606, 1.2245979284562214]]
    np.testing.assert_allclose(actual.y, expected, rtol=3e-7)


@every_slope
@every_shape
def test_forward_normalises_with_its_own_statistics(ops, rng, shape, slope):
    d = data(rng, shape)
    actual = forward(ops, d, slope)
    y = activated(transformed(d, actual.mean, actual.rstd), slope)
    tolerances.assert_close(actual.y, y.value, y.error)


@pytest.mark.parametrize("absent", [("gamma",), ("beta",), ("gamma", "beta")], ids="+".join)
def test_forward_without_gamma_or_beta(ops, rng, absent):
    d = data(rng, (7, 19)) | dict.fromkeys(absent)
    actual = forward(ops, d, 0.3)
    y = activated(transformed(d, actual.mean, actual.rstd), 0.3)
    tolerances.assert_close(actual.y, y.value, y.error)


def test_forward_agrees_with_the_reference(ops, reference, rng):
    d = data(rng, (64, 37))
    actual, expected = forward(ops, d, 0.3), forward(reference, d, 0.3)
    for name, array in vars(expected).items():
        np.testing.assert_allclose(getattr(actual, name), array, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("shape", [(4096, 3), (4, 32, 32, 17), (50, 64), (10_000, 1)], ids=str)
@pytest.mark.parametrize("offset", [1e4, -1e4])
def test_statistics_do_not_cancel(ops, rng, shape, offset):
    d = data(rng, shape) | {"x": float32(rng, *shape, offset=offset)}
    axes, x = tuple(range(len(shape) - 1)), d["x"].astype(np.float64)
    actual = forward(ops, d, momentum=0.0, epsilon=0.0)
    np.testing.assert_allclose(actual.mean, x.mean(axes), rtol=2.0**-23)
    np.testing.assert_allclose(actual.moving_variance, x.var(axes), rtol=1e-5)
    np.testing.assert_allclose(actual.rstd, 1 / x.std(axes), rtol=1e-5)


@pytest.mark.parametrize("value", [0.1, 1e4, -3.7e-3])
@pytest.mark.parametrize("rows", [1, 2, 7, 1000])
def test_constant_channels_have_no_variance(ops, rng, value, rows):
    d = data(rng, (rows, 5)) | {"x": np.full((rows, 5), value, np.float32)}
    variance = forward(ops, d, momentum=0.0).moving_variance
    assert (variance >= 0).all()
    assert (variance <= (2 * tolerances.UNIT * value) ** 2).all()


def test_one_row_gives_beta(ops, rng):
    d = data(rng, (1, 37))
    np.testing.assert_array_equal(forward(ops, d).y[0], d["beta"])


@every_slope
def test_forward_in_place(ops, rng, slope):
    d = data(rng, (300, 19))
    apart, same = forward(ops, d, slope), forward(ops, d, slope, shared={"y": "x"})
    np.testing.assert_array_equal(same.y, apart.y)


@every_slope
def test_nan_spoils_its_channel_only(ops, rng, slope):
    d = data(rng, (70, 19))
    d["x"][5, 7] = np.nan
    actual = forward(ops, d, slope)
    channel = np.arange(19) == 7
    np.testing.assert_array_equal(np.isnan(actual.mean), channel)
    np.testing.assert_array_equal(np.isnan(actual.rstd), channel)
    np.testing.assert_array_equal(np.isnan(actual.y), np.broadcast_to(channel, (70, 19)))


# ---- inference


@every_slope
@every_shape
def test_inference(ops, rng, shape, slope):
    d = data(rng, shape)
    rstd = Rounded(1.0, 0.0) / (Rounded(d["moving_variance"]) + Rounded(EPSILON)).sqrt()
    z = (Rounded(d["x"]) - d["moving_mean"]) * (rstd * d["gamma"]) + d["beta"]
    y = activated(z, slope)
    tolerances.assert_close(inference(ops, d, slope).y, y.value, y.error)


@pytest.mark.parametrize("absent", [("gamma",), ("beta",), ("gamma", "beta")], ids="+".join)
def test_inference_without_gamma_or_beta(ops, reference, rng, absent):
    d = data(rng, (7, 19)) | dict.fromkeys(absent)
    expected = inference(reference, d, 0.3).y
    np.testing.assert_allclose(inference(ops, d, 0.3).y, expected, rtol=1e-5, atol=1e-5)


def test_inference_is_exact_on_whole_numbers(ops, rng):
    channels = 37
    d = {"x": rng.integers(-8, 9, (11, channels)).astype("f4"), "beta": rng.integers(-8, 9, channels).astype("f4")}
    d |= {"gamma": rng.choice([-2, -1, 1, 4], channels).astype("f4"), "moving_mean": d["beta"][::-1].copy()}
    d["moving_variance"] = rng.choice([0, 3, 15], channels).astype("f4")  # + epsilon 1: rstd is 1, 1/2, 1/4
    z = (d["x"] - d["moving_mean"]) / np.sqrt(d["moving_variance"] + 1) * d["gamma"] + d["beta"]
    np.testing.assert_array_equal(inference(ops, d, 0.25, epsilon=1.0).y, np.where(z > 0, z, z * 0.25))


def test_inference_relu_of_minus_infinity_is_zero(ops, rng):
    d = data(rng, (7, 19)) | {"gamma": np.ones(19, np.float32)}
    d["x"][3, 4], d["x"][5, 6] = -np.inf, np.nan
    y = inference(ops, d, 0.0).y
    assert y[3, 4] == 0
    assert np.isnan(y[5, 6])
    assert np.isnan(y).sum() == 1


@every_slope
def test_inference_in_place(ops, rng, slope):
    d = data(rng, (300, 19))
    np.testing.assert_array_equal(inference(ops, d, slope, shared={"y": "x"}).y, inference(ops, d, slope).y)


# ---- backward


def gradients(d, mean, rstd, slope):
    """dx, dgamma, dbeta with their bounds, from the formula in csrc/batchnorm/batchnorm.h; changes dy to 0 wherever
    rounding may decide the sign of z, and with it which of two gradients is right."""
    z = transformed(d, mean, rstd)
    d["dy"] = np.where(np.abs(z.value) > z.error, d["dy"], np.float32(0))
    axes = tuple(range(d["x"].ndim - 1))
    rows = float(d["x"].size // d["x"].shape[-1])
    scale = Rounded(rstd) if d["gamma"] is None else Rounded(rstd) * d["gamma"]
    centered = Rounded(d["x"]) - mean
    dz = Rounded(d["dy"]).where(z.value > 0, Rounded(d["dy"]) * Rounded(slope))
    dbeta, dgamma = dz.sum(axes), (dz * (centered * rstd)).sum(axes)
    dx = scale * dz - scale * dbeta / Rounded(rows) - centered * (scale * rstd * dgamma / Rounded(rows))
    return {"dx": dx, "dgamma": dgamma, "dbeta": dbeta}


def given_statistics(x):
    """Mean and rstd as float32 inputs of the backward pass."""
    mean, variance = statistics(x)
    return mean.value.astype(np.float32), (1 / np.sqrt(variance.value + EPSILON)).astype(np.float32)


def assert_gradients(actual, expected):
    for name, gradient in expected.items():
        array = getattr(actual, name)
        tolerances.assert_close(array, gradient.value.reshape(array.shape), gradient.error.reshape(array.shape))


@every_slope
@every_shape
def test_backward(ops, rng, shape, slope):
    d = data(rng, shape)
    mean, rstd = given_statistics(d["x"])
    expected = gradients(d, mean, rstd, slope)
    assert_gradients(backward(ops, d, mean, rstd, slope), expected)


@every_slope
@pytest.mark.parametrize("absent", [("gamma",), ("beta",), ("gamma", "beta")], ids="+".join)
def test_backward_without_gamma_or_beta(ops, rng, absent, slope):
    d = data(rng, (70, 19)) | dict.fromkeys(absent)
    mean, rstd = given_statistics(d["x"])
    expected = gradients(d, mean, rstd, slope)
    assert_gradients(backward(ops, d, mean, rstd, slope), expected)


def test_backward_does_not_cancel(ops, rng):
    d = data(rng, (500, 19)) | {"x": float32(rng, 500, 19, offset=1e4)}
    mean, rstd = given_statistics(d["x"])
    expected = gradients(d, mean, rstd, 0.3)
    assert_gradients(backward(ops, d, mean, rstd, 0.3), expected)


def test_backward_agrees_with_the_reference(ops, reference, rng):
    d = data(rng, (64, 37))
    mean, rstd = given_statistics(d["x"])
    gradients(d, mean, rstd, 0.3)
    actual, expected = backward(ops, d, mean, rstd, 0.3), backward(reference, d, mean, rstd, 0.3)
    for name, array in vars(expected).items():
        np.testing.assert_allclose(getattr(actual, name), array, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("shape", [(8, 37), (2, 4, 8, 5), (1024, 33)], ids=str)
def test_backward_is_exact_on_whole_numbers(ops, reference, rng, shape):
    channels = shape[-1]
    d = {name: rng.integers(-4, 5, shape).astype(np.float32) for name in ("x", "dy")}
    d |= {"gamma": rng.choice([-2, -1, 1, 4], channels).astype("f4"), "beta": np.full(channels, 0.5, "f4")}
    mean, rstd = rng.integers(-2, 3, channels).astype("f4"), rng.choice([0.5, 1, 2], channels).astype("f4")
    actual, expected = backward(ops, d, mean, rstd, 0.5), backward(reference, d, mean, rstd, 0.5)
    np.testing.assert_array_equal(actual.dbeta, expected.dbeta)
    np.testing.assert_array_equal(actual.dgamma, expected.dgamma)


@pytest.mark.parametrize("absent", ["dx", "dgamma", "dbeta"])
def test_backward_of_what_is_wanted_only(ops, rng, absent):
    d = data(rng, (70, 19))
    mean, rstd = given_statistics(d["x"])
    every, some = backward(ops, d, mean, rstd, 0.3), backward(ops, d, mean, rstd, 0.3, **{absent: None})
    assert set(vars(every)) - set(vars(some)) == {absent}
    for name, array in vars(some).items():
        np.testing.assert_array_equal(array, getattr(every, name), err_msg=name)


@every_slope
def test_backward_in_place(ops, rng, slope):
    d = data(rng, (300, 19))
    mean, rstd = given_statistics(d["x"])
    apart, same = backward(ops, d, mean, rstd, slope), backward(ops, d, mean, rstd, slope, shared={"dx": "dy"})
    np.testing.assert_array_equal(same.dx, apart.dx)


@pytest.mark.parametrize("rows", [2, 3, 64, 300])
def test_backward_takes_the_side_of_the_kink_that_forward_took(ops, rng, rows):
    """In each of 1,000 channels z of one row is rounding noise around 0, and only this row has a gradient."""
    channels, slope = 1000, 0.3
    d = data(rng, (rows, channels))
    chosen = (np.arange(channels) % rows, np.arange(channels))
    first = forward(ops, d, slope)
    xhat = (d["x"] - first.mean) * first.rstd
    d["beta"] = -(xhat * d["gamma"])[chosen] * rng.choice(np.float32([1, 1 - 2**-23, 1 + 2**-23]), channels)
    d["dy"] = np.zeros_like(d["x"])
    d["dy"][chosen] = 1
    positive = forward(ops, d, slope).y[chosen] > 0
    assert 0.1 < positive.mean() < 0.9
    actual = backward(ops, d, first.mean, first.rstd, slope)
    np.testing.assert_array_equal(actual.dbeta, np.where(positive, np.float32(1), np.float32(slope)))


# ---- refusals


@pytest.mark.parametrize("op", ["batchnorm_forward", "batchnorm_backward"])
def test_too_small_a_workspace_is_refused(ops, rng, op):
    d = data(rng, (70, 19))
    size = ops.ops.workspace_bytes(op, {"x": (70, 19)}, {})
    with pytest.raises(ValueError, match=rf"{op}: expected {size} bytes of workspace.*[Rr]eceived.*{size - 4}"):
        if op == "batchnorm_forward":
            forward(ops, d, workspace_bytes=size - 4)
        else:
            backward(ops, d, d["beta"], d["gamma"], workspace_bytes=size - 4)


@pytest.mark.parametrize("name", ["gamma", "beta", "moving_mean", "moving_variance"])
def test_parameters_of_another_length_are_refused(ops, rng, name):
    d = data(rng, (7, 19)) | {name: np.ones(18, np.float32)}
    with pytest.raises(ValueError, match=rf"{name}: expected 19 elements.*Received: shape \(18,\)"):
        forward(ops, d)
