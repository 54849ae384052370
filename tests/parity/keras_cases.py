"""Small cases that pin down what Keras computes and prints, one function each; `record_tensorflow.py` calls them all.

A case holds its inputs beside what Keras answered, so that a test needs nothing but the JSON. Inputs are small numbers
that float32 holds exactly. This file imports Keras at the top and is imported by the recorder alone.
"""

from __future__ import annotations

import contextlib
import io
import re

import keras
import keras_networks
import numpy as np
import tensorflow as tf
from keras.src.initializers.random_initializers import compute_fans

NETWORK_ATTRIBUTES = {name: name.replace("-", "_") for name in ("mlp", "conv", "cnn", "cnn-first-bn", "resnet20")}


def listed(value):
    """Tensors and arrays as nested lists (exact: a float32 is written as the float64 of the same value)."""
    return np.asarray(value).tolist()


def whole_numbers(rng, shape, low=-3, high=3):
    return rng.integers(low, high + 1, shape).astype(np.float32)


def batch_normalization(rng) -> list:
    cases = []
    for shape in ((8, 3), (2, 3, 3, 2), (1, 4)):
        x, dy = whole_numbers(rng, shape) / 4, whole_numbers(rng, shape) / 2
        layer = keras.layers.BatchNormalization()
        layer.build(shape)
        gamma, beta = np.linspace(0.5, 2, shape[-1]), np.linspace(-1, 1, shape[-1])
        layer.set_weights([gamma, beta, np.full(shape[-1], 0.25), np.full(shape[-1], 2.0)])
        variables = [tf.constant(x), layer.gamma.value, layer.beta.value]
        with tf.GradientTape() as tape:
            tape.watch(variables[0])
            y = layer(variables[0], training=True)
        gradients = tape.gradient(y, variables, output_gradients=tf.constant(dy))
        after = layer.get_weights()
        inference = layer(x, training=False)
        dx, dgamma, dbeta = gradients
        cases.append(
            {
                "x": listed(x),
                "dy": listed(dy),
                "weights": [listed(np.float32(w)) for w in (gamma, beta)] + [[0.25] * shape[-1], [2.0] * shape[-1]],
                "y": listed(y),
                "dx": listed(dx),
                "dgamma": listed(dgamma),
                "dbeta": listed(dbeta),
                "moving_mean": listed(after[2]),
                "moving_variance": listed(after[3]),
                "inference_after_the_step": listed(inference),
            }
        )
    return cases


def optimizers(rng) -> list:
    """Five steps on one vector, the learning rate changed after the third."""
    settings = (
        ("Adam", {"learning_rate": 0.1}),
        ("Adam", {}),
        ("Adam", {"learning_rate": 0.01, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.125}),
        ("SGD", {}),
        ("SGD", {"learning_rate": 0.125, "momentum": 0.5}),
        ("SGD", {"learning_rate": 0.125, "momentum": 0.5, "nesterov": True}),
    )
    start = [1.0, -2.0, 0.5, 0.0, 1.0]
    gradients = whole_numbers(rng, (5, 5)) / 4
    gradients[:, 3], gradients[:, 4] = 0.0, 1e-8
    cases = []
    for name, arguments in settings:
        optimizer = getattr(keras.optimizers, name)(**arguments)
        vector = keras.Variable(np.float32(start))
        optimizer.build([vector])
        rates, trajectory = [], []
        for i, gradient in enumerate(gradients):
            if i == 3:
                optimizer.learning_rate = float(optimizer.learning_rate) / 2
            rates.append(float(optimizer.learning_rate))
            optimizer.apply([tf.constant(gradient)], [vector])
            trajectory.append(listed(vector))
        shown = ("learning_rate", "beta_1", "beta_2", "epsilon", "momentum", "nesterov")
        config = {key: value for key, value in optimizer.get_config().items() if key in shown}
        config["learning_rate"] = rates[0]
        cases.append(
            {
                "optimizer": name,
                "arguments": arguments,
                "config": config,
                "start": start,
                "gradients": listed(gradients),
                "learning_rates": rates,
                "trajectory": trajectory,
                "variable_count": int(sum(np.prod(v.shape, dtype=int) for v in optimizer.variables)),
                "iterations": int(optimizer.iterations),
            }
        )
    return cases


def tiny_training(rng) -> list:
    """Four steps of Dense(3, softmax) on five samples; the learning rate is halved after the second step."""
    x = whole_numbers(rng, (5, 4)) / 2
    y = np.eye(3, dtype=np.float32)[[0, 1, 2, 1, 0]]
    start = [whole_numbers(rng, (4, 3)) / 4, np.float32([0.25, 0.0, -0.5])]
    cases = []
    for name, arguments in (
        ("Adam", {"learning_rate": 0.125}),
        ("SGD", {"learning_rate": 0.5}),
        ("SGD", {"learning_rate": 0.25, "momentum": 0.75}),
        ("SGD", {"learning_rate": 0.25, "momentum": 0.75, "nesterov": True}),
    ):
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        model.set_weights(start)
        optimizer = getattr(keras.optimizers, name)(**arguments)
        model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
        results, weights = [], []
        for step in range(4):
            if step == 2:
                optimizer.learning_rate = float(optimizer.learning_rate) / 2
            results.append([float(value) for value in model.train_on_batch(x, y)])
            weights.append([listed(w) for w in model.get_weights()])
        cases.append(
            {
                "optimizer": name,
                "arguments": arguments,
                "x": listed(x),
                "y": listed(y),
                "start": [listed(w) for w in start],
                "train_on_batch": results,
                "weights": weights,
                "test_on_batch": [float(value) for value in model.test_on_batch(x, y)],
                "predict_on_batch": listed(model.predict_on_batch(x)),
            }
        )
    return cases


def activations() -> list:
    x = tf.constant([-2.0, -0.0, 0.0, 1.5])
    cases = []
    for name, arguments in (
        ("LeakyReLU", {}),
        ("LeakyReLU", {"negative_slope": 0.125}),
        ("ReLU", {}),
        ("Activation", {"activation": "relu"}),
        ("Activation", {"activation": "leaky_relu"}),
    ):
        layer = getattr(keras.layers, name)(**arguments)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        answers = {"x": listed(x), "y": listed(y), "gradient": listed(tape.gradient(y, x))}
        cases.append({"layer": name, "arguments": arguments, **answers})
    return cases


def softmax_crossentropy() -> list:
    """One sample whose logits are the inputs: the loss, and its gradient read from one SGD step of size 1."""
    cases = []
    for logits in ((100.0, 0.0, 0.0), (0.0, 0.0, 0.0), (-200.0, 0.0, 50.0), (1.5, -2.0, 0.25)):
        for label in range(3):
            model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(3, activation="softmax")])
            model.set_weights([np.eye(3), np.zeros(3)])
            model.compile(
                optimizer=keras.optimizers.SGD(learning_rate=1.0),
                loss="categorical_crossentropy",
                metrics=["accuracy"],
            )
            x, y = np.float32([logits]), np.eye(3, dtype=np.float32)[[label]]
            probabilities = model.predict_on_batch(x)
            loss, accuracy = model.train_on_batch(x, y)
            cases.append(
                {
                    "logits": list(logits),
                    "label": label,
                    "probabilities": listed(probabilities[0]),
                    "loss": float(loss),
                    "accuracy": float(accuracy),
                    "gradient": listed(-model.get_weights()[1]),
                }
            )
    return cases


def layers_on_whole_numbers(rng) -> dict:
    """Forward and gradients of Dense and Conv2D on small whole numbers: sums are exact, tests ask for equality."""
    convolutions = []
    for shape, filters, size, strides, padding in (
        ((1, 6, 6, 2), 3, (4, 4), (2, 2), "same"),
        ((1, 5, 5, 1), 2, (4, 4), (2, 2), "same"),
        ((2, 4, 4, 1), 1, (3, 3), (2, 2), "same"),
        ((1, 5, 4, 2), 2, (3, 3), (1, 1), "same"),
        ((1, 5, 6, 2), 3, (2, 3), (1, 2), "valid"),
        ((1, 2, 2, 2), 2, (5, 5), (1, 1), "same"),
        ((1, 7, 3, 1), 2, (2, 2), (3, 3), "same"),
        ((1, 4, 4, 3), 2, (1, 1), (3, 3), "valid"),
    ):
        layer = keras.layers.Conv2D(filters, size, strides=strides, padding=padding)
        layer.build(shape)
        kernel, bias = whole_numbers(rng, (*size, shape[-1], filters)), whole_numbers(rng, filters)
        layer.set_weights([kernel, bias])
        x = tf.constant(whole_numbers(rng, shape))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        dy = whole_numbers(rng, tuple(y.shape))
        dx, dw, db = tape.gradient(y, [x, layer.kernel.value, layer.bias.value], output_gradients=tf.constant(dy))
        convolutions.append(
            {
                "strides": list(strides),
                "padding": padding,
                "x": listed(x),
                "kernel": listed(kernel),
                "bias": listed(bias),
                "y": listed(y),
                "dy": listed(dy),
                "dx": listed(dx),
                "dkernel": listed(dw),
                "dbias": listed(db),
            }
        )
    dense = keras.layers.Dense(3)
    dense.build((2, 4))
    kernel, bias, x = whole_numbers(rng, (4, 3)), whole_numbers(rng, 3), whole_numbers(rng, (2, 4))
    dense.set_weights([kernel, bias])
    written = {"x": listed(x), "kernel": listed(kernel), "bias": listed(bias), "y": listed(dense(x))}
    return {"conv2d": convolutions, "dense": [written]}


def glorot() -> list:
    """Limits of GlorotUniform, and the largest of the numbers that Keras then drew, as a check of the limit."""
    cases = []
    for shape in ((3, 3, 3, 32), (4, 4, 3, 10), (4096, 128), (10, 10), (1, 1, 8, 8), (5, 2, 3, 7)):
        fan_in, fan_out = compute_fans(shape)
        drawn = np.abs(np.asarray(keras.initializers.GlorotUniform(seed=1)(shape)))
        limit = float(np.sqrt(6 / (fan_in + fan_out)))
        cases.append({"shape": list(shape), "fans": [fan_in, fan_out], "limit": limit, "largest": float(drawn.max())})
    return cases


def networks() -> dict:
    """Names, counts and weight shapes of the networks, each in a fresh session."""
    found = {}
    for name in keras_networks.NAMES:
        keras.utils.clear_session()
        model = keras_networks.build(keras, name)
        compiled = {"optimizer": "adam", "loss": "categorical_crossentropy", "metrics": ["accuracy"]}
        model.compile(**compiled)
        model.train_on_batch(np.zeros((1, *model.input_shape[1:]), np.float32), np.eye(10, dtype=np.float32)[:1])
        trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
        found[name] = {
            "factory": NETWORK_ATTRIBUTES.get(name),
            "name": model.name,
            "parameters": model.count_params(),
            "trainable": trainable,
            "non_trainable": model.count_params() - trainable,
            "adam_variables": int(sum(np.prod(v.shape, dtype=int) for v in model.optimizer.variables)),
            "layers": [[layer.name, type(layer).__name__] for layer in model.layers],
            "output_shapes": [listed(layer.output.shape) for layer in model.layers],
            "weights": [[w.path, list(w.shape)] for w in model.weights],
        }
    return found


def to_categorical() -> list:
    cases = []
    for x, classes in (([[6], [9], [0]], 10), ([0, 2, 1], None), ([[1], [0]], None), ([[0, 1], [2, 0]], None)):
        y = keras.utils.to_categorical(np.array(x, np.uint8), classes)
        cases.append(
            {"x": x, "num_classes": classes, "shape": list(y.shape), "dtype": str(y.dtype), "y": y.astype(int).tolist()}
        )
    return cases


def summaries() -> dict:
    """Texts of `summary()` where the output is no terminal and the width is unknown (so 80 columns)."""
    texts = {}
    for name in ("cnn", "mlp"):
        keras.utils.clear_session()
        model = keras_networks.build(keras, name)
        texts[name] = printed(model.summary)
        received = []
        model.summary(print_fn=lambda text, received=received: received.append(text))
        texts[f"{name} print_fn"] = received
        model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
        texts[f"{name} compiled"] = printed(model.summary)
        model.train_on_batch(np.zeros((2, 32, 32, 3), np.float32), np.eye(10, dtype=np.float32)[:2])
        texts[f"{name} after a step"] = printed(model.summary)
        texts[f"{name} line_length=60"] = printed(lambda model=model: model.summary(line_length=60))
    keras.utils.clear_session()
    unbuilt = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)])
    texts["unbuilt"] = printed(unbuilt.summary)
    unbuilt.build((None, 2, 3))
    texts["built"] = printed(unbuilt.summary)
    return texts


def fits(rng) -> dict:
    """What `fit`, `evaluate` and `predict` return and print; seconds are written as # below."""
    x, y = whole_numbers(rng, (5, 4)) / 2, np.eye(3, dtype=np.float32)[[0, 1, 2, 1, 0]]

    def fresh(metrics=("accuracy",)):
        keras.utils.clear_session()
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        model.set_weights([np.zeros((4, 3)), np.zeros(3)])
        model.compile(
            optimizer=keras.optimizers.SGD(learning_rate=0.5), loss="categorical_crossentropy", metrics=list(metrics)
        )
        return model

    model = fresh()
    found = {"x": listed(x), "y": listed(y)}
    runs = {
        "plain": (("accuracy",), {"epochs": 2}),
        "validation_data": (("accuracy",), {"epochs": 2, "validation_data": (x[:3], y[:3])}),
        "validation_split": (("accuracy",), {"epochs": 1, "validation_split": 0.4}),
        "no metrics": ((), {"epochs": 1}),
    }
    for name, (metrics, arguments) in runs.items():
        model, history = fresh(metrics), []
        arguments = {"batch_size": 2, "shuffle": False, "verbose": 2, **arguments}
        output = printed(lambda m=model, a=arguments, h=history: h.append(m.fit(x, y, **a)))
        run = history[0]
        loggable = {key: value for key, value in arguments.items() if key != "validation_data"}
        found[name] = {
            "arguments": loggable,
            "history": run.history,
            "keys": list(run.history),
            "epoch": run.epoch,
            "params": run.params,
            "weights": [listed(w) for w in model.get_weights()],
            "output": re.sub(r"\d+m?u?s(?=/step| - )", "#", output).splitlines(),
        }
    model = fresh()
    with contextlib.redirect_stdout(io.StringIO()):
        results = model.evaluate(x, y, batch_size=2, verbose=0)
        found["evaluate"] = {
            "list": [float(value) for value in results],
            "dict": model.evaluate(x, y, batch_size=2, verbose=0, return_dict=True),
            "loss alone": fresh(()).evaluate(x, y, batch_size=2, verbose=0),
            "verbose=2": re.sub(
                r"\d+m?u?s(?=/step| - )", "#", printed(lambda: model.evaluate(x, y, batch_size=2, verbose=2))
            ).splitlines(),
        }
    found["predict"] = {"shape": list(model.predict(x, verbose=0).shape), "dtype": "float32"}
    return found


def printed(function) -> str:
    """What `function` prints, as a file would receive it."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        function()
    return text.getvalue()


def record(seed: int) -> dict:
    """Return all cases, each from a generator of its own so that a new case leaves the others as they were."""
    generators = iter(np.random.default_rng(seed).spawn(8))
    return {
        "batch_normalization": batch_normalization(next(generators)),
        "optimizers": optimizers(next(generators)),
        "tiny_training": tiny_training(next(generators)),
        "activations": activations(),
        "softmax_crossentropy": softmax_crossentropy(),
        "layers": layers_on_whole_numbers(next(generators)),
        "glorot": glorot(),
        "networks": networks(),
        "to_categorical": to_categorical(),
        "summaries": summaries(),
        "fit": fits(next(generators)),
    }
