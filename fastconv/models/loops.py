"""One pass over samples: the loop that training, evaluation and prediction share, and what feeds it.

A feeder puts one batch after another before the kernels. On the host, `Direct` copies each into the plan's slots. On a
device a captured step gathers its batch by itself and adds up the totals: `Resident` has all samples there, so that the
host has nothing to do but launch; `Streamed`, for samples that do not fit, sends a batch while the step before runs.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastconv.models import data
from fastconv.ops import get_ops
from fastconv.ops.slots import Slot

_log = logging.getLogger("fastconv")

_CHUNK_BYTES = 1 << 26  # of an upload: bounds what a conversion of its values takes on the host
# Names made once: CPython's cache of attributes keeps every new string that it is asked for.
_HOOKS = {hook: (f"on_{hook}_batch_begin", f"on_{hook}_batch_end") for hook in ("train", "test", "predict")}
_SHARE = 0.9  # of the free memory of a device that samples may take


class Place(NamedTuple):
    """Where a run goes on.

    Attributes:
        epoch: the number of an epoch.
        batch: how many of its batches are over.
        order: of its samples; None for their own.
        sums: of the totals of these batches; None for none.
    """

    epoch: int
    batch: int = 0
    order: np.ndarray | None = None
    sums: np.ndarray | None = None


def run(
    feeder: Any,
    hook: str,
    batches: Iterable[tuple[int, tuple]],
    callbacks: Any,
    order: np.ndarray | None = None,
    stop: Callable[[], bool] | None = None,
    place: Place | None = None,
) -> dict[str, float]:
    """Runs all batches, or those before `stop()` was true, and returns the losses and metrics of their samples.

    Args:
        feeder: `Direct`, `Resident`, `Streamed`, `Given`, `Predicted` or `Collected`.
        hook: "train", "test" or "predict", in the names of the callbacks' hooks.
        batches: of each the number of samples, and what the feeder's `step` takes.
        callbacks: a `CallbackList`.
        order: of the samples; None for their own.
        stop: asked after each batch.
        place: where to go on, instead of the first batch.
    """
    on_begin, on_end = (getattr(callbacks, name) for name in _HOOKS[hook])
    done, sums = (place.batch, place.sums) if place else (0, None)
    batches = iter(batches)
    seen = sum(size for size, _ in itertools.islice(batches, done))
    feeder.begin(order, seen, sums)
    if done and stop is not None and stop():
        return feeder.results(seen)
    for i, (size, batch) in enumerate(batches, done):
        on_begin(i)
        feeder.step(*batch)
        seen += size
        logs = {"size": size}
        if callbacks.logs_due(hook):
            logs = {**feeder.results(seen), **logs}
        on_end(i, logs)
        if stop is not None and stop():
            break
    return feeder.results(seen)


def spans(count: int, batch_size: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """The batches of arrays, for `run`; the last may have fewer samples."""
    for begin in range(0, count, batch_size):
        end = min(begin + batch_size, count)
        yield end - begin, (begin, end)


def feeder(executor: Any, mode: str, samples: data.Samples, batch_size: int) -> Direct | Resident | Streamed:
    """The feeder for these samples. A device keeps them where they are used more than once and fit beside the plan.

    Raises:
        ValueError: on a NaN or Inf among samples that a device keeps; else each batch is checked before its step.
    """
    memory = executor.memory
    if memory.on_host or len(samples) <= batch_size:
        return Direct(executor, mode, samples)
    executor.plan(mode, batch_size, samples.weighted)  # what it needs is allocated first
    needed = sum(a.size * dtype.itemsize for a, dtype in _kept(samples)) + 8 * len(samples)
    if needed <= _SHARE * memory.free_bytes():
        return Resident(executor, mode, samples)
    _log.info("%.1f GiB of samples do not fit on the device: each batch is copied there", needed / 2**30)
    return Streamed(executor, mode, samples, batch_size)


class Direct:
    """Copies each batch into the slots of its plan, and waits for the step.

    Attributes:
        totals: of the last batch, until the next; None before the first.
    """

    totals: np.ndarray | None = None

    def __init__(self, executor, mode: str, samples: data.Samples):
        self._executor, self._mode, self._samples = executor, mode, samples
        self.begin()

    def begin(self, order: np.ndarray | None = None, taken: int = 0, sums: np.ndarray | None = None) -> None:
        """An epoch: the order of its samples, how many of them were taken before, and the sums of their totals."""
        self._order = order
        self._sums = np.zeros(self._executor.objective.size)
        if sums is not None:
            self._sums += sums

    def step(self, begin: int, end: int) -> None:
        """One batch: the samples from number `begin` to `end` of the order.

        Raises:
            ValueError: on a NaN or Inf in it; the step is not taken.
        """
        plan = self._executor.plan(self._mode, end - begin, self._samples.weighted)
        fill(plan, self._samples, numbers_of(self._order, begin, end))
        if self._mode == "train":
            self._executor.train_step(plan)
        else:
            plan.run()
        self.totals = self._executor.memory.download(plan.totals)
        self._sums += self.totals

    def sums(self) -> np.ndarray:
        """Of the totals of all batches of the epoch."""
        return self._sums

    def results(self, seen: int) -> dict[str, float]:
        """Losses and metrics of the epoch so far, over as many samples."""
        return self._executor.objective.results(self.sums(), seen)


class Given(Direct):
    """A `Direct` for batches that are arrays of their own."""

    def __init__(self, executor, mode: str):
        super().__init__(executor, mode, data.Samples([]))

    def step(self, samples: data.Samples) -> None:
        self._samples = samples
        super().step(0, len(samples))


class _Captured:
    """A feeder whose steps gather their batches on the device, and add up the totals there."""

    totals = None  # of a batch nobody knows

    def __init__(self, executor, mode: str, samples: data.Samples):
        self._executor, self._mode, self._memory, self._samples = executor, mode, executor.memory, samples
        self._position = self._memory.zeros(1, np.int64)  # in the order, where the next batch begins
        self._sums = self._memory.zeros(executor.objective.size, np.float64)
        self._graphs: Any = weakref.WeakKeyDictionary()  # by plan: one that the executor drops takes its graphs along

    def _launch(self, size: int, arrays: list, order, taken: int, slot: Slot | None = None) -> None:
        """The step on the next `size` samples of `arrays` in `order`, whose position then moves on by `taken`.

        Where these arrays are the same as before, or parts of the same `slot`, the graph of before is launched.
        """
        plan = self._executor.plan(self._mode, size, self._samples.weighted)
        graphs = self._graphs.setdefault(plan, {})
        graph = graphs.get(slot)
        if graph is None:
            graph = graphs[slot] = plan.capture(self._calls(plan, arrays, order, taken))
        if self._mode == "train":
            self._executor.train_step(plan, graph.launch)
        else:
            graph.launch()

    def _calls(self, plan, arrays, order, taken: int) -> list:
        ops, inputs = self._executor.ops, len(plan.inputs)
        step = self._executor.next_step if self._mode == "train" else None
        pairs = (itertools.zip_longest(side[:inputs], side[inputs:]) for side in (arrays, plan.slots))
        return [
            *(
                functools.partial(ops.gather_batch, *of, order, self._position, *to)
                for of, to in zip(*pairs, strict=True)
            ),
            *plan.calls,
            functools.partial(ops.advance, taken, self._position, step, plan.totals, self._sums),
        ]

    def sums(self) -> np.ndarray:
        """As of `Direct`; waits for the steps launched so far."""
        return self._memory.download(self._sums)

    def results(self, seen: int) -> dict[str, float]:
        """As of `Direct`."""
        return self._executor.objective.results(self.sums(), seen)


class Resident(_Captured):
    """Keeps the samples on a device: uint8 as they are, all others as float32."""

    def __init__(self, executor, mode: str, samples: data.Samples):
        super().__init__(executor, mode, samples)
        memory = self._memory
        self._arrays = [_uploaded(memory, array, dtype) for array, dtype in _kept(samples)]
        for kept, x in zip(self._arrays, samples.inputs, strict=False):
            if kept.dtype == np.float32:
                with memory.at_work():
                    bad = executor.ops.first_non_finite(kept)
                if bad >= 0:
                    data.refuse_sample(x, bad // math.prod(x.shape[1:]))
        self._order = memory.empty(len(samples), np.int64)

    def begin(self, order: np.ndarray | None = None, taken: int = 0, sums: np.ndarray | None = None) -> None:
        self._memory.upload(self._order, np.arange(self._order.size) if order is None else order)
        self._memory.upload(self._position, taken)
        self._memory.upload(self._sums, 0 if sums is None else sums)

    def step(self, begin: int, end: int) -> None:
        """One batch; the device knows itself which samples are next."""
        self._launch(end - begin, self._arrays, self._order, end - begin)


class Streamed(_Captured):
    """Sends each batch to a device while the step before runs: uint8 as they are, all others as float32.

    The host checks and copies a batch into one of two slots and launches its step, which waits for its arrival there.
    """

    def __init__(self, executor, mode: str, samples: data.Samples, batch_size: int):
        super().__init__(executor, mode, samples)
        arrays = [((batch_size, *array.shape[1:]), dtype) for array, dtype in _kept(samples)]
        self._slots = [self._memory.slot(*arrays) for _ in range(2)]
        self._rows = self._memory.asarray(np.arange(batch_size))  # a slot has its samples in their order

    def begin(self, order: np.ndarray | None = None, taken: int = 0, sums: np.ndarray | None = None) -> None:
        self._order = order
        self._memory.upload(self._sums, 0 if sums is None else sums)

    def step(self, begin: int, end: int) -> None:
        """As of `Direct`; returns before the step is over."""
        slot, size = self._slots[0], end - begin
        slot.wait()
        _fill([array[:size] for array in slot.host], self._samples, numbers_of(self._order, begin, end))
        slot.send(size)
        self._launch(size, [array[:size] for array in slot.there], self._rows[:size], 0, slot)
        slot.release()
        self._slots.reverse()


class Predicted:
    """Copies each batch into the plan's slots and the model's outputs back, into `outputs`."""

    def __init__(self, executor, samples: data.Samples, outputs: list[np.ndarray]):
        self._executor, self._samples, self._outputs = executor, samples, outputs

    def begin(self, *arguments) -> None:
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


class Collected:
    """A `Predicted` for batches that are arrays of their own; `parts` are the outputs of each."""

    def __init__(self, executor, shapes: list[tuple]):
        self._executor, self._shapes = executor, shapes
        self.parts: list[list[np.ndarray]] = []

    def begin(self, *arguments) -> None:
        """There is nothing to sum up."""

    def step(self, samples: data.Samples) -> None:
        outputs = [np.empty((len(samples), *shape[1:]), np.float32) for shape in self._shapes]
        Predicted(self._executor, samples, outputs).step(0, len(samples))
        self.parts.append(outputs)

    def results(self, seen: int) -> dict[str, float]:
        """There are none."""
        return {}


def numbers_of(order: np.ndarray | None, begin: int, end: int) -> slice | np.ndarray:
    """The numbers of the samples that have the places from `begin` to `end` of an order."""
    return slice(begin, end) if order is None else order[begin:end]


def fill(plan: Any, samples: data.Samples, numbers: slice | np.ndarray) -> None:
    """Puts the samples of these numbers into the slots of a plan of as many.

    Raises:
        ValueError: on a NaN or Inf in one of them.
    """
    _fill(plan.host_slots, samples, numbers)
    plan.send()


def _fill(slots: list[np.ndarray], samples: data.Samples, numbers: slice | np.ndarray) -> None:
    """Copies the samples of these numbers to where a step takes them from.

    Raises:
        ValueError: on a NaN or Inf in one of them.
    """
    for slot, array in zip(slots, samples.arrays, strict=True):
        data.fill(slot, array, numbers)
    for slot, x in zip(slots, samples.inputs, strict=False):
        bad = get_ops("cpu").first_non_finite(slot) if slot.dtype == np.float32 else -1
        if bad >= 0:
            within = bad // math.prod(x.shape[1:])
            data.refuse_sample(x, numbers.start + within if isinstance(numbers, slice) else numbers[within])


def _kept(samples: data.Samples) -> list[tuple[np.ndarray, np.dtype]]:
    """The arrays, and the dtypes that a device has them in."""
    inputs = [(x, np.dtype(np.uint8 if x.dtype == np.uint8 else np.float32)) for x in samples.inputs]
    return inputs + [(words, words.dtype) for words in samples.arrays[len(inputs) :]]


def _uploaded(memory, values: np.ndarray, dtype: np.dtype):
    array = memory.empty(values.size, dtype).reshape(values.shape)
    rows = max(1, _CHUNK_BYTES // max(1, array.nbytes // len(values)))
    for begin in range(0, len(values), rows):
        memory.upload(array[begin : begin + rows], values[begin : begin + rows])
    return array
