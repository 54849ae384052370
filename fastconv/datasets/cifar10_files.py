"""Reads CIFAR-10 as its author distributes it: the binary and the Python version, as a folder or a .tar.gz archive.

Everything read is taken for untrusted: sizes are checked before memory is asked for, an archive is a stream from which
six members are taken by exact name and never touches the disk. Where the data are is not known here, see cifar10.py.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from fastconv.datasets.cifar10 import LABELS, Data
from fastconv.datasets.errors import DataError

RECORDS = 10_000  # in each of the six batches
PIXELS = 32 * 32
CHANNELS = 3
RECORD_BYTES = 1 + CHANNELS * PIXELS  # label, then the red, the green and the blue plane
TRAIN_BATCHES = 5

# The archives have 8 and 9 members; the bound keeps a crafted one from filling the memory with headers.
_MAX_MEMBERS = 100


class Layout(NamedTuple):
    """One of the two versions of the data.

    decode takes the bytes of a batch, the records expected in it and its name for messages, and returns uint8 pixels
    (records, 3072) and labels (records,). sizes gives the range of valid file sizes in bytes for a number of records.
    """

    folder: str
    files: tuple[str, ...]  # training batches in order, then the test batch
    decode: Callable[[bytes, int, str], tuple[np.ndarray, np.ndarray]]
    sizes: Callable[[int], range]


def _label_error(where: str, record: int, label: object) -> DataError:
    return DataError(f"{where}: expected labels 0..{len(LABELS) - 1}. Received: {label!s:.20} in record {record}")


def _decode_binary(raw: bytes, count: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    records = np.frombuffer(raw, np.uint8).reshape(count, RECORD_BYTES)
    labels = records[:, 0]
    wrong = np.flatnonzero(labels >= len(LABELS))
    if wrong.size:
        raise _label_error(where, wrong[0], labels[wrong[0]])
    return records[:, 1:], labels


def _decode_python(raw: bytes, count: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    from fastconv.datasets.restricted_pickle import UInt8Array, loads

    batch = loads(raw, count, where)
    if not isinstance(batch, dict):
        raise DataError(f"{where}: expected a pickled dict. Received: {type(batch).__name__}")
    data, labels = (batch.get(key.encode(), batch.get(key)) for key in ("data", "labels"))
    shape = (count, CHANNELS * PIXELS)
    if not isinstance(data, UInt8Array) or data.shape != shape:
        received = f"shape {data.shape}" if isinstance(data, UInt8Array) else type(data).__name__
        raise DataError(f'{where}: expected "data" to be a uint8 array of shape {shape}. Received: {received}')
    if not isinstance(labels, list) or len(labels) != count:
        raise DataError(f'{where}: expected "labels" to be a list of {count:,} integers')
    for record, label in enumerate(labels):
        if type(label) is not int or label not in range(len(LABELS)):
            raise _label_error(where, record, label)
    pixels = np.frombuffer(data.buffer, np.uint8).reshape(shape, order=data.order)
    return pixels, np.array(labels, np.uint8)


BINARY = Layout(
    "cifar-10-batches-bin",
    (*(f"data_batch_{i}.bin" for i in range(1, TRAIN_BATCHES + 1)), "test_batch.bin"),
    _decode_binary,
    lambda count: range(count * RECORD_BYTES, count * RECORD_BYTES + 1),
)
PYTHON = Layout(
    "cifar-10-batches-py",
    (*(f"data_batch_{i}" for i in range(1, TRAIN_BATCHES + 1)), "test_batch"),
    _decode_python,
    # A pickle also holds the images' file names, so its size is not the same for every batch.
    lambda count: range(count * RECORD_BYTES, 2 * count * RECORD_BYTES),
)
LAYOUTS = (BINARY, PYTHON)


def layout_of(folder: Path) -> Layout | None:
    """Returns the layout of which a folder holds at least one batch, or None."""
    for layout in LAYOUTS:
        if any(os.path.exists(folder / name) for name in layout.files):
            return layout
    return None


def read(source: Path, count: int = RECORDS) -> Data:
    """Reads all of CIFAR-10 from one folder of batch files or one .tar.gz archive.

    Args:
        source: the folder (for which `layout_of` is not None) or the archive.
        count: records in each batch.

    Returns:
        `(x_train, y_train), (x_test, y_test)`; see `cifar10.load_data`.

    Raises:
        DataError: the data are not complete or not right; the message names the file, what was expected and received.
    """
    batches = _folder_batches if source.is_dir() else _archive_batches
    x_train, y_train = _empty(TRAIN_BATCHES * count)
    x_test, y_test = _empty(count)
    try:
        for layout, index, raw, where in batches(source, count):
            pixels, labels = layout.decode(raw, count, where)
            is_train = index < TRAIN_BATCHES
            rows = slice(index * count, (index + 1) * count) if is_train else slice(count)
            (y_train if is_train else y_test)[rows, 0] = labels
            images = (x_train if is_train else x_test)[rows].reshape(count, PIXELS, CHANNELS)
            for channel in range(CHANNELS):  # three strided copies are 3x as fast as one of the transposed array
                images[..., channel] = pixels[:, channel * PIXELS : (channel + 1) * PIXELS]
            del raw, pixels, labels  # 31 MB, before the next batch is read
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error}") from error
    return (x_train, y_train), (x_test, y_test)


def _empty(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.empty((count, 32, 32, CHANNELS), np.uint8), np.empty((count, 1), np.uint8)


def _check_file(is_regular: bool, size: int, sizes: range, where: str) -> None:
    if not is_regular:
        raise DataError(f"{where}: expected a regular file. Received: a link, folder or special file")
    if size not in sizes:
        expected = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        raise DataError(f"{where}: expected {expected} bytes. Received: {size:,}")


def _read_exactly(file: IO[bytes], size: int, where: str) -> bytes:
    raw = file.read(size)
    if len(raw) != size:
        raise DataError(f"{where}: expected {size:,} bytes. Received: {len(raw):,}")
    return raw


def _check_complete(layout: Layout, found: set[str], source: Path) -> None:
    missing = [name for name in layout.files if name not in found]
    if missing:
        raise DataError(f"{source}: expected 6 batches in {layout.folder}. Missing: {', '.join(missing)}")


def _folder_batches(folder: Path, count: int) -> Iterator[tuple[Layout, int, bytes, str]]:
    layout = layout_of(folder) or BINARY
    _check_complete(layout, {name for name in layout.files if os.path.exists(folder / name)}, folder)
    for index, name in enumerate(layout.files):
        path = folder / name
        info = os.stat(path)  # before opening: a pipe in this place would block
        _check_file(stat.S_ISREG(info.st_mode), info.st_size, layout.sizes(count), str(path))
        with open(path, "rb") as file:
            yield layout, index, _read_exactly(file, info.st_size, str(path)), str(path)


class _BoundedReader:
    """Hands on reads of a stream until more has come out of it than the real data set can hold."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream, self._limit, self._left = stream, limit, limit

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise DataError(f"unpacks to more than {self._limit:,} bytes, far more than CIFAR-10")
        return piece


def _archive_batches(archive: Path, count: int) -> Iterator[tuple[Layout, int, bytes, str]]:
    import gzip
    import tarfile
    import zlib

    limit = (TRAIN_BATCHES + 1) * max(PYTHON.sizes(count)) + (1 << 20)
    wanted = {f"{layout.folder}/{name}": (layout, i) for layout in LAYOUTS for i, name in enumerate(layout.files)}
    layout, found = None, set()
    try:
        with gzip.open(archive) as unpacked:
            stream = _BoundedReader(unpacked, limit)
            with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as tar:
                for number, member in enumerate(tar):
                    if number == _MAX_MEMBERS:
                        raise DataError(f"expected at most {_MAX_MEMBERS} members, far more than CIFAR-10 has")
                    member_layout, index = wanted.get(member.name, (None, 0))
                    layout = layout or member_layout
                    if member_layout is None or member_layout is not layout:
                        continue
                    where, name = f"{archive}: member {member.name}", layout.files[index]
                    if name in found:
                        raise DataError(f"member {member.name} is there twice")
                    found.add(name)
                    is_regular = member.isreg() and not member.issparse()
                    _check_file(is_regular, member.size, layout.sizes(count), f"member {member.name}")
                    with tar.extractfile(member) as file:
                        yield layout, index, _read_exactly(file, member.size, f"member {member.name}"), where
            while stream.read(1 << 20):  # gzip compares its checksum only at the very end
                pass
    except DataError as error:
        raise DataError(f"{archive}: {error}") from error
    except (
        gzip.BadGzipFile,
        EOFError,
        RecursionError,
        ValueError,
        zlib.error,
        tarfile.TarError,
    ) as error:
        raise DataError(
            f"{archive}: expected a whole gzip-compressed tar archive; it is damaged, cut short or something else "
            f"({type(error).__name__}: {error})"
        ) from error
    _check_complete(layout or BINARY, found, archive)
