import random

import numpy as np
import pytest

from fastconv import layers, rng, utils


def test_to_categorical_makes_one_hot_rows():
    np.testing.assert_array_equal(utils.to_categorical([0, 2, 1], 3), [[1, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_to_categorical_is_float64_as_in_keras():
    assert utils.to_categorical(np.zeros(3, np.uint8)).dtype == np.float64


@pytest.mark.parametrize(
    "shape, expected",
    [((4,), (4, 5)), ((4, 1), (4, 5)), ((4, 2), (4, 2, 5)), ((1, 1), (1, 5)), ((), (5,)), ((1,), (1, 5))],
)
def test_to_categorical_drops_a_last_axis_of_length_one(shape, expected):
    assert utils.to_categorical(np.full(shape, 4)).shape == expected


def test_to_categorical_takes_the_largest_label_plus_one():
    assert utils.to_categorical([3, 6, 1]).shape == (3, 7)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64, np.float32, bool])
def test_to_categorical_accepts_whole_numbers_of_any_dtype(dtype):
    np.testing.assert_array_equal(utils.to_categorical(np.array([1, 0], dtype), 2), [[0, 1], [1, 0]])


def test_to_categorical_of_nothing_has_no_rows():
    assert utils.to_categorical([], 3).shape == (0, 3)


@pytest.mark.parametrize(
    "x, num_classes, message",
    [
        ([0, 3], 3, r"class numbers 0 to 2 .*num_classes=3.*Received: x\[1\]=3"),
        ([0, -1], None, r"at least 0.*Received: x\[1\]=-1"),
        ([0.0, 0.5], None, r"whole numbers.*Received: x\[1\]=0.5"),
        ([np.nan], None, r"whole numbers.*Received: x\[0\]=nan"),
        ([np.inf], None, r"whole numbers.*Received: x\[0\]=inf"),
        ([[0, 1], [1, 9]], 2, r"Received: x\[1, 1\]=9"),
        (["cat"], None, r"whole numbers.*Received: x of dtype <U3"),
        ([], None, r"needs num_classes"),
        ([0], 0, r"num_classes=0"),
        ([0], 2.5, r"num_classes=2.5"),
    ],
)
def test_to_categorical_refuses(x, num_classes, message):
    with pytest.raises(ValueError, match=message):
        utils.to_categorical(x, num_classes)


@pytest.mark.parametrize(
    "draw", [random.random, np.random.random, lambda: rng.generator().random()], ids=["random", "numpy", "fastconv"]
)
def test_set_random_seed_makes_the_generator_repeatable(draw):
    utils.set_random_seed(3)
    first = draw()
    utils.set_random_seed(3)
    assert draw() == first


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "a", None])
def test_set_random_seed_refuses(seed):
    with pytest.raises(ValueError, match=f"Received: seed={seed!r}"):
        utils.set_random_seed(seed)


def test_clear_session_starts_layer_names_over():
    layers.Flatten()
    utils.clear_session()
    assert layers.Flatten().name == "flatten"
