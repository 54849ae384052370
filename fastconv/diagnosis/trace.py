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


class Finding(NamedTuple):
    """A tensor with values that are not finite; the attributes as of `NonFiniteReport`, `rows` of the batch."""

    tensor: str
    layer: str | None
    name: str
    op: str | None
    values: tuple[int, int]
    rows: np.ndarray | None  # None where it has no axis of samples


class Stage(NamedTuple):
    """A step of the forward pass: the layer, whether it has a kernel or normalizes, the largest value it wrote."""

    layer: str
    kernel: bool
    norm: bool
    largest: float


class Trace:
    """What `trace` saw.

    Attributes:
        finding: the first tensor with a value that is not finite, or None.
        stages: the layers' steps of the forward pass.
        activations, gradients: by layer, the largest absolute values.
        input_max: largest absolute value that the first layer with a kernel reads.
        target_max: likewise of the labels that are no numbers of classes.
    """

    def __init__(self):
        self.finding: Finding | None = None
        self.stages: list[Stage] = []
        self.activations: dict[str, float] = {}
        self.gradients: dict[str, float] = {}
        self.input_max: float | None = None
        self.target_max = 0.0


def trace(executor: Executor, plan: Plan, rate: float) -> Trace:
    """Runs a training step on the batch that is in the slots of `plan`, up to the first value that is not finite.

    The step counts and changes the weights, if it gets so far.
    """
    seen = Trace()
    executor.train_step(plan, lambda: _run(executor, plan, seen), rate)
    return seen


def _run(executor: Executor, plan: Plan, seen: Trace) -> None:
    memory, graph = executor.memory, plan.graph
    seen.finding = _in_slots(plan, memory, seen)
    backward = False
    for step, call in zip(plan.steps, plan.calls, strict=True):
        if seen.finding is not None:
            return
        backward = backward or step.layer is None
        if not backward and seen.input_max is None and _has_kernel(step):
            seen.input_max = _largest(_numbers(step.reads["x"], memory.download(call.keywords["x"])))
        with memory.at_work():
            call()
        largest = 0.0
        for name, buffer in step.writes.items():
            if name == "workspace" or step.op in _COPIES:
                continue
            values = _numbers(buffer, memory.download(call.keywords[name]))
            if values.dtype.kind != "f" or not values.size:
                continue
            if buffer.root is graph.totals:
                values = _of_losses(executor.objective, buffer, values)
            elif buffer.kind != "weight":
                largest = max(largest, _largest(values), key=_rank)
            if seen.finding is None and not np.isfinite(values).all():
                seen.finding = _finding(executor, plan, step, name, values, backward)
        if step.layer is not None:
            by_layer = seen.gradients if backward else seen.activations
            by_layer[step.layer] = max(by_layer.get(step.layer, 0.0), largest, key=_rank) if backward else largest
            if not backward:
                norm = step.op.startswith("batchnorm")
                seen.stages.append(Stage(step.layer, _has_kernel(step), norm, largest))


def _in_slots(plan: Plan, memory: Any, seen: Trace) -> Finding | None:
    """Looks at what was given: inputs, labels, weights of samples."""
    graph = plan.graph
    kinds = [("input", f"input {i}") for i in range(len(graph.inputs))]
    kinds += [("label", f"labels of output {i}") for i in range(len(graph.targets))]
    kinds += [("sample weight", "sample weights")] * (len(graph.slots) - len(kinds))
    for (kind, name), slot in zip(kinds, plan.slots, strict=True):
        values = memory.download(slot)
        if values.dtype.kind != "f":
            continue
        if kind == "label":
            seen.target_max = max(seen.target_max, _largest(values), key=_rank)
        bad = ~np.isfinite(values)
        if bad.any():
            return Finding(kind, None, name, None, (int(bad.sum()), bad.size), _rows(bad))
    return None


def _finding(executor: Executor, plan: Plan, step: Step, argument: str, values, backward: bool) -> Finding:
    buffer, bad = step.writes[argument], ~np.isfinite(values)
    layer, rows, owner = step.layer, None, buffer.root.owner
    batch = plan.graph.slots[0].shape[0]
    if buffer.root is plan.graph.totals:
        tensor, name = "loss", "the loss"
    elif buffer.kind == "state":
        tensor = {"w": "weight", "dw": "gradient"}.get(buffer.name, "optimizer state")
        weight = weight_at(executor, int(bad.argmax()))
        layer, name = weight.layer_name, weight.path
        if tensor == "optimizer state":
            name = f"{buffer.name} of {name}"
    elif buffer.kind == "weight":
        tensor, name = "weight", owner.path
    elif owner is not None:
        tensor, name = "gradient", f"the gradient of {owner.path}"
    else:
        tensor = "gradient" if backward else "activation"
        name = f"the gradient of the input of {layer}" if backward else f"the output of {layer}"
        if layer is None:
            name = "the gradient of the model's output"
        if argument.endswith(_PER_CHANNEL):
            name = f"{argument} in {layer}"
        elif buffer.shape[:1] == (batch,):
            rows = _rows(bad)
    return Finding(tensor, layer, name, step.op, (int(bad.sum()), bad.size), rows)


def weight_at(executor: Executor, place: int) -> Any:
    """The weight that has this place in the flat array of those that learn."""
    return next(weight for weight, begin, end in executor.store.places if begin <= place < end)


def _of_losses(objective: Any, buffer: Buffer, sums: np.ndarray) -> np.ndarray:
    """Those entries of a part of the totals that are of losses, not of metrics."""
    places = [place - buffer.start for place in objective.loss_places]
    return sums[[place for place in places if 0 <= place < sums.size]]


def _has_kernel(step: Step) -> bool:
    w = step.reads.get("w")
    return w is not None and w.root.kind == "weight" and "x" in step.reads


def _numbers(buffer: Buffer, array: np.ndarray) -> np.ndarray:
    """The values, of which NumPy has the bits alone where they are bfloat16."""
    if buffer.dtype == "bfloat16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0.0))


def _rank(value: float) -> float:
    """NaN is the largest of all."""
    return np.inf if np.isnan(value) else value


def _rows(bad: np.ndarray) -> np.ndarray:
    return np.flatnonzero(bad.reshape(len(bad), -1).any(1))
