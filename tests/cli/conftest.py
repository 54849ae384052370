"""What the tests of all commands share: the program in an empty folder, and few images in place of any data set."""

import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fastconv import cli, datasets


@pytest.fixture
def program(monkeypatch, capsys, tmp_path):
    """Runs `fastconv ARGS` in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MPLBACKEND", "agg")

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["fastconv", *args])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        # CI services make typer write colours into any output.
        out, err = (re.sub(r"\x1b\[[0-9;]*m", "", text) for text in capsys.readouterr())
        return SimpleNamespace(code=exit_.value.code or 0, out=out, err=err)

    return run


@pytest.fixture
def few_images(monkeypatch):
    """40 training and 20 test images instead of any data set; returns the names asked for."""
    asked = []

    def load(where):
        asked.append(where)
        rng = np.random.default_rng(0)
        return tuple(
            (rng.integers(0, 256, (n, 32, 32, 3), np.uint8), rng.integers(0, 10, (n, 1), np.uint8)) for n in (40, 20)
        )

    monkeypatch.setattr(datasets, "load", load)
    return asked


@pytest.fixture
def networks(tmp_path):
    """The folder with small.keras, a model of 8x6 grey images and 4 classes, and conv.safetensors, of the example."""
    from fastconv import layers, utils
    from fastconv.models import Sequential
    from fastconv.models.networks import NETWORKS

    utils.set_random_seed(1)
    utils.clear_session()
    small = Sequential([layers.Input((8, 6, 1)), layers.Flatten(), layers.Dense(4, activation="softmax")])
    small.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    small.save(tmp_path / "small.keras")
    NETWORKS["conv"].factory().save_weights(tmp_path / "conv.safetensors")
    return tmp_path
