"""Where batches come from, epoch by epoch: arrays, or anything that yields batches."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastconv import rng
from fastconv.diagnosis.advice import callers_level
from fastconv.models import data, loops


def warn_of_too_few() -> None:
    """Warns that no batch is left where an epoch wants one."""
    text = (
        "Your input ran out of data; interrupting training. It should give at least `steps_per_epoch * epochs` batches."
    )
    warnings.warn(text, stacklevel=callers_level())


def gives_batches(x: Any) -> bool:
    """Whether `x` yields batches; an array, or a list, tuple or dict of arrays, is samples."""
    if isinstance(x, (list, tuple, dict, str, bytes)) or hasattr(x, "shape") or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__getitem__")


class InArrays:
    """Batches of arrays, in a new order every epoch.

    Args:
        count: number of samples.
        batch_size: samples per batch.
        shuffle: whether to draw an order.
        steps: batches per epoch; the next epoch goes on where one ended. None for all.
        anew: every epoch begins with the first batch.
    """

    def __init__(self, count: int, batch_size: int, shuffle: bool, steps: int | None = None, anew: bool = False):
        self._count, self._batch_size, self._shuffle, self._anew = count, batch_size, shuffle, anew
        self._in_epoch = -(-count // batch_size)
        self.steps, self.samples = steps or self._in_epoch, None if steps else count
        self._at = self._in_epoch  # of the batches of the order
        self._order: np.ndarray | None = None

    def more(self) -> bool:
        """Whether another epoch can begin."""
        return True

    def epoch(self) -> tuple[np.ndarray | None, Iterable[tuple[int, tuple]]]:
        """The order of the next epoch, and its batches."""
        if self._anew or self._at >= self._in_epoch:
            self._at = 0
            self._order = rng.generator().permutation(self._count) if self._shuffle else None
        first = self._at
        self._at += self.steps
        if self._at > self._in_epoch:
            warn_of_too_few()
        batches = loops.spans(self._count, self._batch_size)
        if first == 0 and self._at >= self._in_epoch:
            return self._order, batches
        # The feeder begins at the first of the order: what was taken before goes to its end.
        order = np.arange(self._count) if self._order is None else self._order
        begin = first * self._batch_size
        sizes = [size for size, _ in batches][first : self._at]
        ends = np.cumsum(sizes).tolist()
        return np.roll(order, -begin), [(n, (end - n, end)) for n, end in zip(sizes, ends, strict=True)]

    def go_on(self, order: np.ndarray | None) -> tuple[np.ndarray | None, Iterable[tuple[int, tuple]]]:
        """An epoch that was begun before, in its order, with all its batches."""
        self._at, self._order = self._in_epoch, order
        return order, loops.spans(self._count, self._batch_size)


class InBatches:
    """Batches that something yields: (x, y, sample_weight), (x, y), (x,) or x, each part as `fit` takes it.

    An object with `__getitem__` and `__len__` (Keras' PyDataset) is asked for its batches by number, and told by
    `on_epoch_end()`, if it has that, when all were taken.

    Args:
        model: what the batches are for; the first one builds it.
        batches: a generator, or an iterable, which starts anew for every epoch.
        mode: "train", "evaluate" or "predict".
        steps: batches per epoch; the next epoch of training goes on where one ended. None for all.
        class_weight: as in `fit`.
        shuffle: the order of batches that are asked for by number.

    Raises:
        ValueError: if there is no batch, or the first does not fit.
    """

    samples = None

    def __init__(self, model: Any, batches: Any, mode: str, steps=None, class_weight=None, shuffle: bool = False):
        self._model, self._batches, self._mode, self._steps = model, batches, mode, steps
        self._class_weight, self._shuffle = class_weight, shuffle
        self._iterator: Iterator[Any] | None = None
        self._next: data.Samples | None = None  # taken already, to see whether there is one
        self._taken = 0
        self.steps = steps or _length(batches)
        if not self.more():
            raise ValueError("x: expected at least one batch. Received: none")

    @property
    def upcoming(self) -> data.Samples:
        """The batch that the next epoch begins with."""
        return self._next

    def more(self) -> bool:
        """Whether another epoch can begin."""
        if self._next is None:
            self._iterator = self._iterator or self._begin()
            self._next = self._fetch()
        return self._next is not None

    def epoch(self) -> tuple[None, Iterable[tuple[int, tuple]]]:
        """As of `InArrays`; the order is that of the batches."""
        return None, self._epoch()

    def _epoch(self) -> Iterator[tuple[int, tuple]]:
        step = 0
        while self._steps is None or step < self._steps:
            samples, self._next = self._next, None
            if samples is None and self._iterator is not None:
                samples = self._fetch()
            if samples is None:
                if self._steps is not None:
                    warn_of_too_few()
                return
            step += 1
            yield len(samples), (samples,)
        if self._mode == "evaluate" and iter(self._batches) is not self._batches:
            self._iterator = None  # the same batches every time

    def _begin(self) -> Iterator[Any]:
        if not hasattr(self._batches, "__iter__") or hasattr(self._batches, "on_epoch_end"):
            return self._by_number()
        return iter(self._batches)

    def _by_number(self) -> Iterator[Any]:
        count = len(self._batches)
        for i in rng.generator().permutation(count) if self._shuffle else range(count):
            yield self._batches[int(i)]
        if hasattr(self._batches, "on_epoch_end"):
            self._batches.on_epoch_end()

    def _fetch(self) -> data.Samples | None:
        """The next batch, checked; None at the end, where a new pass may begin."""
        try:
            batch = next(self._iterator)
        except StopIteration:
            self._iterator = None
            return None
        self._taken += 1
        parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        try:
            if not 1 <= len(parts) <= 3:
                raise ValueError(f"expected x, (x, y) or (x, y, sample_weight). Received: {len(parts)} parts")
            x, y, sample_weight = (*map(data.on_host, parts), None, None)[:3]
            if self._mode == "predict":
                return self._model._checked_inputs(x)
            return self._model._checked(x, y, sample_weight, self._class_weight)
        except ValueError as error:
            raise ValueError(f"batch {self._taken}: {error}") from None


def _length(batches: Any) -> int | None:
    """The number of batches, where it is known."""
    try:
        return len(batches)
    except TypeError:
        return None
