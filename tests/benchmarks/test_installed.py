"""What counts as installed with a package."""

import json
from types import SimpleNamespace

import pytest


def distribution(tmp_path, files, requires=(), url="{}"):
    for name, size in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    return SimpleNamespace(
        files=list(files), requires=requires, locate_file=tmp_path.joinpath, read_text=lambda name: url
    )


@pytest.fixture
def installed(load):
    return load("installed")


def test_what_python_compiles_does_not_count(installed, tmp_path):
    found = distribution(tmp_path, {"a/code.py": 5, "a/__pycache__/code.pyc": 70})
    assert installed.size("a", found) == 5


def test_an_editable_package_counts_where_its_source_is(installed, tmp_path, monkeypatch):
    found = distribution(tmp_path, {"pointer.py": 1}, url=json.dumps({"dir_info": {"editable": True}}))
    distribution(tmp_path / "source", {"code.py": 40})
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path / "source")])
    monkeypatch.setattr(installed.importlib.util, "find_spec", lambda name: spec)
    assert installed.size("a", found) == 41


def test_requirements_count_but_for_numpy_extras_and_what_is_not_installed(installed, tmp_path, monkeypatch):
    there = {
        "a": distribution(tmp_path, {}, ["B_c>=1; python_version>'3'", "numpy", "d; extra == 'x'", "gone"]),
        "b-c": distribution(tmp_path, {}, ["a"]),
        "d": distribution(tmp_path, {}),
        "numpy": distribution(tmp_path, {}),
    }

    def find(name):
        if name not in there:
            raise installed.importlib.metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(installed.importlib.metadata, "distribution", find)
    assert set(installed.needed("a")) == {"a", "b-c"}
