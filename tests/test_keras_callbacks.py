"""What callbacks decide, print and write, beside Keras 3.15 in the same scripted epochs (parity/callback_cases.py)."""

from pathlib import Path

import numpy as np
import pytest
from parity import callback_cases, golden

import fastconv
from fastconv import callbacks, layers, optimizers

RECORDED = golden.load("keras_callbacks")["cases"]


@pytest.fixture
def model(monkeypatch):
    model = fastconv.Sequential([layers.Input((1,)), layers.Dense(2, activation="softmax")])
    model.compile(optimizers.SGD(callback_cases.RATE), "categorical_crossentropy", metrics=["accuracy"])
    model.train_on_batch(np.ones((1, 1)), np.eye(2)[:1])
    for method in ("save", "save_weights"):
        monkeypatch.setattr(model, method, lambda path: Path(path).touch(), raising=False)
    return model


def make(name, arguments):
    return getattr(callbacks, name)(**arguments)


def test_every_case_is_recorded():
    assert RECORDED.keys() == callback_cases.CASES.keys()


@pytest.mark.parametrize("name", callback_cases.CASES)
def test_it_does_what_keras_does(name, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert callback_cases.play(name, make, model) == RECORDED[name]
