"""A small network and its data, which train in an instant: for tests of how models are fed."""

import numpy as np

from fastconv import Sequential, layers, optimizers, utils

COUNT, BATCH = 50, 16
STEPS = 4  # the last with 2 samples


def data(dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=COUNT)
    x = rng.random((COUNT, 6, 6, 3)) * 100
    x[np.arange(COUNT), :, :, y] += 100
    return x.astype(dtype), utils.to_categorical(y, 3)


def network(loss="categorical_crossentropy", learning_rate=0.01):
    utils.set_random_seed(0)
    utils.clear_session()
    model = Sequential(
        [
            layers.Input((6, 6, 3)),
            layers.Conv2D(8, 3, padding="same"),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    return model


def fit(model, x, y, **change):
    return model.fit(x, y, **{"batch_size": BATCH, "epochs": 2, "verbose": 0, **change}).history


def same_weights(a, b):
    return all(np.array_equal(p, q) for p, q in zip(a.get_weights(), b.get_weights(), strict=True))
