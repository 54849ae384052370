import json

import numpy as np
import pytest

import fastconv
from fastconv import datasets, layers
from fastconv.models import Model, Sequential
from fastconv.models.networks import NETWORKS
from fastconv.utils import to_categorical

pytest.importorskip("h5py", reason="h5py is not installed: no model to evaluate")


def results(program, *args):
    return json.loads(program("evaluate", *args, "--json").out)["results"]


@pytest.fixture
def samples(networks):
    """30 grey images and their classes, in a.npz."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (30, 8, 6, 1), np.uint8), rng.integers(0, 4, (30, 1))
    np.savez(networks / "a.npz", x=x, y=y)
    return x, y


def test_weights_of_a_network_are_tested_on_the_test_images(program, networks, few_images):
    (_, _), (x, y) = datasets.load("sample")
    model = NETWORKS["conv"].factory()
    model.load_weights("conv.safetensors")
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    expected = model.evaluate(x / np.float32(255), to_categorical(y, 10), verbose=0, return_dict=True)
    assert results(program, "conv.safetensors") == pytest.approx(expected)
    assert few_images[-1] == "sample"


def test_a_model_is_tested_by_its_own_loss_and_metrics(program, samples):
    x, y = samples
    expected = fastconv.load_model("small.keras").evaluate(x / np.float32(255), y, verbose=0, return_dict=True)
    assert results(program, "small.keras", "--data", "a.npz") == pytest.approx(expected)


def test_the_result_is_one_line(program, samples):
    found = results(program, "small.keras", "--data", "a.npz")
    assert program("evaluate", "small.keras", "--data", "a.npz").out == (
        f"a.npz: 30 test images\nTest loss {found['loss']:.4f}, test accuracy {found['accuracy']:.4f}\n"
    )


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy", "mse", None])
@pytest.mark.parametrize("rows", [False, True], ids=["numbers", "rows"])
def test_labels_may_be_numbers_or_rows(program, samples, loss, rows):
    x, y = samples
    model = fastconv.load_model("small.keras", compile=False)
    if loss:
        model.compile("sgd", loss)
    model.save("b.keras")
    np.savez("b.npz", x_test=x, y_test=to_categorical(y, 4) if rows else y)
    model.compile("sgd", loss or "categorical_crossentropy")
    numbers = loss and loss.startswith("sparse")
    expected = model.evaluate(x / np.float32(255), y if numbers else to_categorical(y, 4), verbose=0)
    assert results(program, "b.keras", "--data", "b.npz")["loss"] == pytest.approx(expected)


def test_numbers_that_are_no_bytes_are_left_as_they_are(program, samples):
    x, y = samples
    np.savez("b.npz", x=x.astype(np.float32), y=y)
    expected = results(program, "small.keras", "--data", "a.npz", "--pixels", "0..255")
    assert results(program, "small.keras", "--data", "b.npz") == pytest.approx(expected)


def test_targets_of_one_output_are_left_as_they_are(program, tmp_path):
    model = Sequential([layers.Input((2, 2, 1)), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.save(tmp_path / "a.keras")
    x, y = np.ones((5, 2, 2, 1), np.float32), np.arange(5.0)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    expected = model.evaluate(x, y, verbose=0)
    assert results(program, "a.keras", "--data", "a.npz")["loss"] == pytest.approx(expected)


def test_threads_and_batches_are_set(program, samples, monkeypatch):
    asked = []
    monkeypatch.setattr(fastconv.config, "set_num_threads", asked.append)
    evaluate = Model.evaluate
    monkeypatch.setattr(Model, "evaluate", lambda *a, **k: asked.append(k["batch_size"]) or evaluate(*a, **k))
    program("evaluate", "small.keras", "--data", "a.npz", "--threads", "3", "--batch-size", "7")
    assert asked == [3, 7]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("missing.keras",), "There is no model file missing.keras"),
        (("small.keras", "--data", "missing.npz"), "--data: expected an .npz file of arrays. Received: missing.npz"),
        (("small.keras", "--data", "text.npz"), "--data: expected an .npz file of arrays. Received: text.npz"),
        (("small.keras", "--data", "pickle.npz"), "--data: expected an .npz file of arrays. Received: pickle.npz"),
        (("small.keras", "--data", "other.npz"), "expected arrays x_test and y_test, or x and y. Received: z"),
        (("small.keras", "--data", "nowhere"), "Received: 'nowhere', which does not exist"),
        (("conv.safetensors", "--data", "a.npz"), "a.npz does not fit conv.safetensors: "),
        (("one.keras",), "expected a model that was compiled, or one of one output (classes). Received: [(None, 1)]"),
        (("small.keras", "--data", "labels.npz"), "labels.npz does not fit small.keras: "),
    ],
)
def test_what_does_not_fit_is_refused(program, samples, networks, args, words):
    (networks / "text.npz").write_text("text")
    np.savez("pickle.npz", x=np.array([{}], object), y=np.zeros(1))
    Sequential([layers.Input((4,)), layers.Dense(1)]).save("one.keras")
    np.savez("other.npz", z=np.zeros(3))
    np.savez("labels.npz", x=samples[0], y=np.full(30, 7))
    result = program("evaluate", *args)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert words in result.err


def test_an_interruption_is_told_by_the_exit_code(program, samples, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Model, "evaluate", stop)
    assert program("evaluate", "small.keras", "--data", "a.npz").code == 130
