"""How often a plan reads and writes its activations: what its fusions save, counted and not measured."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from fastconv.plan.graph import Buffer, Step
from fastconv.plan.plan import Plan

_COUNTED = ("activation", "input")
# Arguments of these kinds that hold a few numbers a channel, a sum, or scratch memory that stays in cache.
_NOT_COUNTED = ("mean", "rstd", "coefficients", "totals", "workspace")


class Row(NamedTuple):
    """What one step moves: its op, the names of the buffers that count, bytes."""

    op: str
    buffers: tuple[str, ...]
    read: int
    written: int


def traffic(plan: Plan) -> list[Row]:
    """What each step of a plan reads and writes of activations, their gradients, images and labels.

    Weights, their gradients, the state of training, numbers per channel and workspaces are left out. A buffer counts
    once a step, also where views show it twice. It is read again by batch normalization, after the sums over it, and
    by a convolution's backward pass on a GPU where two kernels make the two gradients. What neighbouring blocks of one
    kernel have in common, rows where windows overlap or a tile that each multiplies with other channels, counts once.

    >>> print(*traffic(executor.plan("train", 32)), sep="\\n")
    Row(op='conv2d_fprop', buffers=('x', 'conv2d'), read=393216, written=4194304)
    ...
    """
    rows = []
    for step in plan.steps:
        reads, writes = _counted(step.reads), _counted(step.writes)
        passes = _passes(step, plan.ops)
        names = tuple(dict.fromkeys(b.name for b in (*reads, *writes)))
        rows.append(Row(step.op, names, passes * _bytes(plan, reads), _bytes(plan, writes)))
    return rows


def step_bytes(plan: Plan, step: Step) -> tuple[int, int]:
    """What one step of a plan reads and writes in bytes, of all its arrays but workspaces: with the weights, and with
    the state of training, which optimizers read and write in place.

    >>> step_bytes(plan, plan.steps[-1])  # adam_update: reads dw, w, m, v; writes w, m, v
    """
    reads, writes = (
        {(b.root, b.start): b for n, b in side.items() if n != "workspace"} for side in (step.reads, step.writes)
    )
    in_place = {place: b for place, b in writes.items() if b.kind == "state"}
    return _passes(step, plan.ops) * _bytes(plan, (reads | in_place).values()), _bytes(plan, writes.values())


def memory_passes(plan: Plan) -> float:
    """The bytes that `traffic` counts, in passes over the outputs of all convolutions and dense layers.

    >>> memory_passes(executor.plan("train", 32))
    4.794374...
    """
    outputs = [step.writes["y"] for step in plan.steps if step.op == "conv2d_fprop"]
    return sum(row.read + row.written for row in traffic(plan)) / _bytes(plan, outputs)


def _counted(arguments: dict[str, Buffer]) -> list[Buffer]:
    """The buffers among a step's arguments that count, each once."""
    return list(
        dict.fromkeys(
            b.root
            for name, b in arguments.items()
            if b.kind in _COUNTED and b.owner is None and not name.endswith(_NOT_COUNTED)
        )
    )


def _passes(step: Step, ops) -> int:
    """How often a step reads its inputs."""
    if step.op == "conv2d_backward":
        return ops.conv2d_backward_reads(step.attrs["geometry"], step.reads["x"].dtype) if "dx" in step.writes else 1
    sums_first = step.op == "batchnorm_forward" or (step.op == "batchnorm_backward" and "dx" in step.writes)
    return 2 if sums_first else 1


def _bytes(plan: Plan, buffers: Iterable[Buffer]) -> int:
    return sum(math.prod(b.shape) * plan.dtype_of(b).itemsize for b in buffers)
