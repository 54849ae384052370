"""Metrics: their names, the labels they take, and what they make of sums."""

import numpy as np
import pytest

from fastconv import losses, metrics, utils
from fastconv.layers import Dense, Input
from fastconv.models import Sequential
from fastconv.plan.graph import Graph

ROWS, CLASSES, BINARY = (32, 10), (32,), (32, 1)


@pytest.mark.parametrize("name", ["accuracy", "acc"])
@pytest.mark.parametrize(
    ("target", "output", "metric"),
    [
        (BINARY, BINARY, metrics.BinaryAccuracy),
        (ROWS, ROWS, metrics.CategoricalAccuracy),
        (CLASSES, ROWS, metrics.SparseCategoricalAccuracy),
        (BINARY, ROWS, metrics.SparseCategoricalAccuracy),
        ((32, 4, 4), (32, 4, 4, 3), metrics.SparseCategoricalAccuracy),
    ],
)
def test_accuracy_is_the_one_that_fits_the_shapes(name, target, output, metric):
    found = metrics.get(name, target, output)
    assert type(found) is metric and found.name == name


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("mae", metrics.MeanAbsoluteError),
        ("MSE", metrics.MeanSquaredError),
        ("AUC", metrics.AUC),
        ("auc", metrics.AUC),
        ("top_k_categorical_accuracy", metrics.TopKCategoricalAccuracy),
        ("RootMeanSquaredError", metrics.RootMeanSquaredError),
        ("precision", metrics.Precision),
    ],
)
def test_a_metric_keeps_the_name_it_was_asked_for_by(name, metric):
    found = metrics.get(name, ROWS, ROWS)
    assert type(found) is metric and found.name == name


def test_names_without_one_are_numbered():
    utils.clear_session()
    assert [metrics.AUC().name, metrics.AUC().name, metrics.Recall().name] == ["auc", "auc_1", "recall"]


@pytest.mark.parametrize("identifier", ["hinge", None, metrics.AUC, ["mae"]])
def test_unknown_names_list_the_known(identifier):
    with pytest.raises(ValueError, match="metrics: expected a Metric or one of .*acc.*auc.*Received: "):
        metrics.check(identifier)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.Precision([0.25, 0.5]), "thresholds: expected None or one number"),
        (lambda: metrics.Recall(1.5), "thresholds: expected .*thresholds=1.5"),
        (lambda: metrics.Recall(top_k=3), "top_k: expected None.*top_k=3"),
        (lambda: metrics.Precision(class_id=0), "class_id: expected None.*class_id=0"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds: expected an integer > 1.*num_thresholds=1"),
        (lambda: metrics.AUC(curve="PRGAIN"), "curve: expected .*curve='PRGAIN'"),
        (lambda: metrics.AUC(summation_method="left"), "summation_method: expected .*summation_method='left'"),
        (lambda: metrics.AUC(thresholds=[0.5, 2]), "thresholds: expected None or numbers from 0 to 1"),
        (lambda: metrics.AUC(multi_label=True), "multi_label: expected None.*multi_label=True"),
        (lambda: metrics.BinaryAccuracy(threshold="low"), "threshold: expected a finite number"),
        (lambda: metrics.TopKCategoricalAccuracy(k=0), "k: expected .*k=0"),
        (lambda: metrics.SparseTopKCategoricalAccuracy(from_sorted_ids=True), "from_sorted_ids: expected False"),
        (lambda: metrics.MeanSquaredError(dtype="float64"), "dtype: expected"),
    ],
)
def test_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def graph_of(shape, target):
    graph = Graph("evaluate", [shape])
    buffer, _ = graph.target(*target, weighted=False)
    return graph, graph.inputs[0], buffer


@pytest.mark.parametrize(
    "metric",
    [
        metrics.Accuracy(),
        metrics.BinaryAccuracy(),
        metrics.CategoricalAccuracy(),
        metrics.TopKCategoricalAccuracy(),
        metrics.MeanSquaredError(),
        metrics.CategoricalCrossentropy(),
        metrics.AUC(),
    ],
    ids=lambda metric: metric.name,
)
def test_numbers_of_classes_are_refused_where_rows_are_read(metric):
    graph, output, target = graph_of(ROWS, (CLASSES, "int32"))
    with pytest.raises(ValueError, match=rf"{metric.name}: expected labels in the shape of the output.*int32.*\(32,\)"):
        metric.emit(graph, output, target, None, 0)


@pytest.mark.parametrize("name", ["categorical_accuracy", "top_k_categorical_accuracy", "categorical_crossentropy"])
def test_rows_are_refused_where_numbers_of_classes_are_read(name):
    graph, output, target = graph_of(ROWS, (ROWS, "float"))
    metric = metrics.get(f"sparse_{name}", ROWS, ROWS)
    with pytest.raises(ValueError, match=f"expected numbers of classes.*use '{name}'"):
        metric.emit(graph, output, target, None, 0)


@pytest.mark.parametrize(
    ("loss", "metric", "counted"),
    [
        (losses.CategoricalCrossentropy(), metrics.CategoricalAccuracy(), True),
        (losses.SparseCategoricalCrossentropy(), metrics.SparseCategoricalAccuracy(), True),
        (losses.CategoricalCrossentropy(), metrics.TopKCategoricalAccuracy(), False),
        (losses.BinaryCrossentropy(), metrics.BinaryAccuracy(), False),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_crossentropy_counts_its_accuracy(loss, metric, counted):
    assert loss.counts(metric) is counted


@pytest.mark.parametrize("metric", [metrics.MeanAbsoluteError(), metrics.Precision(), metrics.AUC(curve="PR")])
def test_of_nothing_is_0(metric):
    assert metric.result(np.zeros(metric.state_size)) == 0


@pytest.mark.parametrize("count", [3, 5, 11, 200, 1000])
def test_edges_of_even_thresholds_are_where_keras_counts(rng, count):
    p = np.concatenate([rng.random(2000), np.arange(count) / (count - 1), [1e-30, 0.0]]).astype(np.float32)
    p = np.clip(np.concatenate([p, np.nextafter(p, np.float32(2)), np.nextafter(p, np.float32(0))]), 0, 1)
    edges = metrics.AUC(num_thresholds=count, name="auc")._thresholds
    keras = np.maximum(np.ceil(p * np.float32(count - 1)) - 1, 0)  # metrics_utils.py, in float32
    np.testing.assert_array_equal(np.searchsorted(edges, p) - 1, keras)


def test_an_auc_of_logits_is_that_of_probabilities():
    p = np.linspace(0.001, 0.999, 777)
    of_p, of_logits = metrics.AUC(name="p"), metrics.AUC(name="x", from_logits=True)
    x = np.log(p / (1 - p)).astype(np.float32)
    np.testing.assert_array_equal(
        np.searchsorted(of_logits._thresholds, x), np.searchsorted(of_p._thresholds, p.astype(np.float32))
    )


def test_metrics_beside_their_loss_are_its_own_steps():
    model = Sequential([Input((3,)), Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy", "mse", metrics.AUC(name="auc")])
    x, y = np.array([[1, 0, 0], [0, 1, 0]]), np.array([0, 1])
    assert list(model.evaluate(x, y, verbose=0, return_dict=True)) == ["loss", "accuracy", "mse", "auc"]
