"""Small CIFAR-10 sets in every form in which the real one comes."""

from __future__ import annotations

import functools
import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fastconv.datasets import cifar10_files

COUNT = 3  # records in a batch; the real ones have 10,000


def python2_pickle(pixels: np.ndarray, labels: list[int]) -> bytes:
    """A batch, opcode for opcode as Python 2 and its NumPy pickled the real ones (protocol 2, byte strings)."""
    rows, columns = pixels.shape
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\t"
        + (b"(K\x01M" + struct.pack("<H", rows) + b"M" + struct.pack("<H", columns) + b"\x86")
        + b"cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + (b"T" + struct.pack("<i", pixels.size) + pixels.tobytes() + b"tb")
    )
    return (
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03"
        + (b"U\x06labelsq\x04]q\x05(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e")
        + (b"U\x04dataq\x06" + array)
        + (b"U\tfilenamesq\x0c]q\r(" + b"U\x0btabby_s.png" * rows + b"eu.")
    )


class SmallCifar:
    """Six batches of COUNT random records, and their folders, archives and expected arrays."""

    count = COUNT
    read = staticmethod(functools.partial(cifar10_files.read, count=COUNT))
    python2_pickle = staticmethod(python2_pickle)

    def __init__(self) -> None:
        rng = np.random.default_rng(2)
        self.pixels = rng.integers(0, 256, (6, COUNT, 3072), dtype=np.uint8)
        self.labels = rng.integers(0, 10, (6, COUNT), dtype=np.uint8)
        self.binary = {
            f"cifar-10-batches-bin/{name}": np.column_stack([self.labels[i], self.pixels[i]]).tobytes()
            for i, name in enumerate(cifar10_files.BINARY.files)
        }
        self.python = {
            f"cifar-10-batches-py/{name}": python2_pickle(self.pixels[i], self.labels[i].tolist())
            for i, name in enumerate(cifar10_files.PYTHON.files)
        }

    def assert_equal(self, data) -> None:
        (x_train, y_train), (x_test, y_test) = data
        images = self.pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels = self.labels.reshape(-1, 1)
        split = 5 * COUNT
        np.testing.assert_array_equal(x_train, images[:split])
        np.testing.assert_array_equal(y_train, labels[:split])
        np.testing.assert_array_equal(x_test, images[split:])
        np.testing.assert_array_equal(y_test, labels[split:])

    @staticmethod
    def write_folder(parent: Path, files: dict[str, bytes]) -> Path:
        """Writes the files below parent and returns the folder of the first."""
        for name, contents in files.items():
            (parent / name).parent.mkdir(parents=True, exist_ok=True)
            (parent / name).write_bytes(contents)
        return (parent / next(iter(files))).parent

    @staticmethod
    def tar(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
        """A tar file of members given as contents or, for links and the like, as a TarInfo without contents."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, contents in members.items():
                if isinstance(contents, tarfile.TarInfo):
                    contents.name = name
                    tar.addfile(contents)
                else:
                    info = tarfile.TarInfo(name)
                    info.size = len(contents)
                    tar.addfile(info, io.BytesIO(contents))
        return out.getvalue()

    def write_archive(self, path: Path, members: dict[str, bytes | tarfile.TarInfo]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(self.tar(members), 1))
        return path


@pytest.fixture(scope="session")
def small() -> SmallCifar:
    return SmallCifar()
