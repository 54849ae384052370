"""The program as a whole: what is the same for all commands."""

import subprocess
import sys

import pytest

import fastconv
from fastconv import config
from fastconv.models.networks import NETWORKS


def test_version(program):
    assert program("--version").out == f"fastconv {fastconv.__version__}\n"


def test_config_shows_the_configuration(program):
    assert config.isa() in program("config").out


@pytest.mark.parametrize("name", NETWORKS)
def test_help_lists_the_networks(program, name):
    assert name in program("train", "--help").out


def test_the_module_is_the_same_program(tmp_path):
    command = [sys.executable, "-m", "fastconv", "--version"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == f"fastconv {fastconv.__version__}\n"
