"""A model's plans: one per (mode, batch size), built on first use, sharing parameters, optimizer state and arena."""

from __future__ import annotations

import numpy as np

from fastconv import _core, rng
from fastconv.plan import fuse as fusions
from fastconv.plan.arena import Arena, aligned_empty
from fastconv.plan.gradients import Backward
from fastconv.plan.graph import Buffer, Graph
from fastconv.plan.parameters import ParameterStore
from fastconv.plan.plan import Plan

# Of one model. A plan of the network "cnn" takes 75 kB and 1 ms; `predict` alone may meet 32 sizes of a last batch.
_MAX_PLANS = 64


class Executor:
    """Runs a model on a backend.

    Args:
        model: emits its layers' steps (`emit(graph, x) -> y`) and has `weights` and `input_shape`.
        ops: the backend.
        loss: emits the loss from the output (None: predict only).
        optimizer: emits the update of the flat parameters and names its slots (None: no training).
        fuse: names of the fusions to apply (`fastconv.plan.fuse`).
        dtype: of "float" buffers.
    """

    def __init__(self, model, ops, loss=None, optimizer=None, fuse=fusions.ALL, dtype=np.float32):
        self.model, self.ops, self.loss, self.optimizer = model, ops, loss, optimizer
        self._fuse, self._dtype = fuse, np.dtype(dtype)
        self.arena = Arena()
        self.store = ParameterStore(model.weights, dtype)
        self._checked = ParameterStore.made
        self._plans: dict[tuple, Plan] = {}
        self.step = np.zeros(1, np.int64)  # training steps taken
        self._states: dict[str, np.ndarray] = {
            "step": self.step,
            "seed": rng.generator().integers(2**63, size=1, dtype=np.int64),
        }

    @property
    def iterations(self) -> int:
        """Training steps taken."""
        return int(self.step[0])

    def plan(self, mode: str, batch: int) -> Plan:
        """The plan for this mode and batch size, bound and ready to run."""
        if self._checked != ParameterStore.made:  # another model may have gathered weights that this one shares
            if not self.store.holds(self.model.weights):
                self.store = ParameterStore(self.model.weights, self._dtype)
                self._plans.clear()
            self._checked = ParameterStore.made
        # workspaces are sized for the threads and the algorithm
        key = (mode, batch, _core.num_threads(), _core.conv2d_allows_winograd())
        plan = self._plans.pop(key, None) or self._new_plan(mode, batch)
        self._plans[key] = plan  # the latest used is last
        if len(self._plans) > _MAX_PLANS:
            del self._plans[next(iter(self._plans))]
        return plan

    def _new_plan(self, mode: str, batch: int) -> Plan:
        plan = Plan(self._graph(mode, batch), self.ops, self._dtype)
        if plan.layout.size_bytes > self.arena.size_bytes:
            self._plans.clear()  # they are bound to the old, smaller block and would keep it alive
            self.arena.reserve(plan.layout.size_bytes)
        plan.bind(self.arena, self._external)
        return plan

    def train_step(self, plan: Plan) -> None:
        """One step on the batch in `plan.x` and `plan.labels`, with the learning rate the optimizer has now."""
        self.step += 1
        plan.run()

    def _graph(self, mode: str, batch: int) -> Graph:
        graph = Graph(mode, (batch, *self.model.input_shape[1:]))
        y = self.model.emit(graph, graph.x)
        if mode == "predict":
            graph.y = y
        else:
            self.loss.emit(graph, y)
        graph.prune()
        fusions.fuse(graph, fusions.FORWARD, self._fuse, self.ops)
        if graph.training:
            Backward(graph).run()
            size = (self.store.trainable.size,)
            self.optimizer.emit(graph, graph.state("w", size), graph.state("dw", size))
            fusions.fuse(graph, fusions.WHOLE, self._fuse, self.ops)
        return graph

    def _external(self, buffer: Buffer) -> np.ndarray:
        """The array of a buffer that is not in the arena."""
        if buffer.kind == "weight":
            return self.store.views[buffer.owner]
        if buffer.kind == "gradient":
            return self.store.gradient_of(buffer.owner)
        if buffer.name == "w":
            return self.store.trainable
        if buffer.name == "dw":
            return self.store.gradient
        if buffer.name == "learning_rate":
            return self.optimizer.learning_rate_array
        if buffer.name not in self._states:  # an optimizer's slot, zero before the first step
            slot = aligned_empty(buffer.shape[0], self._dtype)
            slot[:] = 0
            self._states[buffer.name] = slot
        return self._states[buffer.name]
