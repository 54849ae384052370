"""Makes fastconv/datasets/cifar10_sample.zlib from the full CIFAR-10 set.

    python tools/pack_sample.py FOLDER            # FOLDER is, or holds, cifar-10-batches-bin
    python tools/pack_sample.py FOLDER --out FILE

Takes the first 500 images of each class of the training set and the first 100 of each class of the test set, in their
original order. The unpacked bytes are always the same, their hash stands in cifar10_sample.py; the packed ones also
depend on the zlib that Python was built with. The format is described in cifar10_sample.py.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import zlib
from pathlib import Path

import numpy as np

from fastconv.datasets import cifar10, cifar10_sample

DEFAULT_OUT = Path(__file__).resolve().parent.parent / "fastconv" / "datasets" / cifar10_sample.PATH.name


def first_of_each_class(images: np.ndarray, labels: np.ndarray, per_class: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first `per_class` images of every class and their labels, in the order they are in."""
    rows = [np.flatnonzero(labels == label)[:per_class] for label in range(len(cifar10.LABELS))]
    chosen = np.sort(np.concatenate(rows))
    return images[chosen], labels[chosen]


def payload(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Returns the unpacked bytes of the file for images (N, 32, 32, 3) and labels (N, 1)."""
    red, green, blue = np.moveaxis(images, 3, 0)
    planes = np.stack([green, red - green, blue - green]).transpose(0, 2, 1, 3)
    deltas = np.diff(np.diff(planes, axis=1, prepend=np.uint8(0)), axis=3, prepend=np.uint8(0))
    lines = [deltas[:, row].ravel()[cifar10_sample.row_order(deltas, row)] for row in range(cifar10_sample.SIDE)]
    return b"".join([labels.tobytes(), *(line.tobytes() for line in lines)])


def pack(unpacked: bytes) -> bytes:
    """Returns the contents of the file."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 15, 8, zlib.Z_HUFFMAN_ONLY)
    return compressor.compress(unpacked) + compressor.flush()


def sample_payload(folder: str | os.PathLike[str]) -> bytes:
    """Returns the unpacked bytes of the bundled sample, made from the full set in a folder."""
    (x_train, y_train), (x_test, y_test) = cifar10.load_data(path=folder)
    classes = len(cifar10.LABELS)
    train = first_of_each_class(x_train, y_train[:, 0], cifar10_sample.TRAIN // classes)
    test = first_of_each_class(x_test, y_test[:, 0], cifar10_sample.TEST // classes)
    return payload(*(np.concatenate(pair) for pair in zip(train, test, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the bundled sample from the full CIFAR-10 set.")
    parser.add_argument("folder", help="is, or holds, cifar-10-batches-bin")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="default: %(default)s")
    arguments = parser.parse_args()

    unpacked = sample_payload(arguments.folder)
    packed = pack(unpacked)
    sha256 = hashlib.sha256(unpacked).hexdigest()
    part = arguments.out.with_name(arguments.out.name + ".part")
    part.write_bytes(packed)
    os.replace(part, arguments.out)
    print(f"{arguments.out}: {len(packed):,} bytes, unpacked {len(unpacked):,} bytes, sha256 {sha256}")
    if sha256 != cifar10_sample.SHA256:
        sys.exit(f"cifar10_sample.SHA256 is {cifar10_sample.SHA256}; set it to {sha256}")


if __name__ == "__main__":
    main()
