"""What files hold, told without running anything of them."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fastconv import callbacks, layers, saving
from fastconv.models import Sequential
from fastconv.saving import FormatError
from fastconv.saving.describe import describe

FILES = Path(__file__).parents[1] / "data" / "keras_files"


@pytest.fixture
def model():
    model = Sequential([layers.Input((8, 8, 1), name="image"), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(2)])
    model.compile("adam", "mse")
    return model


def rewritten(path, **changes):
    """A copy of a .keras file of Keras with other settings in its config.json."""
    with zipfile.ZipFile(FILES / "sequential.keras") as archive, zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                content = json.dumps({**json.loads(content), **changes}).encode()
            copy.writestr(name, content)
    return path


def test_a_model_of_keras():
    report = describe(FILES / "sequential.keras")
    assert report["format"] == "Keras model" and report["model"] == "Sequential small"
    assert report["written_by"].startswith("Keras 3.15.1 ")
    assert (report["parameters"], report["trainable_parameters"], report["optimizer_step"]) == (323, 315, 2)
    assert report["layers"][0] == {
        "name": "conv2d",
        "class": "Conv2D",
        "output_shape": [None, 4, 4, 4],
        "parameters": 112,
    }
    assert report["compile"]["optimizer"]["class"] == "Adam" and report["compile"]["metrics"] == ["accuracy"]
    assert {"name": "layers/dense/vars/0", "shape": [64, 3], "dtype": "float32"} in report["arrays"]
    assert "problem" not in report


def test_a_model_that_fastconv_cannot_load_is_listed_with_the_reason(tmp_path):
    entry = {"module": "keras.layers", "class_name": "LSTM", "config": {"name": "memory"}}
    path = rewritten(tmp_path / "a.keras", config={"name": "net", "layers": [entry, 5]})
    report = describe(path)
    assert report["layers"] == [{"name": "memory", "class": "LSTM"}] and report["parameters"] == 323
    assert report["problem"].startswith("expected layers and settings that fastconv has. Received: keras.layers.LSTM")


@pytest.mark.parametrize("value", [None, 5, [1], {"layers": 5}, {"layers": [{"config": 3}]}, {"name": [1]}])
def test_settings_of_any_type_are_no_crash(tmp_path, value):
    path = rewritten(tmp_path / "a.keras", config=value, class_name=value, compile_config={"optimizer": value})
    assert describe(path)["problem"]


def test_settings_of_any_depth_are_no_crash(tmp_path):
    deep = json.loads("[" * 900 + "]" * 900)
    assert describe(rewritten(tmp_path / "a.keras", compile_config={"metrics": deep}))["parameters"] == 323


def test_weights_of_keras():
    report = describe(FILES / "sequential.weights.h5")
    assert (report["format"], report["parameters"], report["optimizer_step"]) == ("Keras weights", 323, 2)
    names = [array["name"] for array in report["arrays"]]
    assert names.index("optimizer/vars/9") + 1 == names.index("optimizer/vars/10")


def test_weights_of_fastconv(model, tmp_path):
    model.save_weights(tmp_path / "a.safetensors")
    report = describe(tmp_path / "a.safetensors")
    assert (report["format"], report["parameters"]) == ("fastconv weights", 30 + 218)
    assert report["arrays"][0] == {"name": "layers.0.conv2d.bias", "shape": [3], "dtype": "float32"}


def test_weights_of_pytorch(tmp_path):
    arrays = {"b": np.zeros((2, 3), np.float16), "a": np.zeros(4, np.int64), "c": np.zeros(0, bool)}
    save_file(arrays, tmp_path / "a.safetensors")
    report = describe(tmp_path / "a.safetensors")
    assert report["format"] == "safetensors, of PyTorch or another origin"
    assert [(a["name"], a["shape"], a["dtype"]) for a in report["arrays"]] == [
        ("a", [4], "int64"),
        ("b", [2, 3], "float16"),
        ("c", [0], "bool"),
    ]


def test_a_backup(model, tmp_path):
    backup = callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2, delete_checkpoint=False)
    model.fit(np.zeros((6, 8, 8, 1)), np.zeros((6, 2)), batch_size=2, verbose=0, callbacks=[backup])
    report = describe(tmp_path / "backup" / "latest.safetensors")
    assert (report["format"], report["epoch"], report["batch"], report["optimizer_step"]) == ("backup of fit", 0, 2, 2)
    assert (report["parameters"], report["callbacks"]) == (248, ["History"])


def test_a_backup_with_another_state_is_refused(tmp_path):
    about = {"format": "fastconv.backup", "version": "1", "state": json.dumps({"weights": 3})}
    save_file({"0": np.zeros(3)}, tmp_path / "a.safetensors", about)
    with pytest.raises(FormatError, match="expected the state of a run of fit"):
        describe(tmp_path / "a.safetensors")


def test_an_onnx_file(model, tmp_path):
    pytest.importorskip("onnx", reason="onnx is not installed (pip install onnx)")
    saving.save_onnx(model, tmp_path / "a.onnx")
    report = describe(tmp_path / "a.onnx")
    assert (report["format"], report["parameters"], report["opset"]) == ("ONNX model", 248, {"ai.onnx": 20})
    assert report["inputs"] == [{"name": "image", "shape": ["N", 8, 8, 1], "dtype": "float32"}]
    assert report["operators"]["Conv"] == 1


@pytest.mark.parametrize("name", ["sequential.keras", "sequential.weights.h5"])
def test_the_first_bytes_tell_where_the_name_does_not(name, tmp_path):
    (tmp_path / "renamed").write_bytes((FILES / name).read_bytes())
    assert describe(tmp_path / "renamed")["format"] == describe(FILES / name)["format"]


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".safetensors", ".onnx", ""])
@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PK\x03\x04" + b"a" * 50, b"\x89HDF\r\n\x1a\n", b"\xff" * 64])
def test_other_contents_are_refused_by_the_files_name(tmp_path, ending, content):
    if ending == ".onnx":
        pytest.importorskip("onnx", reason="onnx is not installed (pip install onnx)")
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="^" + str(path)):
        describe(path)


@pytest.mark.parametrize("name", ["sequential.keras", "sequential.weights.h5"])
def test_files_cut_short_are_refused(name, tmp_path):
    content = (FILES / name).read_bytes()
    for size in range(0, len(content), 997):
        (tmp_path / name).write_bytes(content[:size])
        with pytest.raises(FormatError):
            describe(tmp_path / name)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match="expected a file. Received: a folder"):
        describe(tmp_path)
    with pytest.raises(FileNotFoundError):
        describe(tmp_path / "missing.keras")
