"""Branches, shared layers, nested models and weights of losses, against fits of Keras (parity/graph_cases.py)."""

from types import SimpleNamespace

import numpy as np
import pytest
from parity import golden, graph_networks

import fastconv
from fastconv import layers, optimizers, utils

RECORDED = golden.load("keras_graphs")
TOLERANCE = 1e-5
API = SimpleNamespace(layers=layers, Model=fastconv.Model, Sequential=fastconv.Sequential)


def arrays(values):
    if isinstance(values, dict):
        return {name: np.array(value) for name, value in values.items()}
    return [np.array(value) for value in values] if values and np.ndim(values[0]) > 0 else np.array(values)


@pytest.fixture(scope="module", params=RECORDED["cases"], ids=lambda case: case["title"])
def trained(request):
    """A recorded case, the data, and a model that was trained on them."""
    case = request.param
    utils.clear_session()
    model = graph_networks.NETWORKS[case["network"]](API)
    model.set_weights(case["start"])
    model.compile(optimizers.SGD(0.05, momentum=0.5), **case["compile"])
    several = case["network"] == "two_by_two"
    x, y = (arrays(case[name]) if several else np.array(case[name]) for name in ("x", "y"))
    given = {}
    if case["given"] == "classes":
        given = {"class_weight": {int(key): value for key, value in RECORDED["class_weight"].items()}}
    elif case["given"] is not None:
        given = {"sample_weight": arrays(case["given"]) if several else np.array(case["given"])}
    history = model.fit(x, y, **RECORDED["fit_arguments"], **given, **case["fit"]).history
    given.pop("class_weight", None)
    return SimpleNamespace(case=case, model=model, x=x, y=y, given=given, history=history)


def test_every_epoch_has_the_losses_and_metrics_of_keras(trained):
    recorded = trained.case["history"]
    assert list(trained.history) == sorted(recorded)
    for name, values in recorded.items():
        np.testing.assert_allclose(trained.history[name], values, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


def test_the_weights_are_those_of_keras(trained):
    for found, recorded in zip(trained.model.get_weights(), trained.case["end"], strict=True):
        np.testing.assert_allclose(found, recorded, rtol=TOLERANCE, atol=TOLERANCE)


def test_evaluate_and_predict_answer_as_keras(trained):
    evaluate = lambda **more: trained.model.evaluate(trained.x, trained.y, verbose=0, **trained.given, **more)  # noqa: E731
    assert evaluate(return_dict=True) == pytest.approx(trained.case["evaluate_dict"], rel=TOLERANCE, abs=TOLERANCE)
    if not {"metrics", "weighted_metrics"} <= trained.case["compile"].keys() or len(trained.model.outputs) > 1:
        # Keras returns "accuracy" twice where one output has it weighted and not
        assert evaluate() == pytest.approx(trained.case["evaluate"], rel=TOLERANCE, abs=TOLERANCE)
    outputs = trained.model.predict(trained.x, verbose=0)
    for found, recorded in zip(
        outputs if isinstance(outputs, list) else [outputs], trained.case["predict"], strict=True
    ):
        np.testing.assert_allclose(found, recorded, rtol=TOLERANCE, atol=TOLERANCE)
