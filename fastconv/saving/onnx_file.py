"""Models to ONNX: the steps that `predict` takes, by the rules of onnx_rules.py.

fastconv keeps channels last, ONNX first. A tensor is turned round where an op needs the other order, once, and stays so
while ops follow that do not mind: a network has a Transpose at its input and one before its Flatten.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from fastconv.models.model import require_built
from fastconv.plan.graph import Buffer, Graph, Step
from fastconv.saving.atomic import StrPath, atomic_write
from fastconv.saving.onnx_rules import FIRST, LAST, RULES, is_constant, joined, values

OPSET = 20


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
    require_built(model)
    path = os.fspath(path)
    if not path.endswith(".onnx"):
        raise ValueError(f'path: expected a name that ends in ".onnx". Received: {path!r}')
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
        self.parts: dict[Buffer, list[Buffer]] = {}  # of concatenations, so far

    def content(self) -> bytes:
        helper, floats = self._onnx.helper, self._onnx.TensorProto.FLOAT
        self.graph.outputs = outputs = self._model.emit(self.graph, *self.graph.inputs)
        self.graph.prune()
        inputs = [
            helper.make_tensor_value_info(t.node.layer.name, floats, ["N", *t.shape[1:]]) for t in self._model.inputs
        ]
        for info, buffer in zip(inputs, self.graph.inputs, strict=True):
            self._names[buffer] = {LAST: info.name}
        for step in joined(self.graph.steps):
            if step.op not in RULES:
                made = ", ".join(buffer.name for buffer in step.writes.values())
                raise ValueError(f"expected layers that ONNX export knows. Received: {made}, which {step.op} computes")
            RULES[step.op](self, step)
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

    def constant_of(self, buffer: Buffer, layout: str, rank: int) -> str:
        """The values of a weight, with as many axes in an order as the tensor that they are used along."""
        array = values(buffer)
        array = array.reshape((1,) * (rank - array.ndim) + array.shape)
        return self.constant(array.transpose(0, 3, 1, 2) if layout == FIRST and rank == 4 else array)

    def layout(self, buffer: Buffer) -> str:
        """The order in which a buffer is there already."""
        return next(iter(self._names[buffer]))

    def read(self, buffer: Buffer, layout: str = LAST) -> str:
        """The name of a buffer in an order of its axes."""
        names = self._names[buffer]
        if len(buffer.shape) != 4:
            return next(iter(names.values()))
        if layout not in names:
            turn = [0, 3, 1, 2] if layout == FIRST else [0, 2, 3, 1]
            names[layout] = self.node("Transpose", [next(iter(names.values()))], perm=turn)
        return names[layout]

    def write(self, buffer: Buffer, name: str, layout: str = LAST) -> None:
        self._names[buffer] = {layout: name}

    def node(self, op: str, inputs: list[str], **attributes) -> str:
        """Appends a node; the name of its output."""
        name = self._new_name(op.lower())
        self._nodes.append(self._onnx.helper.make_node(op, inputs, [name], **attributes))
        return name

    def elementwise(self, step: Step, op: str, **attributes) -> None:
        """An op that does not mind the order of axes. Its first argument is no constant."""
        layout, rank = self.layout(next(iter(step.reads.values()))), len(step.writes["y"].shape)
        names = [
            self.constant_of(b, layout, rank) if is_constant(b) else self.read(b, layout) for b in step.reads.values()
        ]
        self.write(step.writes["y"], self.node(op, names, **attributes), layout)

    def _new_name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"
