"""Models to ONNX: the steps that `predict` takes, one rule an op.

fastconv keeps channels last, ONNX first. A tensor is turned round where an op needs the other order, once, and stays so
while ops follow that do not mind: a network has a Transpose at its input and one before its Flatten.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.geometry import Conv2DGeometry
from fastconv.plan.graph import Buffer, Graph, Step
from fastconv.saving.atomic import StrPath, atomic_write

OPSET = 20
_LAST, _FIRST = "channels last", "channels first"
_RULES: dict[str, Callable] = {}


def save_onnx(model: Any, path: StrPath) -> None:
    """Writes what `predict` computes to an ONNX file, whole or not at all. Samples are NHWC, as in fastconv;
    the batch may have any size.

    Args:
        model: a built model.
        path: the file, ending in ".onnx".

    Raises:
        ValueError: the name ends otherwise, the model is not built, or a layer has no rule here.
        ImportError: without onnx.
        OSError: the file cannot be written; what was there before is unchanged.
    """
    path = os.fspath(path)
    if not path.endswith(".onnx"):
        raise ValueError(f'path: expected a name that ends in ".onnx". Received: {path!r}')
    if not model.built:
        raise ValueError(f"{model.name}: expected a built model. Give it an Input first, or call build(input_shape)")
    try:
        import onnx
    except ImportError as error:
        raise ImportError('ONNX files are written with onnx: pip install "fastconv[onnx]"') from error
    content = _Export(onnx, model).content()
    with atomic_write(path) as file:
        file.write(content)


class _Export:
    """Nodes and constants so far, and under which names each buffer is there."""

    def __init__(self, onnx: Any, model: Any):
        self._onnx, self._model = onnx, model
        self.graph = Graph("predict", [(1, *tensor.shape[1:]) for tensor in model.inputs])
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._names: dict[Buffer, dict[str, str]] = {}
        self._count = 0

    def content(self) -> bytes:
        helper, floats = self._onnx.helper, self._onnx.TensorProto.FLOAT
        self.graph.outputs = outputs = self._model.emit(self.graph, *self.graph.inputs)
        self.graph.prune()
        inputs = [
            helper.make_tensor_value_info(t.node.layer.name, floats, ["N", *t.shape[1:]]) for t in self._model.inputs
        ]
        for info, buffer in zip(inputs, self.graph.inputs, strict=True):
            self._names[buffer] = {_LAST: info.name}
        for step in self.graph.steps:
            if step.op not in _RULES:
                raise ValueError(f"expected layers that ONNX export knows. Received: one that computes {step.op}")
            _RULES[step.op](self, step)
        results = []
        for tensor, buffer in zip(self._model.outputs, outputs, strict=True):
            name = f"{tensor.node.layer.name}_output_{tensor.index}"
            self._nodes.append(helper.make_node("Identity", [self.read(buffer)], [name]))
            results.append(helper.make_tensor_value_info(name, floats, ["N", *tensor.shape[1:]]))
        graph = helper.make_graph(self._nodes, self._model.name, inputs, results, self._constants)
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="fastconv")
        proto.ir_version = 10  # of ONNX 1.16, so that runtimes of 2024 read it
        self._onnx.checker.check_model(proto)
        return proto.SerializeToString()

    def constant(self, array: np.ndarray) -> str:
        name = self._new_name("constant")
        self._constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, buffer: Buffer | None, like: Buffer | None = None, value: float = 0.0) -> np.ndarray:
        """The values of a weight, or `value` in the shape of `like` where there is none."""
        return np.full(like.shape, value, np.float32) if buffer is None else buffer.owner.numpy()

    def layout(self, buffer: Buffer) -> str:
        """The order in which a buffer is there already."""
        return next(iter(self._names[buffer]))

    def read(self, buffer: Buffer, layout: str = _LAST) -> str:
        """The name of a buffer in an order of its axes."""
        names = self._names[buffer]
        if len(buffer.shape) != 4:
            return next(iter(names.values()))
        if layout not in names:
            turn = [0, 3, 1, 2] if layout == _FIRST else [0, 2, 3, 1]
            names[layout] = self.node("Transpose", [next(iter(names.values()))], perm=turn)
        return names[layout]

    def write(self, buffer: Buffer, name: str, layout: str = _LAST) -> None:
        self._names[buffer] = {layout: name}

    def node(self, op: str, inputs: list[str], **attributes) -> str:
        """Appends a node; the name of its output."""
        name = self._new_name(op.lower())
        self._nodes.append(self._onnx.helper.make_node(op, inputs, [name], **attributes))
        return name

    def elementwise(self, step: Step, op: str, **attributes) -> None:
        """An op that does not mind the order of axes."""
        layout = self.layout(next(iter(step.reads.values())))
        names = [self.read(buffer, layout) for buffer in step.reads.values()]
        self.write(step.writes["y"], self.node(op, names, **attributes), layout)

    def _new_name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


def _rule(op: str):
    def register(rule):
        _RULES[op] = rule
        return rule

    return register


@_rule("conv2d_fprop")
def _conv2d(export: _Export, step: Step) -> None:
    g, x, y, b = step.attrs["geometry"], step.reads["x"], step.writes["y"], step.reads.get("b")
    w = export.weight(step.reads["w"])
    if g.n == g.h == g.r == 1:  # a dense layer
        product = export.node("MatMul", [export.read(x), export.constant(w.reshape(g.c, g.k))])
        export.write(y, export.node("Add", [product, export.constant(export.weight(b))]) if b else product)
        return
    inputs = [export.read(x, _FIRST), export.constant(w.transpose(3, 2, 0, 1))]
    if b:
        inputs.append(export.constant(export.weight(b)))
    export.write(y, export.node("Conv", inputs, **_window(g)), _FIRST)


def _window(g: Conv2DGeometry) -> dict[str, list[int]]:
    """The attributes of an op with a window."""
    bottom = max(0, (g.p - 1) * g.stride_h + g.r - g.h - g.pad_top)
    right = max(0, (g.q - 1) * g.stride_w + g.s - g.w - g.pad_left)
    pads = [g.pad_top, g.pad_left, bottom, right]
    return {"kernel_shape": [g.r, g.s], "strides": [g.stride_h, g.stride_w], "pads": pads}


@_rule("maxpool2d_forward")
def _maxpool(export: _Export, step: Step) -> None:
    window = _window(step.attrs["geometry"])
    export.write(step.writes["y"], export.node("MaxPool", [export.read(step.reads["x"], _FIRST)], **window), _FIRST)


@_rule("avgpool2d_forward")
def _avgpool(export: _Export, step: Step) -> None:
    g, x, mean = step.attrs["geometry"], step.reads["x"], step.attrs["mean"]
    name = export.node("AveragePool", [export.read(x, _FIRST)], count_include_pad=0 if mean else 1, **_window(g))
    if not mean:
        name = export.node("Mul", [name, export.constant(np.float32(g.r * g.s))])
    export.write(step.writes["y"], name, _FIRST)


@_rule("batchnorm_inference")
def _batchnorm(export: _Export, step: Step) -> None:
    x, mean = step.reads["x"], step.reads["moving_mean"]
    gamma, beta = export.weight(step.reads.get("gamma"), mean, 1.0), export.weight(step.reads.get("beta"), mean)
    arrays = [gamma, beta, export.weight(mean), export.weight(step.reads["moving_variance"])]
    inputs = [export.read(x, _FIRST), *map(export.constant, arrays)]
    name = export.node("BatchNormalization", inputs, epsilon=step.attrs["epsilon"])
    export.write(step.writes["y"], name, _FIRST if len(x.shape) == 4 else _LAST)


@_rule("leaky_relu_forward")
def _leaky_relu(export: _Export, step: Step) -> None:
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
def _activation(export: _Export, step: Step) -> None:
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
    elif function == "relu" and parameters[2] == 0:
        slope, largest, _ = parameters
        name = export.node("LeakyRelu", [name], alpha=slope) if slope else export.node("Relu", [name])
        if largest < np.inf:
            name = export.node("Min", [name, export.constant(np.float32(largest))])
    else:
        raise ValueError(f"expected an activation that ONNX export knows. Received: {function}{parameters}")
    export.write(step.writes["y"], name, layout)


@_rule("softmax_forward")
def _softmax(export: _Export, step: Step) -> None:
    export.write(step.writes["y"], export.node("Softmax", [export.read(step.reads["x"])], axis=-1))


@_rule("add_forward")
def _add(export: _Export, step: Step) -> None:
    export.elementwise(step, "Add")


@_rule("view")
def _view(export: _Export, step: Step) -> None:
    shape = export.constant(np.array([0, *step.writes["y"].shape[1:]], np.int64))
    export.write(step.writes["y"], export.node("Reshape", [export.read(step.reads["x"]), shape]))
