"""`loss` and `categorical_crossentropy` of every backend, and what they have in common with `softmax_xent`."""

from __future__ import annotations

import numpy as np
import pytest
import tolerances
from helpers import float32, small_integers

U = tolerances.UNIT
# name: parameter, and how many roundings of what magnitudes an element's value and derivative carry.
FUNCTIONS = {
    "mean_squared_error": 0.0,
    "mean_absolute_error": 0.0,
    "huber": 0.7,
    "binary_crossentropy": 0.0,
    "binary_crossentropy_of_logits": 0.0,
    "accuracy": 0.0,
    "binary_accuracy": 0.5,
}
every_function = pytest.mark.parametrize("function", FUNCTIONS)
SHAPES = [*((n, 1) for n in (1, 2, 15, 33)), (3, 7), (2, 3, 4, 5), (5, 300), (2, 4099), (9000, 1)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
ROUNDINGS = (
    12  # of the longest of them: log or exp within 3 units in the last place, of 2 roundings each, and a few more
)
RUN = 64  # float additions before a sum goes on in double


def operands(rng, function, shape):
    """Outputs and targets as the function has them."""
    if function in ("binary_crossentropy", "binary_accuracy"):
        return rng.random(shape).astype(np.float32), rng.integers(2, size=shape).astype(np.float32)
    if function == "binary_crossentropy_of_logits":
        return float32(rng, *shape, scale=4), rng.random(shape).astype(np.float32)
    if function == "accuracy":
        return rng.integers(3, size=shape).astype(np.float32), rng.integers(3, size=shape).astype(np.float32)
    return float32(rng, *shape), float32(rng, *shape)


def arguments(rng, function, shape):
    x, target = operands(rng, function, shape)
    return {"x": x, "target": target, "function": function, "parameter": FUNCTIONS[function]}


def assert_agree(actual, expected, x, target, weights, weight=1.0):
    """The totals and dx of a loss whose terms have magnitudes of at most a few (1 + |x| + |target|)."""
    size = x.size // len(weights)
    per_element = np.abs(weights).repeat(size).reshape(x.shape)
    magnitude = 2 * (1 + np.abs(x) + np.abs(target)) ** 2 * per_element
    bound = tolerances.gamma(ROUNDINGS + RUN) * magnitude.sum() / size
    tolerances.assert_close(actual.totals[0], expected.totals[0], bound)
    assert actual.totals[1] == expected.totals[1]
    steep = np.maximum(2 * (1 + np.abs(x) + np.abs(target)) * per_element * weight / x.size, np.abs(expected.dx))
    tolerances.assert_close(actual.dx, expected.dx, tolerances.gamma(ROUNDINGS) * steep)


@every_shape
@every_function
def test_loss(ops, reference, rng, function, shape):
    given = arguments(rng, function, shape)
    actual, expected = ops.run("loss", **given), reference.run("loss", **given)
    assert_agree(actual, expected, given["x"], given["target"], np.ones(len(given["x"])))


@every_function
@pytest.mark.parametrize("shape", [(9, 1), (5, 300), (3, 5003)], ids=str)
def test_weighted_loss(ops, reference, rng, function, shape):
    given = arguments(rng, function, shape)
    weights = rng.integers(0, 4, size=shape[0]).astype(np.float32)
    given |= {"sample_weight": weights, "label_smoothing": 0.25, "weight": 3.0}
    actual, expected = ops.run("loss", **given), reference.run("loss", **given)
    assert_agree(actual, expected, given["x"], given["target"], weights, weight=3.0)


@pytest.mark.parametrize("function", ["mean_squared_error", "mean_absolute_error", "accuracy"])
def test_loss_of_integers_is_exact(ops, reference, rng, function):
    given = {"x": small_integers(rng, 32, 256), "target": small_integers(rng, 32, 256), "function": function}
    actual, expected = ops.run("loss", **given), reference.run("loss", **given)
    np.testing.assert_array_equal(actual.totals, expected.totals)
    np.testing.assert_allclose(actual.dx, expected.dx, rtol=2 * U)


def test_a_loss_of_probabilities_is_clipped_as_in_keras(ops):
    x = np.array([[0.0], [1.0], [1.0], [0.0], [0.25]], np.float32)
    target = np.array([[1], [0], [1], [0], [1]], np.float32)
    actual = ops.run("loss", x=x, target=target, function="binary_crossentropy")
    largest = -np.log(1e-7), -np.log(1 - np.float64(np.float32(1 - 1e-7)))  # 16.118, 15.942
    np.testing.assert_allclose(actual.totals[0], sum(largest) + np.log(4), rtol=1e-6)
    np.testing.assert_allclose(actual.dx, [[0], [0], [0], [0], [-4 / 5]], rtol=1e-6)


def test_a_loss_of_logits_is_not_clipped(ops):
    x, target = np.array([[100], [-100], [100], [-100]], np.float32), np.array([[0], [1], [1], [0]], np.float32)
    actual = ops.run("loss", x=x, target=target, function="binary_crossentropy_of_logits")
    assert actual.totals[0] == 200
    np.testing.assert_allclose(actual.dx, [[0.25], [-0.25], [0], [0]], atol=1e-30)


def test_the_gradient_of_an_absolute_error_at_0_is_0(ops):
    same = np.array([[1, -2, 0]], np.float32)
    assert (ops.run("loss", x=same, target=same, function="mean_absolute_error").dx == 0).all()


@pytest.mark.parametrize("where", [0, 19])  # in a whole vector, and in the last elements
@pytest.mark.parametrize("function", sorted(FUNCTIONS.keys() - {"binary_accuracy"}))
def test_nan_spoils_the_loss_and_its_element(ops, rng, function, where):
    given = arguments(rng, function, (1, 20))
    given["x"][0, where] = np.nan
    actual = ops.run("loss", **given)
    assert np.isnan(actual.totals[0])
    expected = np.arange(20) == where
    np.testing.assert_array_equal(np.isnan(actual.dx[0]), expected if function != "accuracy" else np.zeros(20, bool))


def test_nan_is_above_no_threshold(ops):
    x, target = np.full((2, 1), np.nan, np.float32), np.array([[0], [1]], np.float32)
    assert ops.run("loss", x=x, target=target, function="binary_accuracy", parameter=0.5).totals[0] == 1


def test_loss_alone(ops, rng):
    given = arguments(rng, "binary_crossentropy_of_logits", (33, 10))
    np.testing.assert_array_equal(ops.run("loss", **given, dx=None).totals, ops.run("loss", **given).totals)


def test_gradient_in_place_of_the_output(ops, rng):
    given = arguments(rng, "huber", (33, 10))
    np.testing.assert_array_equal(ops.run("loss", **given, shared={"dx": "x"}).dx, ops.run("loss", **given).dx)


def test_an_unknown_function_is_refused_with_those_there_are(ops):
    x, totals = np.zeros((2, 3), np.float32), np.zeros(2)
    with pytest.raises(ValueError, match="function: expected one of mean_squared_error, .*Received: hinge"):
        ops.ops.loss(**ops.arrays(x=x, target=x, totals=totals), dx=None, workspace=None, function="hinge")


# ---- of probabilities


def probabilities(rng, rows, classes):
    return rng.dirichlet(np.ones(classes), size=rows).astype(np.float32) * 2  # whose sum is not 1


@pytest.mark.parametrize("numbers", [True, False], ids=["numbers", "distributions"])
@pytest.mark.parametrize("rows, classes", [(1, 1), (3, 2), (7, 10), (33, 10), (3, 200)])
def test_categorical_crossentropy(ops, reference, rng, rows, classes, numbers):
    labels = rng.integers(classes, size=rows).astype(np.int32)
    given = {"x": probabilities(rng, rows, classes), "labels": labels, "label_smoothing": 0.0 if numbers else 0.125}
    given |= {"sample_weight": np.abs(float32(rng, rows)), "weight": 2.0}
    if not numbers:
        given["labels"] = np.eye(classes, dtype=np.float32)[labels]
    actual, expected = (backend.run("categorical_crossentropy", **given) for backend in (ops, reference))
    np.testing.assert_allclose(actual.totals, expected.totals, rtol=tolerances.gamma(20), atol=20 * U * rows)
    scale = np.abs(expected.dx).max(axis=1, keepdims=True)
    tolerances.assert_close(actual.dx, expected.dx, tolerances.gamma(40) * (scale + np.abs(expected.dx)))


@pytest.mark.parametrize("numbers", [True, False], ids=["numbers", "distributions"])
def test_probabilities_of_0_are_clipped_as_in_keras(ops, numbers):
    labels = np.array([0], np.int32) if numbers else np.array([[1, 0, 0]], np.float32)
    actual = ops.run("categorical_crossentropy", x=np.array([[0, 0.25, 0.75]], np.float32), labels=labels)
    np.testing.assert_allclose(actual.totals[0], -np.log(1e-7), rtol=1e-6)
    np.testing.assert_allclose(actual.dx, [[0, 1, 1] if numbers else [0, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("numbers", [True, False], ids=["numbers", "distributions"])
def test_nan_spoils_the_loss_and_its_row_of_probabilities(ops, rng, numbers):
    x, labels = probabilities(rng, 3, 5), np.array([0, 1, 2], np.int32)
    x[1, 2] = np.nan
    labels = labels if numbers else np.eye(5, dtype=np.float32)[labels]
    actual = ops.run("categorical_crossentropy", x=x, labels=labels)
    assert np.isnan(actual.totals[0])
    np.testing.assert_array_equal(np.isnan(actual.dx).any(axis=1), [False, True, False])


def test_gradient_in_place_of_the_probabilities(ops, rng):
    x, labels = probabilities(rng, 33, 10), np.eye(10, dtype=np.float32)[rng.integers(10, size=33)]
    apart = ops.run("categorical_crossentropy", x=x, labels=labels)
    np.testing.assert_array_equal(
        ops.run("categorical_crossentropy", x=x, labels=labels, shared={"dx": "x"}).dx, apart.dx
    )


# ---- what losses of classes have in common

CLASSES = ("softmax_xent", "categorical_crossentropy")


@pytest.mark.parametrize("numbers", [True, False], ids=["numbers", "distributions"])
def test_weighted_and_smoothed_softmax(ops, reference, rng, numbers):
    labels = rng.integers(10, size=33).astype(np.int32)
    given = {"x": float32(rng, 33, 10), "labels": labels if numbers else np.eye(10, dtype=np.float32)[labels]}
    given |= {"sample_weight": np.abs(float32(rng, 33)), "label_smoothing": 0.1, "weight": 0.25}
    actual, expected = ops.run("softmax_xent", **given), reference.run("softmax_xent", **given)
    np.testing.assert_allclose(actual.totals, expected.totals, rtol=2e-6)
    np.testing.assert_allclose(actual.dx, expected.dx, rtol=1e-5, atol=1e-7 / 33)


@pytest.mark.parametrize("op", CLASSES)
def test_a_sample_of_several_rows_counts_as_their_mean(ops, rng, op):
    x, labels = np.abs(float32(rng, 4, 6, 10)), rng.integers(10, size=(4, 6)).astype(np.int32)
    weights = np.array([2, 0, 1, 4], np.float32)
    actual = ops.run(op, x=x, labels=labels, sample_weight=weights)
    rows = ops.run(op, x=x.reshape(24, 10), labels=labels.reshape(24), sample_weight=weights.repeat(6))
    np.testing.assert_allclose(actual.totals, rows.totals / 6, rtol=1e-14)
    np.testing.assert_array_equal(actual.dx.reshape(24, 10), rows.dx)


@pytest.mark.parametrize("op", CLASSES)
def test_hits_are_counted_without_weights(ops, rng, op):
    x, labels = np.abs(float32(rng, 50, 3)), rng.integers(3, size=50).astype(np.int32)
    hits = (x.argmax(axis=1) == labels).sum()
    assert ops.run(op, x=x, labels=labels, sample_weight=np.zeros(50, np.float32)).totals[1] == hits


@pytest.mark.parametrize(
    "change, message",
    [
        ({"totals": np.zeros(3)}, r"totals: expected 2 elements.*Received: shape \(3,\)"),
        ({"sample_weight": np.ones(3, np.float32)}, r"sample_weight: expected 2 elements.*Received: shape \(3,\)"),
    ],
    ids=["totals", "weights"],
)
@pytest.mark.parametrize("op", [*CLASSES, "categorical_accuracy"])
def test_totals_and_weights_of_other_sizes_are_refused(ops, op, change, message):
    arrays = {"x": np.ones((2, 3), np.float32), "labels": np.zeros(2, np.int32), "totals": np.zeros(2)} | change
    outputs = {} if op == "categorical_accuracy" else {"dx": None}
    with pytest.raises(ValueError, match=message):
        getattr(ops.ops, op)(**ops.arrays(**arrays), **outputs)
