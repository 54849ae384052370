"""`categorical_accuracy` and `confusion` of every backend: sums of whole numbers, which must agree to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import float32

every_k = pytest.mark.parametrize("k", [0, 1, 3, 10])


def whole_weights(rng, count):
    return rng.integers(5, size=count).astype(np.float32)


def ties(rng, rows, classes):
    """Scores among which there are many equal ones."""
    return rng.integers(3, size=(rows, classes)).astype(np.float32)


@every_k
@pytest.mark.parametrize("rows, classes", [(1, 1), (3, 4), (33, 10), (2000, 10), (5, 200)])
@pytest.mark.parametrize("numbers", [True, False], ids=["numbers", "distributions"])
def test_accuracy(ops, reference, rng, rows, classes, k, numbers):
    labels = rng.integers(classes, size=rows).astype(np.int32)
    given = {"x": ties(rng, rows, classes), "labels": labels if numbers else np.eye(classes, dtype=np.float32)[labels]}
    given |= {"k": k, "sample_weight": whole_weights(rng, rows)}
    actual, expected = (backend.run("categorical_accuracy", **given) for backend in (ops, reference))
    np.testing.assert_array_equal(actual.totals, expected.totals)


def test_accuracy_without_weights_counts_samples(ops, rng):
    x, labels = ties(rng, 77, 5), rng.integers(5, size=77).astype(np.int32)
    totals = ops.run("categorical_accuracy", x=x, labels=labels).totals
    assert totals.tolist() == [(x.argmax(axis=1) == labels).sum(), 77]


# tf.math.in_top_k and keras.metrics.CategoricalAccuracy of TensorFlow 2.21
@pytest.mark.parametrize("k, found", [(0, [1, 0, 0, 0]), (1, [1, 1, 0, 0]), (2, [1, 1, 0, 0]), (3, [1, 1, 1, 0])])
def test_equal_scores_count_in_top_k_and_the_first_of_them_where_k_is_0(ops, k, found):
    x = np.array([[5, 5, 1, 0]], np.float32)
    hits = [ops.run("categorical_accuracy", x=x, labels=np.array([i], np.int32), k=k).totals[0] for i in range(4)]
    assert hits == found


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_in_no_top_k(ops, odd):
    x = np.array([[0, 3, odd], [0, 3, 1]], np.float32)
    assert ops.run("categorical_accuracy", x=x, labels=np.array([1, 1], np.int32), k=2).totals.tolist() == [1, 2]


def test_accuracy_of_samples_of_several_rows_is_their_mean(ops, reference, rng):
    given = {"x": float32(rng, 4, 8, 5), "labels": rng.integers(5, size=(4, 8)).astype(np.int32)}
    given["sample_weight"] = whole_weights(rng, 4)
    actual, expected = (backend.run("categorical_accuracy", **given) for backend in (ops, reference))
    np.testing.assert_array_equal(actual.totals, expected.totals)


@pytest.mark.parametrize("label", [3, -1])
def test_an_accuracy_of_a_label_out_of_range_is_refused(ops, label):
    x, labels, totals = np.zeros((2, 3), np.float32), np.array([0, label], np.int32), np.full(2, 7.0)
    if ops.ops.name == "cuda":  # where the host cannot look without waiting
        assert ops.run("categorical_accuracy", x=x, labels=labels).totals.tolist() == [1, 2]
        return
    with pytest.raises(ValueError, match=rf"labels from 0 to 2.*[Rr]eceived: labels\[1\] = {label}"):
        ops.ops.categorical_accuracy(x=x, labels=labels, totals=totals)
    assert (totals == 7).all()


@pytest.mark.parametrize("thresholds", [1, 2, 200, 600])
@pytest.mark.parametrize("shape", [(1, 1), (37, 1), (5, 3), (1500, 1)], ids=str)
def test_confusion(ops, reference, rng, shape, thresholds):
    given = {"x": rng.random(shape).astype(np.float32), "target": rng.integers(2, size=shape).astype(np.float32)}
    given["thresholds"] = (
        np.sort(rng.choice(given["x"].reshape(-1), thresholds)) if shape[0] > 1 else np.zeros(thresholds)
    )
    given |= {"sample_weight": whole_weights(rng, shape[0])}
    given["thresholds"] = given["thresholds"].astype(np.float32)
    actual, expected = (backend.run("confusion", **given) for backend in (ops, reference))
    np.testing.assert_array_equal(actual.totals, expected.totals)


def test_what_equals_a_threshold_is_not_above_it(ops):
    x, target = np.array([[0.25], [0.5], [0.75], [0.5]], np.float32), np.array([[1], [1], [1], [0]], np.float32)
    totals = ops.run("confusion", x=x, target=target, thresholds=np.array([0.5], np.float32)).totals
    assert totals.tolist() == [2, 1, 1, 0]


@pytest.mark.parametrize("is_class, place", [(1, 2), (0, 5)])
def test_nan_spoils_the_last_count_of_its_kind(ops, is_class, place):
    x, target = np.array([[np.nan]], np.float32), np.array([[is_class]], np.float32)
    totals = ops.run("confusion", x=x, target=target, thresholds=np.array([0, 1], np.float32)).totals
    np.testing.assert_array_equal(np.isnan(totals), np.arange(6) == place)
