"""Plays the scripted epochs of callback_cases.py to Keras' callbacks; imported by `record_tensorflow.py` alone."""

from __future__ import annotations

import contextlib
import tempfile

import callback_cases
import keras
import numpy as np


def make(name, arguments):
    return getattr(keras.callbacks, name)(**arguments)


def record(seed: int) -> dict:
    cases = {}
    for name in callback_cases.CASES:
        model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(2, activation="softmax")])
        model.compile(keras.optimizers.SGD(callback_cases.RATE), "categorical_crossentropy", metrics=["accuracy"])
        model.train_on_batch(np.ones((1, 1)), np.ones((1, 2)))
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            cases[name] = callback_cases.play(name, make, model)
    return {"cases": cases}
