import csv
import json
import os
import re
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

import fastconv
from fastconv import config
from fastconv.models import Model
from fastconv.models.networks import NETWORKS

SMALL = ("train", "--model", "conv", "--epochs", "2", "--batch-size", "16")


@pytest.fixture
def fits(monkeypatch):
    """The arguments of each call of fit, which still runs."""
    calls, fit = [], Model.fit

    def recorded(self, x, y, **kwargs):
        calls.append({"x": x, "y": y, "optimizer": self.optimizer, **kwargs})
        return fit(self, x, y, **kwargs)

    monkeypatch.setattr(Model, "fit", recorded)
    return calls


def history(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


# --- train -----------------------------------------------------------------------------------------------------------


def test_train_tells_the_test_result(program, few_images):
    assert re.search(r"^Test loss \d\.\d{4}, test accuracy 0\.\d{4}$", program(*SMALL).out, re.MULTILINE)


def test_train_tells_what_it_saved(program, few_images):
    pytest.importorskip("matplotlib")
    lines = program(*SMALL).out.splitlines()
    files = ("weights.safetensors", "history.csv", "history.png")
    assert lines[-3:] == [f"Saved {os.path.join('fastconv-conv', name)}" for name in files]


def test_train_succeeds(program, few_images):
    assert program(*SMALL).code == 0


def test_train_tells_what_it_runs_on(program, few_images):
    first = program(*SMALL).out.splitlines()[0]
    assert first.startswith(f"fastconv {fastconv.__version__} on the CPU ({config.isa()}, ")


def test_train_tells_the_parameters(program, few_images):
    assert "conv: 15,120 parameters (15,120 trainable)" in program(*SMALL).out


def test_train_shows_a_line_an_epoch(program, few_images):
    assert program(*SMALL).out.count("  3/3  ") == 2


def test_verbose_0_shows_no_epoch(program, few_images):
    assert "Epoch" not in program(*SMALL, "--verbose", "0").out


def test_saved_weights_are_those_tested(program, few_images, tmp_path, monkeypatch):
    tested = []
    evaluate = Model.evaluate

    def recorded(self, *args, **kwargs):
        tested.extend(self.get_weights())
        return evaluate(self, *args, **kwargs)

    monkeypatch.setattr(Model, "evaluate", recorded)
    program(*SMALL)
    model = NETWORKS["conv"].factory()
    model.load_weights(tmp_path / "fastconv-conv" / "weights.safetensors")
    for array, expected in zip(model.get_weights(), tested, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_history_file_has_the_epochs_of_all_phases(program, few_images, tmp_path):
    program(*SMALL, "--epochs", "1", "--batch-size", "40", "--out", "run")
    rows = history(tmp_path / "run" / "history.csv")
    assert [row[:3] for row in rows] == [
        ["phase", "batch_size", "epoch"],
        ["1", "16", "1"],
        ["1", "16", "2"],
        ["2", "40", "3"],
    ]


def test_history_file_has_the_metrics(program, few_images, tmp_path):
    program(*SMALL, "--out", "run")
    assert history(tmp_path / "run" / "history.csv")[0][3:] == ["accuracy", "loss", "val_accuracy", "val_loss"]


def test_phases_continue_with_the_same_optimizer(program, few_images, fits):
    program(*SMALL, "--epochs", "1", "--batch-size", "40")
    assert fits[0]["optimizer"] is fits[1]["optimizer"]


@pytest.mark.parametrize(
    "args, expected",
    [
        ((), [(10, 32)]),
        (("--epochs", "3"), [(3, 32)]),
        (("--epochs", "2", "--epochs", "1"), [(2, 32), (1, 32)]),
        (("--batch-size", "8", "--batch-size", "16", "--epochs", "1"), [(1, 8), (1, 16)]),
        (("--epochs", "2", "--batch-size", "8", "--epochs", "1", "--batch-size", "16"), [(2, 8), (1, 16)]),
    ],
)
def test_epochs_and_batch_sizes_are_paired(program, few_images, fits, args, expected):
    program("train", "--model", "conv", *args)
    assert [(call["epochs"], call["batch_size"]) for call in fits] == expected


def test_images_are_scaled_to_1(program, few_images, fits):
    program(*SMALL)
    assert (fits[0]["x"].dtype, fits[0]["x"].max()) == (np.float32, 1)


def test_labels_are_one_hot_over_ten_classes(program, few_images, fits):
    program(*SMALL)
    assert fits[0]["y"].shape == (40, 10) and (fits[0]["y"].sum(axis=1) == 1).all()


@pytest.mark.parametrize("args, expected", [((), 0.0005), (("--learning-rate", "0.1"), 0.1)])
def test_learning_rate_is_the_network_s_or_the_given_one(program, few_images, fits, args, expected):
    program(*SMALL, *args)
    assert fits[0]["optimizer"].learning_rate == pytest.approx(expected)


def test_training_that_becomes_non_finite_says_why(program, few_images):
    result = program(*SMALL, "--learning-rate", "1e38")
    assert result.code == 1 and "Traceback" not in result.err
    assert "error: non-finite" in result.err and "Likely cause: learning rate" in result.err


@pytest.mark.parametrize("args, expected", [((), "sample"), (("--data", "cifar10"), "cifar10"), (("--data", "x"), "x")])
def test_data_is_asked_for_by_name_or_path(program, few_images, args, expected):
    program(*SMALL, *args)
    assert few_images == [expected]


def test_a_seed_makes_the_run_repeatable(program, few_images, tmp_path):
    for out in ("a", "b"):
        program(*SMALL, "--seed", "5", "--out", out)
    a, b = (load_file(tmp_path / out / "weights.safetensors") for out in ("a", "b"))
    assert all((a[key] == b[key]).all() for key in a)


def test_threads_are_set(program, few_images, monkeypatch):
    asked = []
    monkeypatch.setattr(config, "set_num_threads", asked.append)
    program(*SMALL, "--threads", "3")
    assert asked == [3]


def test_without_matplotlib_it_tells_how_to_get_curves(program, few_images, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert 'Install it with: pip install "fastconv[plot]"' in program(*SMALL).out.splitlines()[-1]


def test_without_matplotlib_it_succeeds(program, few_images, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert program(*SMALL).code == 0


def test_json_has_the_results_alone_on_stdout(program, few_images):
    result = program(*SMALL, "--json")
    report = json.loads(result.out)
    assert "Test loss" in result.err and "Epoch 1/2" in result.err
    assert (report["model"], report["parameters"], report["out"]) == ("conv", 15_120, "fastconv-conv")
    assert [len(phase["val_loss"]) for phase in report["history"]] == [2]
    assert f"{report['test']['loss']:.4f}" in result.err and not report["interrupted"]


# --- interrupted -----------------------------------------------------------------------------------------------------


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C during the second phase's training."""
    fit, calls = Model.fit, []

    def recorded(self, *args, **kwargs):
        calls.append(kwargs)
        result = fit(self, *args, **kwargs)
        result.interrupted = len(calls) == 2
        return result

    monkeypatch.setattr(Model, "fit", recorded)
    return calls


THREE_PHASES = (
    "train",
    "--model",
    "conv",
    "--epochs",
    "1",
    "--batch-size",
    "8",
    "--batch-size",
    "16",
    "--batch-size",
    "32",
)


def test_an_interruption_ends_training(program, few_images, interrupted):
    program(*THREE_PHASES)
    assert len(interrupted) == 2


def test_an_interruption_saves(program, few_images, interrupted, tmp_path):
    program(*THREE_PHASES)
    assert {"weights.safetensors", "history.csv"} <= set(os.listdir(tmp_path / "fastconv-conv"))


def test_an_interruption_is_told_by_the_exit_code(program, few_images, interrupted):
    assert program(*THREE_PHASES).code == 130


def test_a_second_interruption_saves_too(program, few_images, monkeypatch, tmp_path):
    def stop(self, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Model, "fit", stop)
    program(*SMALL)
    assert history(tmp_path / "fastconv-conv" / "history.csv")[1:] == []


# --- bad input -------------------------------------------------------------------------------------------------------


def assert_refused(result, *words):
    assert result.code == 2
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err


def test_as_many_batch_sizes_as_epochs_are_expected(program, few_images):
    result = program("train", *("--epochs", "1") * 2, *("--batch-size", "2") * 3)
    assert_refused(
        result, "--epochs", "expected as many as --batch-size", "Received: 2 of --epochs and 3 of --batch-size"
    )


@pytest.mark.parametrize(
    "args, words",
    [
        (("--model", "resnet"), ("--model", "resnet", "cnn-first-bn")),
        (("--epochs", "0"), ("--epochs",)),
        (("--batch-size", "-1"), ("--batch-size",)),
        (("--learning-rate", "0"), ("--learning-rate", "Received: 0")),
        (("--learning-rate", "nan"), ("--learning-rate", "Received: nan")),
        (("--seed", "-1"), ("--seed",)),
        (("--threads", "0"), ("--threads",)),
        (("--verbose", "3"), ("--verbose",)),
    ],
    ids=" ".join,
)
def test_bad_values_are_refused(program, few_images, args, words):
    assert_refused(program("train", *args), *words)


@pytest.mark.parametrize("device, words", [("cuda", "built without CUDA"), ("gpu", "Received: 'gpu'")])
def test_a_device_that_cannot_be_used_is_refused(program, few_images, install, device, words):
    install(None)
    assert_refused(program("train", "--device", device), words)


def test_missing_data_are_refused(program):
    assert_refused(
        program("train", "--data", "nowhere"), "fastconv: error: ", "Received: 'nowhere', which does not exist"
    )


def test_a_file_in_place_of_the_out_folder_is_refused(program, few_images, tmp_path):
    (tmp_path / "taken").write_text("")
    assert_refused(program("train", "--out", "taken"), "--out must be a folder to write into. Received: taken")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_an_unwritable_out_folder_is_refused(program, few_images, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert_refused(program("train", "--out", "locked"), "--out must be a folder to write into. Received: locked")


def test_a_folder_in_place_of_an_output_file_is_refused(program, few_images, tmp_path):
    (tmp_path / "run" / "history.csv").mkdir(parents=True)
    assert_refused(program("train", "--out", "run"), "--out must have room for a file history.csv")


def test_the_out_folder_is_tried_before_the_data_are_loaded(program, few_images, tmp_path):
    (tmp_path / "taken").write_text("")
    program("train", "--out", "taken")
    assert few_images == []


def test_a_failure_to_save_is_one_line(program, few_images, monkeypatch):
    def fail(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Model, "save_weights", fail)
    result = program(*SMALL)
    assert (result.code, result.err) == (
        1,
        "fastconv: error: cannot save the results: [Errno 28] No space left on device\n",
    )
