"""Rewrites of the forward steps into fewer, larger ones, before the graph is differentiated.

Each fusion is a function with a name and a parity test against `fuse=()`; its gradient is that of the fused op.
"""

from __future__ import annotations

from collections import Counter

from fastconv.plan.graph import Graph


def bn_act(graph: Graph) -> None:
    """Batch normalization and the LeakyReLU or ReLU that alone reads it: one pass over the activations less in each
    direction, and the normalized tensor is never stored (the backward pass finds the sign from BN's input)."""
    uses = Counter(b for step in graph.steps for b in step.reads.values())
    producers = {b: step for step in graph.steps for b in step.writes.values()}
    kept = []
    for step in graph.steps:
        source = producers.get(step.reads.get("x"))
        if (
            step.op == "leaky_relu_forward"
            and source is not None
            and source.op in ("batchnorm_forward", "batchnorm_inference")
            and source.attrs["slope"] == 1.0
            and uses[step.reads["x"]] == 1
        ):
            source.writes["y"] = step.writes["y"]
            source.attrs["slope"] = step.attrs["slope"]
        else:
            kept.append(step)
    graph.steps = kept


FUSIONS = {"bn_act": bn_act}
ALL = tuple(FUSIONS)


def fuse(graph: Graph, names: tuple[str, ...] = ALL) -> None:
    """Applies the named fusions in order; `()` applies none."""
    for name in names:
        FUSIONS[name](graph)
