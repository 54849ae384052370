"""What the recorder of the oracles and the tests that read them share; pure NumPy, nothing else imported.

A recorded run can be repeated without TensorFlow and without the full data set because both its weights and its
batches follow from rules written here:

- weights: `golden_weights(shapes, seed)`, a NumPy generator drawn in the order of Keras' `get_weights`;
- images: `sample_indices(labels)`, the images of the training set whose rank within their class is below 500, in the
  set's original order. These are the 5,000 training images that fastconv bundles (`datasets.load_sample()`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parent.parent / "data"
SAMPLE_PER_CLASS = 500
BATCH_SIZE = 32
STEPS = 10
CURVE_STEPS = 100  # of the longer runs
EVALUATED = 64


def load(name: str) -> dict:
    """Return one recorded file of tests/data, for example `load("golden_losses")`."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def golden_weights(shapes, seed: int, gain: float = 1.0) -> list[np.ndarray]:
    """Return float32 arrays for weights of these shapes, in the order of Keras' `get_weights`.

    Kernels (two dimensions or more) are uniform in +-sqrt(6 / (fan_in + fan_out)), drawn one after the other as
    float64 from `np.random.default_rng(seed)` and then rounded. The vectors between two kernels come in fours: gamma
    (ones), beta (zeros), moving mean (zeros), moving variance (ones); if one is left over, the first is a bias (zeros).

    Args:
        shapes: the weights' shapes.
        seed: of the generator.
        gain: factor on the convolution kernels that a BatchNormalization follows. It hardly changes the outputs, but
            Adam's first steps, which have a fixed size, turn a larger kernel less. With gain 1 ten steps of "cnn" are
            chaotic: rounding alone moves a loss by 1e-3, and no comparison to 1e-4 is possible.
    """
    rng = np.random.default_rng(seed)
    shapes = [tuple(shape) for shape in shapes]
    kernels = [i for i, shape in enumerate(shapes) if len(shape) > 1]
    arrays = []
    for i, following in zip(kernels, [*kernels[1:], len(shapes)], strict=True):
        shape = shapes[i]
        window = int(np.prod(shape[:-2]))
        limit = np.sqrt(6 / (window * shape[-2] + window * shape[-1]))
        if len(shape) == 4 and following - i > 2:
            limit *= gain
        vectors = shapes[i + 1 : following]
        biases, norms = vectors[: len(vectors) % 4], vectors[len(vectors) % 4 :]
        arrays.append(rng.uniform(-limit, limit, shape))
        arrays += [np.zeros(shape) for shape in biases]
        arrays += [(np.ones if j % 4 in (0, 3) else np.zeros)(shape) for j, shape in enumerate(norms)]
    return [array.astype(np.float32) for array in arrays]


def sample_indices(labels, per_class: int = SAMPLE_PER_CLASS) -> np.ndarray:
    """Return the indices of the first `per_class` images of each class, in the original order."""
    labels = np.asarray(labels).reshape(-1)
    first = [np.flatnonzero(labels == label)[:per_class] for label in np.unique(labels)]
    return np.sort(np.concatenate(first))


def scaled(images) -> np.ndarray:
    """Return uint8 images as float32 in 0..1."""
    return np.asarray(images).astype(np.float32) / np.float32(255)


def one_hot(labels, classes: int = 10) -> np.ndarray:
    """Return labels as float32 rows of an identity matrix."""
    return np.eye(classes, dtype=np.float32)[np.asarray(labels).reshape(-1)]


def batches(images, labels, steps: int = STEPS, batch_size: int = BATCH_SIZE):
    """Yield (x, y) of step 0, 1, ...: scaled images and one-hot labels, in order and without shuffling."""
    for start in range(0, steps * batch_size, batch_size):
        part = slice(start, start + batch_size)
        yield scaled(images[part]), one_hot(labels[part])


def fingerprint(images, labels) -> str:
    """Return the sha256 of the images and labels (as uint8) that the recorded steps use."""
    used = STEPS * BATCH_SIZE
    parts = (np.ascontiguousarray(part[:used], np.uint8).reshape(-1) for part in (images, labels))
    return hashlib.sha256(np.concatenate(list(parts)).tobytes()).hexdigest()


def correlate(x, kernel, stride: int, before: int, outputs: int) -> np.ndarray:
    """Cross-correlation of one dimension with `before` zeros in front and as many as needed behind."""
    behind = max((outputs - 1) * stride + len(kernel) - before - len(x), 0)
    padded = np.concatenate([np.zeros(before), x, np.zeros(behind)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel))[::stride][:outputs]
    return windows @ kernel
