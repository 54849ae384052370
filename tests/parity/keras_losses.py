"""Values and gradients of Keras' losses, metrics over uneven batches, and small models trained by them.

A case holds its inputs beside what Keras answered, so that a test needs nothing but the JSON. This file imports Keras
at the top and is imported by the recorder alone.
"""

from __future__ import annotations

import keras
import numpy as np
import small_models
import tensorflow as tf

BATCHES = (7, 1, 4)  # samples of a metric's batches
STEPS, BATCH, EVALUATED = 5, 4, 7
WEIGHTS = (0.5, 2.0, 0.0, 1.0, 1.5)
SATURATED = (60.0, -60.0, 0.0, 1.0, -1.0)

# loss, arguments, activation before it, kind of labels
LOSSES = (
    ("MeanSquaredError", {}, None, "numbers"),
    ("MeanAbsoluteError", {}, None, "numbers"),
    ("Huber", {}, None, "numbers"),
    ("Huber", {"delta": 0.375}, None, "numbers"),
    ("BinaryCrossentropy", {}, "sigmoid", "shares"),
    ("BinaryCrossentropy", {"label_smoothing": 0.25}, "sigmoid", "shares"),
    ("BinaryCrossentropy", {"from_logits": True}, None, "shares"),
    ("BinaryCrossentropy", {}, "probabilities", "shares"),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, "probabilities", "shares"),
    ("CategoricalCrossentropy", {}, "softmax", "rows"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "softmax", "rows"),
    ("CategoricalCrossentropy", {"from_logits": True}, None, "rows"),
    ("CategoricalCrossentropy", {}, "probabilities", "rows"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "probabilities", "rows"),
    ("SparseCategoricalCrossentropy", {}, "softmax", "classes"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, None, "classes"),
    ("SparseCategoricalCrossentropy", {}, "probabilities", "classes"),
)
# metric, arguments, kind of outputs and labels
METRICS = (
    ("Accuracy", {}, "whole"),
    ("BinaryAccuracy", {}, "binary"),
    ("BinaryAccuracy", {"threshold": 0.25}, "binary"),
    ("CategoricalAccuracy", {}, "rows"),
    ("SparseCategoricalAccuracy", {}, "classes"),
    ("TopKCategoricalAccuracy", {"k": 2}, "rows"),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "classes"),
    ("MeanSquaredError", {}, "numbers"),
    ("MeanAbsoluteError", {}, "numbers"),
    ("RootMeanSquaredError", {}, "numbers"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "rows"),
    ("SparseCategoricalCrossentropy", {}, "classes"),
    ("Precision", {}, "binary"),
    ("Precision", {"thresholds": 0.75}, "binary"),
    ("Recall", {}, "binary"),
    ("Recall", {"thresholds": 0.25}, "binary"),
    ("AUC", {}, "binary"),
    ("AUC", {"curve": "PR"}, "binary"),
    ("AUC", {"num_thresholds": 5}, "binary"),
    ("AUC", {"num_thresholds": 9, "summation_method": "minoring"}, "binary"),
    ("AUC", {"num_thresholds": 9, "summation_method": "majoring", "curve": "PR"}, "binary"),
    ("AUC", {"thresholds": [0.125, 0.5, 0.625]}, "binary"),
    ("AUC", {"thresholds": [0.25, 0.5, 0.75]}, "binary"),
    ("AUC", {"from_logits": True}, "logits"),
    ("AUC", {}, "rows"),
)


def listed(value):
    return np.asarray(value).tolist()


def labels(rng, kind, shape):
    if kind == "rows":
        return np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])]
    if kind == "classes":
        return rng.integers(shape[-1], size=shape[:-1])
    if kind in ("binary", "logits"):
        return rng.integers(2, size=shape)
    return rng.integers(0, 5, shape) / 4 if kind == "shares" else rng.integers(-8, 9, shape) / 4


def outputs(rng, activation, shape):
    """What the activation, if any, is applied to; the first sample's are saturated."""
    if activation == "probabilities":
        x = rng.integers(1, 17, shape) / 16
        x[0] = np.resize((0.0, 1.0, 0.5), shape[1:])
    else:
        x = rng.integers(-24, 25, shape) / 8
        x[0] = np.resize(SATURATED, shape[1:])
    return x.astype(np.float32)


def answer(loss, activation, x, y, sample_weight):
    """Value and gradient by x of a loss."""
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y_pred = keras.activations.get(activation)(tensor) if activation in ("sigmoid", "softmax") else tensor
        value = loss(y, y_pred, sample_weight)
    return float(value), listed(tape.gradient(value, tensor))


def losses(rng) -> list:
    cases = []
    for name, arguments, activation, kind in LOSSES:
        shapes = [((5, 4), False), ((5, 4), True), ((3, 2, 2, 4), False)]
        for shape, weighted in shapes:
            x, y = outputs(rng, activation, shape), labels(rng, kind, shape)
            weights = np.array(WEIGHTS, np.float32) if weighted else None
            value, gradient = answer(getattr(keras.losses, name)(**arguments), activation, x, y, weights)
            cases.append(
                {
                    "loss": name,
                    "arguments": arguments,
                    "activation": activation,
                    "x": listed(x),
                    "y": listed(y),
                    "sample_weight": None if weights is None else listed(weights),
                    "value": value,
                    "gradient": gradient,
                }
            )
    return cases


def scores(rng, kind, shape):
    """Outputs, some of which equal thresholds or each other."""
    if kind in ("binary", "rows", "classes"):
        return (rng.integers(0, 17, shape) / 16).astype(np.float32)
    return (rng.integers(-3, 4, shape) if kind == "whole" else rng.integers(-16, 17, shape) / 8).astype(np.float32)


def metrics(rng) -> list:
    cases = []
    for name, arguments, kind in METRICS:
        for weighted in (False, True):
            metric, batches = getattr(keras.metrics, name)(**arguments), []
            for samples in BATCHES:
                shape = (samples, 1 if kind in ("binary", "logits") else 5)
                x, y = scores(rng, kind, shape), labels(rng, kind, shape)
                if kind == "whole":
                    y = np.where(rng.random(shape) < 0.5, x, y)
                weights = (rng.integers(0, 9, samples) / 4).astype(np.float32) if weighted else None
                metric.update_state(y, x, weights)
                batch = {"x": listed(x), "y": listed(y), "sample_weight": None if weights is None else listed(weights)}
                batches.append(batch)
            result = float(metric.result())
            cases.append({"metric": name, "arguments": arguments, "batches": batches, "result": result})
    return cases


def training(rng) -> dict:
    """Logs of the first steps of `MODELS`, and of an evaluation in uneven batches after them."""
    runs = {}
    for name, make in small_models.MODELS.items():
        model = make(keras)
        weights = [(rng.integers(-8, 9, w.shape) / 16).astype(np.float32) for w in model.get_weights()]
        model.set_weights(weights)
        x = (rng.integers(-16, 17, (STEPS * BATCH, *model.input_shape[1:])) / 8).astype(np.float32)
        shape = (len(x), *model.output_shape[1:])
        kind = {"autoencoder": "numbers", "classifier": "binary", "segmenter": "rows"}[name]
        y = labels(rng, kind, shape).astype(np.float32)
        steps = [
            model.train_on_batch(x[i : i + BATCH], y[i : i + BATCH], return_dict=True) for i in range(0, len(x), BATCH)
        ]
        runs[name] = {
            "weights": [listed(w) for w in weights],
            "x": listed(x),
            "y": listed(y),
            "batch": BATCH,
            "steps": [{key: float(value) for key, value in logs.items()} for logs in steps],
            "evaluated": model.evaluate(x, y, batch_size=EVALUATED, verbose=0, return_dict=True),
        }
    return runs


def record(seed: int) -> dict:
    rng = np.random.default_rng(seed)
    return {"losses": losses(rng), "metrics": metrics(rng), "training": training(rng)}
