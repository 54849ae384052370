"""Weights to and from safetensors files, and the atomic write that all of fastconv's output files go through."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from fastconv.layers.base import snake_case

FORMAT = "fastconv.weights"
VERSION = "1"
SUFFIX = ".safetensors"

_HEADER_LENGTH_BYTES = 8
# A header has about 120 bytes a weight. Without this bound a forged file could make the parser build 100 MB of them.
_MAX_HEADER_BYTES = 1 << 24
_MAX_LISTED = 4

StrPath = str | os.PathLike[str]


def save_weights(model: Any, path: StrPath) -> None:
    """Writes the model's weights to a safetensors file, whole or not at all.

    The names in the file count layers, so that the automatic names of layers ("conv2d_3") do not matter to loading.

    Args:
        model: a model that has weights.
        path: the file, ending in ".safetensors"; an existing one is replaced.

    Raises:
        ValueError: the name ends otherwise, or the model has no weights yet.
        OSError: the file cannot be written; what was there before is unchanged.
    """
    from safetensors.numpy import save

    import fastconv

    path = _checked_suffix(path)
    tensors = {key: np.ascontiguousarray(weight.array) for key, weight in _weights_by_key(model, path).items()}
    metadata = {"format": FORMAT, "version": VERSION, "fastconv": fastconv.__version__, "model": model.name}
    content = save(tensors, metadata)
    with atomic_write(path) as file:
        file.write(content)


def load_weights(model: Any, path: StrPath) -> None:
    """Reads weights written by `save_weights` into a model of the same layers.

    The whole file is checked before the first weight changes: after an error the model is as it was.

    Args:
        model: a model that has weights.
        path: the file, ending in ".safetensors".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or holds the weights of another model.
    """
    path = _checked_suffix(path)
    weights = _weights_by_key(model, path)
    arrays = _read(path, {key: tuple(weight.shape) for key, weight in weights.items()})
    for key, weight in weights.items():
        weight.assign(arrays[key])


@contextlib.contextmanager
def atomic_write(path: StrPath, mode: str = "wb", **open_args: Any) -> Iterator[IO[Any]]:
    """Opens a file for writing that appears under its name only when the block ends without an error.

    A reader, or a power cut, meets the old file or the new one and nothing between.

    Args:
        path: the file; through a symbolic link, the file it points to.
        mode: "wb" or "w".
        **open_args: further arguments of `open`.

    Raises:
        OSError: the file cannot be written; the temporary file beside it is gone again.

    Example:

    >>> with atomic_write("numbers.txt", "w") as file:
    ...     _ = file.write("1, 2, 3")
    """
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"Expected the name of a file to write. Received a folder: {path}")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"The folder to write {name} into does not exist: {folder}")
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        # os.open, not tempfile: the permissions then follow the umask, as for any other new file.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise type(error)(error.errno, f"Cannot write ({error.strerror})", path) from error
    try:
        with open(descriptor, mode, **open_args) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Makes the new name itself durable. Some file systems refuse it, and Windows has no such call."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _checked_suffix(path: StrPath) -> str:
    path = os.fspath(path)
    if not path.endswith(SUFFIX):
        stem = re.sub(r"(\.weights)?\.(h5|hdf5|keras)$", "", path)
        raise ValueError(
            f'Weights are kept in safetensors files, whose names end in "{SUFFIX}", such as {stem + SUFFIX!r}. '
            f"Received: path={path!r}"
        )
    return path


def _weights_by_key(model: Any, path: str) -> dict[str, Any]:
    """The weights as "layers.<i>.<class>.<name>", where i counts the layers that have weights."""
    layers = [layer for layer in model.layers if layer.weights] if model.built else []
    if not layers:
        raise ValueError(
            f"The model {model.name!r} has no weights yet, so there is nothing to save to or load from {path!r}. "
            "Start it with an Input, or call fit first."
        )
    return {
        f"layers.{i}.{snake_case(type(layer).__name__)}.{weight.name}": weight
        for i, layer in enumerate(layers)
        for weight in layer.weights
    }


def _read(path: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The file's arrays, once their names, types and shapes are found to be those of `shapes`."""
    from safetensors import SafetensorError, safe_open

    _check_length(path)
    try:
        with safe_open(path, framework="np") as file:
            _check_format(path, file.metadata() or {})
            found = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            _check_names(path, shapes, found)
            _check_arrays(path, shapes, found)
            return {key: file.get_tensor(key) for key in shapes}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged or cut short: expected a whole safetensors file. Received: {error}"
        ) from error


def _check_length(path: str) -> None:
    """Refuses what is too short, or whose header claims more than the file or reason allows."""
    if os.path.isdir(path):
        raise ValueError(f"Expected a weights file. Received a folder: {path}")
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no weights file {path}")
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        header = int.from_bytes(file.read(_HEADER_LENGTH_BYTES), "little")
    if size < _HEADER_LENGTH_BYTES or header > min(size - _HEADER_LENGTH_BYTES, _MAX_HEADER_BYTES):
        raise ValueError(
            f"{path} is cut short or is no safetensors file: expected 8 bytes with the length of the header, and the "
            f"header. Received: {size} bytes"
            + (f", which claim a header of {header}" if size >= _HEADER_LENGTH_BYTES else "")
        )


def _check_format(path: str, metadata: dict[str, str]) -> None:
    # Files of other origin have no such entry, or another one; their arrays decide.
    if metadata.get("format") == FORMAT and metadata.get("version") != VERSION:
        raise ValueError(
            f"{path} needs another version of fastconv: expected version {VERSION} of the file format. "
            f"Received: version {metadata.get('version')}, written by fastconv {metadata.get('fastconv')}"
        )


def _check_names(path: str, shapes: dict[str, Any], found: dict[str, Any]) -> None:
    missing = [key for key in shapes if key not in found]
    unexpected = [key for key in found if key not in shapes]
    if missing or unexpected:
        parts = [f"lacks {_listed(missing)}"] if missing else []
        parts += [f"has {_listed(sorted(unexpected))}, which the model has not"] if unexpected else []
        raise ValueError(
            f"{path} holds the weights of another model: expected {len(shapes)} arrays. "
            f"Received: {len(found)}; it {' and '.join(parts)}"
        )


def _check_arrays(path: str, shapes: dict[str, tuple[int, ...]], found: dict[str, Any]) -> None:
    wrong = []
    for key, shape in shapes.items():
        dtype, received = found[key].get_dtype(), tuple(found[key].get_shape())
        if dtype != "F32" or received != shape:
            wrong.append(f"{key}: expected float32 {shape}. Received: {dtype} {received}")
    if wrong:
        raise ValueError(
            f"{path} holds the weights of another model, {len(wrong)} of {len(shapes)} arrays differ: "
            + "; ".join(wrong[:_MAX_LISTED])
            + ("; ..." if len(wrong) > _MAX_LISTED else "")
        )


def _listed(keys: list[str]) -> str:
    return ", ".join(keys[:_MAX_LISTED]) + (f" and {len(keys) - _MAX_LISTED} more" if len(keys) > _MAX_LISTED else "")
