"""A graph bound to memory and a backend: a list of calls. Running a step is running the list."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.ops.protocol import CALLS_PYTHON, TAKES_WORKSPACE
from fastconv.plan.arena import Arena, Layout
from fastconv.plan.graph import Buffer, Graph, Step

_STORAGE = {"bfloat16": np.uint16}  # NumPy has no such numbers: arrays have their bits


class Plan:
    """The calls of one graph.

    Args:
        graph: what the model emitted, fused and differentiated.
        ops: the backend that runs it (`fastconv.ops.protocol.Ops`).
        dtype: what "float" buffers are.

    `bind` gives the buffers memory; then the caller puts a batch into `host_slots`, `send()` copies it into `slots` (on
    the host they are the same arrays), `run()` executes the steps, and `totals` (or `outputs`) hold the result. Slots
    are those of the inputs, of the targets and of the weights of samples, in this order.
    """

    def __init__(self, graph: Graph, ops, dtype=np.float32):
        self.graph, self.ops, self._float = graph, ops, np.dtype(dtype)
        self.steps = [step for step in graph.steps if step.op != "view"]
        for step in self.steps:
            self._add_workspace(step)
        self.layout = Layout(
            self.steps, graph.slots, graph.results, lambda b: self.dtype_of(b).itemsize, ops.memory.alignment
        )
        self.calls: list[Any] = []
        self.slots: list[Any] = []
        self.host_slots: list[np.ndarray] = []
        self.outputs: list[Any] = []
        self.totals: Any = None
        self._last: Sequence[Any] = ()
        self._captured: Any = None

    @property
    def inputs(self) -> list[Any]:
        """The slots of the model's inputs."""
        return self.slots[: len(self.graph.inputs)]

    @property
    def targets(self) -> list[Any]:
        """The slots of labels."""
        return self.slots[len(self.graph.inputs) :][: len(self.graph.targets)]

    def dtype_of(self, buffer: Buffer) -> np.dtype:
        return self._float if buffer.dtype == "float" else np.dtype(_STORAGE.get(buffer.dtype, buffer.dtype))

    def _add_workspace(self, step: Step) -> None:
        if step.op not in TAKES_WORKSPACE:
            return
        shapes = {name: b.shape for side in (step.reads, step.writes) for name, b in side.items()}
        size = self.ops.workspace_bytes(step.op, shapes, step.attrs)
        if size:
            step.writes["workspace"] = Buffer(f"{step.op} workspace", (size // 4,), dtype="float32")
        else:
            step.attrs["workspace"] = None

    def bind(self, arena: Arena, external, last: Sequence[Any] = ()) -> None:
        """Gives every buffer memory: from the arena, or the array that `external(buffer)` returns.

        `run()` then makes the calls of the steps and those of `last`, which `calls` does not list.
        """
        offsets = self.layout.offsets
        arrays: dict[Buffer, Any] = {}

        def array_of(buffer: Buffer):
            if buffer not in arrays:
                if buffer.root in offsets:
                    dtype = self.dtype_of(buffer)
                    offset = offsets[buffer.root] + buffer.start * dtype.itemsize
                    arrays[buffer] = arena.view(offset, buffer.shape, dtype)
                else:
                    arrays[buffer] = external(buffer.root).reshape(buffer.shape)
            return arrays[buffer]

        self.calls = [
            functools.partial(
                getattr(self.ops, step.op),
                **{name: array_of(b) for side in (step.reads, step.writes) for name, b in side.items()},
                **step.attrs,
            )
            for step in self.steps
        ]
        self._last, self._captured = last, None
        self.slots, self.outputs = list(map(array_of, self.graph.slots)), list(map(array_of, self.graph.outputs))
        self.totals = None if self.graph.totals is None else array_of(self.graph.totals)
        self.host_slots = list(map(self.ops.memory.staging, self.slots))

    def send(self) -> None:
        """Copies what is in `host_slots` to where the steps read it."""
        memory = self.ops.memory
        if memory.on_host:
            return
        for slot, values in zip(self.slots, self.host_slots, strict=True):
            memory.upload(slot, values)

    def run(self) -> None:
        """Executes the steps; a device repeats what it captured of them the first time, unless they run Python."""
        if self._captured is None:
            self._captured = self.capture([*self.calls, *self._last])
        self._captured.launch()

    def capture(self, calls: Sequence[Any]) -> Any:
        """What `launch()` of the result repeats: these calls, this plan's among them."""
        if any(step.op in CALLS_PYTHON for step in self.steps):
            return _Uncaptured(self.ops.memory, calls)
        return self.ops.memory.capture(calls)


class _Uncaptured:
    """Calls that are made one by one each time, on a device in the order of its work."""

    __slots__ = ("_calls", "_memory")

    def __init__(self, memory, calls):
        self._memory, self._calls = memory, calls

    def launch(self) -> None:
        with self._memory.at_work():
            for call in self._calls:
                call()
