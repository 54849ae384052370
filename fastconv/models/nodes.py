"""The calls of layers that lie between tensors, in Keras' order."""

from __future__ import annotations

from collections.abc import Sequence

from fastconv.layers.base import Layer, Node, Tensor
from fastconv.layers.core import InputLayer


def sort_nodes(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[Node]:
    """The nodes between tensors, each after those it reads; farther from the outputs comes first (Keras' order).

    Raises:
        ValueError: if an output depends on something else than the inputs, an input is given twice or leads to no
            output, or two layers have the same name.
    """
    found = _nodes_before(outputs, set(inputs))
    read = {tensor for node in found for tensor in node.inputs} | set(outputs)
    for node in found:
        if not node.inputs and not set(node.outputs) & set(inputs):
            raise ValueError(f"outputs: expected tensors that depend on the given inputs alone. One also depends on "
                             f"{node.layer.name!r}")  # fmt: skip
    if len(set(inputs)) < len(inputs):
        raise ValueError("inputs: expected every tensor once. Received: one twice")
    for tensor in inputs:
        if tensor not in read:
            raise ValueError(f"inputs: expected inputs of the outputs. Received: {tensor.node.layer.name!r}, which "
                             "none of them depends on")  # fmt: skip
    depth = _depths(found)
    nodes = sorted(found, key=lambda node: -depth[node])
    _require_own_names(nodes)
    return nodes


def _nodes_before(outputs: Sequence[Tensor], inputs: set[Tensor]) -> list[Node]:
    """Every node that outputs depend on, after the ones it reads; what makes an input is left out, unless it is an
    InputLayer."""
    found: list[Node] = []
    state: dict[Node, bool] = {}  # seen; True once its inputs are in `found`
    needed = lambda tensor: tensor not in inputs or isinstance(tensor.node.layer, InputLayer)  # noqa: E731
    stack = [tensor.node for tensor in reversed(outputs) if needed(tensor)]
    while stack:
        node = stack[-1]
        waiting = [t.node for t in node.inputs if t.node not in state and needed(t)]
        state.setdefault(node, False)
        if waiting:
            stack.extend(reversed(waiting))
            continue
        stack.pop()
        if not state[node]:
            state[node] = True
            found.append(node)
    return found


def _depths(found: list[Node]) -> dict[Node, int]:
    """How far each node is from the outputs. A shared layer has one depth, its largest so far, as in Keras."""
    depth: dict[Node, int] = dict.fromkeys(found, 0)
    of_layer: dict[Layer, int] = {}
    for node in reversed(found):
        depth[node] = of_layer[node.layer] = max(depth[node], of_layer.get(node.layer, 0))
        for tensor in node.inputs:
            if tensor.node in depth:
                depth[tensor.node] = max(depth[tensor.node], depth[node] + 1)
    return depth


def _require_own_names(nodes: list[Node]) -> None:
    owners: dict[str, Layer] = {}
    for node in nodes:
        if owners.setdefault(node.layer.name, node.layer) is not node.layer:
            raise ValueError(f"expected every layer of a model under its own name. Received: {node.layer.name!r} twice")
