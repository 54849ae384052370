"""Arrays that users pass to `fit`, `evaluate` and `predict`: checked once, then copied into a plan batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastconv.geometry import positive_int


class Samples:
    """Inputs, labels and weights as checked arrays of one length.

    Attributes:
        inputs: an array for each input of the model.
        targets: one for each output that has labels.
        weights: one for each of these outputs, float32 of one axis, or None where all samples weigh the same.
        weighted: for which outputs there are weights; () for none.
        arrays: all of them, in the order of a plan's slots.
    """

    __slots__ = ("arrays", "inputs", "targets", "weighted", "weights")

    def __init__(
        self,
        inputs: Sequence[np.ndarray],
        targets: Sequence[np.ndarray] = (),
        weights: Sequence[np.ndarray | None] = (),
    ):
        self.inputs, self.targets, self.weights = inputs, targets, weights
        given = [w for w in weights if w is not None]
        self.weighted = tuple(w is not None for w in weights) if given else ()
        self.arrays = [*inputs, *targets, *given]

    def __len__(self):
        return len(self.inputs[0])

    def part(self, index: slice) -> Samples:
        return Samples(
            [x[index] for x in self.inputs],
            [y[index] for y in self.targets],
            [None if w is None else w[index] for w in self.weights],
        )


def images(x, input_shape, name: str = "x") -> np.ndarray:
    """`x` as an array of samples of `input_shape` (batch first); its dtype stays, batches are converted as they go.

    Raises:
        ValueError: on a wrong rank, size or dtype, or no samples.
    """
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected real numbers (float, int, uint or bool). Received: dtype {array.dtype}")
    if array.ndim == len(input_shape) - 1 and input_shape[-1] == 1:
        array = array[..., np.newaxis]  # grey images without a channel axis, as Keras takes them
    if array.ndim != len(input_shape) or array.shape[1:] != tuple(input_shape[1:]):
        expected = ", ".join(["N", *map(str, input_shape[1:])])
        raise ValueError(f"{name}: expected shape ({expected}), as the model's input. Received: shape {array.shape}")
    if len(array) == 0:
        raise ValueError(f"{name}: expected at least one sample. Received: shape {array.shape}")
    return array


def require_pairs(x, y, name: str = "") -> None:
    """Raises ValueError unless there is one label per sample."""
    if len(x) != len(y):
        raise ValueError(f"expected as many labels as samples. Received: {len(x)} in {name}x, {len(y)} in {name}y")


def as_pair(validation_data):
    """(x, y) of `validation_data`.

    Raises:
        ValueError: if it is no such pair.
    """
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
        size = len(validation_data) if isinstance(validation_data, (tuple, list)) else type(validation_data).__name__
        raise ValueError(f"validation_data: expected a pair (x, y). Received: {size}")
    return validation_data


def split(samples: Samples, share) -> tuple[Samples, Samples]:
    """Training and validation part: the last `share` of the samples, before any shuffling, is validation (Keras' rule).

    Raises:
        ValueError: if share is not in [0, 1) or leaves a part empty.
    """
    if isinstance(share, bool) or not 0 <= share < 1:
        raise ValueError(f"validation_split: expected a number in [0, 1). Received: validation_split={share!r}")
    at = int(len(samples) * (1 - share))
    if at == 0 or at == len(samples):
        raise ValueError(
            f"validation_split: expected a share that leaves samples on both sides. Received: {share} of {len(samples)}"
        )
    return samples.part(slice(at)), samples.part(slice(at, None))


def check_batch_size(batch_size) -> int:
    return 32 if batch_size is None else positive_int(batch_size, "batch_size")


def refuse_sample(x: np.ndarray, sample: int) -> None:
    """Raises ValueError over the first number of a sample that is none, as float32 has it."""
    values = x[sample].astype(np.float32).ravel()
    bad = values[~np.isfinite(values)][0]
    raise ValueError(
        f"x: expected finite numbers. Received: {bad} in sample {sample}. The weights are as the step before left them"
    )


def fill(slot: np.ndarray, source: np.ndarray, index: slice | np.ndarray) -> None:
    """Copies the samples at `index` into a plan's slot, converting to its dtype."""
    if isinstance(index, np.ndarray) and source.dtype == slot.dtype and source.flags.c_contiguous:
        np.take(source, index, axis=0, out=slot, mode="clip")  # no temporary; the indexes are known to be in range
    else:
        slot[...] = source[index]
