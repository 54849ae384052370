"""softmax_forward, softmax_backward and softmax_xent of every backend."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
import tolerances
from helpers import float32
from tolerances import Rounded

every_shape = pytest.mark.parametrize("rows, classes", shapes.SOFTMAX)
UNDERFLOW = 2.0**-125  # results below 2**-126 may be 0


def softmax(x):
    """exp(x - max), its sum, and softmax(x), with bounds."""
    shifted = Rounded(x) - x.max(axis=-1, keepdims=True)
    e = shifted.exp()
    total = e.sum(axis=-1)
    return shifted, total, e / total


def logits(rng, rows, classes):
    return float32(rng, rows, classes, scale=3)


def distributions(rng, rows, classes):
    """Float labels: a third of the rows one-hot, a third smoothed, a third anything that sums to 1."""
    y = np.eye(classes)[rng.integers(classes, size=rows)]
    y[1::3] = y[1::3] * 0.9 + 0.1 / classes
    y[2::3] = rng.dirichlet(np.ones(classes), size=len(y[2::3]))
    return y.astype(np.float32)


# ---- softmax


@every_shape
def test_forward(ops, rng, rows, classes):
    x = logits(rng, rows, classes)
    *_, y = softmax(x)
    tolerances.assert_close(ops.run("softmax_forward", x=x).y, y.value, y.error + UNDERFLOW)


@every_shape
def test_backward(ops, rng, rows, classes):
    dy, y = float32(rng, rows, classes), softmax(logits(rng, rows, classes))[2].value.astype(np.float32)
    dx = Rounded(y) * (Rounded(dy) - (Rounded(dy) * y).sum(axis=-1))
    tolerances.assert_close(ops.run("softmax_backward", dy=dy, y=y).dx, dx.value, dx.error + UNDERFLOW)


def test_forward_of_large_logits_does_not_overflow(ops):
    x = np.array([[1e4, 0, -1e4], [-1e4, -1e4, -1e4], [3e38, 3e38, -3e38]], np.float32)
    y = ops.run("softmax_forward", x=x).y
    np.testing.assert_allclose(y, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0]], rtol=2e-7)


def test_forward_of_minus_infinity_is_zero(ops):
    y = ops.run("softmax_forward", x=np.array([[0, -np.inf, 0]], np.float32)).y
    np.testing.assert_array_equal(y, [[0.5, 0, 0.5]])


@pytest.mark.parametrize("column", [0, 1, 16])
def test_forward_of_nan_spoils_its_row_only(ops, rng, column):
    x = logits(rng, 3, 17)
    x[1, column] = np.nan
    y = ops.run("softmax_forward", x=x).y
    np.testing.assert_array_equal(np.isnan(y), np.broadcast_to([[False], [True], [False]], (3, 17)))


def test_softmax_in_place(ops, rng):
    x, dy = logits(rng, 9, 17), float32(rng, 9, 17)
    y = ops.run("softmax_forward", x=x).y
    np.testing.assert_array_equal(ops.run("softmax_forward", x=x, shared={"y": "x"}).y, y)
    dx = ops.run("softmax_backward", dy=dy, y=y, shared={"dx": "dy"}).dx
    np.testing.assert_array_equal(dx, ops.run("softmax_backward", dy=dy, y=y).dx)


# ---- softmax + cross-entropy


def loss_bound(x, y):
    """Bound of the summed loss, sum y * (log sum exp - shifted), all in float32.

    log turns a relative error of the sum into an absolute one; then one rounding each for log, difference, product, and
    a sum of all rows * classes terms.
    """
    shifted, total, _ = softmax(x)
    log_sum = np.log(total.value)
    inherited = np.abs(y) * (total.error / (total.value - total.error) + shifted.error)
    terms = np.abs(y) * (np.abs(log_sum) + np.abs(shifted.value))
    return (inherited + tolerances.gamma(3 + y.size) * terms).sum()


@every_shape
def test_loss_of_distributions(ops, reference, rng, rows, classes):
    x, y = logits(rng, rows, classes), distributions(rng, rows, classes)
    actual, expected = (backend.run("softmax_xent", x=x, labels=y).totals for backend in (ops, reference))
    tolerances.assert_close(actual[0], expected[0], loss_bound(x, y))


@every_shape
def test_loss_of_class_numbers(ops, reference, rng, rows, classes):
    x, labels = logits(rng, rows, classes), rng.integers(classes, size=rows).astype(np.int32)
    actual, expected = (backend.run("softmax_xent", x=x, labels=labels).totals for backend in (ops, reference))
    tolerances.assert_close(actual[0], expected[0], loss_bound(x, np.eye(classes)[labels]))


@every_shape
def test_gradient_of_distributions(ops, rng, rows, classes):
    x, y = logits(rng, rows, classes), distributions(rng, rows, classes)
    *_, p = softmax(x)
    dx = (p * Rounded(y).sum(axis=-1) - y) / Rounded(float(rows))
    apart = tolerances.gamma(2) * (p.magnitude + y) / rows  # p / rows - y / rows rounds each term before the difference
    tolerances.assert_close(ops.run("softmax_xent", x=x, labels=y).dx, dx.value, dx.error + apart + UNDERFLOW)


@every_shape
def test_gradient_of_class_numbers(ops, rng, rows, classes):
    x, labels = logits(rng, rows, classes), rng.integers(classes, size=rows).astype(np.int32)
    one_hot = np.eye(classes, dtype=np.float32)[labels]
    by_number, by_row = (ops.run("softmax_xent", x=x, labels=y).dx for y in (labels, one_hot))
    np.testing.assert_array_equal(by_number, by_row)


@every_shape
def test_hits_are_counted(ops, rng, rows, classes):
    x, labels = logits(rng, rows, classes), rng.integers(classes, size=rows).astype(np.int32)
    hits = (x.argmax(axis=1) == labels).sum()
    assert ops.run("softmax_xent", x=x, labels=labels).totals[1] == hits
    assert ops.run("softmax_xent", x=x, labels=np.eye(classes, dtype=np.float32)[labels]).totals[1] == hits


@pytest.mark.parametrize("label, hits", [(0, 0), (1, 1), (2, 0), (3, 0)])
def test_of_equal_logits_the_first_counts(ops, label, hits):
    x, labels = np.array([[0, 5, 5, 5]], np.float32), np.array([label], np.int32)
    assert ops.run("softmax_xent", x=x, labels=labels).totals[1] == hits


def test_of_equal_label_shares_the_first_counts(ops):
    x, labels = np.array([[5, 0, 1], [0, 5, 1]], np.float32), np.array([[0.5, 0.5, 0]] * 2, np.float32)
    assert ops.run("softmax_xent", x=x, labels=labels).totals[1] == 1


def test_loss_is_not_clipped(ops):
    actual = ops.run("softmax_xent", x=np.array([[100, 0, 0]], np.float32), labels=np.array([1], np.int32))
    assert actual.totals[0] == 100
    np.testing.assert_allclose(actual.dx, [[1, -1, 0]], atol=1e-30)


def test_losses_are_those_of_tensorflow(ops):
    x = np.array([[1, 2, 3], [1000, 0, -1000], [0, 0, 0], [100, 0, 0]], np.float32)
    # tf.nn.softmax_cross_entropy_with_logits of TensorFlow 2.21 in float64
    by_number = ops.run("softmax_xent", x=x, labels=np.array([2, 0, 1, 1], np.int32)).totals[0]
    np.testing.assert_allclose(by_number, 0.40760596444438 + 0 + 1.09861228866811 + 100, rtol=3e-7)
    soft = ops.run("softmax_xent", x=x, labels=np.array([[0.1, 0.2, 0.7]] * 4, np.float32)).totals[0]
    np.testing.assert_allclose(soft, 0.80760596444438 + 1600 + 1.09861228866811 + 90, rtol=3e-7)


def test_a_logit_of_minus_infinity_costs_nothing_where_the_label_is_zero(ops):
    x = np.array([[0, 0, -np.inf]], np.float32)
    for labels in (np.array([1], np.int32), np.array([[0, 1, 0]], np.float32)):
        actual = ops.run("softmax_xent", x=x, labels=labels)
        np.testing.assert_allclose(actual.totals[0], np.log(2), rtol=3e-7)
        np.testing.assert_array_equal(actual.dx, [[0.5, -0.5, 0]])


@pytest.mark.parametrize("column", [0, 1, 9])
def test_nan_spoils_the_loss_and_its_row(ops, rng, column):
    x = logits(rng, 3, 10)
    x[1, column] = np.nan
    actual = ops.run("softmax_xent", x=x, labels=np.array([1, 2, 3], np.int32))
    assert np.isnan(actual.totals[0])
    np.testing.assert_array_equal(np.isnan(actual.dx), np.broadcast_to([[False], [True], [False]], (3, 10)))


def test_loss_alone(ops, rng):
    x, labels = logits(rng, 33, 10), rng.integers(10, size=33).astype(np.int32)
    both, alone = ops.run("softmax_xent", x=x, labels=labels), ops.run("softmax_xent", x=x, labels=labels, dx=None)
    np.testing.assert_array_equal(alone.totals, both.totals)


def test_gradient_in_place_of_the_logits(ops, rng):
    x, labels = logits(rng, 33, 10), distributions(rng, 33, 10)
    apart = ops.run("softmax_xent", x=x, labels=labels)
    same = ops.run("softmax_xent", x=x, labels=labels, shared={"dx": "x"})
    np.testing.assert_array_equal(same.dx, apart.dx)
    np.testing.assert_array_equal(same.totals, apart.totals)


@pytest.mark.parametrize("label", [3, -1, 2**31 - 1, -(2**31)])
def test_a_label_out_of_range_is_refused_before_anything_is_written(ops, label):
    if ops.ops.name == "cuda":
        pytest.skip("the labels are where the host cannot look without waiting; test_cuda_ops.py has what they lead to")
    x, labels = np.zeros((4, 3), np.float32), np.array([0, 2, label, 1], np.int32)
    totals, dx = np.full(2, 7.0), np.full((4, 3), 7, np.float32)
    with pytest.raises(ValueError, match=rf"labels from 0 to 2.*[Rr]eceived: labels\[2\] = {label}"):
        ops.ops.softmax_xent(x=x, labels=labels, totals=totals, dx=dx)
    assert (totals == 7).all()
    assert (dx == 7).all()


@pytest.mark.parametrize(
    "labels",
    [np.zeros(3, np.int32), np.zeros((4, 2), np.float32), np.zeros(4, np.float32), np.zeros(4), np.zeros(4, np.int64)],
    ids=["3 numbers", "2 columns", "float numbers", "float64", "int64"],
)
def test_labels_of_another_shape_or_type_are_refused(ops, labels):
    x, totals = np.zeros((4, 3), np.float32), np.zeros(2)
    with pytest.raises((ValueError, TypeError), match=r"labels: expected .*[Rr]eceived"):
        ops.ops.softmax_xent(**ops.arrays(x=x, labels=labels, totals=totals), dx=None)
