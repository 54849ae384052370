"""CIFAR-10: where to find it, how to fetch it, and the bundled sample.

The formats are read in cifar10_files.py and cifar10_sample.py, imported on first use.

Source: Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report, University of
Toronto, 2009. Its author asks users of the data to cite it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastconv.datasets.errors import DataError, DataNotFoundError

Data = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # published beside the link on https://www.cs.toronto.edu/~kriz/cifar.html
ARCHIVE = "cifar-10-binary.tar.gz"

# Keras' get_file renames what it stores: Keras 2 keeps cifar-10-batches-py.tar.gz beside the unpacked folder; Keras 3
# has cifar-10-batches-py-target_archive and unpacks one level deeper, into -target (3.7 on), a folder of the same name
# (before) or *_extracted (a file name given with its extension).
_ARCHIVES = (
    ARCHIVE,
    "cifar-10-python.tar.gz",
    "cifar-10-batches-py.tar.gz",
    "cifar-10-batches-py-target.tar.gz",
    "cifar-10-batches-py-target_archive",
    "cifar-10-batches-py_archive",
)
_OUTER_FOLDERS = (
    "",
    "cifar-10-batches-bin",
    "cifar-10-batches-py",
    "cifar-10-batches-py-target",
    "cifar-10-batches-py_extracted",
    "cifar-10-python_extracted",
    "cifar-10-binary_extracted",
)
_INNER_FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-batches-py")


def load_data(path: str | os.PathLike[str] | None = None) -> Data:
    """Loads CIFAR-10: 50,000 training and 10,000 test images, 32x32 RGB, in 10 classes (`LABELS`).

    Looks, in this order, in `$FASTCONV_DATA`, the Keras cache (`$KERAS_HOME/datasets`, else `~/.keras/datasets`) and
    the fastconv cache (`$FASTCONV_HOME`, else `$XDG_CACHE_HOME/fastconv`, else `~/.cache/fastconv`). Each may be a
    folder with the data, a folder that holds one, or hold an archive: `cifar-10-batches-bin`, `cifar-10-batches-py`,
    `cifar-10-binary.tar.gz`, `cifar-10-python.tar.gz`, or what Keras makes of them. Found nowhere, the binary archive
    (170 MB) is downloaded into the fastconv cache and its hash checked. Archives are read where they are, never
    unpacked to disk; the Python version's pickles can build nothing but arrays of bytes.

    Args:
        path: a folder or an archive as above. When given, no other place is looked at and nothing is downloaded.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, uint8: images `(50000, 32, 32, 3)` and `(10000, 32, 32, 3)` with values
        0..255, labels `(50000, 1)` and `(10000, 1)` with values 0..9, in the original order, as Keras returns them.

    Raises:
        DataNotFoundError: no data in any place and no download; the message lists each place and what was there.
        DataError: the data at `path` or `$FASTCONV_DATA` are damaged or incomplete. (Damaged data in a cache are passed
            over with a warning.)

    Example:

    >>> (x_train, y_train), (x_test, y_test) = load_data()  # doctest: +SKIP
    >>> x_train.shape, x_train.dtype  # doctest: +SKIP
    ((50000, 32, 32, 3), dtype('uint8'))
    """
    from fastconv.datasets import cifar10_files

    if path is not None:
        place = _expand(path)
        sources = _sources(place)
        if not sources:
            raise DataNotFoundError(
                f"No CIFAR-10 data at path={os.fspath(path)!r}: {_what_is_at(place)}. Expected a folder "
                "cifar-10-batches-bin or cifar-10-batches-py (or one that holds it), "
                f"{ARCHIVE} or cifar-10-python.tar.gz"
            )
        return cifar10_files.read(sources[0])

    looked_at = []
    for name, place, is_cache in _places():
        if place is None:
            looked_at.append(f"{name}: not set")
            continue
        sources = _sources(place)
        if not sources:
            looked_at.append(f"{name}: {place}: {_what_is_at(place)}")
        for source in sources:
            try:
                return cifar10_files.read(source)
            except DataError as error:
                if not is_cache:
                    raise DataError(f"{name}: {error}") from error
                warnings.warn(f"Passed over damaged CIFAR-10 data in the {name}: {error}", stacklevel=2)
                looked_at.append(f"{name}: {error}")
    return cifar10_files.read(_download(looked_at))


def load_sample() -> Data:
    """Loads the bundled sample of CIFAR-10: 5,000 training and 1,000 test images, all classes equally often.

    They are the first 500 images of each class of the training set and the first 100 of each class of the test set,
    in the original order. No network and no other file is needed.

    Returns:
        `(x_train, y_train), (x_test, y_test)` as from `load_data`: uint8 images `(5000, 32, 32, 3)` and
        `(1000, 32, 32, 3)`, uint8 labels `(5000, 1)` and `(1000, 1)`.

    Raises:
        DataError: the sample file is missing from the installed package or damaged.

    Example:

    >>> (x_train, y_train), (x_test, y_test) = load_sample()
    >>> [LABELS[i] for i in y_test[:4, 0]]
    ['cat', 'ship', 'ship', 'airplane']
    """
    from fastconv.datasets import cifar10_sample

    return cifar10_sample.load()


def _places() -> Iterator[tuple[str, Path | None, bool]]:
    """Yields (name for messages, place or None if not set, whether it is a cache) in the order of the search."""
    data = os.environ.get("FASTCONV_DATA")
    yield "$FASTCONV_DATA", _expand(data) if data else None, False
    yield "Keras cache", _expand(os.environ.get("KERAS_HOME") or "~/.keras") / "datasets", True
    yield "fastconv cache", _cache(), True


def _cache() -> Path:
    home = os.environ.get("FASTCONV_HOME")
    if home:
        return _expand(home)
    return _expand(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "fastconv"


def _expand(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.expanduser(path))


def _sources(place: Path) -> list[Path]:
    """Returns what looks like CIFAR-10 at a place, folders first. A file is taken for an archive."""
    from fastconv.datasets.cifar10_files import layout_of

    # os.path throughout: unlike Path's methods it takes a folder that may not be entered for an absent one.
    if os.path.isfile(place):
        return [place]
    folders = dict.fromkeys(place / outer / inner for outer in _OUTER_FOLDERS for inner in _INNER_FOLDERS)
    found = [folder for folder in folders if layout_of(folder)]
    return found + [place / name for name in _ARCHIVES if os.path.isfile(place / name)]


def _what_is_at(place: Path) -> str:
    if os.path.isdir(place):
        return "a folder without CIFAR-10 data"
    return "neither a file nor a folder" if os.path.exists(place) else "does not exist"


def _download(looked_at: list[str]) -> Path:
    """Fetches the binary archive into the fastconv cache; pooch writes beside it, checks the hash, then renames."""
    try:
        import pooch

        return Path(pooch.retrieve(URL, known_hash=f"md5:{MD5}", fname=ARCHIVE, path=_cache(), progressbar=False))
    except Exception as error:  # the HTTP library, the operating system and the hash check each raise their own types
        places = "".join(f"\n  - {line}" for line in looked_at)
        raise DataNotFoundError(
            f"CIFAR-10 was not found on this machine and could not be downloaded. Looked at:{places}\n"
            f"  - download of {URL}: {type(error).__name__}: {error}\n"
            f"To provide it, fetch {ARCHIVE} from that address in any way (md5 {MD5}), then pass its location as "
            f"load_data(path=...), or set FASTCONV_DATA to the file or its folder, or copy it into {_cache()}. An "
            "unpacked folder cifar-10-batches-bin and the Python version (cifar-10-python.tar.gz, cifar-10-batches-py) "
            "do as well. load_sample() needs no download."
        ) from None  # three chained tracebacks of the HTTP library would hide this text, which has its message
