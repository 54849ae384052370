"""The epochs' means as a table in a file."""

from __future__ import annotations

import csv
import os
from typing import Any, TextIO

from fastconv.callbacks.base import Callback, Logs
from fastconv.checks import flag, path, refused


class CSVLogger(Callback):
    """Writes the epochs' means to a CSV file, one row an epoch, on disk when the epoch ends.

    The columns are "epoch" and the names of the first epoch, sorted; a value missing later is written as "NA".

    Args:
        filename: path of the file.
        separator: what stands between two values.
        append: go on at the end of an existing file, without a second header.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = path(filename, "filename")
        if not isinstance(separator, str) or len(separator) != 1:
            raise refused("separator", "one character", separator)
        self.separator = separator
        self.append = flag(append, "append")
        self._file: TextIO | None = None
        self._keys: list[str] | None = None
        self._end = 0  # of the file's part that counts

    def get_state(self) -> dict[str, Any]:
        return {"keys": self._keys, "end": self._end}

    def set_state(self, state: dict[str, Any]) -> None:
        self._keys, self._end = state["keys"], min(state["end"], self._file.tell())  # rows after it are written again

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._close()  # a run that ended with an error left it open
        self._file = open(self.filename, "a", newline="", encoding="utf-8")  # noqa: SIM115
        self._keys, self._end = None, self._file.tell() if self.append else 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.separator)
        if self._keys is None:
            self._keys = sorted(logs)
            if self._keys and not any(key.startswith("val_") for key in self._keys):
                # Keras keeps columns for a validation that may start in a later epoch (validation_freq).
                self._keys += [f"val_{key}" for key in self._keys]
        self._file.truncate(self._end)
        if not self._end:
            writer.writerow(["epoch", *self._keys])
        writer.writerow([epoch, *(logs.get(key, "NA") for key in self._keys)])
        self._file.flush()
        self._end = self._file.tell()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._file.truncate(self._end)  # of a file that is to be replaced, where no epoch ended
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
