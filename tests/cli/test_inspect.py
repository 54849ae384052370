import json
from pathlib import Path

import pytest

from fastconv.saving.describe import describe

FILES = Path(__file__).parents[1] / "data" / "keras_files"


def test_a_model_is_shown_by_its_layers(program):
    lines = program("inspect", str(FILES / "sequential.keras")).out.splitlines()
    assert lines[0].endswith("sequential.keras: Keras model, 37,055 bytes")
    assert "parameters            323" in lines
    assert [line.split() for line in lines if line.startswith("dense ")] == [["dense", "Dense", "(None,", "3)", "195"]]
    assert not any("vars" in line for line in lines)


def test_weights_are_shown_by_their_arrays(program):
    out = program("inspect", str(FILES / "sequential.weights.h5")).out
    assert "layers/conv2d/vars/0               (3, 3, 3, 4)  float32\n" in out


def test_json_is_all_of_it(program):
    path = str(FILES / "residual.keras")
    assert json.loads(program("inspect", path, "--json").out) == json.loads(json.dumps(describe(path)))


@pytest.mark.parametrize("name", ["missing.keras", "damaged.keras"])
def test_files_that_cannot_be_read_are_one_line(program, tmp_path, name):
    (tmp_path / "damaged.keras").write_bytes(b"PK")
    result = program("inspect", name)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("fastconv: error: ") and name in result.err


def test_a_strangers_names_cannot_steer_the_terminal(program, tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"a\x1b[2Jb": np.zeros(2)}, tmp_path / "a.safetensors")
    assert "a\\x1b[2Jb" in program("inspect", "a.safetensors").out
