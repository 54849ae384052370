"""What a model emits: buffers (sizes without memory) and steps (calls without a backend), in order of execution."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


class Buffer:
    """A tensor of a plan, before it has memory.

    kind says who owns the memory: "activation" (the arena, from first write to last read), "input" (the arena, filled
    before the first step), "weight" and "gradient" (the parameter store), "state" (an array that outlives steps:
    learning rate, step number, seeds, optimizer slots), "constant" (an array that never changes, its owner).
    dtype "float" is the plan's (float32; float64 in tests of the reference), "bfloat16" half a float32 (precision.py).
    """

    __slots__ = ("base", "dtype", "kind", "name", "owner", "shape", "start")

    def __init__(self, name, shape, kind="activation", dtype="float", base=None, owner=None, start=0):
        self.name, self.shape, self.kind, self.dtype = name, tuple(shape), kind, dtype
        self.base: Buffer | None = base  # the buffer whose memory this one shows in another shape, or a part of
        self.start = start  # the element of the root's memory that is the first here
        self.owner = owner  # the layer's weight whose value or gradient this is; the values of a constant

    @property
    def root(self) -> Buffer:
        return self if self.base is None else self.base.root

    def __repr__(self):
        return f"Buffer({self.name}, {self.shape}, {self.kind})"


class Step:
    """One call of an op: the buffers it reads and writes by argument name, and its other arguments.

    `layer` is the name of the layer whose forward or backward pass it is; None of losses, metrics and the optimizer. A
    fused step has that of the step that it grew from.
    """

    __slots__ = ("attrs", "layer", "op", "reads", "writes")

    def __init__(
        self,
        op: str,
        reads: dict[str, Buffer],
        writes: dict[str, Buffer],
        attrs: dict[str, Any],
        layer: str | None = None,
    ):
        self.op, self.reads, self.writes, self.attrs, self.layer = op, reads, writes, attrs, layer

    def buffers(self):
        return [*self.reads.values(), *self.writes.values()]

    def __repr__(self):
        names = lambda side: ", ".join(f"{k}={b.name}" for k, b in side.items())  # noqa: E731
        return f"{self.op}({names(self.reads)}) -> {names(self.writes)}"


class Graph:
    """The steps of one mode ("train", "evaluate" or "predict") at one batch size.

    Args:
        mode: its name.
        input_shapes: of the model's inputs, batch included.
        frozen: weights that do not learn now, and those of the layers that have them.

    Attributes:
        inputs: a buffer for each of the model's inputs.
        targets: what losses and metrics compare outputs with, in the order of the outputs that have any.
        sample_weights: a buffer (batch,) for each of these outputs, None where its samples weigh the same.
        totals: the batch's sums of all losses and metrics; the steps write parts of it (`sums`).
        outputs: what predict returns.
        layer: the name of the layer that emits now, or whose steps are differentiated; None outside of layers.
        loss_gradients: pairs (buffer, its gradient) where the backward pass starts.
        fusions: what each fusion that found something to do did (`fastconv.plan.fuse.Applied`).
    """

    def __init__(self, mode: str, input_shapes: list[tuple[int, ...]], frozen: frozenset = frozenset()):
        self.mode, self.frozen = mode, frozen
        self.steps: list[Step] = []
        names = ["x"] if len(input_shapes) == 1 else [f"x{i}" for i in range(len(input_shapes))]
        self.inputs = [Buffer(name, shape, "input") for name, shape in zip(names, input_shapes, strict=True)]
        self.targets: list[Buffer] = []
        self.sample_weights: list[Buffer | None] = []
        self.totals: Buffer | None = None
        self.outputs: list[Buffer] = []
        self.layer: str | None = None
        self.loss_gradients: list[tuple[Buffer, Buffer]] = []
        self.fusions: list[Any] = []
        self._weights: dict[Any, Buffer] = {}
        self._states: dict[str, Buffer] = {}
        self._streams = 0
        self._inferring = False

    @property
    def training(self) -> bool:
        """Whether there is a backward pass."""
        return self.mode == "train"

    @property
    def layers_train(self) -> bool:
        """Whether the layer that emits now does what it does in training alone."""
        return self.training and not self._inferring

    @contextlib.contextmanager
    def inferring(self, wanted: bool) -> Iterator[None]:
        """A context in which layers do what they do in prediction, if `wanted`; else, as outside of it."""
        before, self._inferring = self._inferring, self._inferring or wanted
        yield
        self._inferring = before

    def buffer(self, shape, name: str, kind: str = "activation", dtype: str = "float") -> Buffer:
        return Buffer(name, shape, kind, dtype)

    def weight(self, weight) -> Buffer:
        """The buffer of a layer's weight (one per weight, also where layers are shared)."""
        if weight not in self._weights:
            self._weights[weight] = Buffer(weight.path, weight.shape, "weight", owner=weight)
        return self._weights[weight]

    @property
    def weights(self) -> list[Any]:
        """The layers' weights that the steps so far use."""
        return list(self._weights)

    def state(self, name: str, shape=(1,), dtype: str = "float") -> Buffer:
        """The buffer of a value that changes between steps; never a Python number, which binding would freeze."""
        if name not in self._states:
            self._states[name] = Buffer(name, shape, "state", dtype)
        return self._states[name]

    def target(self, shape, dtype: str, weighted: bool) -> tuple[Buffer, Buffer | None]:
        """The slots of one more output's labels and of the weights of its samples, if they have any."""
        place = len(self.targets)
        self.targets.append(Buffer(f"target {place}", shape, "input", dtype))
        self.sample_weights.append(Buffer(f"weights {place}", shape[:1], "input") if weighted else None)
        return self.targets[-1], self.sample_weights[-1]

    @property
    def slots(self) -> list[Buffer]:
        """What is filled before the first step: inputs, targets and the weights of samples."""
        return [*self.inputs, *self.targets, *(b for b in self.sample_weights if b is not None)]

    def sums(self, at: int, count: int) -> Buffer:
        """The part of `totals` from entry `at` on: what a step that takes sums writes."""
        return Buffer(f"totals {at}", (count,), self.totals.kind, self.totals.dtype, base=self.totals, start=at)

    def add_loss_gradient(self, buffer: Buffer, dx: Buffer) -> None:
        """Lets the backward pass start at `buffer` with the gradient `dx`, added to others of it."""
        self.loss_gradients.append((buffer, dx))

    def constant(self, name: str, values) -> Buffer:
        """The buffer of an array of the host that no step writes."""
        return Buffer(name, values.shape, "constant", str(values.dtype), owner=values)

    def new_stream(self) -> int:
        """A number for a step that draws random numbers, different from every other such step's."""
        self._streams += 1
        return self._streams - 1

    def emit(self, op: str, writes: dict[str, Buffer], **arguments) -> Step:
        """Appends a step. Arguments that are buffers are read; all others are passed to the op as they are."""
        reads = {k: v for k, v in arguments.items() if isinstance(v, Buffer)}
        attrs = {k: v for k, v in arguments.items() if k not in reads}
        step = Step(op, reads, {k: b for k, b in writes.items() if b is not None}, attrs, self.layer)
        attrs.update({k: None for k, b in writes.items() if b is None})
        self.steps.append(step)
        return step

    def view(self, x: Buffer, shape, name: str) -> Buffer:
        """`x` in another shape with the same memory. The step exists for the gradient; it calls nothing."""
        y = Buffer(name, shape, x.kind, x.dtype, base=x, start=x.start)
        self.steps.append(Step("view", {"x": x}, {"y": y}, {}, self.layer))
        return y

    @property
    def results(self) -> list[Buffer]:
        """Buffers that are read after the last step."""
        return self.outputs if self.totals is None else [*self.outputs, self.totals]

    def producer(self, buffer: Buffer) -> Step | None:
        return next((step for step in self.steps if buffer in step.writes.values()), None)

    def prune(self) -> None:
        """Drops steps whose results nobody reads (a softmax whose loss went back to the logits)."""
        needed = {*self.results, *(buffer for pair in self.loss_gradients for buffer in pair)}
        kept = []
        for step in reversed(self.steps):
            if any(b in needed or b.kind != "activation" or b.root is self.totals for b in step.writes.values()):
                needed.update(step.reads.values())
                kept.append(step)
        self.steps = kept[::-1]
