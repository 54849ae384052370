"""The weights and the optimizer's state of a model as Keras' .weights.h5 files hold them.

A layer's arrays lie under layers/<its class>[_n]/vars/<i>, where n counts the layers of that class; those of a model
within the model further down. The optimizer's state is optimizer/vars/<i>: step, learning rate, slots.
"""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastconv.layers.base import snake_case
from fastconv.models import Model, Sequential
from fastconv.saving.hdf5 import FormatError

_MAX_LISTED = 4
_INTERLEAVED = ("m", "v")  # of Adam; all other slots come one after the other


def groups(model: Model, order: Sequence[str] | None = None) -> list[tuple[str, Any]]:
    """The place of every layer in the file, and of models within the model; a shared layer has its first one.

    Args:
        model: a built model.
        order: names of the layers in the order of a file's config; None for the model's own.
    """
    places: dict[Any, str] = {}

    def add(model: Model, order: Sequence[str] | None, prefix: str) -> None:
        layers = {layer.name: layer for layer in model.layers}
        counts: Counter = Counter()
        for layer in (layers[name] for name in order or layers):
            kind = _kind(layer)
            place = f"{prefix}layers/{kind}" + (f"_{counts[kind]}" if counts[kind] else "")
            counts[kind] += 1
            if layer in places:
                continue
            places[layer] = place
            if isinstance(layer, Model):
                add(layer, None, f"{place}/")

    add(model, order, "")
    return [(place, layer) for layer, place in places.items()]


def _kind(layer: Any) -> str:
    if isinstance(layer, Model):
        return "sequential" if isinstance(layer, Sequential) else "functional"
    return snake_case(type(layer).__name__)


def weights_of(model: Model, order: Sequence[str] | None = None) -> dict[str, Any]:
    """The weights by their place in the file."""
    places = [(place, layer) for place, layer in groups(model, order) if not isinstance(layer, Model)]
    return {f"{place}/vars/{i}": weight for place, layer in places for i, weight in enumerate(layer.weights)}


def _slot_groups(optimizer: Any) -> list[list[str]]:
    """The order of the optimizer's arrays in the file: group after group, in it weight after weight with all slots."""
    together = [slot for slot in optimizer.state_names if slot in _INTERLEAVED]
    groups = [[slot] for slot in optimizer.state_names if slot not in _INTERLEAVED]
    return groups if not together else [*groups[: optimizer.use_ema], together, *groups[optimizer.use_ema :]]


def _numbers(optimizer: Any) -> int:
    """How many arrays come before the slots: the step, and the learning rate where no schedule makes it."""
    return 1 if callable(optimizer.get_config()["learning_rate"]) else 2


def state_of(model: Model) -> dict[str, np.ndarray]:
    """The optimizer's arrays by their place in the file."""
    optimizer, slots = model.optimizer, model.optimizer_slots()
    arrays = [np.asarray(optimizer.iterations, np.int64), np.asarray(optimizer.learning_rate, np.float32)]
    arrays = arrays[: _numbers(optimizer)]
    for group in _slot_groups(optimizer) if slots else ():
        arrays += [array for arrays_of_weight in zip(*map(slots.get, group), strict=True) for array in arrays_of_weight]
    return {f"optimizer/vars/{i}": array for i, array in enumerate(arrays)}


def write(model: Model, with_state: bool = True) -> bytes:
    """The content of a .weights.h5 file.

    Raises:
        ImportError: without h5py.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError('Keras\' files are written with h5py: pip install "fastconv[keras]"') from error
    arrays = {place: weight.array for place, weight in weights_of(model).items()}
    names = {place: layer.name for place, layer in groups(model)} | {"": model.name}
    if with_state and model.optimizer is not None:
        arrays |= state_of(model)
        names["optimizer"] = model.optimizer.name
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for place, name in names.items():
            file.create_group(f"{place}/vars".lstrip("/")).attrs["name"] = name
        for place, array in arrays.items():
            file[place] = array
    return content.getvalue()


def assign(model: Model, arrays: Mapping[str, np.ndarray], order: Sequence[str] | None = None) -> None:
    """Copies a file's arrays into the weights, all or none.

    Raises:
        FormatError: naming what the file lacks, has too much of, or has in another shape.
    """
    weights = weights_of(model, order)
    found = {place for place in arrays if place.startswith("layers/")}
    missing, unexpected = sorted(weights.keys() - found), sorted(found - weights.keys())
    if missing or unexpected:
        raise FormatError(
            f"holds the weights of another model: expected {len(weights)} arrays. Received: {len(found)}"
            + (f"; it lacks {_listed(missing)}" if missing else "")
            + (f"; it has {_listed(unexpected)}, which the model has not" if unexpected else "")
        )
    wrong = [
        f"{place}: expected shape {weight.shape}. Received: {arrays[place].dtype} {arrays[place].shape}"
        for place, weight in weights.items()
        if arrays[place].shape != weight.shape
    ]
    if wrong:
        raise FormatError("holds the weights of another model: " + "; ".join(wrong[:_MAX_LISTED]))
    for place, weight in weights.items():
        weight.assign(arrays[place])


def assign_state(model: Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives a compiled model a file's optimizer state. That of an optimizer that took no step changes nothing, nor
    does that of other weights, with a warning."""
    found = [arrays[place] for place in sorted((p for p in arrays if p.startswith("optimizer/")), key=_number)]
    groups, count = _slot_groups(model.optimizer), _numbers(model.optimizer)
    step, found = found[:1], found[count:]
    if not step or (groups and not found):
        return
    weights = [weight for weight in model.weights if weight.trainable and weight not in model.frozen]
    shapes = [weight.shape for group in groups for weight in weights for _ in group]
    if [a.shape for a in found] != shapes or step[0].size != 1 or step[0].dtype.kind not in "iu" or step[0] < 0:
        warnings.warn(
            f"the optimizer starts afresh: expected {len(shapes)} arrays of its state beside step and learning rate. "
            f"Received: {len(found)}, or some of other shapes, as after a change of `trainable`",
            stacklevel=2,
        )
        return
    values = {}
    for group in groups:
        part, found = found[: len(weights) * len(group)], found[len(weights) * len(group) :]
        values.update({slot: part[i :: len(group)] for i, slot in enumerate(group)})
    model.restore_optimizer(int(step[0]), values)


def _number(place: str) -> tuple[int, str]:
    last = place.rpartition("/")[2]
    return (int(last) if last.isdecimal() else -1, place)


def _listed(places: list[str]) -> str:
    return ", ".join(places[:_MAX_LISTED]) + (
        f" and {len(places) - _MAX_LISTED} more" if len(places) > _MAX_LISTED else ""
    )
