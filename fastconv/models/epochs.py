"""The epochs of a `fit`, and the evaluations between them."""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any, NamedTuple

from fastconv.diagnosis.during_training import Adviser
from fastconv.models import loops
from fastconv.models.interrupt import Interrupt
from fastconv.models.sources import warn_of_too_few
from fastconv.models.watched import Watched


class Evaluation(NamedTuple):
    """Evaluates as often as it is called."""

    source: Any
    feeder: Any

    def __call__(self, callbacks: Any) -> dict[str, float]:
        if not self.source.more():
            warn_of_too_few()
            return {}
        callbacks.on_test_begin()
        order, batches = self.source.epoch()
        result = loops.run(self.feeder, "test", batches, callbacks, order)
        callbacks.on_test_end(result)
        return result


@dataclasses.dataclass
class Epochs:
    """Those of one `fit`.

    Attributes:
        model: that trains.
        source: of batches.
        feeder: of `loops`, for training; or a `Watched` one.
        callbacks: a `CallbackList`.
        adviser: looks at the first steps and after epochs.
        validation: an `Evaluation` after every `validation_freq` epochs, or None.
        logs: of the last epoch that was not interrupted.
        interrupted: whether Ctrl-C ended it.
    """

    model: Any
    source: Any
    feeder: Any
    callbacks: Any
    adviser: Adviser
    validation: Evaluation | None
    validation_freq: int
    logs: dict[str, float] = dataclasses.field(default_factory=dict)
    interrupted: bool = False

    def run(self, place: loops.Place, end: int) -> None:
        """Trains from a place on, up to the epoch of number `end`, or until batches run out, a callback or Ctrl-C stops
        it."""
        with Interrupt() as interrupt:

            def stop() -> bool:
                return interrupt.requested or self.model.stop_training

            for epoch in range(place.epoch, end):
                if not self.source.more():
                    warn_of_too_few()
                    break
                self.callbacks.on_epoch_begin(epoch)
                results = self._train(place._replace(epoch=epoch), stop)
                place = loops.Place(epoch + 1)
                self._look_at_weights(now=place.epoch == end or stop() or self.callbacks.may_save)
                if interrupt.requested:
                    break
                self.logs = results
                if self.validation and (epoch + 1) % self.validation_freq == 0:
                    result = self.validation(self.callbacks)
                    self.logs.update({f"val_{name}": value for name, value in result.items()})
                self.callbacks.on_epoch_end(epoch, self.logs)
                self.adviser.after_epoch()
                if stop():
                    break
        self.interrupted = interrupt.requested
        if not self.interrupted:
            self._look_at_weights(now=True)  # where batches ran out

    def _train(self, place: loops.Place, stop: Any) -> dict[str, float]:
        """The batches of an epoch, from a place on; returns the losses and metrics."""
        if place.batch:
            order, batches = self.source.go_on(place.order)
        else:
            order, batches = self.source.epoch()
            batches = self.adviser.watched(batches)
        self.model._epoch_runs = weakref.proxy(self.feeder), order
        if isinstance(self.feeder, Watched):
            self.feeder.epoch, self.feeder.batch = place.epoch, place.batch
        return loops.run(self.feeder, "train", batches, self.callbacks, order, stop, place)

    def _look_at_weights(self, now: bool) -> None:
        if isinstance(self.feeder, Watched):
            self.feeder.end_epoch(now)
