"""A look at a batch between the steps of a plan: activations, gradients and the optimizer's update, on copies.

What training has is read and never written: weights are where they are, moving statistics and gradients of this pass go
to memory of its own, and there is no update. So a look changes no bit of the training around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastconv import regularizers
from fastconv.plan.arena import Arena
from fastconv.plan.gradients import Backward
from fastconv.plan.graph import Buffer, Graph, Step
from fastconv.plan.plan import Plan

Visit = Callable[[Step, Callable[[str], np.ndarray]], None]


class Probe:
    """The steps that the layers of a model emit, without fusions, run one by one on a batch.

    Args:
        model: compiled, and one that a plan was just made for: weights are taken from where its executor has them.
        mode: "train" (the batch's statistics, dropout, gradients), "evaluate" or "predict".
        batch: samples in it.
        weighted: for which outputs they have weights.

    Attributes:
        forward: the steps up to the loss.

    Raises:
        MemoryError: if there is not as much for a batch of this size.
    """

    def __init__(self, model: Any, mode: str, batch: int, weighted: tuple[bool, ...] = ()):
        self._executor = executor = model._ready()
        self._memory, self._store = executor.memory, executor.store
        self._gradient = self._memory.zeros(self._store.trainable.size if mode == "train" else 0, np.float32)
        # The number of the step that comes next, by which dropout draws; a device has it there.
        self._step = np.zeros(1, np.int64) if self._memory.on_host else executor.next_step
        self.forward: list[Step] = []
        self.graph = self._graph(model, mode, batch, weighted)
        self.plan = Plan(self.graph, executor.ops)
        # what takes the place of weights that steps write: moving statistics, also those of a user's layer
        changed = (b.root for step in self.plan.steps for b in _changed(step) if b.root.kind == "weight")
        self._own = {b: self._copy(self._store.views[b.owner]) for b in dict.fromkeys(changed)}
        arena = executor.arena  # nothing in it outlives a step
        if self.plan.layout.size_bytes > arena.size_bytes:
            arena = Arena(self._memory)
            arena.reserve(self.plan.layout.size_bytes)
        self.plan.bind(arena, self._external)

    def _graph(self, model: Any, mode: str, batch: int, weighted: tuple[bool, ...]) -> Graph:
        """As the executor's, without fusions and update."""
        graph = Graph(mode, [(batch, *x.shape[1:]) for x in model.inputs], model.frozen)
        outputs = model.emit(graph, *graph.inputs)
        if mode == "predict":
            graph.outputs = outputs
        else:
            model.objective.emit(graph, outputs, weighted)
        graph.prune()
        self.forward = list(graph.steps)
        if graph.training:
            Backward(graph).run()
        if mode != "predict" and regularizers.penalized(graph):
            w, dw = (graph.state(name, (self._store.trainable.size,)) for name in ("w", "dw"))
            model.objective.emit_penalties(graph, w, dw if graph.training else None, self._store.places)
        return graph

    def _copy(self, array: Any) -> Any:
        return self._memory.asarray(np.array(self._memory.download(array)))

    def _external(self, buffer: Buffer) -> Any:
        if buffer in self._own:
            return self._own[buffer]
        if buffer.name == "step":
            return self._step
        if buffer.kind == "gradient":
            begin = next(begin for weight, begin, _ in self._store.places if weight is buffer.owner)
            return self._gradient[begin : begin + math.prod(buffer.shape)]
        if buffer.name == "dw":
            return self._gradient
        return self._executor._external(buffer)

    def run(self, samples: Any, visit: Visit = lambda step, values: None) -> float:
        """Runs the steps on as many `samples` (`fastconv.models.data.Samples`), as the next training step would, and
        returns their loss, 0.0 without one.

        After each step it calls `visit(step, values)`; `values(name)` returns an array that the step read or wrote, by
        its name there: on the host, and valid until the next step.
        """
        self._memory.upload(self._gradient, 0)  # where no step writes
        if self._memory.on_host:
            self._step[0] = self._executor.iterations + 1
        arrays = samples.inputs if self.graph.totals is None else samples.arrays
        for slot, array in zip(self.plan.host_slots, arrays, strict=True):
            slot[...] = array
        self.plan.send()
        with self._memory.at_work():
            for step, call in zip(self.plan.steps, self.plan.calls, strict=True):
                call()
                visit(step, lambda name, call=call: self._memory.download(call.keywords[name]))
        if self.graph.totals is None:
            return 0.0
        return self._executor.objective.results(self._memory.download(self.plan.totals), len(samples))["loss"]

    def gradients(self) -> Iterator[tuple[Any, np.ndarray]]:
        """Each weight that learns and the gradient of its last run."""
        return self._parts(self._memory.download(self._gradient))

    def updates(self) -> Iterator[tuple[Any, np.ndarray]]:
        """Each weight that learns and how the optimizer would change it by the gradient of the last run, now."""
        executor, memory = self._executor, self._memory
        graph = Graph("train", [])
        w, dw = (graph.state(name, (self._store.trainable.size,)) for name in ("w", "dw"))
        executor.optimizer.emit(graph, w, dw, self._store.places)
        plan = Plan(graph, executor.ops)
        executor._set_learning_rate(executor.optimizer.rate_at(executor.iterations))
        copies: dict[str, Any] = {}

        def external(buffer: Buffer) -> Any:
            if buffer.kind != "state" or buffer.name in ("learning_rate", "step"):  # no update writes these
                return self._external(buffer)
            if buffer.name not in copies:
                copies[buffer.name] = self._copy(self._external(buffer))
            return copies[buffer.name]

        arena = Arena(memory)
        arena.reserve(plan.layout.size_bytes)
        plan.bind(arena, external)
        before = np.array(memory.download(self._store.trainable))
        with memory.at_work():
            for call in plan.calls:
                call()
        return self._parts(memory.download(copies["w"]) - before)

    def _parts(self, flat: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
        return zip(self._store.learning, self._store.split(flat), strict=True)


def _changed(step: Step) -> Iterable[Buffer]:
    """What a step writes; the `forward` of a user's layer may write to weights that never learn."""
    return step.buffers() if step.op == "user_forward" else step.writes.values()


def spread(samples: Any, count: int) -> Any:
    """At most `count` of the samples, evenly spread over all: data may be sorted by class."""
    return samples.part(np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(np.int64))
