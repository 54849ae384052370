"""One pass over samples: the loop that training, evaluation and prediction share, and what feeds it.

A feeder puts one batch after another before the kernels. `Streamed` copies each into the plan's slots: on the host, and
for a device that has not the room for all samples. `Resident` has them all on the device, where a captured step picks
its batch by itself and adds up the losses, so that the host has nothing to do but launch.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.models import data
from fastconv.ops import get_ops

_log = logging.getLogger("fastconv")

_CHUNK_BYTES = 1 << 26  # of an upload: bounds what a conversion of its values takes on the host
_SHARE = 0.9  # of the free memory of a device that samples may take


def run(
    feeder: Any,
    hook: str,
    count: int,
    batch_size: int,
    callbacks: Any,
    order: np.ndarray | None = None,
    stop: Callable[[], bool] | None = None,
) -> dict[str, float]:
    """Runs all batches, or those before `stop()` was true, and returns the losses and metrics of their samples.

    Args:
        feeder: `Streamed`, `Resident` or `Predicted`.
        hook: "train", "test" or "predict", in the names of the callbacks' hooks.
        count: number of samples.
        batch_size: samples per batch; the last may have fewer.
        callbacks: a `CallbackList`.
        order: of the samples; None for their own.
        stop: asked after each batch.
    """
    on_begin, on_end = getattr(callbacks, f"on_{hook}_batch_begin"), getattr(callbacks, f"on_{hook}_batch_end")
    feeder.begin(order)
    end = 0
    for i, begin in enumerate(range(0, count, batch_size)):
        on_begin(i)
        end = min(begin + batch_size, count)
        feeder.step(begin, end)
        logs = {"size": end - begin}
        if callbacks.logs_due(hook):
            logs = {**feeder.results(end), **logs}
        on_end(i, logs)
        if stop is not None and stop():
            break
    return feeder.results(end)


def feeder(executor: Any, mode: str, samples: data.Samples, batch_size: int) -> Streamed | Resident:
    """The feeder for these samples. A device keeps them where they are used more than once and fit beside the plan.

    Raises:
        ValueError: on a NaN or Inf among samples that a device keeps; else each batch is checked before its step.
    """
    memory = executor.memory
    if memory.on_host or len(samples) <= batch_size:
        return Streamed(executor, mode, samples)
    executor.plan(mode, batch_size, samples.weighted)  # what it needs is allocated first
    needed = sum(x.size * _kept_as(x).itemsize for x in samples.inputs) + 8 * len(samples)
    needed += sum(words.nbytes for words in samples.arrays[len(samples.inputs) :])
    if needed <= _SHARE * memory.free_bytes():
        return Resident(executor, mode, samples)
    _log.info("%.1f GiB of samples do not fit on the device: each batch is copied there", needed / 2**30)
    return Streamed(executor, mode, samples)


class Streamed:
    """Copies each batch into the slots of its plan."""

    def __init__(self, executor, mode: str, samples: data.Samples):
        self._executor, self._mode, self._samples = executor, mode, samples
        self._first_non_finite = get_ops("cpu").first_non_finite
        self.begin()

    def begin(self, order: np.ndarray | None = None) -> None:
        self._order = order
        self._sums = np.zeros(self._executor.objective.size)

    def step(self, begin: int, end: int) -> None:
        """One batch: the samples from number `begin` to `end` of the order.

        Raises:
            ValueError: on a NaN or Inf in it; the step is not taken.
        """
        index = slice(begin, end) if self._order is None else self._order[begin:end]
        samples = self._samples
        plan = self._executor.plan(self._mode, end - begin, samples.weighted)
        for slot, array in zip(plan.host_slots, samples.arrays, strict=True):
            data.fill(slot, array, index)
        for slot, x in zip(plan.host_slots, samples.inputs, strict=False):
            bad = self._first_non_finite(slot)
            if bad >= 0:
                within = bad // (slot.size // (end - begin))
                data.refuse_sample(x, begin + within if self._order is None else index[within])
        plan.send()
        if self._mode == "train":
            self._executor.train_step(plan)
        else:
            plan.run()
        self._sums += self._executor.memory.download(plan.totals)

    def results(self, seen: int) -> dict[str, float]:
        """Losses and metrics since `begin`, over as many samples."""
        return self._executor.objective.results(self._sums, seen)


class Resident:
    """Keeps the samples on a device: uint8 as they are, all others as float32."""

    def __init__(self, executor, mode: str, samples: data.Samples):
        memory = executor.memory
        self._executor, self._mode, self._memory, self._weighted = executor, mode, memory, samples.weighted
        self._inputs = [_uploaded(memory, x, _kept_as(x)) for x in samples.inputs]
        self._words = [_uploaded(memory, words, words.dtype) for words in samples.arrays[len(samples.inputs) :]]
        for kept, x in zip(self._inputs, samples.inputs, strict=True):
            if kept.dtype == np.float32:
                with memory.at_work():
                    bad = executor.ops.first_non_finite(kept)
                if bad >= 0:
                    data.refuse_sample(x, bad // math.prod(x.shape[1:]))
        self._order = memory.empty(len(samples), np.int64)
        self._position = memory.zeros(1, np.int64)  # in the order, where the next batch begins
        self._sums = memory.zeros(executor.objective.size, np.float64)
        self._graphs: Any = weakref.WeakKeyDictionary()  # by plan: one that the executor drops takes its graph along

    def begin(self, order: np.ndarray | None = None) -> None:
        self._memory.upload(self._order, np.arange(self._order.size) if order is None else order)
        self._memory.upload(self._position, 0)
        self._memory.upload(self._sums, 0)

    def step(self, begin: int, end: int) -> None:
        """One batch; the device knows itself which samples are next."""
        plan = self._executor.plan(self._mode, end - begin, self._weighted)
        graph = self._graphs.get(plan)
        if graph is None:
            graph = self._graphs[plan] = self._memory.capture(self._calls(plan, end - begin))
        if self._mode == "train":
            self._executor.train_step(plan, graph.launch)
        else:
            graph.launch()

    def _calls(self, plan, size: int) -> list:
        ops = self._executor.ops
        step = self._executor.next_step if self._mode == "train" else None
        kept = itertools.zip_longest(self._inputs, self._words)
        slots = itertools.zip_longest(plan.inputs, plan.slots[len(plan.inputs) :])
        return [
            *(
                functools.partial(ops.gather_batch, *of, self._order, self._position, *to)
                for of, to in zip(kept, slots, strict=True)
            ),
            *plan.calls,
            functools.partial(ops.advance, size, self._position, step, plan.totals, self._sums),
        ]

    def results(self, seen: int) -> dict[str, float]:
        """As of `Streamed`; waits for the steps launched so far."""
        return self._executor.objective.results(self._memory.download(self._sums), seen)


class Predicted:
    """Copies each batch into the plan's slots and the model's outputs back, into `outputs`."""

    def __init__(self, executor, samples: data.Samples, outputs: list[np.ndarray]):
        self._executor, self._samples, self._outputs = executor, samples, outputs

    def begin(self, order=None) -> None:
        """There is nothing to sum up."""

    def step(self, begin: int, end: int) -> None:
        plan = self._executor.plan("predict", end - begin)
        for slot, x in zip(plan.host_slots, self._samples.inputs, strict=True):
            data.fill(slot, x, slice(begin, end))
        plan.send()
        plan.run()
        for result, output in zip(self._outputs, plan.outputs, strict=True):
            result[begin:end] = self._executor.memory.download(output)

    def results(self, seen: int) -> dict[str, float]:
        """There are none."""
        return {}


def _kept_as(x: np.ndarray) -> np.dtype:
    return np.dtype(np.uint8 if x.dtype == np.uint8 else np.float32)


def _uploaded(memory, values: np.ndarray, dtype: np.dtype):
    array = memory.empty(values.size, dtype).reshape(values.shape)
    rows = max(1, _CHUNK_BYTES // max(1, array.nbytes // len(values)))
    for begin in range(0, len(values), rows):
        memory.upload(array[begin : begin + rows], values[begin : begin + rows])
    return array
