"""One rule per op: the steps of its backward pass. The file is the list of all of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastconv.plan.graph import Buffer, Graph, Step

_RULES: dict[str, Callable] = {}


def gradient_of(op: str):
    def register(rule):
        _RULES[op] = rule
        return rule

    return register


class Backward:
    """Appends the backward steps of a graph to it, from its loss back to its weights."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.gradients: dict[Buffer, Buffer] = {}  # of buffers, weights included
        self._repeated: list[tuple[Buffer, Buffer]] = []  # (gradient of a shared weight, one more contribution)
        self._dependent: set[Buffer] = set()
        for step in graph.steps:
            if any(map(self.needed, step.reads.values())):
                self._dependent.update(step.writes.values())

    def run(self) -> None:
        forward = list(self.graph.steps)
        for y, dy in self.graph.loss_gradients:
            self.alias(y, dy)
        for step in reversed(forward):
            dy = next((self.gradients[b] for b in step.writes.values() if b in self.gradients), None)
            if dy is not None and any(map(self.needed, step.reads.values())):
                if step.op not in _RULES:
                    raise ValueError(
                        f"{step.op}: expected no trainable weights before a layer that has no gradient. "
                        f"Received: {step}"
                    )
                self.graph.layer = step.layer
                _RULES[step.op](self, step, dy)
        self.graph.layer = None

    def needed(self, x: Buffer) -> bool:
        """Whether a gradient of `x` reaches a weight that learns: the input of the first layer gets none."""
        if x.kind == "weight":
            return x.root.owner.trainable and x.root.owner not in self.graph.frozen
        return x in self._dependent

    def emit(self, op: str, writes: dict[str, Buffer], **arguments) -> Step:
        step = self.graph.emit(op, writes, **arguments)
        for total, part in self._repeated:
            self.graph.emit("add_forward", {"y": total}, a=total, b=part)
        self._repeated.clear()
        return step

    def weight_gradient(self, weight: Buffer | None) -> Buffer | None:
        """Where a step writes a weight's gradient; further uses of a shared weight are added to the first."""
        if weight is None:
            return None
        if not self.needed(weight):  # memory of the step for a step that makes it beside what is needed
            return Buffer(f"d {weight.name}", weight.shape)
        if weight not in self.gradients:
            self.gradients[weight] = Buffer(f"d {weight.name}", weight.shape, "gradient", owner=weight.owner)
            return self.gradients[weight]
        part = Buffer(f"d {weight.name} +", weight.shape, owner=weight.owner)
        self._repeated.append((self.gradients[weight], part))
        return part

    def contribute(self, x: Buffer, op: str, /, writes: dict | None = None, **arguments) -> None:
        """Emits `op`, which writes the gradient of `x` as dx."""
        self.gradient(x, op, "dx", writes, **arguments)

    def gradient(self, x: Buffer, op: str, output: str, /, writes: dict | None = None, **arguments) -> None:
        """Emits `op` with a new buffer, its `output`, for the gradient of `x`, added to what other consumers of `x`
        contributed."""
        dx = Buffer(f"d {x.name}", x.shape)
        self.emit(op, {output: dx, **(writes or {})}, **arguments)
        self.alias(x, dx)

    def alias(self, x: Buffer, dx: Buffer) -> None:
        """Takes an existing buffer as (a part of) the gradient of `x`: no copy, no kernel."""
        if not self.needed(x):
            return
        if x in self.gradients:
            total = Buffer(f"d {x.name}", x.shape)
            self.emit("add_forward", {"y": total}, a=self.gradients[x], b=dx)
            dx = total
        self.gradients[x] = dx


@gradient_of("conv2d_fprop")
def conv2d(back: Backward, step: Step, dy: Buffer) -> None:
    x, w, b, geometry = step.reads["x"], step.reads["w"], step.reads.get("b"), step.attrs["geometry"]
    if back.needed(w):
        writes = {"dw": back.weight_gradient(w), "db": back.weight_gradient(b)}
        back.emit("conv2d_wgrad", writes, geometry=geometry, x=x, dy=dy)
    if back.needed(x):
        back.contribute(x, "conv2d_dgrad", geometry=geometry, dy=dy, w=w)


@gradient_of("grouped_conv2d_fprop")
def grouped_conv2d(back: Backward, step: Step, dy: Buffer) -> None:
    x, w, geometry = step.reads["x"], step.reads["w"], step.attrs["geometry"]
    if back.needed(w):
        sums = {"db": back.weight_gradient(step.reads.get("b"))}
        back.gradient(w, "grouped_conv2d_wgrad", "dw", sums, geometry=geometry, x=x, dy=dy)
    if back.needed(x):
        back.gradient(x, "grouped_conv2d_dgrad", "dx", geometry=geometry, dy=dy, w=w)


@gradient_of("depthwise_conv2d_fprop")
def depthwise_conv2d(back: Backward, step: Step, dy: Buffer) -> None:
    x, w, b, geometry = step.reads["x"], step.reads["w"], step.reads.get("b"), step.attrs["geometry"]
    if back.needed(w):
        back.emit("depthwise_conv2d_wgrad", {"dw": back.weight_gradient(w)}, geometry=geometry, x=x, dy=dy)
    if b is not None and back.needed(b):
        rows, channels = math.prod(dy.shape[:-1]), dy.shape[-1]
        back.emit("sum_forward", {"y": back.weight_gradient(b)}, x=dy, extents=(1, 1, rows, channels))
    if back.needed(x):
        back.contribute(x, "depthwise_conv2d_dgrad", geometry=geometry, dy=dy, w=w)


@gradient_of("depthwise_conv2d_dgrad")  # of bilinear upsampling, whose filters do not learn
def bilinear_upsampling2d(back: Backward, step: Step, dy: Buffer) -> None:
    x, w = step.reads["dy"], step.reads["w"]
    back.gradient(x, "depthwise_conv2d_fprop", "y", geometry=step.attrs["geometry"], x=dy, w=w, b=None)


@gradient_of("conv2d_dgrad")  # of transposed convolutions: as a convolution its input is dy
def conv2d_transpose(back: Backward, step: Step, dy: Buffer) -> None:
    x, w, geometry = step.reads["dy"], step.reads["w"], step.attrs["geometry"]
    if back.needed(w):
        back.emit("conv2d_wgrad", {"dw": back.weight_gradient(w), "db": None}, geometry=geometry, x=dy, dy=x)
    if back.needed(x):
        back.gradient(x, "conv2d_fprop", "y", geometry=geometry, x=dy, w=w, b=None)


@gradient_of("batchnorm_forward")
def batchnorm(back: Backward, step: Step, dy: Buffer) -> None:
    x, gamma, beta = step.reads["x"], step.reads.get("gamma"), step.reads.get("beta")
    writes = {
        "dgamma": back.weight_gradient(gamma),
        "dbeta": back.weight_gradient(beta),
        "coefficients": Buffer(f"{x.name} coefficients", (2, x.shape[-1])),
    }
    saved = {"mean": step.writes["mean"], "rstd": step.writes["rstd"], "slope": step.attrs["slope"]}
    arguments = {"dy": dy, "x": x, "gamma": gamma, "beta": beta, **saved}
    if back.needed(x):
        back.contribute(x, "batchnorm_backward", writes=writes, **arguments)
    else:
        back.emit("batchnorm_backward", {"dx": None, **writes}, **arguments)


@gradient_of("batchnorm_inference")
def batchnorm_inference(back: Backward, step: Step, dy: Buffer) -> None:
    """With moving statistics: dx = dy * gamma / sqrt(moving_variance + epsilon), what the op makes of dy itself."""
    x, gamma, beta = step.reads["x"], step.reads.get("gamma"), step.reads.get("beta")
    settings = {"moving_variance": step.reads["moving_variance"], "epsilon": step.attrs["epsilon"], "slope": 1.0}
    rows = (1, 1, math.prod(x.shape[:-1]), x.shape[-1])
    if beta is not None and back.needed(beta):
        back.emit("sum_forward", {"y": back.weight_gradient(beta)}, x=dy, extents=rows)
    if gamma is not None and back.needed(gamma):
        normalized, product = Buffer(f"{x.name} normalized", x.shape), Buffer(f"d {x.name} by gamma", x.shape)
        mean = step.reads["moving_mean"]
        back.emit("batchnorm_inference", {"y": normalized}, x=x, gamma=None, beta=None, moving_mean=mean, **settings)
        whole = {"function": "multiply", "extents": (1, 1, 1, math.prod(x.shape))}
        back.emit("binary_forward", {"y": product}, a=normalized, b=dy, **whole)
        back.emit("sum_forward", {"y": back.weight_gradient(gamma)}, x=product, extents=rows)
    if back.needed(x):
        dx = Buffer(f"d {x.name}", x.shape)
        zeros = back.graph.constant("zeros", np.zeros(x.shape[-1], np.float32))
        back.emit("batchnorm_inference", {"y": dx}, x=dy, gamma=gamma, beta=None, moving_mean=zeros, **settings)
        back.alias(x, dx)


@gradient_of("leaky_relu_forward")
def leaky_relu(back: Backward, step: Step, dy: Buffer) -> None:
    x = step.reads["x"]
    back.contribute(x, "leaky_relu_backward", dy=dy, x=x, slope=step.attrs["slope"])


@gradient_of("activation_forward")
def activation(back: Backward, step: Step, dy: Buffer) -> None:
    x = step.reads["x"]
    back.contribute(x, "activation_backward", dy=dy, x=x, **step.attrs)


@gradient_of("maxpool2d_forward")
def maxpool2d(back: Backward, step: Step, dy: Buffer) -> None:
    back.contribute(step.reads["x"], "maxpool2d_backward", dy=dy, index=step.writes["index"], **step.attrs)


@gradient_of("avgpool2d_forward")
def avgpool2d(back: Backward, step: Step, dy: Buffer) -> None:
    back.contribute(step.reads["x"], "avgpool2d_backward", dy=dy, **step.attrs)


@gradient_of("avgpool2d_backward")  # of upsampling
def upsampling2d(back: Backward, step: Step, dy: Buffer) -> None:
    x = step.reads["dy"]
    back.gradient(x, "avgpool2d_forward", "y", x=dy, **step.attrs)


@gradient_of("space_to_batch")
def space_to_batch(back: Backward, step: Step, dy: Buffer) -> None:
    back.gradient(step.reads["x"], "batch_to_space", "y", x=dy, **step.attrs)


@gradient_of("batch_to_space")
def batch_to_space(back: Backward, step: Step, dy: Buffer) -> None:
    back.gradient(step.reads["x"], "space_to_batch", "y", x=dy, **step.attrs)


@gradient_of("swap_axes")
def swap_axes(back: Backward, step: Step, dy: Buffer) -> None:
    x, back_again = step.reads["x"], {"rows": step.attrs["columns"], "columns": step.attrs["rows"]}
    if x.kind == "weight":
        back.emit("swap_axes", {"y": back.weight_gradient(x)}, x=dy, **back_again)
    else:
        back.gradient(x, "swap_axes", "y", x=dy, **back_again)


@gradient_of("softmax_forward")
def softmax(back: Backward, step: Step, dy: Buffer) -> None:
    back.contribute(step.reads["x"], "softmax_backward", dy=dy, y=step.writes["y"])


@gradient_of("dropout_forward")
def dropout(back: Backward, step: Step, dy: Buffer) -> None:
    same_mask = {"seed": step.reads["seed"], "step": step.reads["step"], **step.attrs}
    back.contribute(step.reads["x"], "dropout_backward", dy=dy, **same_mask)


@gradient_of("add_forward")
def add(back: Backward, step: Step, dy: Buffer) -> None:
    back.alias(step.reads["a"], dy)
    back.alias(step.reads["b"], dy)


@gradient_of("binary_forward")
def binary(back: Backward, step: Step, dy: Buffer) -> None:
    a, b, function, extents = step.reads["a"], step.reads["b"], step.attrs["function"], step.attrs["extents"]
    da = dy if function in ("add", "subtract") else Buffer(f"d {a.name}", a.shape) if back.needed(a) else None
    db = dy if function == "add" else Buffer(f"d {b.name}", a.shape) if back.needed(b) else None
    writes = {name: None if x is dy else x for name, x in (("da", da), ("db", db))}
    if any(writes.values()):
        back.emit("binary_backward", writes, dy=dy, a=a, b=b, **step.attrs)
    back.alias(a, da)
    if not back.needed(b):
        return
    if b.kind == "weight":
        back.emit("sum_forward", {"y": back.weight_gradient(b)}, x=db, extents=extents)
    elif a.shape == b.shape:
        back.alias(b, db)
    else:
        total = Buffer(f"d {b.name}", b.shape)
        back.emit("sum_forward", {"y": total}, x=db, extents=extents)
        back.alias(b, total)


@gradient_of("user_forward")
def user_layer(back: Backward, step: Step, dy: Buffer) -> None:
    call, layer = step.attrs["call"], step.attrs["call"].layer
    if not call.has_backward:
        raise ValueError(
            f"{layer.name}: expected a method backward(self, dy, x, y), as weights in or before it learn. Received: "
            f"{type(layer).__name__} without one. Where they should not learn, set trainable = False and compile again"
        )
    inputs = {name: x for name, x in step.reads.items() if name[0] == "x" and back.needed(x)}
    weights = {name: w for name, w in step.reads.items() if name[0] == "w" and back.needed(w)}
    writes = {f"d{name}": Buffer(f"d {x.name}", x.shape) for name, x in inputs.items()}
    writes |= {f"d{name}": back.weight_gradient(w) for name, w in weights.items()}
    arrays = {**step.reads, **step.writes}
    arrays |= {f"d{name}": back.gradients[y] for name, y in step.writes.items() if y in back.gradients}
    back.emit("user_backward", writes, call=call, **arrays)
    for name, x in inputs.items():
        back.alias(x, writes[f"d{name}"])


@gradient_of("copy_columns")
def copy_columns(back: Backward, step: Step, dy: Buffer) -> None:
    x, cut = step.reads["x"], step.attrs
    if back.needed(x):
        dx = Buffer(f"d {x.name}", x.shape)
        back.emit("copy_columns", {"y": dx}, x=dy, **{**cut, "x_at": cut["y_at"], "y_at": cut["x_at"]})
        back.alias(x, dx)


@gradient_of("view")
def view(back: Backward, step: Step, dy: Buffer) -> None:
    x = step.reads["x"]
    back.alias(x, back.graph.view(dy, x.shape, f"d {x.name}"))
