"""The reference of losses and metrics: against definitions, known answers and finite differences in float64."""

from __future__ import annotations

import numpy as np
import pytest
from finite_differences import assert_gradient
from helpers import REFERENCE

LOSSES = {
    "mean_squared_error": 0.0,
    "mean_absolute_error": 0.0,
    "huber": 0.5,
    "binary_crossentropy": 0.0,
    "binary_crossentropy_of_logits": 0.0,
}
CLASSES = ("softmax_xent", "categorical_crossentropy")
WEIGHTS = np.array([0.5, 2, 0, 1])


@pytest.mark.parametrize("function", LOSSES)
def test_gradient_of_elements(rng, function):
    x, target = rng.uniform(0.1, 0.9, size=(4, 3)), rng.permutation(np.repeat((0.0, 0.3, 1.0), 4)).reshape(4, 3)
    given = {"target": target, "function": function, "parameter": LOSSES[function], "sample_weight": WEIGHTS}
    given |= {"label_smoothing": 0.2, "weight": 3.0}
    loss = lambda: 3 * REFERENCE.run("loss", x=x, **given).totals[0] / 4  # noqa: E731
    assert_gradient(REFERENCE.run("loss", x=x, **given).dx, loss, x)


@pytest.mark.parametrize(
    "labels", [np.array([[2, 0], [4, 1], [1, 1], [3, 0]], np.int32), None], ids=["numbers", "rows"]
)
@pytest.mark.parametrize("op", CLASSES)
def test_gradient_of_rows(rng, op, labels):
    x = rng.uniform(0.1, 0.9, size=(4, 2, 5))
    labels = rng.dirichlet(np.ones(5), size=(4, 2)) if labels is None else labels
    given = {"labels": labels, "sample_weight": WEIGHTS, "label_smoothing": 0.2, "weight": 3.0}
    loss = lambda: 3 * REFERENCE.run(op, x=x, **given).totals[0] / 4  # noqa: E731
    assert_gradient(REFERENCE.run(op, x=x, **given).dx, loss, x)


@pytest.mark.parametrize(
    "function, value",
    [
        ("mean_squared_error", (0.25 + 4) / 2),
        ("mean_absolute_error", 2.5 / 2),
        ("huber", (0.125 + 1.5) / 2),
        ("accuracy", 0.0),
        ("binary_accuracy", 0.5),
    ],
)
def test_loss_by_hand(function, value):
    x, target = np.array([[0.5, 3.0], [0.5, 3.0]]), np.array([[0.0, 1.0]] * 2)
    parameter = {"huber": 1.0, "binary_accuracy": 0.25}.get(function, 0.0)
    totals = REFERENCE.run("loss", x=x, target=target, function=function, parameter=parameter).totals
    assert totals.tolist() == [2 * value, 2]


def test_crossentropy_by_hand():
    p, target = np.array([[0.25, 0.5]]), np.array([[0.0, 1.0]])
    expected = (-np.log(0.75) - np.log(0.5)) / 2
    logits = np.log(p / (1 - p))
    for x, function in ((p, "binary_crossentropy"), (logits, "binary_crossentropy_of_logits")):
        totals = REFERENCE.run("loss", x=x, target=target, function=function).totals
        np.testing.assert_allclose(totals[0], expected, rtol=1e-14)


def test_smoothed_labels_by_hand():
    x = np.array([[0.25, 0.75]])
    number, row = np.array([1], np.int32), np.array([[0.0, 1.0]])
    expected = -0.1 * np.log(0.25) - 0.9 * np.log(0.75)
    for op, given in (("softmax_xent", np.log(x)), ("categorical_crossentropy", x)):
        for labels in (number, row):
            totals = REFERENCE.run(op, x=given, labels=labels, label_smoothing=0.2).totals
            np.testing.assert_allclose(totals[0], expected, rtol=1e-14)


def test_confusion_by_hand():
    x, target = np.array([[0.1], [0.5], [0.6], [0.9]]), np.array([[1.0], [0], [1], [1]])
    given = {"x": x, "target": target, "thresholds": np.array([0.3, 0.6]), "sample_weight": np.array([1.0, 2, 4, 8])}
    assert REFERENCE.run("confusion", **given).totals.tolist() == [1, 4, 8, 0, 2, 0]


def test_accuracy_by_hand():
    x, labels = np.array([[1.0, 3, 2], [3, 2, 1]]), np.array([2, 1], np.int32)
    found = [REFERENCE.run("categorical_accuracy", x=x, labels=labels, k=k).totals[0] for k in (0, 1, 2)]
    assert found == [0, 0, 2]
