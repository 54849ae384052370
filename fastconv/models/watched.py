"""A feeder of training that stops at the first non-finite value."""

from __future__ import annotations

import logging
import math
from typing import Any, NamedTuple

import numpy as np

from fastconv.models import data, loops
from fastconv.plan.executor import Executor
from fastconv.plan.snapshot import Snapshot

_log = logging.getLogger("fastconv")

# Steps between two copies of weights and optimizer state: bounds what is repeated after a failure. A copy and its check
# take about as long as two optimizer steps of the same weights.
_STEPS = 500
_EPOCH = 100  # so many steps without a look at the weights make one due at the end of an epoch
_KEPT_BYTES = 1 << 27  # of batches that came by themselves and are kept to be repeated


class Taken(NamedTuple):
    """A training step that was taken.

    Attributes:
        samples: all, or those of a batch that came by itself.
        numbers: of the samples of the batch.
        rate: the learning rate.
        loss: its sum over the batch; None where nobody looked.
        epoch, batch: from 0.
    """

    samples: data.Samples
    numbers: slice | np.ndarray
    rate: float
    loss: float | None
    epoch: int
    batch: int

    @property
    def indexes(self) -> np.ndarray:
        """The numbers of its samples."""
        return np.arange(len(self.samples))[self.numbers]


class Watched:
    """Feeds a plan as the feeder in it does, and keeps what it takes to go back and to explain (`fastconv.diagnosis`).

    The loss of each step is looked at where the host has it anyway: after the step with `Direct`, else when the sums
    are read. Weights, moving statistics and optimizer slots, which can be lost while the loss is not, are looked at
    before each copy and as epochs end.

    Args:
        feeder: of `loops`, for training.
        executor: that trains.
        samples: those of the feeder; None where batches come by themselves.

    Attributes:
        epoch, batch: of the next step, from 0; set by `fit` as an epoch begins.
    """

    def __init__(self, feeder: Any, executor: Executor, samples: data.Samples | None):
        self._feeder, self._executor, self._samples = feeder, executor, samples
        self._snapshot: Snapshot | None = None
        self._taken: list[Taken] = []  # steps since the snapshot
        self._order: np.ndarray | None = None
        self._off = False  # where there is no memory for a copy
        self._kept = self._unchecked = 0  # bytes of batches; steps since the weights were looked at
        self.epoch = self.batch = 0

    def begin(self, order: np.ndarray | None = None, taken: int = 0, sums: np.ndarray | None = None) -> None:
        """See `loops.Direct`, as of the others."""
        self._order = order
        self._feeder.begin(order, taken, sums)

    def step(self, *batch: Any) -> None:
        """One batch.

        Raises:
            NonFiniteError: if its loss is not finite, or weights before it are not.
        """
        if self._off:
            return self._feeder.step(*batch)
        if self._snapshot is None or len(self._taken) >= _STEPS or self._kept >= _KEPT_BYTES:
            self._take_snapshot()
        self._feeder.step(*batch)
        totals = self._feeder.totals
        loss = None if totals is None else self._executor.objective.loss_of(totals)
        samples, numbers = self._batch_of(*batch)
        self._taken.append(Taken(samples, numbers, self._executor.rate, loss, self.epoch, self.batch))
        self.batch += 1
        self._unchecked += 1
        if loss is not None and not math.isfinite(loss):
            self._stop()

    def _batch_of(self, *batch):
        if self._samples is None:
            (samples,) = batch
            self._kept += sum(array.nbytes for array in samples.arrays)
            return samples, slice(0, len(samples))
        begin, end = batch
        return self._samples, loops.numbers_of(self._order, begin, end)

    def sums(self) -> np.ndarray:
        """Raises NonFiniteError if a loss in them is not finite."""
        sums = self._feeder.sums()
        if self._taken and not math.isfinite(self._executor.objective.loss_of(sums)):
            self._stop()
        return sums

    def results(self, seen: int) -> dict[str, float]:
        """Likewise."""
        return self._executor.objective.results(self.sums(), seen)

    def end_epoch(self, last: bool) -> None:
        """Looks at the weights where it is the last epoch, or many steps were taken since they were looked at.

        Raises:
            NonFiniteError: if one is not finite.
        """
        if self._unchecked >= (1 if last else _EPOCH):
            self._check()

    def _check(self) -> None:
        self._unchecked = 0
        if not self._executor.is_finite():
            self._stop()

    def _take_snapshot(self) -> None:
        if self._snapshot is None:
            self._snapshot = Snapshot(self._executor)
        self._check()
        self._taken.clear()
        self._kept = 0
        try:
            self._snapshot.take()
        except MemoryError as error:
            self._off, self._snapshot = True, None
            _log.info("%s: fit goes on without a copy of the weights, and does not stop at NaN", error)

    def _stop(self) -> None:
        from fastconv.diagnosis import NonFiniteError, replay

        if not self._taken:
            raise NonFiniteError(replay.explain_start(self._executor, self.epoch, self.batch))
        raise NonFiniteError(replay.explain(self._executor, self._snapshot, self._taken))
