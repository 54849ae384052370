"""A file that appears whole or not at all: all of fastconv's output files are written through it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import IO, Any

StrPath = str | os.PathLike[str]


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
