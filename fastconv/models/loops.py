"""One pass over samples: the loop that training, evaluation and prediction share, and what feeds it.

A feeder puts one batch after another before the kernels. `Streamed` copies each into the plan's slots: on the host, and
for a device that has not the room for all samples. `Resident` has them all on the device, where a captured step picks
its batch by itself and adds up the losses, so that the host has nothing to do but launch.
"""

from __future__ import annotations

import functools
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
    metrics: list[str] | None = None,
    order: np.ndarray | None = None,
    stop: Callable[[], bool] | None = None,
) -> dict[str, float]:
    """Runs all batches, or those before `stop()` was true, and returns the means over their samples.

    Args:
        feeder: `Streamed`, `Resident` or `Predicted`.
        hook: "train", "test" or "predict", in the names of the callbacks' hooks.
        count: number of samples.
        batch_size: samples per batch; the last may have fewer.
        callbacks: a `CallbackList`.
        metrics: names beside the loss; None where there is no loss either.
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
        if metrics is not None and (feeder.sums_at_hand or callbacks.logs_due(hook)):
            logs = {**means(feeder, end, metrics), **logs}
        on_end(i, logs)
        if stop is not None and stop():
            break
    return {} if metrics is None else means(feeder, end, metrics)


def means(feeder: Any, seen: int, metrics: list[str]) -> dict[str, float]:
    """Means over the samples seen so far, by the names of the logs."""
    loss, right = feeder.sums()
    seen = max(seen, 1)
    return {**{name: right / seen for name in metrics}, "loss": loss / seen}


def feeder(executor: Any, mode: str, x: np.ndarray, y: np.ndarray, batch_size: int) -> Streamed | Resident:
    """The feeder for these samples. A device keeps them where they are used more than once and fit beside the plan.

    Raises:
        ValueError: on a NaN or Inf among samples that a device keeps; else each batch is checked before its step.
    """
    memory = executor.memory
    if memory.on_host or len(x) <= batch_size:
        return Streamed(executor, mode, x, y)
    executor.plan(mode, batch_size)  # what it needs is allocated first
    needed = x.size * _kept_as(x).itemsize + y.nbytes + 8 * len(x)
    if needed <= _SHARE * memory.free_bytes():
        return Resident(executor, mode, x, y)
    _log.info("%.1f GiB of samples do not fit on the device: each batch is copied there", needed / 2**30)
    return Streamed(executor, mode, x, y)


class Streamed:
    """Copies each batch into the slots of its plan."""

    sums_at_hand = True  # reading them takes no time

    def __init__(self, executor, mode: str, x: np.ndarray, y: np.ndarray):
        self._executor, self._mode, self._x, self._y = executor, mode, x, y
        self._first_non_finite = get_ops("cpu").first_non_finite
        self.begin()

    def begin(self, order: np.ndarray | None = None) -> None:
        self._order = order
        self._loss = self._right = 0.0

    def step(self, begin: int, end: int) -> None:
        """One batch: the samples from number `begin` to `end` of the order.

        Raises:
            ValueError: on a NaN or Inf in it; the step is not taken.
        """
        index = slice(begin, end) if self._order is None else self._order[begin:end]
        plan = self._executor.plan(self._mode, end - begin)
        data.fill(plan.host_x, self._x, index)
        data.fill(plan.host_labels, self._y, index)
        bad = self._first_non_finite(plan.host_x)
        if bad >= 0:
            within = bad // (plan.host_x.size // (end - begin))
            data.refuse_sample(self._x, begin + within if self._order is None else index[within])
        plan.send()
        if self._mode == "train":
            self._executor.train_step(plan)
        else:
            plan.run()
        loss, right = self._executor.memory.download(plan.totals)
        self._loss += float(loss)
        self._right += float(right)

    def sums(self) -> tuple[float, float]:
        """Of the losses, and of the right answers, since `begin`."""
        return self._loss, self._right


class Resident:
    """Keeps the samples on a device: uint8 as they are, all others as float32."""

    sums_at_hand = False

    def __init__(self, executor, mode: str, x: np.ndarray, y: np.ndarray):
        memory = executor.memory
        self._executor, self._mode, self._memory = executor, mode, memory
        self._x, self._y = _uploaded(memory, x, _kept_as(x)), _uploaded(memory, y, y.dtype)
        if self._x.dtype == np.float32:
            with memory.at_work():
                bad = executor.ops.first_non_finite(self._x)
            if bad >= 0:
                data.refuse_sample(x, bad // math.prod(x.shape[1:]))
        self._order = memory.empty(len(x), np.int64)
        self._position = memory.zeros(1, np.int64)  # in the order, where the next batch begins
        self._sums = memory.zeros(2, np.float64)
        self._graphs: Any = weakref.WeakKeyDictionary()  # by plan: one that the executor drops takes its graph along

    def begin(self, order: np.ndarray | None = None) -> None:
        self._memory.upload(self._order, np.arange(self._order.size) if order is None else order)
        self._memory.upload(self._position, 0)
        self._memory.upload(self._sums, 0)

    def step(self, begin: int, end: int) -> None:
        """One batch; the device knows itself which samples are next."""
        plan = self._executor.plan(self._mode, end - begin)
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
        return [
            functools.partial(ops.gather_batch, self._x, self._y, self._order, self._position, plan.x, plan.labels),
            *plan.calls,
            functools.partial(ops.advance, size, self._position, step, plan.totals, self._sums),
        ]

    def sums(self) -> tuple[float, float]:
        """As of `Streamed`; waits for the steps launched so far."""
        loss, right = self._memory.download(self._sums)
        return float(loss), float(right)


class Predicted:
    """Copies each batch to the plan's slot and the model's outputs back, into `result`."""

    def __init__(self, executor, x: np.ndarray, result: np.ndarray):
        self._executor, self._x, self._result = executor, x, result

    def begin(self, order=None) -> None:
        """There is nothing to sum up."""

    def step(self, begin: int, end: int) -> None:
        plan = self._executor.plan("predict", end - begin)
        data.fill(plan.host_x, self._x, slice(begin, end))
        plan.send()
        plan.run()
        self._result[begin:end] = self._executor.memory.download(plan.y)


def _kept_as(x: np.ndarray) -> np.dtype:
    return np.dtype(np.uint8 if x.dtype == np.uint8 else np.float32)


def _uploaded(memory, values: np.ndarray, dtype: np.dtype):
    array = memory.empty(values.size, dtype).reshape(values.shape)
    rows = max(1, _CHUNK_BYTES // max(1, array.nbytes // len(values)))
    for begin in range(0, len(values), rows):
        memory.upload(array[begin : begin + rows], values[begin : begin + rows])
    return array
