"""A layer's weights: where their values come from and where they live."""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastconv import initializers
from fastconv.ops.memory import HOST

Initializer = str | Callable[[tuple[int, ...]], np.ndarray]

_numbers_of_file: contextvars.ContextVar[list[int] | None] = contextvars.ContextVar("numbers of a file", default=None)


@contextlib.contextmanager
def weights_from_file(numbers: int) -> Iterator[None]:
    """A context for layers that get their weights from a file of so many numbers: they start as zeros, draw nothing
    random, and may not be larger together than the file is."""
    token = _numbers_of_file.set([numbers])
    try:
        yield
    finally:
        _numbers_of_file.reset(token)


def initial(name: str, shape: tuple[int, ...], initializer: Initializer) -> np.ndarray:
    """The first value of a weight."""
    left = _numbers_of_file.get()
    if left is None:
        return np.asarray(initializers.get(initializer)(shape), np.float32)
    left[0] -= math.prod(shape)
    if left[0] < 0:
        raise ValueError(f"{name}: expected weights no larger than the file that has them. Received: shape {shape}")
    return np.zeros(shape, np.float32)


class Weight:
    """A layer's array: float32, C-contiguous. A model that runs keeps it in one flat array of all its weights, in the
    memory of its device."""

    __slots__ = ("_memory", "layer_name", "name", "regularizer", "shape", "storage", "trainable")

    def __init__(self, name: str, layer_name: str, array: np.ndarray, trainable: bool, regularizer: Any = None):
        self.name, self.layer_name, self.trainable, self.regularizer = name, layer_name, trainable, regularizer
        self.shape = array.shape
        self.move(array, HOST)

    def move(self, storage: Any, memory: Any) -> None:
        """Makes `storage`, an array of `memory` that has the values already, the place where the weight lives."""
        self.storage, self._memory = storage, memory

    @property
    def array(self) -> np.ndarray:
        """The value now: the weight itself where it lives on the host, else a copy that cannot be written to."""
        return self._memory.download(self.storage)

    @array.setter
    def array(self, value: Any) -> None:
        self.assign(value)

    @property
    def value(self) -> Any:
        """The weight itself where it lives, for `forward` and `backward` of a layer: NumPy's array, or CuPy's on a GPU.

        Only they can count on it, and there it can be written to only in training, if it is of those that never learn.
        """
        return self.storage

    def __reduce__(self):
        return Weight, (
            self.name,
            self.layer_name,
            self.numpy(),
            self.trainable,
            self.regularizer,
        )  # a copy lives on the host

    @property
    def path(self) -> str:
        return f"{self.layer_name}/{self.name}"

    def assign(self, value: Any) -> None:
        """Copies `value` in.

        Raises:
            ValueError: if its shape is another.
        """
        value = np.asarray(value)
        if value.shape != self.shape:
            raise ValueError(f"{self.path}: expected shape {self.shape}. Received: shape {value.shape}")
        self._memory.upload(self.storage, value)

    def numpy(self) -> np.ndarray:
        """A copy of the value."""
        return self.array.copy()

    def __repr__(self):
        return f"<Weight {self.path} shape={self.shape}>"


def assign_all(weights: list[Weight], arrays: Iterable[Any], owner: str) -> None:
    """Copies `arrays` into `weights`, all or none."""
    if not isinstance(arrays, Iterable):
        raise ValueError(f"{owner}: expected a list of {len(weights)} arrays of weights. Received: {arrays!r}")
    arrays = [np.asarray(a) for a in arrays]
    if len(arrays) != len(weights):
        raise ValueError(f"{owner}: expected {len(weights)} arrays of weights. Received: {len(arrays)}")
    for weight, array in zip(weights, arrays, strict=True):
        if array.shape != weight.shape:
            raise ValueError(f"{weight.path}: expected shape {weight.shape}. Received: shape {array.shape}")
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{weight.path}: expected real numbers. Received: dtype {array.dtype}")
    for weight, array in zip(weights, arrays, strict=True):
        weight.assign(array)
