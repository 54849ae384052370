"""What a model emits: buffers (sizes without memory) and steps (calls without a backend), in order of execution."""

from __future__ import annotations

from typing import Any


class Buffer:
    """A tensor of a plan, before it has memory.

    kind says who owns the memory: "activation" (the arena, from first write to last read), "input" (the arena, filled
    before the first step), "weight" and "gradient" (the parameter store), "state" (an array that outlives steps:
    learning rate, step number, seeds, optimizer slots).
    dtype "float" is the plan's (float32; float64 in tests of the reference).
    """

    __slots__ = ("base", "dtype", "kind", "name", "owner", "shape")

    def __init__(self, name, shape, kind="activation", dtype="float", base=None, owner=None):
        self.name, self.shape, self.kind, self.dtype = name, tuple(shape), kind, dtype
        self.base: Buffer | None = base  # the buffer whose memory this one shows in another shape
        self.owner = owner  # the layer's weight whose value or gradient this is

    @property
    def root(self) -> Buffer:
        return self if self.base is None else self.base.root

    def __repr__(self):
        return f"Buffer({self.name}, {self.shape}, {self.kind})"


class Step:
    """One call of an op: the buffers it reads and writes by argument name, and its other arguments."""

    __slots__ = ("attrs", "op", "reads", "writes")

    def __init__(self, op: str, reads: dict[str, Buffer], writes: dict[str, Buffer], attrs: dict[str, Any]):
        self.op, self.reads, self.writes, self.attrs = op, reads, writes, attrs

    def buffers(self):
        return [*self.reads.values(), *self.writes.values()]

    def __repr__(self):
        names = lambda side: ", ".join(f"{k}={b.name}" for k, b in side.items())  # noqa: E731
        return f"{self.op}({names(self.reads)}) -> {names(self.writes)}"


class Graph:
    """The steps of one mode ("train", "evaluate" or "predict") at one batch size."""

    def __init__(self, mode: str, input_shape: tuple[int, ...]):
        self.mode = mode
        self.steps: list[Step] = []
        self.x = Buffer("x", input_shape, "input")
        self.labels: Buffer | None = None
        self.y: Buffer | None = None  # what predict returns
        self.totals: Buffer | None = None  # (sum of losses, count of right answers)
        self.loss_gradient: tuple[Buffer, Buffer] | None = None  # (buffer, its gradient) where the backward pass starts
        self._weights: dict[Any, Buffer] = {}
        self._states: dict[str, Buffer] = {}
        self._streams = 0

    @property
    def training(self) -> bool:
        return self.mode == "train"

    def buffer(self, shape, name: str, kind: str = "activation", dtype: str = "float") -> Buffer:
        return Buffer(name, shape, kind, dtype)

    def weight(self, weight) -> Buffer:
        """The buffer of a layer's weight (one per weight, also where layers are shared)."""
        if weight not in self._weights:
            self._weights[weight] = Buffer(weight.path, weight.shape, "weight", owner=weight)
        return self._weights[weight]

    def state(self, name: str, shape=(1,), dtype: str = "float") -> Buffer:
        """The buffer of a value that changes between steps; never a Python number, which binding would freeze."""
        if name not in self._states:
            self._states[name] = Buffer(name, shape, "state", dtype)
        return self._states[name]

    def new_stream(self) -> int:
        """A number for a step that draws random numbers, different from every other such step's."""
        self._streams += 1
        return self._streams - 1

    def emit(self, op: str, writes: dict[str, Buffer], **arguments) -> Step:
        """Appends a step. Arguments that are buffers are read; all others are passed to the op as they are."""
        reads = {k: v for k, v in arguments.items() if isinstance(v, Buffer)}
        attrs = {k: v for k, v in arguments.items() if k not in reads}
        step = Step(op, reads, {k: b for k, b in writes.items() if b is not None}, attrs)
        attrs.update({k: None for k, b in writes.items() if b is None})
        self.steps.append(step)
        return step

    def view(self, x: Buffer, shape, name: str) -> Buffer:
        """`x` in another shape with the same memory. The step exists for the gradient; it calls nothing."""
        y = Buffer(name, shape, x.kind, x.dtype, base=x)
        self.steps.append(Step("view", {"x": x}, {"y": y}, {}))
        return y

    @property
    def outputs(self) -> list[Buffer]:
        """Buffers that are read after the last step."""
        return [b for b in (self.y, self.totals) if b is not None]

    def producer(self, buffer: Buffer) -> Step | None:
        return next((step for step in self.steps if buffer in step.writes.values()), None)

    def prune(self) -> None:
        """Drops steps whose results nobody reads (a softmax whose loss went back to the logits)."""
        needed = {*self.outputs, *(self.loss_gradient or ())}
        kept = []
        for step in reversed(self.steps):
            if any(b in needed or b.kind != "activation" for b in step.writes.values()):
                needed.update(step.reads.values())
                kept.append(step)
        self.steps = kept[::-1]
