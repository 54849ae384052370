"""Losses and metrics of several outputs: whose entries of totals are whose, names in the logs, sums and gradients."""

from types import SimpleNamespace

import numpy as np
import pytest

from fastconv import layers, losses, metrics, optimizers, utils
from fastconv.models import Model
from fastconv.models.objective import Objective
from fastconv.ops import get_ops
from fastconv.plan.executor import Executor

CE, SPARSE = "categorical_crossentropy", "sparse_categorical_crossentropy"
SHAPES = [(None, 3), (None, 4)]
BATCH = 5


class Spread(metrics.Metric):
    """Three entries that no step writes: the tests do."""

    state_size = 3

    def result(self, state):
        return float(state.max() - state.min())


def two(loss=CE, **more):
    objective = Objective(loss, output_names=["a", "b"], **more)
    objective.lay_out(SHAPES)
    return objective


def test_a_single_output_has_the_loss_and_its_metrics():
    objective = Objective(CE, metrics=["accuracy"])
    objective.lay_out([(None, 3)])
    assert objective.size == 2  # accuracy is what crossentropy counts
    assert objective.results(np.array([6.0, 3.0]), 4) == {"loss": 1.5, "accuracy": 0.75}
    assert list(objective.results(np.zeros(2), 0)) == ["loss", "accuracy"]


def test_the_loss_alone_is_that_of_the_results():
    """Of several outputs, with their weights, and of penalties."""
    objective = two([CE, "mse"], loss_weights=[2.0, 0.5], metrics=["accuracy", "mae"])
    sums = np.arange(1.0, objective.size + 1)
    assert objective.loss_of(sums) / 4 == pytest.approx(objective.results(sums, 4)["loss"])
    for place in range(sums.size):
        spoilt = np.where(np.arange(sums.size) == place, np.inf, sums)
        assert np.isinf(objective.loss_of(spoilt)) == (place in objective.loss_places)
    x = layers.Input((3,))
    model = Model(x, layers.Dense(3, kernel_regularizer="l2")(x))
    penalized = Objective(CE)
    penalized.lay_out([(None, 3)], model)
    sums = np.array([3.0, 1.0, 5.0])
    assert penalized.loss_of(sums) / 4 == penalized.results(sums, 4)["loss"] == 2


def test_several_outputs_have_their_losses_and_metrics_under_their_names():
    objective = two({"b": SPARSE, "a": CE}, metrics={"b": "acc", "a": [Spread("wide"), "acc"]}, loss_weights=[3, 0.5])
    assert objective.size == 2 + 3 + 2
    found = objective.results(np.array([4.0, 1, 5, 2, 9, 8, 3]), 4)
    assert found == {"loss": 3 * 1 + 0.5 * 2, "a_loss": 1, "b_loss": 2, "a_acc": 0.25, "a_wide": 7, "b_acc": 0.75}
    assert list(found) == ["loss", "a_loss", "b_loss", "a_acc", "a_wide", "b_acc"]


def test_one_loss_or_metric_stands_for_all_outputs():
    assert list(two(CE, metrics="accuracy").results(np.ones(4), 1)) == [
        "loss", "a_loss", "b_loss", "a_accuracy", "b_accuracy"
    ]  # fmt: skip


def test_an_output_without_a_loss_has_labels_if_it_has_metrics():
    objective = two([CE, None])
    assert objective.labelled == [0] and list(objective.results(np.ones(2), 1)) == ["loss"]
    assert two([CE, None], metrics=[None, [Spread("wide")]]).labelled == [0, 1]


def test_a_name_that_is_taken_is_made_new_as_in_keras():
    objective = Objective(
        CE, metrics=[Spread("s"), Spread("s"), Spread("s")], weighted_metrics=[Spread("s"), Spread("t")]
    )
    objective.lay_out([(None, 3)])
    assert list(objective.results(np.ones(objective.size), 1)) == ["loss", "s", "s_1", "s_2", "weighted_s", "t"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": {"c": CE}}, r"loss: expected keys out of the output names \['a', 'b'\]. Received: 'c'"),
        ({"loss": [CE]}, r"loss: expected one entry for each of the 2 outputs.*Received: 1"),
        ({"loss_weights": [1, "x"]}, r"loss_weights: expected numbers. Received: 'x'"),
        ({"metrics": {"a": "speed"}}, r"metrics.*accuracy.*Received: 'speed'"),
        ({"weighted_metrics": ["accuracy"] * 3}, r"weighted_metrics: expected one entry.*Received: 3"),
    ],
)
def test_what_is_not_for_these_outputs_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Objective(**{"loss": CE, "output_names": ["a", "b"], **arguments})


class TwoHeads:
    """Two inputs, added behind a layer they share; two outputs, one of them the other's input, or the same twice."""

    def __init__(self, same=False):
        utils.set_random_seed(3)
        self.inputs = [layers.Input((6,)), layers.Input((6,))]
        self.layers = SimpleNamespace(
            first=layers.Dense(3, name="first"), add=layers.Add(), second=layers.Dense(3, name="second")
        )
        self.layers.first.build((None, 6))
        self.layers.second.build((None, 3))
        self.same, self.weights = same, self.layers.first.weights + (not same) * self.layers.second.weights

    def emit(self, graph, *inputs):
        middle = self.layers.add.emit(graph, *(self.layers.first.emit(graph, x) for x in inputs))
        return [middle, middle if self.same else self.layers.second.emit(graph, middle)]


class Case:
    """The heads with crossentropies of logits, in float64."""

    def __init__(self, same=False):
        loss = [losses.CategoricalCrossentropy(True), losses.SparseCategoricalCrossentropy(True)]
        self.model, objective = TwoHeads(same), Objective(loss, metrics="acc", output_names=["a", "b"])
        ops, sgd = get_ops("numpy"), optimizers.SGD(0.0)
        self.executor = Executor(self.model, ops, objective, sgd, dtype=np.float64)
        self.plan = self.executor.plan("train", BATCH)
        rng = np.random.default_rng(4)
        labels = np.eye(3)[rng.integers(3, size=BATCH)], rng.integers(3, size=BATCH)
        self.arrays = [*(rng.normal(size=slot.shape) for slot in self.plan.inputs), *labels]

    def totals(self):
        for slot, array in zip(self.plan.host_slots, self.arrays, strict=True):
            slot[...] = array
        self.plan.send()
        self.plan.run()
        return self.plan.totals.copy()

    def logits(self):
        plan = self.executor.plan("predict", BATCH)
        for slot, array in zip(plan.slots, self.arrays, strict=False):
            slot[...] = array
        plan.run()
        return [output.copy() for output in plan.outputs]


def test_every_loss_and_count_is_in_its_entry():
    case = Case()
    one_hot, number = case.arrays[2:]
    expected = []
    for logits, labels in zip(case.logits(), (one_hot, np.eye(3)[number]), strict=True):
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        expected += [-(labels * log_p).sum(), (logits.argmax(1) == labels.argmax(1)).sum()]
    np.testing.assert_allclose(case.totals(), expected, rtol=1e-13)


@pytest.mark.parametrize("same", [False, True])
def test_the_gradient_is_that_of_the_sum_of_all_losses(same):
    case = Case(same)
    case.totals()
    gradient, parameters = case.executor.store.gradient.copy(), case.executor.store.trainable
    for i in np.flatnonzero(gradient):
        value, found = parameters[i], []
        for step in (1e-6, -1e-6):
            parameters[i] = value + step
            totals = case.totals()
            found.append((totals[0] + totals[2]) / BATCH)
        parameters[i] = value
        assert (found[0] - found[1]) / 2e-6 == pytest.approx(gradient[i], abs=1e-8, rel=1e-6)
    assert np.count_nonzero(gradient) == sum(w.array.size for w in case.model.weights)
