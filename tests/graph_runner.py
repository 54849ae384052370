"""Runs the steps of a graph one after the other, without a plan."""

from __future__ import annotations

import math

import numpy as np

from fastconv.ops.protocol import TAKES_WORKSPACE
from fastconv.plan.graph import Buffer


def run_graph(graph, ops, values: dict[Buffer, np.ndarray]) -> dict[Buffer, np.ndarray]:
    """What every buffer holds in the end; those of no step and no value start as NaN.

    Args:
        graph: emitted steps.
        ops: a backend on the host.
        values: arrays of the buffers that are given.
    """
    arrays = {buffer: np.array(value) for buffer, value in values.items()}

    def array_of(buffer):
        if buffer not in arrays and buffer.base is not None:
            whole = array_of(buffer.root).reshape(-1)
            arrays[buffer] = whole[buffer.start : buffer.start + math.prod(buffer.shape)].reshape(buffer.shape)
        elif buffer not in arrays:
            dtype = np.float32 if buffer.dtype == "float" else buffer.dtype
            arrays[buffer] = buffer.owner if buffer.kind == "constant" else np.full(buffer.shape, np.nan, dtype)
        return arrays[buffer]

    for step in graph.steps:
        arguments = {name: array_of(b) for side in (step.reads, step.writes) for name, b in side.items()}
        if step.op in TAKES_WORKSPACE:
            size = ops.workspace_bytes(step.op, {name: a.shape for name, a in arguments.items()}, step.attrs)
            arguments["workspace"] = np.empty(size // 4, np.float32) if size else None
        getattr(ops, step.op)(**arguments, **step.attrs)
    return arrays
