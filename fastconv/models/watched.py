"""A feeder of training that stops at the first non-finite value."""

from __future__ import annotations

import logging
import math
import time
from typing import Any, NamedTuple

import numpy as np

from fastconv.models import data
from fastconv.plan.executor import Executor
from fastconv.plan.snapshot import Snapshot

_log = logging.getLogger("fastconv")

# So many steps, and so much time, are between two copies of weights and optimizer state: what is repeated after a
# failure. A copy takes as long as two optimizer steps, and leaves other things in the caches than the next step needs.
_STEPS = 500
_SECONDS = 0.5
_EPOCH = 100  # so many steps without a look at the weights make one due at the end of an epoch
_KEPT_BYTES = 1 << 27  # of batches that came by themselves and are kept to be repeated


class Taken(NamedTuple):
    """A training step that was taken.

    Attributes:
        samples: all, or those of a batch that came by itself.
        order: of the samples; None for their own.
        begin, end: the batch's places in the order.
        rate: the learning rate.
        loss: its sum over the batch; None where nobody looked.
        epoch, batch: from 0.
    """

    samples: data.Samples
    order: np.ndarray | None
    begin: int
    end: int
    rate: float
    loss: float | None
    epoch: int
    batch: int

    @property
    def numbers(self) -> np.ndarray:
        """Of the samples of the batch."""
        return np.arange(self.begin, self.end) if self.order is None else self.order[self.begin : self.end]


class Watched:
    """Feeds a plan as the feeder in it does, and keeps what it takes to go back and to explain (`fastconv.diagnosis`).

    The loss of each step is looked at where the host has it anyway: after the step with `Direct`, else when the sums
    are read. Weights, moving statistics and optimizer slots, which can be lost while the loss is not, are looked at
    before each copy and as epochs end. What is done for each step costs 1 us (benchmarks/watching.py).

    Args:
        feeder: of `loops`, for training.
        executor: that trains.
        samples: those of the feeder; None where batches come by themselves.

    Attributes:
        epoch, batch: of the next step, from 0; set by `fit` as an epoch begins.
    """

    def __init__(self, feeder: Any, executor: Executor, samples: data.Samples | None):
        self._feeder, self._executor, self._samples = feeder, executor, samples
        self._snapshot = Snapshot(executor)
        self._left = 0  # steps until the next copy
        self._copied = 0.0  # when the last was made
        self._taken: list[tuple] = []  # since the last: what `Taken` says
        self._kept = 0  # bytes of batches among them
        self._looked = 0  # how many of them were taken when the weights were looked at
        self._order: np.ndarray | None = None
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
        if self._left <= 0 and not self._take_snapshot():
            self._feeder.step(*batch)
            return
        self._feeder.step(*batch)
        totals, loss = self._feeder.totals, None
        if totals is not None:
            loss = self._executor.objective.loss_of(totals)
        taken = self._keep(*batch) if self._samples is None else (self._samples, self._order, *batch)
        self._taken.append((*taken, self._executor.rate, loss, self.epoch, self.batch))
        self.batch += 1
        self._left -= 1
        if loss is not None and not math.isfinite(loss):
            self._stop()

    def _keep(self, samples: data.Samples) -> tuple:
        self._kept += sum(array.nbytes for array in samples.arrays)
        if self._kept >= _KEPT_BYTES:
            self._left = 0
        return samples, None, 0, len(samples)

    def sums(self) -> np.ndarray:
        """Raises NonFiniteError if a loss in them is not finite."""
        sums = self._feeder.sums()
        if self._taken and not math.isfinite(self._executor.objective.loss_of(sums)):
            self._stop()
        return sums

    def results(self, seen: int) -> dict[str, float]:
        """Likewise."""
        return self._executor.objective.results(self.sums(), seen)

    def end_epoch(self, now: bool) -> None:
        """Looks at the weights: now, as they are read after it, or where many steps were taken since the last look.

        Raises:
            NonFiniteError: if one is not finite.
        """
        if len(self._taken) - self._looked >= (1 if now else _EPOCH):
            self._look()

    def _look(self) -> None:
        self._looked = len(self._taken)
        if not self._executor.is_finite():
            self._stop()

    def _take_snapshot(self) -> bool:
        """Copies the weights, unless it is too early for that; returns whether there is memory for it."""
        now = time.perf_counter()
        if self._taken and self._kept < _KEPT_BYTES and now - self._copied < _SECONDS:
            self._left = _STEPS
            return True
        self._look()
        try:
            self._snapshot.take()
        except MemoryError as error:
            _log.info("%s: fit goes on without a copy of the weights, and does not stop at NaN", error)
            self.step = self._feeder.step
            self._taken.clear()
            return False
        self._taken.clear()
        self._left, self._kept, self._looked, self._copied = _STEPS, 0, 0, now
        return True

    def _stop(self) -> None:
        from fastconv.diagnosis import NonFiniteError, replay

        if not self._taken:
            raise NonFiniteError(replay.explain_start(self._executor, self.epoch, self.batch))
        raise NonFiniteError(replay.explain(self._executor, self._snapshot, [Taken(*one) for one in self._taken]))
