"""What a user sees in a notebook and in a log file: cells run by Jupyter's kernel, a script whose output is a file."""

import json
import subprocess
import sys

import pytest
from notebooks import execute

SETUP = """
import numpy as np
from fastconv import layers, models

rng = np.random.default_rng(0)
x = rng.random((640, 8, 8, 3), np.float32)
y = np.eye(4, dtype=np.float32)[rng.integers(4, size=640)]
h = image = layers.Input((8, 8, 3))
h = layers.Conv2D(4, 3)(h)
h = layers.BatchNormalization()(h)
h = layers.LeakyReLU()(h)
model = models.Model(image, layers.Dense(4, activation="softmax")(layers.Flatten()(h)))
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
"""
EPOCHS = 120
CELLS = {
    "setup": SETUP,
    "fit": "history = model.fit(x, y, epochs=3, validation_split=0.1)",
    "many epochs": f"model.fit(x, y, batch_size=8, epochs={EPOCHS}); None",
    "evaluate": "model.evaluate(x, y)",
    "predict": "model.predict(x, batch_size=8).shape",
    "interleaved": "from fastconv.callbacks import LambdaCallback\n"
    "note = LambdaCallback(on_epoch_end=lambda epoch, logs: print(f'note {epoch}'))\n"
    "model.fit(x, y, epochs=3, callbacks=[note]); None",
    "model": "model",
    "history": "history",
    "profile": "model.profile(x, y, seconds=0.01)",
    "plan": "model.explain_plan()",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """The outputs of each cell, by its name."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        notebook = execute([*CELLS.values()], tmp_path_factory.mktemp("notebook"), monkeypatch)
    return {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}


def words(output):
    """The text of an output, without HTML."""
    return output["text"] if output["output_type"] == "stream" else output["data"]["text/plain"]


def test_a_notebook_has_one_output_an_epoch(outputs):
    assert [words(output).split("  ")[:2] for output in outputs["fit"]] == [
        [f"Epoch {i}/3", "18/18"] for i in (1, 2, 3)
    ]


def test_a_notebook_keeps_the_last_state_alone(outputs):
    for output in outputs["fit"]:
        assert [*output["data"]] == ["text/plain"]
        assert "val_loss: " in words(output) and not {"\r", "\x1b", "\n"} & set(words(output))


def test_a_notebook_of_many_epochs_stays_small(outputs):
    assert len(outputs["many epochs"]) <= 25
    lines = "\n".join(map(words, outputs["many epochs"])).splitlines()
    assert [line.split("/")[0].split()[1] for line in lines] == [str(i + 1) for i in range(EPOCHS)]
    assert len(json.dumps(outputs["many epochs"])) < 200 * EPOCHS


@pytest.mark.parametrize(
    ("cell", "first", "result"), [("evaluate", "Evaluate", "["), ("predict", "Predict", "(640, 4)")]
)
def test_evaluate_and_predict_leave_a_line_and_their_result(outputs, cell, first, result):
    line, value = outputs[cell]
    assert words(line).startswith(first) and words(value).startswith(result)


def test_what_callbacks_print_stands_beside_its_epoch(outputs):
    starts = [words(output)[:7] for output in outputs["interleaved"]]
    assert starts == ["Epoch 1", "note 0\n", "Epoch 2", "note 1\n", "Epoch 3", "note 2\n"]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("model", "conv2d (Conv2D)"), ("history", "<svg"), ("profile", "GFLOP/s"), ("plan", "<svg")],
)
def test_what_a_cell_ends_with_is_shown_as_html(outputs, cell, expected):
    (output,) = outputs[cell]
    assert expected in output["data"]["text/html"]
    assert len(output["data"]["text/plain"]) < 200  # what a viewer without HTML shows


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1", "COLUMNS": "40"}, {"TERM": "xterm-256color"}])
def test_a_log_file_has_one_line_an_epoch(tmp_path, monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    script = SETUP + "model.fit(x, y, batch_size=2, epochs=4)\nmodel.evaluate(x, y)\nmodel.predict(x)\n"
    with open(tmp_path / "log.txt", "wb") as log:
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, stdout=log, check=True, timeout=300)
    text = (tmp_path / "log.txt").read_text("utf-8")
    assert [line.split("  ")[0] for line in text.splitlines()] == [
        *(f"Epoch {i}/4" for i in (1, 2, 3, 4)),
        "Evaluate",
        "Predict",
    ]
    assert all(c.isprintable() or c == "\n" for c in text)
