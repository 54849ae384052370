"""One training step, call by call: the largest values of each tensor, and the first that is not finite."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastconv.plan.executor import Executor
from fastconv.plan.graph import Buffer, Step
from fastconv.plan.plan import Plan

_PER_CHANNEL = ("mean", "rstd", "coefficients")  # arguments, or ends of their names, that have no axis of samples
# It moves values, and writes a part of a buffer whose rest may hold anything until the next such step.
_COPIES = ("copy_columns",)
# A sample has a part in a value that is not its own if its largest number is at least this share of the batch's.
_PART = 1e-3


class Finding(NamedTuple):
    """A tensor with values that are not finite; the attributes as of `NonFiniteReport`."""

    tensor: str
    layer: str | None
    name: str
    op: str | None
    values: tuple[int, int]
    samples: np.ndarray


class Stage(NamedTuple):
    """A step of the forward pass: the layer, whether it has a kernel or normalizes, the largest value it wrote."""

    layer: str
    kernel: bool
    norm: bool
    largest: float


class Peak(NamedTuple):
    """The largest absolute value of something given, and its sample; `outlier` if it has most others by far."""

    value: float
    sample: int
    outlier: bool


class Trace:
    """A training step, call by call.

    Args:
        executor: that trains.
        plan: with the batch in its slots.
        samples: their numbers.

    Attributes:
        finding: the first tensor with a value that is not finite, or None.
        stages: the layers' steps of the forward pass.
        activations, gradients: by layer, the largest absolute values.
        input, target: of what the first layer with a kernel reads, and of labels that are no numbers of classes.
        sums_of_zero: how many samples have predictions that add up to 0, by which a cross-entropy divides them.
    """

    def __init__(self, executor: Executor, plan: Plan, samples: np.ndarray):
        self._executor, self._memory, self._plan, self._samples = executor, executor.memory, plan, samples
        self._backward = False  # or behind it: after the first step that is no layer's, a loss
        self.finding: Finding | None = None
        self.stages: list[Stage] = []
        self.activations: dict[str, float] = {}
        self.gradients: dict[str, float] = {}
        self.input: Peak | None = None
        self.target: Peak | None = None
        self.sums_of_zero = 0

    def run(self, rate: float) -> Trace:
        """Takes the step, which counts, up to the first value that is not finite."""
        self._executor.train_step(self._plan, self._run, rate)
        return self

    def _run(self) -> None:
        self._look_at_slots()
        for step, call in zip(self._plan.steps, self._plan.calls, strict=True):
            if self.finding is not None:
                return
            self._backward = self._backward or step.layer is None
            if self.input is None and not self._backward and "w" in step.reads:
                name = "x" if "x" in step.reads else "dy"  # of a transposed convolution
                self.input = self._peak(self._values(call, name, step.reads[name]))
            with self._memory.at_work():
                call()
            self._look_at(step, call)

    def _look_at_slots(self) -> None:
        """Inputs, labels, weights of samples."""
        graph = self._plan.graph
        kinds = [("input", f"input {i}") for i in range(len(graph.inputs))]
        kinds += [("label", f"the labels of output {i}") for i in range(len(graph.targets))]
        kinds += [("sample weight", "the sample weights")] * (len(graph.slots) - len(kinds))
        for (tensor, name), slot in zip(kinds, self._plan.slots, strict=True):
            values = self._memory.download(slot)
            if values.dtype.kind != "f":
                continue
            peak = self._peak(values) if tensor == "label" else None
            if peak is not None and (self.target is None or peak.value > self.target.value):
                self.target = peak
            bad = ~np.isfinite(values)
            if bad.any() and self.finding is None:
                self.finding = Finding(tensor, None, name, None, _count(bad), self._samples[_rows(bad)])

    def _look_at(self, step: Step, call: Any) -> None:
        largest = 0.0
        for name, buffer in step.writes.items():
            if name == "workspace" or step.op in _COPIES:
                continue
            values = self._values(call, name, buffer)
            if values.dtype.kind != "f" or not values.size:
                continue
            if buffer.root is self._plan.graph.totals:
                values = self._of_losses(buffer, values)
            elif buffer.kind != "weight":
                largest = max(largest, _largest(values), key=_rank)
            if self.finding is None and not np.isfinite(values).all():
                self.finding = self._found(step, call, name, ~np.isfinite(values))
        if step.layer is None:
            return
        if self._backward:
            self.gradients[step.layer] = max(self.gradients.get(step.layer, 0.0), largest, key=_rank)
        else:
            self.activations[step.layer] = largest
            self.stages.append(Stage(step.layer, "w" in step.reads, step.op.startswith("batchnorm"), largest))

    def _found(self, step: Step, call: Any, argument: str, bad: np.ndarray) -> Finding:
        buffer, layer = step.writes[argument], step.layer
        owner = buffer.root.owner
        if buffer.root is self._plan.graph.totals:
            tensor, name = "loss", "the loss"
        elif buffer.kind == "state":
            tensor = {"w": "weight", "dw": "gradient"}.get(buffer.name, "optimizer state")
            weight, bad = weight_at(self._executor, bad)
            layer, name = weight.layer_name, weight.path
            if tensor != "weight":
                name = f"{'the gradient' if tensor == 'gradient' else buffer.name} of {name}"
        elif buffer.kind == "weight":
            tensor, name = "moving statistic", owner.path
        elif owner is not None:
            tensor, name = "gradient", f"the gradient of {owner.path}"
        elif argument.endswith(_PER_CHANNEL):
            tensor, name = "gradient" if self._backward else "activation", f"{argument} in {layer}"
        elif self._backward:
            tensor, name = "gradient", f"the gradient of the {f'input of {layer}' if layer else 'output of the model'}"
        else:
            tensor, name = "activation", f"the output of {layer}"
        own = tensor in ("activation", "gradient") and owner is None and self._by_sample(argument, buffer)
        if own:
            rows = _rows(bad)
        elif step.op == "categorical_crossentropy" and len(rows := self._rows_of_zero(step, call)):
            self.sums_of_zero = len(rows)
        else:
            rows = self._rows_with_part(step, call)
        return Finding(tensor, layer, name, step.op, _count(bad), self._samples[rows])

    def _rows_with_part(self, step: Step, call: Any) -> np.ndarray:
        """The samples that may have made a value which comes from all of the batch: where numbers that the step reads
        of them, or the products of these, are not small beside others'."""
        parts = [
            np.abs(self._values(call, name, buffer).reshape(len(self._samples), -1).astype(np.float64)).max(1)
            for name, buffer in step.reads.items()
            if self._by_sample(name, buffer) and call.keywords[name].dtype.kind in "fu"
        ]
        combined = np.ones(len(self._samples))
        for part in parts:
            combined = np.maximum(combined, part) if step.op == "loss" else combined * part
        return np.flatnonzero(combined >= _PART * combined.max())

    def _rows_of_zero(self, step: Step, call: Any) -> np.ndarray:
        """The samples with predictions of which some add up to 0."""
        sums = self._values(call, "x", step.reads["x"]).sum(-1, dtype=np.float64)
        return _rows(sums.reshape(len(self._samples), -1) == 0)

    def _by_sample(self, argument: str, buffer: Buffer) -> bool:
        """Whether a tensor has an axis of samples."""
        return (
            buffer.shape[:1] == (len(self._samples),)
            and buffer.root.kind in ("activation", "input")
            and not argument.endswith(_PER_CHANNEL)
        )

    def _values(self, call: Any, argument: str, buffer: Buffer) -> np.ndarray:
        """An argument of a call as an array of the host; NumPy has only the bits of bfloat16."""
        array = self._memory.download(call.keywords[argument])
        if buffer.dtype == "bfloat16":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array

    def _of_losses(self, buffer: Buffer, sums: np.ndarray) -> np.ndarray:
        """Those entries of a part of the totals that are of losses, not of metrics."""
        places = [place - buffer.start for place in self._executor.objective.loss_places]
        return sums[[place for place in places if 0 <= place < sums.size]]

    def _peak(self, values: np.ndarray) -> Peak:
        rows = np.abs(values.reshape(len(values), -1)).max(1).astype(np.float64)
        row = int(rows.argmax())
        outlier = len(rows) > 1 and bool(np.median(rows) < _PART * rows[row])
        whole = len(rows) == len(self._samples)  # not cut into phases of a dilation
        return Peak(float(rows[row]), int(self._samples[row]) if whole else -1, outlier and whole)


def weight_at(executor: Executor, bad: np.ndarray) -> tuple[Any, np.ndarray]:
    """The first weight that has something bad in a flat array of those that learn, and what is bad of it."""
    places = executor.store.places
    return next((weight, bad[begin:end]) for weight, begin, end in places if bad[begin:end].any())


def _count(bad: np.ndarray) -> tuple[int, int]:
    return int(bad.sum()), bad.size


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0.0))


def _rank(value: float) -> float:
    """NaN is the largest of all."""
    return np.inf if np.isnan(value) else value


def _rows(bad: np.ndarray) -> np.ndarray:
    return np.flatnonzero(bad.reshape(len(bad), -1).any(1))
