"""Initial values of weights: distributions by Keras' names."""

import math

import numpy as np
import pytest

from fastconv import initializers, layers, utils

SHAPE = (3, 3, 40, 60)  # fan_in 360, fan_out 540
CUT = 0.87962566103423978  # standard deviation of a normal distribution without what is beyond +-2


@pytest.fixture(autouse=True)
def seeded():
    utils.set_random_seed(5)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("random_uniform", -0.05, 0.05),
        ("glorot_uniform", -math.sqrt(6 / 900), math.sqrt(6 / 900)),
        ("he_uniform", -math.sqrt(6 / 360), math.sqrt(6 / 360)),
        ("lecun_uniform", -math.sqrt(3 / 360), math.sqrt(3 / 360)),
    ],
)
def test_uniform(name, low, high):
    values = initializers.get(name)(SHAPE)
    assert low <= values.min() < 0.99 * low and 0.99 * high < values.max() <= high * (1 + 1e-7)
    assert values.var() == pytest.approx((high - low) ** 2 / 12, rel=0.02)


@pytest.mark.parametrize(
    ("name", "stddev"),
    [
        ("truncated_normal", 0.05 * CUT),
        ("glorot_normal", math.sqrt(2 / 900)),
        ("he_normal", math.sqrt(2 / 360)),
        ("lecun_normal", math.sqrt(1 / 360)),
        ("variance_scaling", math.sqrt(1 / 360)),
    ],
)
def test_truncated_normal(name, stddev):
    values = initializers.get(name)(SHAPE)
    assert values.std() == pytest.approx(stddev, rel=0.02) and abs(values.mean()) < 0.02 * stddev
    assert 1.9 * stddev / CUT < np.abs(values).max() <= 2 * stddev / CUT * (1 + 1e-6)


def test_normal():
    values = initializers.RandomNormal(mean=1.0, stddev=0.5)(SHAPE)
    assert values.mean() == pytest.approx(1, abs=0.01) and values.std() == pytest.approx(0.5, rel=0.02)
    assert np.abs(values - 1).max() > 1.5  # nothing is cut off


def test_variance_scaling():
    values = initializers.VarianceScaling(3.0, "fan_out", "untruncated_normal")(SHAPE)
    assert values.var() == pytest.approx(3 / 540, rel=0.02)


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (3, 3, 2, 5), (2, 2, 1, 7)])
def test_orthogonal(shape):
    matrix = initializers.Orthogonal(gain=2.0)(shape).reshape(-1, shape[-1]).astype(np.float64)
    product = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-6)


def test_constants():
    assert (initializers.Constant(0.25)((2, 3)) == 0.25).all()
    assert not initializers.get("zeros")((4,)).any() and initializers.get("ones")((4,)).all()
    np.testing.assert_array_equal(initializers.Identity(2.0)((2, 3)), [[2, 0, 0], [0, 2, 0]])


NAMES = [
    *("Constant", "Zeros", "Ones", "Identity", "Orthogonal", "VarianceScaling"),
    *("RandomNormal", "RandomUniform", "TruncatedNormal"),
    *(of + kind for of in ("Glorot", "He", "Lecun") for kind in ("Uniform", "Normal")),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_values_and_dtype(name):
    made = getattr(initializers, name)()
    assert made((4, 5)).dtype == np.float32 and made((4, 5)).shape == (4, 5)
    assert type(initializers.get(name)) is type(initializers.get(type(made))) is type(made)
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:]
    assert getattr(initializers, snake) is type(made) is type(initializers.get(snake))


def test_a_seed_gives_the_same_numbers_every_time_and_no_seed_others():
    seeded, other = initializers.HeNormal(seed=3), initializers.HeNormal(seed=4)
    first = seeded((5, 5))
    utils.set_random_seed(6)
    np.testing.assert_array_equal(seeded((5, 5)), first)
    assert (other((5, 5)) != first).all()
    unseeded = initializers.HeNormal()
    assert (unseeded((5, 5)) != unseeded((5, 5))).all()


def test_the_numbers_of_a_seed_are_those_of_philox():
    expected = np.random.Generator(np.random.Philox(key=9)).uniform(-1, 1, (3,))
    np.testing.assert_array_equal(initializers.RandomUniform(-1, 1, seed=9)((3,)), expected.astype(np.float32))


def test_a_layer_takes_a_name_a_class_an_object_or_a_function():
    for given in ("ones", initializers.Ones, initializers.Ones(), lambda shape: np.ones(shape)):
        layer = layers.Dense(2, kernel_initializer=given)
        layer(layers.Input((3,)))
        assert (layer.get_weights()[0] == 1).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.get("glorot"), "one of .*'glorot_uniform'.*Received: initializer='glorot'"),
        (lambda: initializers.get(None), "Received: initializer=None"),
        (lambda: initializers.HeNormal(seed=-1), "seed=-1"),
        (lambda: initializers.HeNormal(seed=0.5), "seed=0.5"),
        (lambda: initializers.VarianceScaling(scale=0.0), "scale=0.0"),
        (lambda: initializers.VarianceScaling(mode="fan"), "mode='fan'"),
        (lambda: initializers.VarianceScaling(distribution="beta"), "distribution='beta'"),
        (lambda: initializers.Identity()((3,)), r"two axes. Received: shape=\(3,\)"),
        (lambda: initializers.Orthogonal()((3,)), r"two axes or more. Received: shape=\(3,\)"),
    ],
)
def test_what_has_no_meaning_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
