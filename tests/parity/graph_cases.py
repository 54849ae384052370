"""What Keras' fit and evaluate make of branches, nested models and weights, for tests/data/keras_graphs.json.

This file imports Keras at the top and is imported by the recorder alone.
"""

from __future__ import annotations

import keras
import numpy as np
from graph_networks import NETWORKS

CE, SPARSE = "categorical_crossentropy", "sparse_categorical_crossentropy"
# Samples. Of two outputs no part of them leaves a smaller last batch: Keras on TensorFlow then takes the means of the
# outputs' own losses over batches of any size, and not over samples as that of their sum.
COUNTS = {"two_by_two": 16, "nested_chain": 10}
BOTH = {"first": CE, "second": SPARSE}
ACCURACIES = {"metrics": {"first": ["accuracy"], "second": ["accuracy"]}}
WEIGHTED = {"weighted_metrics": {"first": ["accuracy"], "second": ["accuracy"]}}
# network, arguments of compile, which weights fit gets, other arguments of fit
CASES = (
    ("two_by_two", {"loss": BOTH, **ACCURACIES}, None, {}),
    ("two_by_two", {"loss": BOTH, "loss_weights": {"first": 0.25, "second": 2.0}, **ACCURACIES}, None, {}),
    ("two_by_two", {"loss": [CE, SPARSE], "loss_weights": [1.5, 0.5], **ACCURACIES, **WEIGHTED}, "samples", {}),
    ("two_by_two", {"loss": BOTH, **ACCURACIES}, "samples", {"validation_split": 0.25}),
    ("nested_chain", {"loss": CE, "metrics": ["accuracy"], "weighted_metrics": ["accuracy"]}, "classes", {}),
    ("nested_chain", {"loss": CE, "metrics": ["accuracy"]}, "classes", {"validation_split": 0.25}),
    ("nested_chain", {"loss": CE, "weighted_metrics": ["accuracy"]}, "samples", {"validation_split": 0.3}),
)
FIT = {"batch_size": 4, "epochs": 3, "shuffle": False, "verbose": 0}


def listed(values):
    """Arrays as nested lists, alone, by name or in a list."""
    if isinstance(values, dict):
        return {name: listed(array) for name, array in values.items()}
    if isinstance(values, list) and isinstance(values[0], np.ndarray):
        return [listed(array) for array in values]
    return np.asarray(values, np.float32).tolist()


def answer(rng, network, compiled, weights, fit) -> dict:
    keras.backend.clear_session()
    count = COUNTS[network]
    model = NETWORKS[network](keras)
    start = [rng.integers(-8, 9, w.shape) / 8 for w in model.get_weights()]
    start = [np.abs(w) if "variance" in v.name else w for w, v in zip(start, model.weights, strict=True)]
    model.set_weights(start)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.5), **compiled)
    x = {i.name.split(":")[0]: rng.integers(-8, 9, (count, 5)) / 4 for i in model.inputs}
    y = {"first": np.eye(3)[rng.integers(3, size=count)], "second": rng.integers(4, size=count)}
    sample_weight = [rng.integers(0, 9, count) / 4 for _ in y]
    if weights == "samples":  # Keras has these in the same form as y and the outputs
        y = [y["first"], y["second"]]
    if len(x) == 1:
        x, y, sample_weight = x["x"], y[0] if weights == "samples" else y["first"], sample_weight[0]
    given = {
        "samples": {"sample_weight": sample_weight},
        "classes": {"class_weight": {0: 0.25, 2: 3.0}},
        None: {},
    }[weights]
    history = model.fit(x, y, **FIT, **given, **fit).history
    given.pop("class_weight", None)
    outputs = model.predict(x, verbose=0)
    title = "-".join(filter(None, (network, "loss_weights" * ("loss_weights" in compiled), weights, *fit)))
    return {
        "title": title,
        "network": network,
        "compile": compiled,
        "fit": fit,
        "x": listed(x),
        "y": listed(y),
        "given": listed(sample_weight) if weights == "samples" else weights,
        "start": listed(start),
        "history": listed(history),
        "end": listed(model.get_weights()),
        "evaluate": listed(model.evaluate(x, y, batch_size=4, verbose=0, **given)),
        "evaluate_dict": model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True, **given),
        "predict": [listed(output) for output in (outputs if isinstance(outputs, list) else [outputs])],
    }


def record(seed: int) -> dict:
    rng = np.random.default_rng(seed)
    class_weight = {"0": 0.25, "2": 3.0}
    return {"fit_arguments": FIT, "class_weight": class_weight, "cases": [answer(rng, *case) for case in CASES]}
