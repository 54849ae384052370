"""The ops of a plan as nodes of ONNX: one rule an op, called with the export (`onnx_file.py`) and a step.

Dilation and groups are copies around convolutions in a plan, and attributes of them in ONNX: `joined` takes the copies
away first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv import geometry
from fastconv.plan.graph import Buffer, Step

LAST, FIRST = "channels last", "channels first"
_CONSTANTS = ("weight", "constant")  # kinds of buffers
RULES: dict[str, Callable[[Any, Step], None]] = {}


def _rule(op: str):
    def register(rule):
        RULES[op] = rule
        return rule

    return register


def is_constant(buffer: Buffer) -> bool:
    """Whether a buffer's values are known before a step runs."""
    return buffer.root.kind in _CONSTANTS


def values(buffer: Buffer) -> np.ndarray:
    """The values of a weight or a constant."""
    owner = buffer.root.owner
    return (owner.numpy() if buffer.root.kind == "weight" else owner).reshape(buffer.shape)


# ---- convolutions ----------------------------------------------------------------------------------------------------


def joined(steps: Sequence[Step]) -> list[Step]:
    """The steps without the copies around convolutions, which then have attributes `dilation` and `before`, the pixels
    of padding before the first row and column."""
    writer = {buffer: step for step in steps for buffer in step.writes.values()}
    reader = {buffer: step for step in steps for buffer in step.reads.values()}
    gone: set[Step] = set()
    for step in steps:
        if step.op == "grouped_conv2d_fprop":
            copies = [writer[step.reads["x"]], writer[step.reads["w"]], reader[step.writes["y"]]]
            step.reads.update(x=copies[0].reads["x"], w=copies[1].reads["x"])
            step.writes["y"] = copies[2].writes["y"]
            writer[step.writes["y"]] = step
            gone.update(copies)
    for step in steps:
        if step.op == "batch_to_space" and step.attrs["dilation"] != (1, 1):
            convolution = writer[step.reads["x"]]
            x, y = ("dy", "dx") if convolution.op == "conv2d_dgrad" else ("x", "y")
            phases = writer[convolution.reads[x]]
            before = (step if convolution.op == "conv2d_dgrad" else phases).attrs["padding"]
            convolution.attrs.update(dilation=step.attrs["dilation"], before=before)
            convolution.reads[x], convolution.writes[y] = phases.reads["x"], step.writes["y"]
            gone.update((phases, step))
    return [step for step in steps if step not in gone]


def _window(step: Step, x: Buffer, y: Buffer) -> tuple[dict[str, list[int]], list[int]]:
    """The attributes of a convolution of x to y without its pads, and these: top, left, bottom, right. They are
    negative where the window does not reach the end of x."""
    g = step.attrs["geometry"]
    taps, strides, before = (g.r, g.s), (g.stride_h, g.stride_w), step.attrs.get("before", (g.pad_top, g.pad_left))
    dilation = step.attrs.get("dilation", (1, 1))
    sizes = zip(x.shape[1:3], y.shape[1:3], geometry.dilated(taps, dilation), strides, before, strict=True)
    after = [(out - 1) * stride + window - size - begin for size, out, window, stride, begin in sizes]
    return {"kernel_shape": [*taps], "strides": [*strides], "dilations": [*dilation]}, [*before, *after]


def _clipped(pads: list[int]) -> list[int]:
    return [max(0, n) for n in pads]


@_rule("conv2d_fprop")
def _conv2d(export, step: Step) -> None:
    g, x, y, b = step.attrs["geometry"], step.reads["x"], step.writes["y"], step.reads.get("b")
    if g != geometry.dense(g.w, g.c, g.k):
        _convolve(export, step, values(step.reads["w"]).transpose(3, 2, 0, 1), 1)
        return
    product = export.node("MatMul", [export.read(x), export.constant(values(step.reads["w"]).reshape(g.c, g.k))])
    export.write(y, export.node("Add", [product, export.constant(values(b))]) if b else product)


@_rule("grouped_conv2d_fprop")
def _grouped_conv2d(export, step: Step) -> None:
    w = values(step.reads["w"]).transpose(3, 2, 0, 1)
    _convolve(export, step, w, step.reads["x"].shape[-1] // w.shape[1])


@_rule("depthwise_conv2d_fprop")
def _depthwise_conv2d(export, step: Step) -> None:
    g = step.attrs["geometry"]
    _convolve(export, step, values(step.reads["w"]).transpose(2, 3, 0, 1).reshape(g.k, 1, g.r, g.s), g.c)


def _convolve(export, step: Step, w: np.ndarray, groups: int) -> None:
    x, y, b = step.reads["x"], step.writes["y"], step.reads.get("b")
    attributes, pads = _window(step, x, y)
    inputs = [export.read(x, FIRST), export.constant(w)] + ([export.constant(values(b))] if b else [])
    export.write(y, export.node("Conv", inputs, group=groups, pads=_clipped(pads), **attributes), FIRST)


@_rule("conv2d_dgrad")  # of transposed convolutions: the output is what a convolution would read
def _conv2d_transpose(export, step: Step) -> None:
    _transpose(export, step, values(step.reads["w"]).transpose(3, 2, 0, 1), 1)


@_rule("depthwise_conv2d_dgrad")  # of bilinear upsampling
def _depthwise_conv2d_transpose(export, step: Step) -> None:
    g = step.attrs["geometry"]
    _transpose(export, step, values(step.reads["w"]).transpose(2, 3, 0, 1).reshape(g.k, 1, g.r, g.s), g.c)


def _transpose(export, step: Step, w: np.ndarray, groups: int) -> None:
    x, y = step.reads["dy"], step.writes["dx"]
    attributes, pads = _window(step, y, x)
    more = _clipped([-n for n in pads[2:]])
    inputs = [export.read(x, FIRST), export.constant(w)]
    name = export.node("ConvTranspose", inputs, group=groups, pads=_clipped(pads), output_padding=more, **attributes)
    export.write(y, name, FIRST)


# ---- images ----------------------------------------------------------------------------------------------------------


def _pooling(step: Step) -> dict[str, list[int]]:
    attributes, pads = _window(step, step.reads["x"], step.writes["y"])
    del attributes["dilations"]
    return {**attributes, "pads": _clipped(pads)}


@_rule("maxpool2d_forward")
def _maxpool(export, step: Step) -> None:
    name = export.node("MaxPool", [export.read(step.reads["x"], FIRST)], **_pooling(step))
    export.write(step.writes["y"], name, FIRST)


@_rule("avgpool2d_forward")
def _avgpool(export, step: Step) -> None:
    name = export.node("AveragePool", [export.read(step.reads["x"], FIRST)], count_include_pad=0, **_pooling(step))
    export.write(step.writes["y"], name, FIRST)


@_rule("avgpool2d_backward")  # of upsampling
def _upsampling(export, step: Step) -> None:
    x, g = step.reads["dy"], step.attrs["geometry"]
    inputs = [export.read(x, FIRST), "", export.constant(np.array([1, 1, g.r, g.s], np.float32))]
    order = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    export.write(step.writes["dx"], export.node("Resize", inputs, **order), FIRST)


@_rule("space_to_batch")
def _zero_padding(export, step: Step) -> None:
    x, y, (top, left) = step.reads["x"], step.writes["y"], step.attrs["padding"]
    bottom, right = y.shape[1] - x.shape[1] - top, y.shape[2] - x.shape[2] - left
    layout = export.layout(x)
    pads = [0, 0, top, left, 0, 0, bottom, right] if layout == FIRST else [0, top, left, 0, 0, bottom, right, 0]
    export.write(y, export.node("Pad", [export.read(x, layout), export.constant(np.array(pads, np.int64))]), layout)


@_rule("batch_to_space")
def _cropping(export, step: Step) -> None:
    _crop(export, step, step.attrs["padding"])


@_rule("random_window")  # in prediction one place for all
def _central_window(export, step: Step) -> None:
    _crop(export, step, (step.attrs["rows"][0], step.attrs["columns"][0]))


def _crop(export, step: Step, before: Sequence[int]) -> None:
    x, y = step.reads["x"], step.writes["y"]
    layout = export.layout(x)
    axes = [2, 3] if layout == FIRST else [1, 2]
    end = [begin + size for begin, size in zip(before, y.shape[1:3], strict=True)]
    cut = [export.constant(np.array(numbers, np.int64)) for numbers in (before, end, axes)]
    export.write(y, export.node("Slice", [export.read(x, layout), *cut]), layout)


# ---- element by element ----------------------------------------------------------------------------------------------


@_rule("batchnorm_inference")
def _batchnorm(export, step: Step) -> None:
    x, (mean, variance) = step.reads["x"], (values(step.reads[f"moving_{name}"]) for name in ("mean", "variance"))
    gamma, beta = (
        np.full_like(mean, neutral) if (b := step.reads.get(name)) is None else values(b)
        for name, neutral in (("gamma", 1), ("beta", 0))
    )
    inputs = [export.read(x, FIRST), *map(export.constant, (gamma, beta, mean, variance))]
    name = export.node("BatchNormalization", inputs, epsilon=step.attrs["epsilon"])
    export.write(step.writes["y"], name, FIRST if len(x.shape) == 4 else LAST)


@_rule("leaky_relu_forward")
def _leaky_relu(export, step: Step) -> None:
    if step.attrs["slope"] == 0:
        export.elementwise(step, "Relu")
    else:
        export.elementwise(step, "LeakyRelu", alpha=step.attrs["slope"])


# Activations that are one node: its op and the names of its attributes, whose values are the function's parameters.
_NODES = {
    "elu": ("Elu", ("alpha",)),
    "gelu": ("Gelu", ()),
    "sigmoid": ("Sigmoid", ()),
    "hard_silu": ("HardSwish", ()),
    "tanh": ("Tanh", ()),
    "softplus": ("Softplus", ()),
    "softsign": ("Softsign", ()),
    "exponential": ("Exp", ()),
    "mish": ("Mish", ()),
}


@_rule("activation_forward")
def _activation(export, step: Step) -> None:
    x, function, parameters = step.reads["x"], step.attrs["function"], step.attrs["parameters"]
    layout = export.layout(x)
    name = export.read(x, layout)
    if function in _NODES:
        op, attributes = _NODES[function]
        name = export.node(op, [name], **dict(zip(attributes, parameters, strict=True)))
    elif function == "gelu_tanh":
        name = export.node("Gelu", [name], approximate="tanh")
    elif function == "hard_sigmoid":
        name = export.node("HardSigmoid", [name], alpha=1 / 6, beta=0.5)
    elif function == "selu":
        name = export.node("Selu", [name], alpha=1.67326324, gamma=1.05070099)
    elif function == "silu":
        name = export.node("Mul", [name, export.node("Sigmoid", [name])])
    elif function == "linear":
        scale, offset = (export.constant(np.float32(value)) for value in parameters)
        name = export.node("Add", [export.node("Mul", [name, scale]), offset])
    elif function == "relu":
        name = _relu(export, name, *parameters)
    else:
        raise ValueError(f"expected an activation that ONNX export knows. Received: {function}{parameters}")
    export.write(step.writes["y"], name, layout)


def _relu(export, x: str, slope: float, largest: float, threshold: float) -> str:
    if threshold:
        edge = export.constant(np.float32(threshold))
        below = export.node("Mul", [export.node("Sub", [x, edge]), export.constant(np.float32(slope))])
        y = export.node("Where", [export.node("Greater", [x, edge]), x, below])
    else:
        y = export.node("LeakyRelu", [x], alpha=slope) if slope else export.node("Relu", [x])
    return export.node("Min", [y, export.constant(np.float32(largest))]) if largest < np.inf else y


@_rule("softmax_forward")
def _softmax(export, step: Step) -> None:
    export.write(step.writes["y"], export.node("Softmax", [export.read(step.reads["x"])], axis=-1))


@_rule("add_forward")
def _add(export, step: Step) -> None:
    export.elementwise(step, "Add")


_BINARY = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "maximum": "Max", "minimum": "Min", "prelu": "PRelu"}


@_rule("binary_forward")
def _binary(export, step: Step) -> None:
    a, b, function = step.reads["a"], step.reads["b"], step.attrs["function"]
    if function in _BINARY:
        export.elementwise(step, _BINARY[function])
    elif function == "scale_by_root":  # of a constant variance
        root = export.constant(np.maximum(np.sqrt(values(b)), np.float32(1e-7)))
        export.write(step.writes["y"], export.node("Mul", [export.read(a), root]))
    else:
        raise ValueError(f"expected a function that ONNX export knows. Received: {function}")


# ---- shapes ----------------------------------------------------------------------------------------------------------


@_rule("copy_columns")
def _concatenate(export, step: Step) -> None:
    """The step of the last part makes the node; the parts come in their order."""
    x, y = step.reads["x"], step.writes["y"]
    axis = next(i for i, (part, size) in enumerate(zip(x.shape, y.shape, strict=True)) if part != size)
    parts = export.parts.setdefault(y, [])
    parts.append(x)
    if sum(part.shape[axis] for part in parts) == y.shape[axis]:
        layout = export.layout(x)
        place = (0, 2, 3, 1)[axis] if layout == FIRST else axis
        export.write(y, export.node("Concat", [export.read(part, layout) for part in parts], axis=place), layout)


@_rule("view")
def _view(export, step: Step) -> None:
    x, y = step.reads["x"], step.writes["y"]
    if not is_constant(x):
        shape = export.constant(np.array([-1, *y.shape[1:]], np.int64))
        export.write(y, export.node("Reshape", [export.read(x), shape]))
