"""Rewrites of a plan's steps into fewer, larger ones that touch memory less often.

Each fusion is a function with a name, a gain (step of the network "cnn", 2 cores of EPYC Zen 5, AVX-512, 2026-11-23, in
docs/performance.md) and a parity test against `fuse=()`. Those in FORWARD rewrite what the model emitted, before it is
differentiated: the gradient is that of the fused op. Those in WHOLE see forward and backward steps together, since they
join steps of one layer to steps of its neighbours.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from fastconv.plan.graph import Buffer, Graph, Step

NORM = ("mean", "rstd", "gamma", "beta")  # the arrays of a batch normalization, without its input


class _Uses:
    """Who writes and who reads each buffer."""

    def __init__(self, graph: Graph):
        self.writer: dict[Buffer, Step] = {}
        self.readers: dict[Buffer, list[Step]] = {}
        for step in graph.steps:
            for buffer in step.writes.values():
                self.writer[buffer] = step
            for buffer in dict.fromkeys(step.reads.values()):
                self.readers.setdefault(buffer, []).append(step)

    def read_only_as(self, name: str, buffer: Buffer, ops: tuple[str, ...]) -> list[Step]:
        """The readers of `buffer` if all are of `ops` and read it as `name` alone; else none."""
        readers = self.readers.get(buffer, [])
        alone = all(s.op in ops and [k for k, b in s.reads.items() if b is buffer] == [name] for s in readers)
        return readers if alone else []


def _is_dense(step: Step) -> bool:
    """Dense layers are convolutions of one row of pixels; their rows are images of the batch."""
    geometry = step.attrs["geometry"]
    return geometry.n == geometry.h == geometry.r == 1


def _norm(step: Step, prefix: str) -> dict[str, Buffer]:
    """The arrays of the batch normalization `step` as arguments of a convolution, `prefix` before their names."""
    return {f"{prefix}_{name}": b for name in NORM if (b := {**step.reads, **step.writes}.get(name)) is not None}


def bn_act(graph: Graph, ops) -> None:
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
            and source.op in (("batchnorm_forward",) if graph.training else ("batchnorm_inference",))
            and source.attrs["slope"] == 1.0
            and uses[step.reads["x"]] == 1
            and step.reads["x"] not in graph.results
        ):
            source.writes["y"] = step.writes["y"]
            source.attrs["slope"] = step.attrs["slope"]
        else:
            kept.append(step)
    graph.steps = kept


def conv_statistics(graph: Graph, ops) -> None:
    """The statistics of a batch normalization are taken by the convolution before it, block by block in cache: one
    read of its output less."""
    writer = _Uses(graph).writer
    for step in graph.steps:
        conv = writer.get(step.reads.get("x"))
        if step.op != "batchnorm_forward" or conv is None or conv.op != "conv2d_fprop" or _is_dense(conv):
            continue
        if "mean" in conv.writes:
            continue
        for name in ("mean", "rstd"):
            conv.writes[name] = step.reads[name] = step.writes.pop(name)
        for name in ("moving_mean", "moving_variance"):
            conv.writes[name] = step.writes.pop(name)
        for name in ("momentum", "epsilon"):
            conv.attrs[name] = step.attrs.pop(name)
        step.op = "batchnorm_apply"


def bn_on_load(graph: Graph, ops) -> None:
    """A batch normalization and its activation that only convolutions read is applied as they load their input: its
    output is never stored, one write and, in backward, no read more."""
    uses, gone = _Uses(graph), set()
    for step in graph.steps:
        if step.op != "batchnorm_apply" or step.writes["y"] in graph.results:
            continue
        readers = uses.read_only_as("x", step.writes["y"], ("conv2d_fprop", "conv2d_wgrad"))
        if not readers or any(map(_is_dense, readers)):
            continue
        for reader in readers:
            reader.reads.update(_norm(step, "x"), x=step.reads["x"])
            reader.attrs["x_slope"] = step.attrs["slope"]
        gone.add(step)
    graph.steps = [step for step in graph.steps if step not in gone]


def conv_backward(graph: Graph, ops) -> None:
    """Both gradients of a convolution image by image, while the image and its gradient are in cache: one read less."""
    uses, gone = _Uses(graph), set()
    for step in graph.steps:
        if step.op != "conv2d_wgrad" or _is_dense(step) or not ops.conv2d_backward_fits(step.attrs["geometry"]):
            continue
        readers = uses.readers[step.reads["dy"]]
        later = readers[readers.index(step) + 1 :]  # before it is only what a transposed convolution computes of dy
        twin = next((s for s in later if s.op == "conv2d_dgrad"), None)
        step.op = "conv2d_backward"
        if twin is None:
            step.attrs.update(w=None, dx=None)
        else:
            step.reads["w"], step.writes["dx"] = twin.reads["w"], twin.writes["dx"]
            gone.add(twin)
    graph.steps = [step for step in graph.steps if step not in gone]


def bn_gradient_on_load(graph: Graph, ops) -> None:
    """The gradient of a batch normalization's input is made as the convolution before it loads it: one write and one
    read less."""
    uses = _Uses(graph)
    for step in graph.steps:
        if step.op != "batchnorm_backward" or "dx" not in step.writes:
            continue
        readers = uses.read_only_as("dy", step.writes["dx"], ("conv2d_backward",))
        if len(readers) != 1:
            continue
        conv = readers[0]
        conv.reads.update(_norm(step, "y"), y=step.reads["x"], dy=step.reads["dy"])
        conv.reads["y_coefficients"] = step.writes["coefficients"]
        conv.attrs["y_slope"] = step.attrs["slope"]
        del step.writes["dx"]
        step.attrs["dx"] = None


def bn_sums_in_dgrad(graph: Graph, ops) -> None:
    """What is left of a batch normalization's backward pass, two sums a channel, is taken by the convolution after it
    as it writes their gradient: two reads less."""
    writer, gone = _Uses(graph).writer, set()
    for step in graph.steps:
        if step.op != "batchnorm_backward" or "dx" in step.writes:
            continue
        conv = writer.get(step.reads["dy"])
        if conv is None or conv.op != "conv2d_backward" or conv.reads.get("x_mean") is not step.reads["mean"]:
            continue
        conv.writes.update({f"x_{name}": buffer for name, buffer in step.writes.items()})
        gone.add(step)
    graph.steps = [step for step in graph.steps if step not in gone]


def dead_bias(graph: Graph, ops) -> None:
    """A bias before a batch normalization has no effect and its gradient is 0 but for rounding: it is not computed,
    and stays the 0 that the gradient's memory was filled with."""
    uses, gone = _Uses(graph), set()
    for step in graph.steps:
        summed = step.op == "sum_forward" and step.attrs["extents"][:2] == (1, 1)  # a step of its own
        if not summed and "db" not in step.writes:
            continue
        dy, db = (step.reads["x"], step.writes["y"]) if summed else (step.reads["dy"], step.writes["db"])
        source = uses.writer.get(dy)
        centred = "y_mean" in step.reads or (source is not None and source.op == "batchnorm_backward")
        alone = uses.writer[db] is step and db not in uses.readers
        if not (centred and alone and db.kind == "gradient" and db.owner.regularizer is None):
            continue
        if summed:
            gone.add(step)
        else:
            del step.writes["db"]
            step.attrs["db"] = None
    graph.steps = [step for step in graph.steps if step not in gone]


def first_wgrad_in_dgrad(graph: Graph, ops) -> None:
    """The weight gradient of the first convolution is summed in the backward pass of the one after it, image by image
    while the gradient of its output is in cache. That gradient, often of the largest tensor, is never stored: one write
    and two reads less."""
    uses, gone = _Uses(graph), set()
    for step in graph.steps:
        if step.op != "conv2d_backward" or {"dx", "db"} & step.writes.keys() or "y_coefficients" not in step.reads:
            continue
        first, conv = uses.writer.get(step.reads["y"]), uses.writer.get(step.reads["dy"])
        if first is None or first.op != "conv2d_fprop" or "x_mean" in first.reads:
            continue
        if conv is None or conv.writes.get("x_coefficients") is not step.reads["y_coefficients"]:
            continue
        geometry = step.attrs["geometry"]
        if uses.readers[step.reads["dy"]] != [step] or not ops.conv2d_backward_fits(conv.attrs["geometry"], geometry):
            continue
        conv.reads.update(x_input=first.reads["x"], x_w=first.reads["w"])
        conv.writes["x_dw"] = step.writes["dw"]
        conv.attrs.update(x_geometry=geometry, dx=None)
        del conv.writes["dx"]
        gone.add(step)
    graph.steps = [step for step in graph.steps if step not in gone]


FORWARD = {"bn_act": bn_act}
WHOLE = {
    f.__name__: f
    for f in (
        conv_statistics,
        bn_on_load,
        conv_backward,
        bn_gradient_on_load,
        bn_sums_in_dgrad,
        dead_bias,
        first_wgrad_in_dgrad,
    )
}
ALL = (*FORWARD, *WHOLE)


class Taken(NamedTuple):
    """Work that a step took over: all of `giver`, which is gone, or a part of it; `op` is what that was before."""

    giver: Step
    op: str
    whole: bool


class Applied(NamedTuple):
    """What a fusion did to a graph: how many steps it changed or removed, and what which step took over of others."""

    fusion: str
    touched: int
    taken: dict[Step, list[Taken]]


def fuse(graph: Graph, fusions: dict, names: tuple[str, ...], ops) -> None:
    """Applies those of `fusions` that `names` holds, in their order, and notes in `graph.fusions` what they did."""
    for name, fusion in fusions.items():
        if name in names:
            before = [(step, step.op, set(step.writes.values()), {*step.reads.values()}) for step in graph.steps]
            fusion(graph, ops)
            applied = _applied(name, before, graph.steps)
            if applied.touched:
                graph.fusions.append(applied)


def _applied(name: str, before: list[tuple[Step, str, set[Buffer], set[Buffer]]], steps: list[Step]) -> Applied:
    """A step took over from one that gave away a buffer if it has this buffer now, or if it read it and nobody does."""
    kept = set(steps)
    givers, takers = [], []
    for step, op, wrote, read in before:
        had, has = wrote | read, {*step.reads.values(), *step.writes.values()} if step in kept else set()
        if had == has:
            continue
        gone, gained = had - has, has - had
        if gone:
            givers.append((Taken(step, op, not has), gone, gone & wrote))
        if gained:
            takers.append((step, gained, gone))
    taken = {}
    for step, gained, gone in takers:
        of = [giver for giver, gave, unmade in givers if giver.giver is not step and (gave & gained or unmade & gone)]
        if of:
            taken[step] = of
    return Applied(name, len(givers), taken)
