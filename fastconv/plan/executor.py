"""A model's plans: one per (mode, batch size), built on first use, sharing parameters, optimizer state and arena."""

from __future__ import annotations

import bisect
import functools
from typing import Any

import numpy as np

from fastconv import regularizers, rng
from fastconv.plan import fuse as fusions
from fastconv.plan import precision
from fastconv.plan.arena import Arena
from fastconv.plan.gradients import Backward
from fastconv.plan.graph import Buffer, Graph
from fastconv.plan.parameters import ParameterStore
from fastconv.plan.plan import Plan

# Of one model. A plan of the network "cnn" takes 75 kB and 1 ms; `predict` alone may meet 32 sizes of a last batch.
_MAX_PLANS = 64


class Executor:
    """Runs a model on a backend.

    Args:
        model: emits its layers' steps (`emit(graph, *inputs)`) and has `inputs` and `weights`.
        ops: the backend.
        objective: emits losses and metrics from the outputs (None: predict only).
        optimizer: emits the update of the flat parameters and names its slots (None: no training).
        fuse: names of the fusions to apply (`fastconv.plan.fuse`).
        dtype: of "float" buffers.
        frozen: weights that do not learn.
        policy: "float32", or "mixed_bfloat16" for activations in bfloat16 (`fastconv.plan.precision`).
        state: of training, from `state()` of an executor of the same model on another backend; None starts afresh.
    """

    def __init__(
        self,
        model,
        ops,
        objective=None,
        optimizer=None,
        fuse=fusions.ALL,
        dtype=np.float32,
        state=None,
        frozen=frozenset(),
        policy="float32",
    ):
        precision.require_kernels(policy, ops)
        self._policy = policy
        self.model, self.ops, self.objective, self.optimizer = model, ops, objective, optimizer
        self._fuse, self._dtype, self.memory = fuse, np.dtype(dtype), ops.memory
        self.arena = Arena(self.memory)
        self._frozen = frozen
        self.store = ParameterStore(model.weights, dtype, self.memory, frozen)
        self._checked = ParameterStore.made
        self._plans: dict[tuple, Plan] = {}
        if state is None:
            state = {"step": np.zeros(1, np.int64), "seed": rng.generator().integers(2**63, size=1, dtype=np.int64)}
        self._states: dict[str, Any] = {name: self.memory.asarray(values) for name, values in state.items()}
        self.step = state["step"]  # training steps taken
        if not self.memory.on_host:  # what is captured counts by itself, after each step
            self._states["step"] = self.memory.asarray(self.step + 1)
        self._learning_rate, self._rate = self.memory.zeros(1, np.float32), 0.0  # an array, and what is in it
        self._swapped = False  # whether the moving average is where the weights are, and they where it was

    @property
    def iterations(self) -> int:
        """Training steps taken."""
        return int(self.step[0])

    def state(self) -> dict[str, np.ndarray]:
        """The state of training as arrays of the host: step number, dropout seed, the optimizer's slots."""
        there = {name: np.array(self.memory.download(a)) for name, a in self._states.items()}
        return {**there, "step": self.step.copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Goes on from the `state()` of an executor of the same model and optimizer. Plans stay as they are.

        Raises:
            ValueError: if an array has another size; nothing is changed then.
        """
        for name, values in state.items():
            size = self._states[name].size if name in self._states else self.store.trainable.size
            if values.size != size:
                raise ValueError(f"{name}: expected {size} numbers. Received: {values.size}")
        for name, array in self._states.items():
            self.memory.upload(array, state.get(name, 0))  # a slot that was not there yet is zero
        missing = {name: self.memory.asarray(np.array(a)) for name, a in state.items() if name not in self._states}
        self._states |= missing
        self.step[...] = state["step"]
        if not self.memory.on_host:
            self.memory.upload(self._states["step"], self.step + 1)

    @property
    def arrays(self) -> dict[str, Any]:
        """All that training changes, by name: flat arrays in the memory where they live."""
        self._take_weights_back()
        return {"w": self.store.trainable, "moving": self.store.state, **self._states}

    def is_finite(self) -> bool:
        """Whether all of `arrays` is. A device is waited for."""
        with self.memory.at_work():
            return all(
                self.ops.first_non_finite(array) < 0
                for array in self.arrays.values()
                if array.size and array.dtype == np.float32
            )

    def went_back(self, iterations: int) -> None:
        """Called after all of `arrays` was set to what it was after so many steps, weights not swapped."""
        self.step[...] = iterations
        self._swapped = False

    @property
    def next_step(self):
        """The number of the next training step, on a device that counts its steps."""
        return self._states["step"]

    def plan(self, mode: str, batch: int, weighted: tuple[bool, ...] = ()) -> Plan:
        """The plan for this mode and batch size, bound and ready to run.

        Args:
            mode: "train", "evaluate" or "predict".
            batch: number of samples.
            weighted: for which outputs with labels the samples have weights; () for none.

        Raises:
            MemoryError: naming the size and, where the device tells what it has, the largest batch that fits.
        """
        self._take_weights_back()
        key = (mode, batch, weighted, *self.ops.settings())
        plan = self._plans.pop(key, None) or self._new_plan(mode, batch, weighted)
        self._plans[key] = plan  # the latest used is last
        if len(self._plans) > _MAX_PLANS:
            del self._plans[next(iter(self._plans))]
        return plan

    def _take_weights_back(self) -> None:
        """Another model may have gathered weights that this one shares."""
        if self._checked == ParameterStore.made:
            return
        if not self.store.holds(self.model.weights):
            self.store = ParameterStore(self.model.weights, self._dtype, self.memory, self._frozen)
            self._plans.clear()
        self._checked = ParameterStore.made

    def _new_plan(self, mode: str, batch: int, weighted: tuple[bool, ...]) -> Plan:
        plan = self._unbound_plan(mode, batch, weighted)
        if plan.layout.size_bytes > self.arena.size_bytes:
            self._plans.clear()  # they are bound to the old, smaller block and would keep it alive
            try:
                self.arena.reserve(plan.layout.size_bytes)
            except MemoryError as error:
                raise MemoryError(f"{error}{self._largest_batch(mode, batch, weighted)}") from None
        last = []
        if plan.graph.training and not self.memory.on_host:
            last.append(functools.partial(self.ops.advance, 1, self.next_step))
        plan.bind(self.arena, self._external, last)
        return plan

    def _unbound_plan(self, mode: str, batch: int, weighted: tuple[bool, ...] = (), fuse=None) -> Plan:
        return Plan(self._graph(mode, batch, weighted, self._fuse if fuse is None else fuse), self.ops, self._dtype)

    def unfused_plan(self, batch: int, weighted: tuple[bool, ...]) -> Plan:
        """A plan for training whose steps are those that the layers emit, in a block of memory of its own: to look at
        the tensors between them. It writes gradients that fusions leave zero (`clear_gradients`).

        Raises:
            MemoryError: if there is not as much.
        """
        plan = self._unbound_plan("train", batch, weighted, fuse=())
        arena = Arena(self.memory)
        arena.reserve(plan.layout.size_bytes)
        plan.bind(arena, self._external)
        return plan

    def clear_gradients(self) -> None:
        """Makes all gradients of weights zero, as they are before the first step."""
        self.memory.upload(self.store.gradient, 0)

    def _largest_batch(self, mode: str, batch: int, weighted: tuple[bool, ...]) -> str:
        """A sentence about the largest batch that fits now, below one that did not; empty where nobody knows."""
        free = self.memory.free_bytes()
        if free is None:
            return ""
        sizes = range(1, batch)
        needed = lambda size: self._unbound_plan(mode, size, weighted).layout.size_bytes  # noqa: E731
        fit = bisect.bisect_right(sizes, free, key=needed)
        return f" Of a batch, {fit} samples fit." if fit else " Not even one sample fits."

    def train_step(self, plan: Plan, run=None, rate: float | None = None) -> None:
        """One step on the batch in `plan.slots`, with the learning rate the optimizer has now, or this `rate`.

        A caller that captured the plan together with more passes what runs it."""
        self._set_learning_rate(self.optimizer.rate_at(self.iterations) if rate is None else rate)
        self.step += 1
        try:
            (run or plan.run)()
        except Exception:  # of a user's layer: the update of the weights, which is last, was not made
            self.step -= 1
            raise

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self._rate

    def _set_learning_rate(self, rate: float) -> None:
        """Makes it the next step's; a device takes it behind what was launched, and the host does not wait."""
        if rate == self._rate:
            return
        if self.memory.on_host:
            self._learning_rate[0] = rate
        else:
            with self.memory.at_work():
                self.ops.set_number(self._learning_rate, rate)
        self._rate = rate

    def _average(self):
        """The moving average of the flat parameters, if the optimizer keeps one and a step was taken."""
        return self._states.get("ema") if self.iterations else None

    def swap_average(self, wanted: bool) -> None:
        """Weights and their moving average, where there is one, change places: then the average is in the model if it
        is `wanted` there."""
        average = self._average()
        if average is not None and self._swapped != wanted:
            weights = np.array(self.memory.download(self.store.trainable))
            self.memory.upload(self.store.trainable, self.memory.download(average))
            self.memory.upload(average, weights)
            self._swapped = wanted

    def take_average(self) -> None:
        """Sets the weights to their moving average, where there is one: the end of a training with `use_ema`."""
        average = self._average()
        if average is not None:
            self.swap_average(True)
            self.memory.upload(average, self.memory.download(self.store.trainable))
            self._swapped = False

    def _graph(self, mode: str, batch: int, weighted: tuple[bool, ...], fuse: tuple[str, ...]) -> Graph:
        graph = Graph(mode, [(batch, *x.shape[1:]) for x in self.model.inputs], self._frozen)
        outputs = self.model.emit(graph, *graph.inputs)
        if mode == "predict":
            graph.outputs = outputs
        else:
            self.objective.emit(graph, outputs, weighted)
        graph.prune()
        fusions.fuse(graph, fusions.FORWARD, fuse, self.ops)
        if graph.training:
            Backward(graph).run()
        w, dw = (graph.state(name, (self.store.trainable.size,)) for name in ("w", "dw"))
        if mode != "predict" and regularizers.penalized(graph):
            self.objective.emit_penalties(graph, w, dw if graph.training else None, self.store.places)
        if graph.training:
            if self.store.learning:
                self.optimizer.emit(graph, w, dw, self.store.places)
            fusions.fuse(graph, fusions.WHOLE, precision.fusions_of(self._policy, fuse), self.ops)
        if self._policy == "mixed_bfloat16":
            precision.store_as_bfloat16(graph)
        return graph

    def _external(self, buffer: Buffer):
        """The array of a buffer that is not in the arena."""
        if buffer.kind == "weight":
            return self.store.views[buffer.owner]
        if buffer.kind == "gradient":
            return self.store.gradient_of(buffer.owner)
        if buffer.name == "w":
            return self.store.trainable
        if buffer.name == "dw":
            return self.store.gradient
        if buffer.kind == "constant":
            return self.memory.asarray(buffer.owner)
        if buffer.name == "learning_rate":
            return self._learning_rate
        if buffer.name not in self._states:  # an optimizer's slot, zero before the first step
            self._states[buffer.name] = self.memory.zeros(buffer.shape[0], self._dtype)
        return self._states[buffer.name]
