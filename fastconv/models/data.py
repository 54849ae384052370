"""Arrays that users pass to `fit`, `evaluate` and `predict`: checked once, then copied into a plan batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.checks import fraction
from fastconv.geometry import positive_int
from fastconv.models import structure


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

    def part(self, index: slice | np.ndarray) -> Samples:
        return Samples(
            [x[index] for x in self.inputs],
            [y[index] for y in self.targets],
            [None if w is None else w[index] for w in self.weights],
        )


def samples_of(model: Any, x, y, sample_weight=None, name: str = "") -> Samples:
    """What `fit` and `evaluate` were given, as arrays that fit the model and its objective.

    Args:
        model: built and compiled.
        x: an array; for several inputs a list of arrays, or a dict by their names.
        y: labels, likewise for the outputs that have any.
        sample_weight: None, an array for all outputs, or a list or dict for them.
        name: of the data, before "x" and "y" in messages.

    Raises:
        ValueError: on anything that does not fit.
    """
    if y is None:
        raise ValueError(f"{name}y: expected labels. Received: None")
    objective, shapes = model.objective, [tensor.shape for tensor in model.outputs]
    objective.lay_out(shapes, model)
    places, inputs = objective.labelled, inputs_of(model, x, f"{name}x")
    labels = _of_outputs(y, objective, f"{name}y")
    for one in labels:
        if np.ndim(one) == 0 or len(one) != len(inputs[0]):
            raise ValueError(
                f"expected as many labels as samples. Received: {len(inputs[0])} in {name}x, "
                f"{len(one) if np.ndim(one) else 'a number'} in {name}y"
            )
    targets = [objective.labels_of(i, one, shapes[i]) for i, one in zip(places, labels, strict=True)]
    if isinstance(sample_weight, (list, tuple, dict)) and len(places) > 1:
        weights = _of_outputs(sample_weight, objective, f"{name}sample_weight")
    else:
        weights = [sample_weight] * len(places)
    return Samples(inputs, targets, [_weights(one, len(inputs[0]), f"{name}sample_weight") for one in weights])


def inputs_of(model: Any, x, name: str = "x") -> list[np.ndarray]:
    """The arrays of all inputs of a built model.

    Raises:
        ValueError: if they do not fit, or have not the same number of samples.
    """
    names = model.input_names
    titles = [name] if len(names) == 1 else [f"{name}[{one!r}]" for one in names]
    given = structure.arranged(x, names, name)
    arrays = [images(*one) for one in zip(given, [tensor.shape for tensor in model.inputs], titles, strict=True)]
    counts = {title: len(array) for title, array in zip(titles, arrays, strict=True)}
    if len(set(counts.values())) > 1:
        raise ValueError(f"{name}: expected as many samples for every input. Received: {counts}")
    return arrays


def on_host(values: Any) -> Any:
    """Tensors of PyTorch, alone, in a list or in a dict, as arrays; all else as it is."""
    if isinstance(values, dict):
        return {name: on_host(one) for name, one in values.items()}
    if isinstance(values, (list, tuple)):
        return [on_host(one) for one in values]
    return np.asarray(values.detach().cpu()) if hasattr(values, "detach") else values


def _of_outputs(values, objective, argument: str) -> list[Any]:
    """One of the values per output with labels; a list may be for all outputs."""
    names, places = objective.output_names, objective.labelled
    if isinstance(values, (list, tuple)) and len(values) == len(names) > len(places):
        values = [values[i] for i in places]
    return structure.arranged(values, [names[i] for i in places], argument)


def _weights(sample_weight, count: int, name: str) -> np.ndarray | None:
    """One float32 a sample, or None."""
    if sample_weight is None:
        return None
    array = np.asarray(sample_weight)
    if array.dtype.kind not in "fiub" or array.size != count or array.shape[:1] != (count,):
        raise ValueError(
            f"{name}: expected {count} real numbers, one a sample. Received: shape {array.shape}, dtype {array.dtype}"
        )
    bad = np.flatnonzero(~np.isfinite(array.reshape(-1)))
    if len(bad):
        raise ValueError(f"{name}: expected finite numbers. Received: {array.reshape(-1)[bad[0]]} at sample {bad[0]}")
    return array.reshape(-1).astype(np.float32)


def class_weighted(samples: Samples, class_weight) -> Samples:
    """`samples` with the weights of their classes; a class that `class_weight` leaves out has weight 1.

    Raises:
        ValueError: if there are sample weights already, several outputs, or it is no dict of numbers.
    """
    if samples.weighted:
        raise ValueError("class_weight: expected it without sample_weight. Received: both")
    if len(samples.targets) != 1:
        raise ValueError(f"class_weight: expected a model of one output. Received: {len(samples.targets)}")
    if not isinstance(class_weight, dict):
        raise ValueError(f"class_weight: expected a dict. Received: {type(class_weight).__name__}")
    labels = samples.targets[0]
    if labels.ndim > 1:
        labels = labels.argmax(-1) if labels.shape[-1] != 1 else labels[..., 0]
    if labels.ndim != 1:
        raise ValueError(f"class_weight: expected one class a sample. Received: labels of {samples.targets[0].shape}")
    classes, numbers = np.unique(np.round(labels).astype(np.int64), return_inverse=True)
    weights = np.array([class_weight.get(int(one), 1.0) for one in classes])[numbers]
    return Samples(samples.inputs, samples.targets, [_weights(weights, len(samples), "class_weight")])


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


def parts_of(validation_data) -> tuple:
    """(x, y) or (x, y, sample_weight) of `validation_data`.

    Raises:
        ValueError: if it is no such thing.
    """
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        size = len(validation_data) if isinstance(validation_data, (tuple, list)) else type(validation_data).__name__
        raise ValueError(f"validation_data: expected a pair (x, y), or (x, y, sample_weight). Received: {size}")
    return tuple(validation_data)


def split(samples: Samples, share) -> tuple[Samples, Samples]:
    """Training and validation part: the last `share` of the samples, before any shuffling, is validation (Keras' rule).

    Raises:
        ValueError: if share is not in [0, 1) or leaves a part empty.
    """
    fraction(share, "validation_split")
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
