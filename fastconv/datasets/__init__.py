"""Data sets: CIFAR-10 in full, and a bundled sample of it that needs no download."""

from __future__ import annotations

import os

from fastconv.datasets import cifar10
from fastconv.datasets.cifar10 import Data, load_sample
from fastconv.datasets.errors import DataError, DataNotFoundError

__all__ = ["DataError", "DataNotFoundError", "cifar10", "load", "load_sample"]


def load(where: str | os.PathLike[str]) -> Data:
    """Loads a data set by name or from a path.

    Args:
        where: "sample" (the bundled 5,000 + 1,000 images of CIFAR-10), "cifar10" (the full set, found or downloaded as
            in `cifar10.load_data`), or the path of a CIFAR-10 folder or archive. A name wins over a file called like
            it; write "./sample" for the file.

    Returns:
        `(x_train, y_train), (x_test, y_test)` as from `cifar10.load_data`.

    Raises:
        DataNotFoundError: `where` is no known name and no existing path, or the full set cannot be had.
        DataError: the data are damaged.

    Example:

    >>> (x_train, y_train), (x_test, y_test) = load("sample")
    >>> x_train.shape, y_train.shape
    ((5000, 32, 32, 3), (5000, 1))
    """
    if where == "sample":
        return load_sample()
    if where == "cifar10":
        return cifar10.load_data()
    if not os.path.exists(os.path.expanduser(where)):
        raise DataNotFoundError(
            'data must be "sample", "cifar10", or the path of a CIFAR-10 folder or archive (such as '
            f"cifar-10-batches-bin or cifar-10-binary.tar.gz). Received: {os.fspath(where)!r}, which does not exist"
        )
    return cifar10.load_data(path=where)
