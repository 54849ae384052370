from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fastconv import datasets
from fastconv.datasets import cifar10, cifar10_files


def test_load_sample_is_the_one_of_cifar10():
    assert datasets.load_sample is cifar10.load_sample


def test_load_by_the_name_sample():
    (x_train, _), (x_test, _) = datasets.load("sample")
    assert (len(x_train), len(x_test)) == (5000, 1000)


def test_load_by_the_name_cifar10_searches(monkeypatch):
    monkeypatch.setattr(cifar10, "load_data", lambda: "found")
    assert datasets.load("cifar10") == "found"


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_load_from_a_path(small, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(cifar10_files, "read", small.read)
    small.assert_equal(datasets.load(kind(small.write_folder(tmp_path, small.binary))))


def test_a_name_wins_over_a_file_called_like_it(tmp_path, monkeypatch):
    (tmp_path / "sample").write_bytes(b"damaged")
    monkeypatch.chdir(tmp_path)
    (x_train, _), _ = datasets.load("sample")
    assert isinstance(x_train, np.ndarray)


def test_unknown_name_lists_the_choices():
    with pytest.raises(datasets.DataNotFoundError, match='"sample", "cifar10", or the path .*Received: \'mnist\''):
        datasets.load("mnist")


def test_errors_can_be_caught_as_value_errors_and_the_missing_as_os_errors():
    assert issubclass(datasets.DataError, ValueError)
    assert issubclass(datasets.DataNotFoundError, (datasets.DataError, FileNotFoundError))
    assert str(datasets.DataNotFoundError("what and where")) == "what and where"


def test_import_loads_nothing_heavy(tmp_path):
    code = """
import sys, fastconv.datasets
print([name for name in ("pooch", "requests", "tarfile", "gzip", "lzma", "fastconv.datasets.cifar10_files",
                         "fastconv.datasets.restricted_pickle") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
