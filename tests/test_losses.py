"""Which labels a loss takes, and what it says about the others."""

import numpy as np
import pytest

from fastconv import losses


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([1, 2, 3]), r"sparse_categorical_crossentropy.*to_categorical"),
        (np.array([[1], [2]]), r"sparse_categorical_crossentropy"),
        (np.zeros((2, 4)), r"expected y of shape \(N, 10\).*\(2, 4\)"),
        (np.full((2, 10), np.nan), r"expected finite labels.*sample 0"),
        (np.array([["a"] * 10]), r"real numbers.*<U1"),
    ],
)
def test_categorical_refuses(y, message):
    with pytest.raises(ValueError, match=message):
        losses.CategoricalCrossentropy().labels_of(y, (None, 10))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.eye(10), r'looks one-hot: use loss="categorical_crossentropy"'),
        (np.array([0, 10]), r"from 0 to 9.*Received: 10 at sample 1"),
        (np.array([3, -1, -2]), r"Received: -1 at sample 1 \(2 such labels\)"),
        (np.array([0.5, 1.0]), r"Received: 0.5 at sample 0"),
        (np.array([np.nan]), r"Received: nan at sample 0"),
        (np.zeros((2, 3)), r"shape \(N,\) or \(N, 1\).*\(2, 3\)"),
    ],
)
def test_sparse_refuses(y, message):
    with pytest.raises(ValueError, match=message):
        losses.SparseCategoricalCrossentropy().labels_of(y, (None, 10))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64, ">i4"])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_sparse_takes_any_whole_dtype(dtype, shape):
    y = np.array([0, 9, 4]).astype(dtype).reshape(shape)
    labels = losses.SparseCategoricalCrossentropy().labels_of(y, (None, 10))
    assert labels.dtype == np.int32 and labels.tolist() == [0, 9, 4]


def test_unknown_names_list_the_known():
    with pytest.raises(ValueError, match=r"categorical_crossentropy.*sparse_categorical_crossentropy.*Received: 'mse'"):
        losses.get("mse")
