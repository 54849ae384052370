"""What `profile` and `explain_plan` both say of a plan's steps: whose they are, which pass, how much they compute."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from fastconv import config
from fastconv.plan.executor import Executor
from fastconv.plan.graph import Step
from fastconv.plan.plan import Plan

MODES = ("train", "evaluate", "predict")
LOSS, OPTIMIZER = "(loss, metrics)", "(optimizer)"  # in place of a layer

_CONVOLUTIONS = ("fprop", "dgrad", "wgrad", "backward")


def executor_of_copy(model: Any) -> tuple[Any, Executor]:
    """A copy of a built model and its executor: whatever these do, the model, its training and the random generator
    stay as they are. The executor needs the copy as long as it makes plans."""
    before, twin = model._executor, copy.deepcopy(model)
    state = model._saved_state if before is None else before.state()
    if state is None:  # of an executor that draws its seed, which would be one number less for the model
        state = {"step": np.zeros(1, np.int64), "seed": np.zeros(1, np.int64)}
    twin.restore_training_state(state)
    return twin, twin._ready()


def phases(plan: Plan) -> list[str]:
    """Of each step: "forward" (with losses, metrics and all that does not train), "backward" or "update"."""
    if not plan.graph.training:
        return ["forward"] * len(plan.steps)
    of_parameters = lambda b: b.kind == "state" and b.name in ("w", "dw")  # noqa: E731
    update = next((i for i, step in enumerate(plan.steps) if any(map(of_parameters, step.buffers()))), len(plan.steps))
    targets = set(plan.graph.targets)
    losses = [i for i, step in enumerate(plan.steps[:update]) if targets & {b.root for b in step.reads.values()}]
    backward = losses[-1] + 1 if losses else update
    return [_phase(i, backward, update) for i in range(len(plan.steps))]


def _phase(step: int, backward: int, update: int) -> str:
    return "update" if step >= update else "backward" if step >= backward else "forward"


def fused_layers(plan: Plan) -> list[str]:
    """The layers that have no step left, as others do their work, in the order of computation."""
    left = {step.layer for step in plan.steps}
    taken = (taken.giver.layer for applied in plan.graph.fusions for of in applied.taken.values() for taken in of)
    return [layer for layer in dict.fromkeys(taken) if layer not in left]


def layer_of(step: Step, phase: str) -> str:
    return step.layer or (OPTIMIZER if phase == "update" else LOSS)


def multiplications(step: Step) -> int:
    """Products of a convolution or dense layer as the direct algorithm makes them, those with padding zeros included; 0
    of all other steps."""
    geometry = step.attrs.get("geometry")
    name, _, which = step.op.rpartition("conv2d_")
    if geometry is None or which not in _CONVOLUTIONS:
        return 0
    if name == "depthwise_":
        return geometry.multiplications // geometry.c
    if name == "grouped_":
        return geometry.multiplications * step.reads["dy" if "dy" in step.reads else "x"].shape[0]
    passes = 2 if which == "backward" and "w" in step.reads else 1
    source = step.attrs.get("x_geometry")  # of the convolution before it, whose weights' gradient it makes, too
    return passes * geometry.multiplications + (source.multiplications if source else 0)


def algorithm(step: Step, ops: Any) -> str:
    """How a convolution is computed: "direct" or "winograd" on the CPU; empty for all other steps."""
    if not multiplications(step):
        return ""
    if ops.name == "cuda":
        return f"implicit GEMM, {config.float32_matmul_precision()}"
    if ops.name != "cpu" or step.op.startswith("depthwise"):
        return "direct"
    return "winograd" if _uses_winograd(step.attrs["geometry"], ops) else "direct"


def _uses_winograd(geometry: Any, ops: Any) -> bool:
    """The rule of csrc/conv2d/winograd.cpp, asked through what follows from it: transformed weights need memory."""
    if config.conv_algorithm() == "direct" or (geometry.r, geometry.s) != (3, 3):
        return False
    size = lambda: ops.workspace_bytes("conv2d_fprop", {}, {"geometry": geometry})  # noqa: E731
    chosen = size()
    config.set_conv_algorithm("direct")
    try:
        return chosen != size()
    finally:
        config.set_conv_algorithm("auto")


def kernel(ops: Any, step: Step | None = None) -> str:
    """What executes a step: the CPU's instruction set, else the name of the backend; "python" of a user's layer."""
    if step is not None and step.op.startswith("user_"):
        return "python"
    return config.isa() if ops.name == "cpu" else ops.name
