from __future__ import annotations

import hashlib
import importlib.util
import os
import zlib
from pathlib import Path

import numpy as np
import pytest

from fastconv.datasets import DataError, cifar10, cifar10_sample

FULL_SET = os.environ.get("FASTCONV_DATA")
TOOL = Path(__file__).resolve().parents[2] / "tools" / "pack_sample.py"


@pytest.fixture(scope="module")
def sample():
    return cifar10.load_sample()


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("pack_sample", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_arrays_are_as_load_data_gives_them(sample):
    arrays = [array for split in sample for array in split]
    assert [array.shape for array in arrays] == [(5000, 32, 32, 3), (5000, 1), (1000, 32, 32, 3), (1000, 1)]
    for array in arrays:
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous and array.flags.writeable and array.flags.owndata


def test_images_and_labels_are_the_real_ones(sample):
    # Taken from the full set, whose own hashes test_cifar10.py checks.
    assert [hashlib.sha256(array).hexdigest() for split in sample for array in split] == [
        "8408cb1d487a81dc74bed9bf922c2fd301fe2b1423ee16016de79a0f4ea9cff1",
        "82b397643bd8851eecd4bf04f74438bf4aeeb7d1f9074791252a04fd9277c0f3",
        "cc2bd4479eda140793858a9ea7f9016e6870fefd7f69f172720267e933ec44a5",
        "bf5fd7ab55257c7eeece32a36d229c4767d2479b59c8d506b7e35494f9cbf574",
    ]


def test_classes_are_balanced(sample):
    (_, y_train), (_, y_test) = sample
    assert np.bincount(y_train[:, 0]).tolist() == [500] * 10
    assert np.bincount(y_test[:, 0]).tolist() == [100] * 10


def test_file_is_at_most_11_mb():
    assert cifar10_sample.PATH.stat().st_size <= 11_000_000


@pytest.mark.skipif(not FULL_SET, reason="FASTCONV_DATA is not set: the sample is not compared with the full set")
def test_sample_holds_the_first_images_of_each_class_of_the_full_set(sample):
    for (images, labels), (all_images, all_labels), per_class in zip(
        sample, cifar10.load_data(), (500, 100), strict=True
    ):
        for label in range(10):
            expected = all_images[all_labels[:, 0] == label][:per_class]
            np.testing.assert_array_equal(images[labels[:, 0] == label], expected)


@pytest.mark.skipif(not FULL_SET, reason="FASTCONV_DATA is not set: the sample is not made again")
def test_tool_makes_the_same_file_again(tool):
    # Unpacked: another zlib may pack the same bytes in another way.
    assert tool.sample_payload(FULL_SET) == zlib.decompress(cifar10_sample.PATH.read_bytes())


@pytest.mark.parametrize("train, test", [(5, 2), (1, 1), (20, 1)])
def test_packing_and_unpacking_restores_the_images(tool, train, test):
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (train + test, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, (train + test, 1), dtype=np.uint8)
    payload = tool.payload(images, labels)
    (x_train, y_train), (x_test, y_test) = cifar10_sample.unpack(
        tool.pack(payload), train, test, hashlib.sha256(payload).hexdigest()
    )
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), images)
    np.testing.assert_array_equal(np.concatenate([y_train, y_test]), labels)
    assert (len(x_train), len(x_test)) == (train, test)


def test_packing_twice_gives_the_same_bytes(tool):
    payload = bytes(range(256)) * 100
    assert tool.pack(payload) == tool.pack(payload)


def test_first_of_each_class_keeps_the_order(tool):
    labels = np.arange(10).repeat(2)[::-1]
    images, chosen = tool.first_of_each_class(np.arange(20), labels, 1)
    assert images.tolist() == list(range(0, 20, 2))
    assert chosen.tolist() == list(range(9, -1, -1))


@pytest.mark.parametrize("damage", ["cut short", "changed", "replaced"])
def test_damaged_file_is_refused(tmp_path, monkeypatch, damage):
    packed = cifar10_sample.PATH.read_bytes()
    contents = {
        "cut short": packed[:-1000],
        "changed": packed[:5_000_000] + bytes([packed[5_000_000] ^ 1]) + packed[5_000_001:],
        "replaced": zlib.compress(b"other data"),
    }
    path = tmp_path / "cifar10_sample.zlib"
    path.write_bytes(contents[damage])
    monkeypatch.setattr(cifar10_sample, "PATH", path)
    with pytest.raises(DataError, match="cifar10_sample.zlib: the bundled sample is damaged.*Install fastconv again"):
        cifar10.load_sample()


def test_missing_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10_sample, "PATH", tmp_path / "cifar10_sample.zlib")
    with pytest.raises(DataError, match="cifar10_sample.zlib: the bundled sample cannot be read .*No such file"):
        cifar10.load_sample()
