"""The program as a whole: what is the same for all commands."""

import json
import math
import os
import subprocess
import sys

import pytest

import fastconv
from fastconv import config
from fastconv.cli import console
from fastconv.models.networks import NETWORKS


def test_version(program):
    assert program("--version").out == f"fastconv {fastconv.__version__}\n"


def test_config_shows_the_configuration(program):
    assert config.isa() in program("config").out
    assert json.loads(program("config", "--json").out)["isa"] == config.isa()


@pytest.mark.parametrize("name", NETWORKS)
def test_help_lists_the_networks(program, name):
    assert name in program("train", "--help").out


def test_the_module_is_the_same_program(tmp_path):
    command = [sys.executable, "-m", "fastconv", "--version"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == f"fastconv {fastconv.__version__}\n"


@pytest.mark.parametrize("command", ["bench", "convert", "doctor", "evaluate", "inspect", "predict", "run", "train"])
def test_help_lists_the_commands(program, command):
    assert f" {command} " in program("--help").out


def test_the_shell_completes_commands(tmp_path):
    environment = {**os.environ, "_FASTCONV_COMPLETE": "complete_bash", "COMP_WORDS": "fastconv ev", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "fastconv"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert result.stdout.split() == ["evaluate"]


def test_json_has_no_nan(capsys):
    console.say_json({"a": [float("nan"), 1.5, {"b": -math.inf}], "c": (None, True, "NaN")})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5, {"b": None}], "c": [None, True, "NaN"]}


def test_help_imports_no_heavy_library(tmp_path):
    code = (
        "import sys; from fastconv import cli\n"
        "print([m for m in ('matplotlib', 'PIL', 'h5py', 'onnx', 'IPython', 'pooch') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
