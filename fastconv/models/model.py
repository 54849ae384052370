"""A functional model: the layers between an input tensor and an output tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any

import numpy as np

from fastconv.layers.base import Layer, Node, Tensor, Weight, assign_all, auto_name
from fastconv.layers.core import InputLayer
from fastconv.models.training import Trainer


class Model(Trainer):
    """Groups layers that were called on tensors into something that trains.

    Args:
        inputs: the tensor `Input(...)` returned.
        outputs: the tensor the last layer returned.
        name: None takes the next automatic name, "functional".

    Raises: ValueError if the output does not come from the input.
    Source: keras.Model.

    >>> x = Input((32, 32, 3))
    >>> Model(x, Dense(10, activation="softmax")(Flatten()(x))).count_params()
    30730
    """

    def __init__(self, inputs: Tensor | Sequence[Tensor], outputs: Tensor | Sequence[Tensor], name: str | None = None):
        super().__init__()
        self.name = name or auto_name("Functional")
        self.inputs, self.outputs = [_single(inputs, "inputs")], [_single(outputs, "outputs")]
        self.nodes = sort_nodes(self.inputs[0], self.outputs[0])

    built = True

    # ---- what it is made of ----
    @property
    def layers(self) -> list[Layer]:
        """Each layer once, in the order of computation, the InputLayer first."""
        return list(dict.fromkeys(node.layer for node in self.nodes))

    @property
    def weights(self) -> list[Weight]:
        return [w for layer in self.layers for w in layer.weights]

    @property
    def trainable_weights(self) -> list[Weight]:
        return [w for w in self.weights if w.trainable]

    @property
    def non_trainable_weights(self) -> list[Weight]:
        return [w for w in self.weights if not w.trainable]

    @property
    def input_shape(self) -> tuple:
        return self.inputs[0].shape

    @property
    def output_shape(self) -> tuple:
        return self.outputs[0].shape

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that make the outputs: how losses, metrics and labels are told apart."""
        return [tensor.node.layer.name for tensor in self.outputs]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its place.

        Raises:
            ValueError: if there is none, listing the names.
        """
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"get_layer: expected one of {[layer.name for layer in self.layers]}. Received: {name!r}")

    def count_params(self) -> int:
        return sum(layer.count_params() for layer in self.layers)

    def emit(self, graph: Any, *inputs: Any) -> list[Any]:
        """Appends the layers' steps to a plan's graph; returns the buffers of the outputs."""
        buffers = dict(zip(self.inputs, inputs, strict=True))
        for node in self.nodes:
            if node.output not in buffers:
                buffers[node.output] = node.layer.emit(graph, *(buffers[t] for t in node.inputs))
        return [buffers[tensor] for tensor in self.outputs]

    # ---- weights ----
    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights, layer by layer: kernel, bias; gamma, beta, moving_mean, moving_variance."""
        return [w.numpy() for w in self.weights]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Copies arrays in, in the order of `get_weights`.

        Raises:
            ValueError: if their number or a shape differs; nothing is changed then.
        """
        assign_all(self.weights, weights, self.name)

    def save(self, filepath: str | PathLike[str], include_optimizer: bool = True) -> None:
        """Writes the whole model to a `.keras` file, whole or not at all (`fastconv.saving.save_model`)."""
        from fastconv.saving import save_model

        save_model(self, filepath, include_optimizer)

    def save_weights(self, filepath: str | PathLike[str]) -> None:
        """Writes the weights to a `.safetensors` or `.weights.h5` file, whole or not at all
        (`fastconv.saving.save_weights`)."""
        from fastconv.saving import save_weights

        save_weights(self, filepath)

    def load_weights(self, filepath: str | PathLike[str]) -> None:
        """Reads what `save_weights` wrote; a file that does not fit leaves the model as it was."""
        from fastconv.saving import load_weights

        load_weights(self, filepath)

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Prints the layers with their output shapes and parameters, in Keras 3's layout.

        Args:
            line_length: width in characters.
            positions: where columns end, as fractions of the width.
            print_fn: called with the text instead of print.
            expand_nested: accepted for Keras' sake; models do not nest yet.
            show_trainable: add a column that says which layers learn.
            layer_range: pair of layer names (or patterns) to start and end with.
        """
        from fastconv.models.summary import summary

        summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _single(tensors, name: str) -> Tensor:
    """The one tensor of `tensors`."""
    tensors = list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
    if len(tensors) != 1:
        raise ValueError(f"{name}: expected one tensor (several are not supported yet). Received: {len(tensors)}")
    if not isinstance(tensors[0], Tensor):
        raise ValueError(f"{name}: expected a tensor of Input(...) or a layer. Received: {type(tensors[0]).__name__}")
    return tensors[0]


def sort_nodes(x: Tensor, y: Tensor) -> list[Node]:
    """The nodes between two tensors, each after those it reads; farther from the output comes first (Keras' order).

    Raises:
        ValueError: if `x` is no input, or `y` depends on another one.
    """
    if not isinstance(x.node.layer, InputLayer):
        raise ValueError(f"inputs: expected a tensor of Input(...). Received: the output of {x.node.layer.name!r}")
    found: list[Node] = []  # every node after the ones it reads
    state: dict[Node, bool] = {}  # seen; True once its inputs are in `found`
    stack = [y.node]
    while stack:
        node = stack[-1]
        waiting = [t.node for t in node.inputs if t.node not in state]
        state.setdefault(node, False)
        if waiting:
            stack.extend(reversed(waiting))
            continue
        stack.pop()
        if not state[node]:
            state[node] = True
            found.append(node)
    for node in found:
        if not node.inputs and node is not x.node:
            raise ValueError(f"outputs: expected a tensor that depends on the given input alone. It also depends on "
                             f"{node.layer.name!r}")  # fmt: skip
    if x.node not in state:
        raise ValueError("outputs: expected a tensor computed from inputs. Received: one that does not depend on it")
    depth: dict[Node, int] = dict.fromkeys(found, 0)
    for node in reversed(found):
        for tensor in node.inputs:
            depth[tensor.node] = max(depth[tensor.node], depth[node] + 1)
    return sorted(found, key=lambda node: -depth[node])
