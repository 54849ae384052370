"""The bundled sample of CIFAR-10 and how it is packed. tools/pack_sample.py makes the file.

cifar10_sample.zlib is one zlib stream (Huffman codes only: residuals of photographs repeat no strings). Unpacked it is:

1. the labels, training images first, a byte each;
2. 32 lines, one for each row of pixels from the top: the row's deltas of all images, in three planes G, R-G, B-G. A
   delta is p[y,x] - p[y-1,x] - p[y,x-1] + p[y-1,x-1] modulo 256, with zeros outside the image.

Within a line the deltas are sorted by how large their neighbours in the two rows above are (`row_order`), which the
reader knows already. Small ones then stand together, and zlib's blocks of 16 K symbols get codes that fit them: 9.71 MB
instead of 10.38 MB for the same deltas in plain order. LZMA gave 11.07 MB and took 5 times as long to read.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np

from fastconv.datasets.cifar10 import Data
from fastconv.datasets.errors import DataError

PATH = Path(__file__).with_name("cifar10_sample.zlib")
TRAIN, TEST = 5_000, 1_000
SIDE = 32

# Of the unpacked bytes: the packed ones depend on the version of zlib that made them.
SHA256 = "96894f417f444e029270756fa76e1899f45f82479777aad8be1ea5e89a9e32bb"


def load() -> Data:
    """Reads, checks and unpacks the bundled file; see `cifar10.load_sample`."""
    try:
        packed = PATH.read_bytes()
    except OSError as error:
        raise DataError(f"{PATH}: the bundled sample cannot be read ({error}). Install fastconv again") from error
    return unpack(packed, TRAIN, TEST, SHA256)


def unpack(packed: bytes, train: int, test: int, sha256: str) -> Data:
    """Restores the images and labels from a packed sample.

    Args:
        packed: the contents of the file.
        train: number of training images.
        test: number of test images.
        sha256: hash of the unpacked bytes.

    Raises:
        DataError: the hash is another one.
    """
    count = train + test
    try:
        payload = zlib.decompress(packed, bufsize=count * (1 + 3 * SIDE * SIDE))
    except zlib.error as error:
        raise DataError(f"{PATH.name}: the bundled sample is damaged ({error}). Install fastconv again") from error
    received = hashlib.sha256(payload).hexdigest()
    if received != sha256:
        raise DataError(
            f"{PATH.name}: the bundled sample is damaged. Expected sha256 {sha256}. Received: {received}. "
            "Install fastconv again"
        )
    labels = np.frombuffer(payload, np.uint8, count).reshape(count, 1)
    lines = np.frombuffer(payload, np.uint8, offset=count).reshape(SIDE, -1)
    planes = np.empty((3, SIDE, count, SIDE), np.uint8)
    line = np.empty(lines.shape[1], np.uint8)
    for row in range(SIDE):
        line[row_order(planes, row)] = lines[row]
        planes[:, row] = line.reshape(3, count, SIDE)
    for axis in (1, 3):  # deltas to pixels
        np.cumsum(planes, axis=axis, dtype=np.uint8, out=planes)
    return (
        (_images(planes[:, :, :train]), labels[:train].copy()),
        (_images(planes[:, :, train:]), labels[train:].copy()),
    )


def row_order(deltas: np.ndarray, row: int) -> np.ndarray:
    """Returns the places in a row's deltas in the order in which the file has them, by the two rows above alone.

    Args:
        deltas: uint8 (3 planes, 32 rows, images, 32 columns), of which the rows above `row` are used.
        row: the row to sort.
    """
    above = deltas[:, max(row - 2, 0) : row]
    # 31 keeps the weighted sum of 2 rows by 1 + 2 + 1 columns within a byte, which NumPy sorts by radix, fast.
    size = np.minimum(np.minimum(above, np.negative(above)), 31).sum(axis=1, dtype=np.uint8)
    activity = 2 * size
    activity[..., 1:] += size[..., :-1]
    activity[..., :-1] += size[..., 1:]
    return np.argsort(activity, axis=None, kind="stable")


def _images(planes: np.ndarray) -> np.ndarray:
    """Returns NHWC RGB images from planes G, R-G, B-G of shape (3, 32, images, 32)."""
    green, red, blue = planes.transpose(0, 2, 1, 3)
    images = np.empty((*green.shape, 3), np.uint8)
    images[..., 0] = red + green
    images[..., 1] = green
    images[..., 2] = blue + green
    return images
