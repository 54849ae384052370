"""Losses and metrics against what Keras answered (parity/keras_losses.py)."""

import numpy as np
import pytest
from graph_runner import run_graph
from parity import golden, small_models

import fastconv
from fastconv import losses, metrics, utils
from fastconv.layers.activation import emit_activation
from fastconv.plan.graph import Graph

RECORDED = golden.load("keras_losses")
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def named(case):
    weighted = case.get("sample_weight") or case.get("batches", [case])[0].get("sample_weight")
    parts = (case.get("loss") or case.get("metric"), case["arguments"] or "", case.get("activation") or "")
    return " ".join(str(part) for part in (*parts, "weighted" if weighted else "") if part)


def weighted_graph(mode, shape, target, sample_weight):
    """A graph up to its slots, and the labels' and weights' buffers."""
    graph = Graph(mode, [shape])
    return graph, *graph.target(*target, sample_weight is not None)


def given(graph, x, labels, sample_weight):
    values = {graph.inputs[0]: x, graph.targets[0]: labels}
    return values if sample_weight is None else values | {graph.sample_weights[0]: np.float32(sample_weight)}


@pytest.mark.parametrize("case", RECORDED["losses"], ids=named)
def test_loss(ops, case):
    x, weights = np.float32(case["x"]), case["sample_weight"]
    loss = getattr(losses, case["loss"])(**case["arguments"])
    graph, target, sample_weight = weighted_graph("train", x.shape, loss.target(x.shape), weights)
    activation = case["activation"] if case["activation"] in ("sigmoid", "softmax") else "linear"
    output = emit_activation(graph, activation, graph.inputs[0], "output")
    loss.check_output(output.shape)
    graph.totals = graph.buffer((loss.state_size,), "totals", dtype="float64")
    loss.emit(graph, output, target, sample_weight, 0, 1.0)
    arrays = run_graph(graph, ops.ops, given(graph, x, loss.labels_of(case["y"], x.shape), weights))
    ((source, dx),) = graph.loss_gradients
    assert source is graph.inputs[0]
    np.testing.assert_allclose(arrays[graph.totals][0] / len(x), case["value"], **CLOSE)
    np.testing.assert_allclose(arrays[dx], case["gradient"], **CLOSE)


@pytest.mark.parametrize("case", RECORDED["metrics"], ids=named)
def test_metric(ops, case):
    metric = getattr(metrics, case["metric"])(**case["arguments"])
    state = np.zeros(metric.state_size)
    for batch in case["batches"]:
        x, weights = np.float32(batch["x"]), batch["sample_weight"]
        graph, target, sample_weight = weighted_graph("evaluate", x.shape, metric.target(x.shape), weights)
        graph.totals = graph.buffer((metric.state_size,), "totals", dtype="float64")
        metric.emit(graph, graph.inputs[0], target, sample_weight, 0)
        labels = metric.labels_of(batch["y"], x.shape)
        state += run_graph(graph, ops.ops, given(graph, x, labels, weights))[graph.totals]
    assert metric.result(state) == pytest.approx(case["result"], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", RECORDED["training"])
def test_training(name):
    run, batch = RECORDED["training"][name], RECORDED["training"][name]["batch"]
    utils.clear_session()
    model = small_models.MODELS[name](fastconv)
    model.set_weights([np.float32(w) for w in run["weights"]])
    x, y = np.float32(run["x"]), np.float32(run["y"])
    steps = [
        model.train_on_batch(x[i : i + batch], y[i : i + batch], return_dict=True) for i in range(0, len(x), batch)
    ]
    for logs, expected in zip(steps, run["steps"], strict=True):
        assert logs == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True) == pytest.approx(run["evaluated"], rel=1e-5)
