from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path

import pooch
import pytest

from fastconv.datasets import DataError, DataNotFoundError, cifar10, cifar10_files

RETRIEVE = pooch.retrieve
FULL_SET = os.environ.get("FASTCONV_DATA")


@pytest.fixture
def home(tmp_path, monkeypatch, small) -> Path:
    """An empty home folder, no settings, no network, and batches of `small.count` records."""
    for name in ("FASTCONV_DATA", "FASTCONV_HOME", "KERAS_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr(cifar10_files, "read", small.read)

    def no_network(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", no_network)
    return tmp_path


def other_labels(small) -> dict[str, bytes]:
    """A valid set that differs from `small.binary`."""
    return {name: b"\0" + contents[1:] for name, contents in small.binary.items()}


# path=


@pytest.mark.parametrize("version", ["binary", "python"])
def test_path_of_a_batch_folder(small, home, version):
    small.assert_equal(cifar10.load_data(path=small.write_folder(home / "data", getattr(small, version))))


@pytest.mark.parametrize("version", ["binary", "python"])
def test_path_of_a_folder_that_holds_it(small, home, version):
    small.write_folder(home / "data", getattr(small, version))
    small.assert_equal(cifar10.load_data(path=str(home / "data")))


@pytest.mark.parametrize("version", ["binary", "python"])
@pytest.mark.parametrize("name", ["cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"])
def test_path_of_a_folder_that_holds_the_archive(small, home, version, name):
    small.write_archive(home / "data" / name, getattr(small, version))
    small.assert_equal(cifar10.load_data(path=home / "data"))


@pytest.mark.parametrize("version", ["binary", "python"])
def test_path_of_an_archive_under_any_name(small, home, version):
    small.assert_equal(cifar10.load_data(path=small.write_archive(home / "some.tgz", getattr(small, version))))


def test_path_may_begin_with_a_tilde(small, home):
    small.write_folder(home / "data", small.binary)
    small.assert_equal(cifar10.load_data(path="~/data"))


def test_path_that_does_not_exist(home):
    with pytest.raises(
        DataNotFoundError, match=r"path='.*absent': does not exist. Expected a folder cifar-10-batches-bin"
    ):
        cifar10.load_data(path=str(home / "absent"))


def test_path_without_data_is_an_error_though_the_caches_have_some(small, home):
    small.write_folder(home / ".keras" / "datasets", small.binary)
    (home / "empty").mkdir()
    with pytest.raises(DataNotFoundError, match="empty': a folder without CIFAR-10 data"):
        cifar10.load_data(path=home / "empty")


def test_path_with_damaged_data_is_an_error_though_the_caches_have_some(small, home):
    small.write_folder(home / ".keras" / "datasets", small.binary)
    (home / "a.tar.gz").write_bytes(b"damaged")
    with pytest.raises(DataError, match="a.tar.gz: expected a whole gzip"):
        cifar10.load_data(path=home / "a.tar.gz")


# $FASTCONV_DATA and the caches


@pytest.mark.parametrize("form", ["batch folder", "parent", "archive"])
def test_environment_variable(small, home, monkeypatch, form):
    if form == "archive":
        place = small.write_archive(home / "data" / "x.tar.gz", small.binary)
    else:
        place = small.write_folder(home / "data", small.binary)
    monkeypatch.setenv("FASTCONV_DATA", str(place.parent if form == "parent" else place))
    small.assert_equal(cifar10.load_data())


def test_environment_variable_wins_over_the_caches(small, home, monkeypatch):
    small.write_folder(home / ".keras" / "datasets", other_labels(small))
    small.write_folder(home / "data", small.binary)
    monkeypatch.setenv("FASTCONV_DATA", str(home / "data"))
    small.assert_equal(cifar10.load_data())


def test_damaged_data_in_the_environment_variable_are_an_error_though_the_caches_have_some(small, home, monkeypatch):
    small.write_folder(home / ".keras" / "datasets", small.binary)
    (small.write_folder(home / "data", small.binary) / "test_batch.bin").unlink()
    monkeypatch.setenv("FASTCONV_DATA", str(home / "data"))
    with pytest.raises(DataError, match=r"\$FASTCONV_DATA: .*Missing: test_batch.bin"):
        cifar10.load_data()


@pytest.mark.parametrize(
    "folder",
    [
        "",  # Keras 2
        "cifar-10-batches-py-target",  # Keras 3.7 and later
        "cifar-10-batches-py",  # earlier Keras 3
        "cifar-10-batches-py_extracted",
        "cifar-10-python_extracted",
    ],
)
def test_folder_in_the_keras_cache(small, home, folder):
    small.write_folder(home / ".keras" / "datasets" / folder, small.python)
    small.assert_equal(cifar10.load_data())


@pytest.mark.parametrize(
    "name", ["cifar-10-batches-py.tar.gz", "cifar-10-batches-py-target_archive", "cifar-10-batches-py_archive"]
)
def test_archive_in_the_keras_cache(small, home, name):
    small.write_archive(home / ".keras" / "datasets" / name, small.python)
    small.assert_equal(cifar10.load_data())


def test_keras_home(small, home, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(home / "k"))
    small.write_folder(home / "k" / "datasets", small.python)
    small.assert_equal(cifar10.load_data())


@pytest.mark.parametrize(
    "variable, value, cache",
    [
        (None, None, ".cache/fastconv"),
        ("XDG_CACHE_HOME", "~/xdg", "xdg/fastconv"),
        ("FASTCONV_HOME", "~/own", "own"),
    ],
)
def test_fastconv_cache(small, home, monkeypatch, variable, value, cache):
    if variable:
        monkeypatch.setenv(variable, value)
    small.write_archive(home / cache / "cifar-10-binary.tar.gz", small.binary)
    small.assert_equal(cifar10.load_data())


def test_keras_cache_comes_before_the_fastconv_cache(small, home):
    small.write_folder(home / ".keras" / "datasets", small.python)
    small.write_folder(home / ".cache" / "fastconv", other_labels(small))
    small.assert_equal(cifar10.load_data())


def test_damaged_cache_is_passed_over_with_a_warning(small, home):
    (small.write_folder(home / ".keras" / "datasets", small.python) / "test_batch").unlink()
    small.write_folder(home / ".cache" / "fastconv", small.binary)
    with pytest.warns(UserWarning, match="Passed over damaged CIFAR-10 data in the Keras cache: .*Missing: test_batch"):
        small.assert_equal(cifar10.load_data())


def test_sound_archive_beside_a_damaged_folder_is_found(small, home):
    (small.write_folder(home / ".keras" / "datasets", small.python) / "test_batch").unlink()
    small.write_archive(home / ".keras" / "datasets" / "cifar-10-batches-py.tar.gz", small.python)
    with pytest.warns(UserWarning, match="Passed over"):
        small.assert_equal(cifar10.load_data())


# The download


@pytest.fixture
def server(monkeypatch, home):
    """A network after all; returns a list whose one item is what the server has."""
    contents = [b""]
    monkeypatch.setattr(pooch, "retrieve", RETRIEVE)

    def choose_downloader(url, progressbar):
        assert (url, progressbar) == ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", False)
        return lambda url, path, _: Path(path).write_bytes(contents[0])

    monkeypatch.setattr(pooch.core, "choose_downloader", choose_downloader)
    return contents


def test_error_without_network_names_every_place_and_the_remedy(home, monkeypatch):
    monkeypatch.setenv("FASTCONV_DATA", str(home / "absent"))
    (home / ".keras" / "datasets").mkdir(parents=True)
    with pytest.raises(DataNotFoundError) as raised:
        cifar10.load_data()
    for part in (
        f"$FASTCONV_DATA: {home / 'absent'}: does not exist",
        f"Keras cache: {home / '.keras' / 'datasets'}: a folder without CIFAR-10 data",
        f"fastconv cache: {home / '.cache' / 'fastconv'}: does not exist",
        "download of https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz: ConnectionError: no route to host",
        "fetch cifar-10-binary.tar.gz from that address in any way (md5 c32a1d4ab5d03f1284b67883e8d87530)",
        "load_data(path=...)",
        "set FASTCONV_DATA to the file or its folder",
        f"copy it into {home / '.cache' / 'fastconv'}",
    ):
        assert part in str(raised.value)


def test_error_without_network_names_an_unset_variable(home):
    with pytest.raises(DataNotFoundError, match=r"\$FASTCONV_DATA: not set"):
        cifar10.load_data()


def test_error_without_network_tells_of_damaged_caches(home):
    (home / ".cache" / "fastconv").mkdir(parents=True)
    (home / ".cache" / "fastconv" / "cifar-10-binary.tar.gz").write_bytes(b"damaged")
    with (
        pytest.warns(UserWarning, match="Passed over"),
        pytest.raises(DataNotFoundError, match=r"fastconv cache: .*cifar-10-binary.tar.gz: expected a whole gzip"),
    ):
        cifar10.load_data()


def test_download_is_stored_in_the_fastconv_cache_and_used_from_then_on(small, server, home, monkeypatch):
    server[0] = small.write_archive(home / "tmp.tar.gz", small.binary).read_bytes()
    monkeypatch.setattr(cifar10, "MD5", hashlib.md5(server[0]).hexdigest())
    small.assert_equal(cifar10.load_data())
    assert [path.name for path in (home / ".cache" / "fastconv").iterdir()] == ["cifar-10-binary.tar.gz"]

    server.clear()  # another download would fail
    small.assert_equal(cifar10.load_data())


def test_damaged_archive_in_the_fastconv_cache_is_replaced(small, server, home, monkeypatch):
    server[0] = small.write_archive(home / "tmp.tar.gz", small.binary).read_bytes()
    monkeypatch.setattr(cifar10, "MD5", hashlib.md5(server[0]).hexdigest())
    archive = home / ".cache" / "fastconv" / "cifar-10-binary.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="Passed over"):
        small.assert_equal(cifar10.load_data())
    assert archive.read_bytes() == server[0]


def test_download_with_a_wrong_hash_is_refused_and_removed(server, home):
    server[0] = b"something else"
    with pytest.raises(
        DataNotFoundError, match="MD5 hash .*does not match .*expected md5:c32a1d4ab5d03f1284b67883e8d87530"
    ):
        cifar10.load_data()
    assert list((home / ".cache" / "fastconv").iterdir()) == []


# The real data


@pytest.mark.skipif(not FULL_SET, reason="FASTCONV_DATA is not set: the full CIFAR-10 set is not tested")
def test_full_set():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    assert (x_train.shape, y_train.shape) == ((50_000, 32, 32, 3), (50_000, 1))
    assert (x_test.shape, y_test.shape) == ((10_000, 32, 32, 3), (10_000, 1))
    assert [hashlib.sha256(array).hexdigest() for array in (x_train, y_train, x_test, y_test)] == [
        "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
        "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    ]


def test_labels():
    assert cifar10.LABELS == (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
