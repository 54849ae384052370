"""What Keras' optimizers and learning-rate schedules do, for tests/data/keras_optimizers.json.

Gradients are small numbers that float32 holds exactly. This file imports Keras at the top and is imported by the
recorder alone.
"""

from __future__ import annotations

import keras
import numpy as np

STEPS = 6
START = {"kernel": [[1.0, -2.0], [0.5, 0.0], [1.0, -0.25]], "bias": [0.5, -1.0]}
RATE = {"learning_rate": 0.03125}
EMA = {"use_ema": True, "ema_momentum": 0.75}
OPTIMIZERS = (
    ("Adam", RATE),
    ("Adam", RATE | {"amsgrad": True, "beta_2": 0.5}),
    ("Adam", RATE | {"weight_decay": 0.5}),
    ("Adam", RATE | {"clipnorm": 0.5}),
    ("AdamW", {}),
    ("AdamW", RATE | {"weight_decay": 0.25, "exclude": ["bias"]}),
    ("AdamW", RATE | {"amsgrad": True, "global_clipnorm": 1.0, "ema_overwrite_frequency": 4} | EMA),
    ("SGD", RATE | {"clipnorm": 1.5}),
    ("SGD", RATE | {"clipvalue": 0.5, "momentum": 0.5}),
    ("SGD", RATE | {"global_clipnorm": 2.0, "momentum": 0.5, "nesterov": True, "weight_decay": 0.125}),
    ("SGD", RATE | EMA),
    ("SGD", RATE | {"ema_overwrite_frequency": 2} | EMA),
    ("RMSprop", {}),
    ("RMSprop", RATE | {"rho": 0.5, "epsilon": 0.125, "weight_decay": 0.125}),
    ("RMSprop", RATE | {"momentum": 0.5, "clipvalue": 0.75}),
    ("RMSprop", RATE | {"centered": True, "global_clipnorm": 1.0}),
    ("RMSprop", RATE | {"centered": True, "momentum": 0.75, "rho": 0.75}),
)
SCHEDULES = (
    ("ExponentialDecay", {"initial_learning_rate": 0.5, "decay_steps": 4, "decay_rate": 0.75}),
    ("ExponentialDecay", {"initial_learning_rate": 0.5, "decay_steps": 4, "decay_rate": 0.75, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.5, "decay_steps": 4, "decay_rate": 0.75}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.5, "decay_steps": 4, "decay_rate": 0.75, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [2, 5, 9], "values": [1.0, 0.5, 0.25, 0.125]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.5, "decay_steps": 10}),
    (
        "PolynomialDecay",
        {"initial_learning_rate": 0.5, "decay_steps": 4, "end_learning_rate": 0.125, "power": 2.0, "cycle": True},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.5, "decay_steps": 10}),
    ("CosineDecay", {"initial_learning_rate": 0.5, "decay_steps": 10, "alpha": 0.25}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.125, "decay_steps": 8, "alpha": 0.25, "warmup_target": 1.0, "warmup_steps": 4},
    ),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.5, "first_decay_steps": 3}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.5, "first_decay_steps": 3, "t_mul": 1.0, "m_mul": 0.5, "alpha": 0.125},
    ),
)


def listed(value):
    return np.asarray(value).tolist()


def gradients(rng) -> list:
    steps = [{name: rng.integers(-8, 9, np.shape(start)) / 4 for name, start in START.items()} for _ in range(STEPS)]
    steps[2]["bias"][:] = 0
    return steps


def optimizer_case(name, arguments, steps) -> dict:
    settings = dict(arguments)
    excluded = settings.pop("exclude", None)
    optimizer = getattr(keras.optimizers, name)(**settings)
    if excluded:
        optimizer.exclude_from_weight_decay(var_names=excluded)
    variables = [keras.Variable(np.float32(start), name=key) for key, start in START.items()]
    optimizer.build(variables)
    trajectory = []
    for step in steps:
        optimizer.apply([np.float32(step[key]) for key in START], variables)
        state = {key: listed(variable) for key, variable in zip(START, variables, strict=True)}
        if optimizer.use_ema:
            state["ema"] = [listed(average) for average in optimizer._model_variables_moving_average]
        trajectory.append(state)
    count = int(sum(np.prod(v.shape, dtype=int) for v in optimizer.variables))
    return {"optimizer": name, "arguments": arguments, "trajectory": trajectory, "variable_count": count}


def schedule_case(name, arguments) -> dict:
    schedule = getattr(keras.optimizers.schedules, name)(**arguments)
    rates = [float(schedule(step)) for step in range(16)]
    return {"schedule": name, "arguments": arguments, "name": schedule.name, "rates": rates}


def training(rng) -> dict:
    """Losses of ten steps on three batches of four, and of evaluations before and after; penalties are part of them."""
    x, y = rng.integers(-8, 9, (12, 6)) / 8, rng.integers(3, size=12)
    layers, regularizers = keras.layers, keras.regularizers
    model = keras.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(8, kernel_regularizer=regularizers.L2(0.03125), bias_regularizer="l1"),
            layers.BatchNormalization(gamma_regularizer=regularizers.L1L2(l1=0.0625, l2=0.03125)),
            layers.LeakyReLU(),
            layers.Dense(3, activation="softmax", kernel_regularizer=regularizers.L1(0.015625)),
        ]
    )
    start = [np.float32(rng.integers(-8, 9, w.shape) / 8) for w in model.get_weights()]
    start[1] = np.where(start[1] == 0, 1, start[1])  # at 0 rounding alone has a say in the gradient of a bias before BN
    start[5] = np.ones_like(start[5])  # the moving variance
    model.set_weights(start)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 6, alpha=0.125, warmup_target=0.0625, warmup_steps=3)
    adamw = keras.optimizers.AdamW(schedule, weight_decay=0.125, global_clipnorm=0.5)
    model.compile(adamw, "sparse_categorical_crossentropy")
    first = float(model.evaluate(x, y, batch_size=5, verbose=0))
    losses = []
    for step in range(10):
        part = slice(4 * (step % 3), 4 * (step % 3) + 4)
        losses.append(float(model.train_on_batch(x[part], y[part])))
    return {
        "x": listed(x),
        "y": listed(y),
        "start": [listed(w) for w in start],
        "losses": losses,
        "evaluate": [first, float(model.evaluate(x, y, batch_size=5, verbose=0))],
        "weights": [listed(w) for w in model.get_weights()],
    }


def frozen(rng) -> dict:
    """Losses of five steps with one layer frozen: before, between and after those that learn."""
    cases = {}
    x, y = rng.integers(-8, 9, (12, 6)) / 8, rng.integers(3, size=12)
    for name in ("first", "norm", "last"):
        layers = keras.layers
        model = keras.Sequential(
            [
                layers.Input((6,)),
                layers.Dense(8, kernel_regularizer="l2", name="first"),
                layers.BatchNormalization(name="norm"),
                layers.LeakyReLU(),
                layers.Dense(3, activation="softmax", name="last"),
            ]
        )
        start = [np.float32(rng.integers(1, 9, w.shape) / 8) for w in model.get_weights()]
        start[0] -= np.float32(0.5)
        model.set_weights(start)
        model.get_layer(name).trainable = False
        model.compile(keras.optimizers.SGD(0.125, momentum=0.5), "sparse_categorical_crossentropy")
        cases[name] = {
            "start": [listed(w) for w in start],
            "losses": [float(model.train_on_batch(x, y)) for _ in range(5)],
            "weights": [listed(w) for w in model.get_weights()],
            "trainable": int(sum(np.prod(w.shape) for w in model.trainable_weights)),
            "variable_count": int(sum(np.prod(v.shape, dtype=int) for v in model.optimizer.variables)),
        }
    return {"x": listed(x), "y": listed(y), "cases": cases}


def record(seed: int) -> dict:
    steps = gradients(np.random.default_rng(seed))
    return {
        "start": START,
        "gradients": [{key: listed(gradient) for key, gradient in step.items()} for step in steps],
        "optimizers": [optimizer_case(*case, steps) for case in OPTIMIZERS],
        "schedules": [schedule_case(*case) for case in SCHEDULES],
        "training": training(np.random.default_rng(seed)),
        "frozen": frozen(np.random.default_rng(seed)),
    }
