"""The reference itself: against definitions in loops, finite differences in float64, adjoint identities, known answers.

Forward passes are compared with their definitions, and backward passes with the slopes of the forward passes.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapes
from finite_differences import assert_gradient, away_from
from helpers import REFERENCE, small_integers

from fastconv.ops.numpy_elementwise import ACTIVATIONS, BINARY
from fastconv.ops.numpy_images import philox_uniform

# ---- conv2d

SMALL = [s.geometry() for s in shapes.CONV2D if s.geometry().multiplications <= 3000]
FEW = [s.geometry() for s in shapes.CONV2D if s.geometry().multiplications <= 1500][::9]


def conv2d_by_definition(g, x, w, b):
    """The sum in csrc/conv2d/conv2d.h, pixel by pixel and tap by tap."""
    y = np.empty(g.y_shape)
    for n, p, q in itertools.product(range(g.n), range(g.p), range(g.q)):
        y[n, p, q] = b
        for r, s in itertools.product(range(g.r), range(g.s)):
            row, column = p * g.stride_h + r - g.pad_top, q * g.stride_w + s - g.pad_left
            if 0 <= row < g.h and 0 <= column < g.w:
                y[n, p, q] += x[n, row, column] @ w[r, s]
    return y


def test_enough_shapes_are_small_enough():
    assert len(SMALL) > 100
    assert len(FEW) > 10


@pytest.mark.parametrize("g", SMALL, ids=str)
def test_conv2d_is_its_definition(rng, g):
    x, w, b = (small_integers(rng, *size).astype(np.float64) for size in (g.x_shape, g.w_shape, (g.k,)))
    y = REFERENCE.run("conv2d_fprop", geometry=g, x=x, w=w, b=b).y
    np.testing.assert_array_equal(y, conv2d_by_definition(g, x, w, b))


@pytest.mark.parametrize("shape", shapes.CONV2D, ids=str)
def test_conv2d_gradients_are_its_adjoints(rng, shape):
    """<conv(x, w), dy> = <x, dgrad(dy, w)> = <w, wgrad(x, dy)>, exactly, on whole numbers."""
    g = shape.geometry()
    x, w, dy = (small_integers(rng, *size).astype(np.float64) for size in (g.x_shape, g.w_shape, g.y_shape))
    expected = (REFERENCE.run("conv2d_fprop", geometry=g, x=x, w=w, b=None).y * dy).sum()
    wgrad = REFERENCE.run("conv2d_wgrad", geometry=g, x=x, dy=dy)
    assert (REFERENCE.run("conv2d_dgrad", geometry=g, dy=dy, w=w).dx * x).sum() == expected
    assert (wgrad.dw * w).sum() == expected
    np.testing.assert_array_equal(wgrad.db, dy.sum(axis=(0, 1, 2)))


@pytest.mark.parametrize("g", FEW, ids=str)
def test_conv2d_gradients(rng, g):
    x, w, b, dy = (rng.normal(size=size) for size in (g.x_shape, g.w_shape, (g.k,), g.y_shape))

    def loss():
        return (REFERENCE.run("conv2d_fprop", geometry=g, x=x, w=w, b=b).y * dy).sum()

    wgrad = REFERENCE.run("conv2d_wgrad", geometry=g, x=x, dy=dy)
    assert_gradient(REFERENCE.run("conv2d_dgrad", geometry=g, dy=dy, w=w).dx, loss, x)
    assert_gradient(wgrad.dw, loss, w)
    assert_gradient(wgrad.db, loss, b)


# ---- batchnorm


def batchnorm_data(rng, shape, slope):
    x, dy = rng.normal(size=shape), rng.normal(size=shape)
    gamma, beta = rng.normal(size=shape[-1]) + 0.5, rng.normal(size=shape[-1])
    if slope != 1:
        axes = tuple(range(len(shape) - 1))
        kink = x.mean(axes) - beta / gamma * np.sqrt(x.var(axes) + 1e-3)
        x = away_from(x, kink, 1e-2)
    return x, dy, gamma, beta


def batchnorm_forward(x, gamma, beta, slope, epsilon=1e-3, momentum=0.99, moving=(0.0, 1.0)):
    moving_mean, moving_variance = (np.full(x.shape[-1], value) for value in moving)
    settings = {"momentum": momentum, "epsilon": epsilon, "slope": slope}
    return REFERENCE.run("batchnorm_forward", x=x, gamma=gamma, beta=beta, moving_mean=moving_mean,
                         moving_variance=moving_variance, **settings)  # fmt: skip


def test_batchnorm_by_hand():
    actual = batchnorm_forward(
        np.array([[1.0], [3.0]]), np.array([3.0]), np.array([1.0]), 0.5, epsilon=3.0, momentum=0.75
    )
    assert actual.mean == 2
    assert actual.rstd == 0.5  # 1 / sqrt(1 + 3)
    assert actual.moving_mean == 0.5
    assert actual.moving_variance == 1  # 0.75 + 0.25 * 1: the biased variance
    np.testing.assert_array_equal(actual.y, [[-0.25], [2.5]])  # z is -0.5 and 2.5


def test_batchnorm_inference_by_hand():
    x, moving_mean, moving_variance = np.array([[1.0], [3.0]]), np.array([2.0]), np.array([1.0])
    statistics = {"moving_mean": moving_mean, "moving_variance": moving_variance, "epsilon": 3.0}
    scale = {"gamma": np.array([3.0]), "beta": np.array([1.0])}
    y = REFERENCE.run("batchnorm_inference", x=x, **scale, **statistics, slope=0.5).y
    np.testing.assert_array_equal(y, [[-0.25], [2.5]])


@pytest.mark.parametrize("slope", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 2, 4), (1, 2)], ids=str)
@pytest.mark.parametrize("affine", [True, False], ids=["gamma and beta", "neither"])
def test_batchnorm_gradients(rng, shape, slope, affine):
    x, dy, gamma, beta = batchnorm_data(rng, shape, slope)
    if not affine:
        gamma = beta = None
        x = away_from(x, x.mean(axis=tuple(range(x.ndim - 1))), 1e-2)

    def loss():
        return (batchnorm_forward(x, gamma, beta, slope).y * dy).sum()

    forward = batchnorm_forward(x, gamma, beta, slope)
    statistics = {"mean": forward.mean, "rstd": forward.rstd}
    actual = REFERENCE.run("batchnorm_backward", dy=dy, x=x, gamma=gamma, beta=beta, **statistics, slope=slope)
    assert_gradient(actual.dx, loss, x)
    if affine:
        assert_gradient(actual.dgamma, loss, gamma)
        assert_gradient(actual.dbeta, loss, beta)


# ---- leaky_relu, add


@pytest.mark.parametrize("slope", [0.3, 0.0, 1.0])
def test_leaky_relu_gradient(rng, slope):
    x, dy = away_from(rng.normal(size=50), 0), rng.normal(size=50)
    loss = lambda: (REFERENCE.run("leaky_relu_forward", x=x, slope=slope).y * dy).sum()  # noqa: E731
    assert_gradient(REFERENCE.run("leaky_relu_backward", dy=dy, x=x, slope=slope).dx, loss, x)


def test_leaky_relu_by_hand():
    x = np.array([-np.inf, -2, 0, 3, np.inf, np.nan])
    leaky = REFERENCE.run("leaky_relu_forward", x=x, slope=0.25).y
    np.testing.assert_array_equal(leaky, [-np.inf, -0.5, 0, 3, np.inf, np.nan])
    with np.errstate(invalid="ignore"):
        relu = REFERENCE.run("leaky_relu_forward", x=x, slope=0.0).y
    np.testing.assert_array_equal(relu, [0, 0, 0, 3, np.inf, np.nan])


ACTIVATION_CASES = {"linear": (-1.5, 0.25), "relu": (0.3, 2.0, 0.5), "elu": (0.75,)}
CORNERS = {"relu": (0.5, 2.0), "elu": (0.0,), "selu": (0.0,), "hard_sigmoid": (-3.0, 3.0), "hard_silu": (-3.0, 3.0)}


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_activation_gradient(rng, function):
    x, dy = rng.normal(size=50) * 3, rng.normal(size=50)
    for corner in CORNERS.get(function, ()):
        x = away_from(x, corner)
    named = {"function": function, "parameters": ACTIVATION_CASES.get(function, ())}
    loss = lambda: (REFERENCE.run("activation_forward", x=x, **named).y * dy).sum()  # noqa: E731
    assert_gradient(REFERENCE.run("activation_backward", dy=dy, x=x, **named).dx, loss, x)


@pytest.mark.parametrize("function", BINARY)
@pytest.mark.parametrize("extents", [(1, 1, 1, 7), (2, 3, 2, 3)], ids=str)
def test_gradients_of_two_tensors(rng, function, extents):
    b, dy = rng.normal(size=(1, extents[1], 1, extents[3])), rng.normal(size=extents)
    b = np.abs(b) if function == "scale_by_root" else b
    a = away_from(away_from(rng.normal(size=extents), 0), b)
    given = {"a": a, "b": b, "function": function, "extents": extents}
    loss = lambda: (REFERENCE.run("binary_forward", **given).y * dy).sum()  # noqa: E731
    actual = REFERENCE.run("binary_backward", dy=dy, **given)
    assert_gradient(actual.da, loss, a)
    summed = REFERENCE.run("sum_forward", x=actual.db, extents=extents).y
    assert_gradient(summed.reshape(b.shape), loss, b)


def test_copied_columns_by_hand():
    x, y = np.arange(6.0).reshape(2, 3), np.full((2, 4), 9.0)
    y = REFERENCE.run("copy_columns", x=x, y=y, rows=2, columns=2, x_at=1, y_at=2).y
    np.testing.assert_array_equal(y, [[9, 9, 1, 2], [9, 9, 4, 5]])


def test_add(rng):
    a, b = rng.normal(size=7), rng.normal(size=7)
    np.testing.assert_array_equal(REFERENCE.run("add_forward", a=a, b=b).y, a + b)


def test_first_non_finite():
    for index, value in itertools.product(range(3), (np.nan, np.inf, -np.inf)):
        x = np.zeros(3)
        x[index:] = value
        assert REFERENCE.run("first_non_finite", x=x).returned == index
    assert REFERENCE.run("first_non_finite", x=np.zeros(3)).returned == -1


# ---- softmax


def test_softmax_by_hand():
    y = REFERENCE.run("softmax_forward", x=np.log([[1.0, 2.0, 5.0], [4.0, 4.0, 2.0]])).y
    np.testing.assert_allclose(y, [[0.125, 0.25, 0.625], [0.4, 0.4, 0.2]], rtol=1e-15)


def test_softmax_gradient(rng):
    x, dy = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    loss = lambda: (REFERENCE.run("softmax_forward", x=x).y * dy).sum()  # noqa: E731
    y = REFERENCE.run("softmax_forward", x=x).y
    assert_gradient(REFERENCE.run("softmax_backward", dy=dy, y=y).dx, loss, x)


LABELS = {
    "class numbers": np.array([0, 4, 2, 2], np.int32),
    "one-hot": np.eye(5)[[0, 4, 2, 2]],
    "smoothed": np.eye(5)[[0, 4, 2, 2]] * 0.9 + 0.02,
    "any sum": np.arange(20.0).reshape(4, 5) / 7,
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_softmax_xent_gradient(rng, labels):
    x = rng.normal(size=(4, 5))
    loss = lambda: REFERENCE.run("softmax_xent", x=x, labels=labels).totals[0] / 4  # noqa: E731
    assert_gradient(REFERENCE.run("softmax_xent", x=x, labels=labels).dx, loss, x)


def test_softmax_xent_by_hand():
    x = np.log([[1.0, 2.0, 5.0], [4.0, 4.0, 2.0]])
    labels = np.array([[0.0, 0.5, 0.5], [0.0, 1.0, 0.0]])
    actual = REFERENCE.run("softmax_xent", x=x, labels=labels)
    np.testing.assert_allclose(actual.totals[0], -0.5 * np.log(0.25) - 0.5 * np.log(0.625) - np.log(0.4), rtol=1e-15)
    assert actual.totals[1] == 0  # of equal ones the first counts: class 2 is not 1, class 0 is not 1
    assert REFERENCE.run("softmax_xent", x=x, labels=np.array([2, 0], np.int32)).totals[1] == 2


@pytest.mark.parametrize("labels", [np.array([1], np.int32), np.array([[0.0, 1.0, 0.0]])], ids=["number", "row"])
def test_softmax_xent_of_minus_infinity_without_label(labels):
    actual = REFERENCE.run("softmax_xent", x=np.array([[0, 0, -np.inf]]), labels=labels)
    np.testing.assert_allclose(actual.totals[0], np.log(2), rtol=1e-15)
    np.testing.assert_array_equal(actual.dx, [[0.5, -0.5, 0]])


# ---- dropout


def philox(counter, key):
    """Philox4x32-10 on Python's integers, as Salmon et al. 2011 (section 3.3, table 2) give it."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(
    "counter, key, answer",
    [
        ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_the_known_answers_of_random123(counter, key, answer):
    """tests/kat_vectors of Random123, philox4x32 with 10 rounds."""
    assert philox(words(counter), words(key)) == words(answer)


def test_the_first_numbers_are_the_known_answer():
    expected = [word >> 8 for word in words("6627e8d5 e169c58d bc57ac4c 9b00dbd8")]
    np.testing.assert_array_equal(philox_uniform(0, 0, 0, 4) * 2.0**24, expected)


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63 - 1, -(2**63), 0x299F31D0A4093822])
@pytest.mark.parametrize("stream", [0, 7, 2**32 - 1])
@pytest.mark.parametrize("step", [0, 1, 2**32 - 1, 2**32 + 5])
def test_numbers_are_philox_of_seed_stream_step_and_index(seed, stream, step):
    key, expected = (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF), []
    for block in range(3):
        expected += [word >> 8 for word in philox((block, 0, step & 0xFFFFFFFF, stream), key)]
    np.testing.assert_array_equal(philox_uniform(seed, stream, step, 10) * 2.0**24, expected[:10])


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9, 1.0])
def test_dropout_is_its_definition_and_its_own_gradient(rng, rate):
    x, counter = rng.normal(size=(6, 7)), {"seed": np.array([5]), "step": np.array([9]), "rate": rate, "stream": 3}
    y = REFERENCE.run("dropout_forward", x=x, **counter).y
    kept = philox_uniform(5, 3, 9, 42).reshape(6, 7) >= np.float32(rate)
    np.testing.assert_allclose(y, x * kept / max(1 - rate, 1e-9), rtol=1e-15)
    np.testing.assert_array_equal(REFERENCE.run("dropout_backward", dy=x, **counter).dx, y)


# ---- optimizers: tests/ops/test_optimizer.py compares the reference with the kernels, and those with Keras


def test_adam_by_hand():
    scalars = {"learning_rate": np.array([0.5], np.float32), "step": np.array([2]), "beta_1": 0.5, "beta_2": 0.75}
    w, dw, m, v = np.array([10.0]), np.array([4.0]), np.array([2.0]), np.array([8.0])
    actual = REFERENCE.run("adam_update", w=w, dw=dw, m=m, v=v, **scalars, epsilon=0.5)
    assert actual.m == 3  # 2 + (4 - 2) / 2
    assert actual.v == 10  # 8 + (16 - 8) / 4
    np.testing.assert_allclose(actual.w, 10 - 0.5 * np.sqrt(1 - 0.5625) / 0.75 * 3 / (np.sqrt(10) + 0.5), rtol=1e-15)


@pytest.mark.parametrize(
    "velocity, nesterov, new_velocity, new_w",
    [(None, False, None, 8.0), (6.0, False, 1.0, 11.0), (6.0, True, 1.0, 8.5)],
    ids=["plain", "momentum", "nesterov"],
)
def test_sgd_by_hand(velocity, nesterov, new_velocity, new_w):
    """Learning rate 0.5, gradient 4, momentum 0.5: change = -2, velocity = 3 - 2."""
    given = None if velocity is None else np.array([velocity])
    rate = np.array([0.5], np.float32)
    actual = REFERENCE.run("sgd_update", w=np.array([10.0]), dw=np.array([4.0]), velocity=given, learning_rate=rate,
                           momentum=0.5, nesterov=nesterov)  # fmt: skip
    assert actual.w == new_w
    assert velocity is None or actual.velocity == new_velocity
