"""A chain of layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastconv.layers.base import Layer, Node, Tensor
from fastconv.layers.core import Input, InputLayer
from fastconv.models.model import Model, require_built
from fastconv.models.training import Trainer


class Sequential(Model):
    """A model whose layers follow one another.

    Args:
        layers: list of layers; may begin with `Input(shape)`. Without it the model is built by its first data.
        name: None takes the next automatic name, "sequential".

    Raises: TypeError if an entry is no layer; ValueError if a name occurs twice or a shape does not fit.
    Source: keras.Sequential.

    >>> Sequential([Input((28, 28, 1)), Flatten(), Dense(10, activation="softmax")]).count_params()
    7850
    """

    def __init__(self, layers: Iterable[Layer | Tensor] | None = None, name: str | None = None):
        Trainer.__init__(self)
        Layer.__init__(self, name)
        self.input_keys = self.output_keys = None
        self.nodes: list[Node] = []
        self._layers: list[Layer] = []
        self._input: Tensor | None = None
        if layers is not None and not isinstance(layers, Iterable):
            raise TypeError(f"{self.name}: expected a list of layers. Received: {layers!r}")
        for layer in layers or []:
            self._append(layer)
        self._connect()

    def _append(self, layer: Layer | Tensor) -> None:
        if isinstance(layer, Tensor) and isinstance(layer.node.layer, InputLayer):
            layer = layer.node.layer
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.name}: expected a layer. Received: {layer!r}")
        if isinstance(layer, InputLayer):
            if self._layers or self._input:
                raise ValueError(f"{self.name}: expected Input to come first. Received: it elsewhere")
            self._input = Node(layer, [], layer.batch_shape).output
            return
        if any(layer.name == other.name for other in self._layers):
            raise ValueError(f"{self.name}: expected every layer under its own name. Received: {layer.name!r} twice")
        if not self._layers and self._input is None and layer.first_input_shape is not None:
            self._input = Input(layer.first_input_shape[1:])
        self._layers.append(layer)

    def add(self, layer: Layer | Tensor) -> None:
        """Appends a layer."""
        before = list(self._layers), self._input
        self._append(layer)
        try:
            self._connect()
        except ValueError:
            self._layers, self._input = before
            self._connect()
            raise
        self._executor = None

    def pop(self) -> Layer:
        """Removes the last layer and returns it.

        Raises:
            ValueError: if there is none.
        """
        if not self._layers:
            raise ValueError(f"{self.name}: expected at least one layer. Received: none")
        layer = self._layers.pop()
        self._connect()
        self._executor = None
        return layer

    def build(self, input_shape: Sequence) -> None:
        """Builds the layers for samples of this shape (batch included, as in `x.shape`)."""
        if self._input is None:
            self._input = Input(tuple(input_shape)[1:])
            try:
                self._connect()
            except ValueError:
                self._input = None
                self._connect()
                raise

    def _connect(self) -> None:
        for node in self.nodes[1:]:
            node.layer.calls.remove(node)
        self.nodes = [] if self._input is None else [self._input.node]
        for layer in self._layers if self.nodes else ():
            layer(self.nodes[-1].output)
            self.nodes.append(layer.calls[-1])
            if len(layer.calls[-1].outputs) > 1:
                raise ValueError(f"{self.name}: expected layers of one output. Received: {layer.name!r} with several")

    @property
    def built(self) -> bool:
        return bool(self.nodes)

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the InputLayer."""
        return list(self._layers)

    def _tensors_at(self, place: int) -> list[Tensor]:
        require_built(self)
        return self.nodes[place].outputs

    @property
    def inputs(self) -> list[Tensor]:
        return self._tensors_at(0)

    @property
    def outputs(self) -> list[Tensor]:
        return self._tensors_at(-1)

    @property
    def output_names(self) -> list[str]:
        return [layer.name for layer in self._layers[-1:]] or [self.name]
