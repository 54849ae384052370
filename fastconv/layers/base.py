"""What all layers share: names, weights, and the symbolic tensors that connect them into a model."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastconv import regularizers
from fastconv.checks import flag
from fastconv.geometry import positive_int, sample_shape
from fastconv.layers import user_layer
from fastconv.layers.weight import Initializer, Weight, assign_all, initial
from fastconv.settings import Configurable

Shape = Sequence[Any]  # sizes; None where the batch is not known

_names: Counter = Counter()


def snake_case(class_name: str) -> str:
    """LeakyReLU -> leaky_re_lu, Conv2D -> conv2d: Keras' rule for automatic names."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(class_name: str) -> str:
    """The next free automatic name: dense, dense_1, dense_2, ..."""
    name = snake_case(class_name)
    _names[name] += 1
    return name if _names[name] == 1 else f"{name}_{_names[name] - 1}"


def reset_names() -> None:
    """Starts automatic names anew (`utils.clear_session`)."""
    _names.clear()


class Tensor:
    """The symbolic output of a layer: a shape (None for the batch), the node that makes it, and its place there."""

    __slots__ = ("index", "node", "shape")

    def __init__(self, shape: tuple, node: Node, index: int = 0):
        self.shape, self.node, self.index = tuple(shape), node, index

    def __repr__(self):
        return f"<Tensor shape={self.shape} of {self.node.layer.name}>"


class Node:
    """One call of a layer on tensors.

    Args:
        layer: the layer, which remembers its calls.
        inputs: the tensors.
        shape: of the output; a list of shapes makes a list of outputs.
        inference: whether the layer does in training, too, what it does in prediction.
    """

    __slots__ = ("inference", "inputs", "layer", "outputs")

    def __init__(self, layer: Layer, inputs: list[Tensor], shape: tuple | list[tuple], inference: bool = False):
        self.layer, self.inputs, self.inference = layer, inputs, inference
        shapes = shape if isinstance(shape, list) else [shape]
        self.outputs = [Tensor(one, self, i) for i, one in enumerate(shapes)]
        layer.calls.append(self)

    @property
    def output(self) -> Any:
        """The tensor, or the list of them where there are several."""
        return self.outputs[0] if len(self.outputs) == 1 else self.outputs

    @property
    def number(self) -> int:
        """Which call of its layer it is."""
        return self.layer.calls.index(self)


class Layer(Configurable):
    """Base of all layers, those of users included: settings, weights, and what it computes.

    A layer of your own computes on arrays, NumPy's on the CPU and CuPy's on a GPU, which NumPy's functions take, too:

    - `build(input_shape)` makes the weights, with `add_weight`.
    - `forward(x)`, or `forward(x, training)`, returns the output, a new array. `weight.value` is a weight's array.
    - `backward(dy, x, y)` returns the gradient of the loss for x from `dy`, that for the output; where the layer has
      weights that learn, a tuple of it and of the gradient for each weight, in the order they were made. None in
      it stands for zeros. Without `backward` the layer can do all but have something to learn in it or before it.
    - `compute_output_shape(input_shape)` returns the output's shape, unless it is the input's.

    Shapes carry the batch as their first entry, which is None until it is known. A layer that is called on several
    tensors gets lists of shapes and arrays, and returns a list of gradients for them; one with several outputs returns
    a list of shapes and of arrays, and gets a list of gradients. Arrays are float32, also under
    "mixed_bfloat16". They are lent for the time of the call: what is kept of them has to be a copy, and on the CPU
    writing to them is an error. Plans with such layers are not captured on a GPU: their kernels are launched one by
    one. A subclass keeps its constructor's arguments in attributes of their names, which is what `get_config` returns;
    `load_model(path, custom_objects={"Scale": Scale})` then reads what `model.save` wrote.
    `model.check_gradients(x, y)` says whether `backward` fits `forward`.

    Args:
        name: None takes the next automatic name.
        input_shape: shape of one sample; lets a `Sequential` build its first layer at once.
        trainable: whether its weights learn; settable later as `layer.trainable`.

    Source: keras.Layer, whose `call` has its gradient from a backend.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
    ...     def forward(self, x):
    ...         return x * self.factor.value
    ...     def backward(self, dy, x, y):
    ...         return dy * self.factor.value, (dy * x).reshape(-1, x.shape[-1]).sum(axis=0)
    >>> model = Sequential([Input((32, 32, 3)), Scale(), Flatten(), Dense(10, activation="softmax")])

    The layers of fastconv define `emit(graph, x) -> y` instead, which appends steps to a `fastconv.plan.graph.Graph`.
    """

    def __init__(self, name: str | None = None, input_shape: Shape | None = None, trainable: bool = True):
        if name is not None and not isinstance(name, str):
            raise ValueError(f"name: expected a string or None. Received: name={name!r}")
        self.name, self._trainable = name or auto_name(type(self).__name__), flag(trainable, "trainable")
        self._first_input_shape = None if input_shape is None else (None, *sample_shape(input_shape, "input_shape"))
        self.calls: list[Node] = []
        self._weights: list[Weight] = []

    built = False

    def __getattr__(self, name: str) -> Any:
        if "calls" in self.__dict__:
            return object.__getattribute__(self, name)  # raises what brought us here, such as a property's own error
        raise AttributeError(
            f"{type(self).__name__}: expected super().__init__() to be called first in its __init__. Received: no "
            f"{name!r} yet"
        )

    def __getstate__(self):
        return {**self.__dict__, "calls": []}  # a copy is a layer of its own; those of a model know its calls

    @property
    def first_input_shape(self) -> tuple | None:
        """What a `Sequential` that begins with this layer is built with, batch included."""
        return self._first_input_shape

    @property
    def weights(self) -> list[Weight]:
        return self._weights

    @property
    def input(self) -> Any:
        """The tensor that the layer was called on first, or the list of them.

        Raises:
            AttributeError: if it was never called.
        """
        tensors = self._first_call("input").inputs
        return tensors[0] if len(tensors) == 1 else tensors

    @property
    def output(self) -> Any:
        """The tensor that the layer's first call returned. `Model(model.input, layer.output)` computes it.

        Raises:
            AttributeError: if it was never called.
        """
        return self._first_call("output").output

    def _first_call(self, what: str) -> Node:
        if not self.calls:
            raise AttributeError(f"{self.name}: expected a layer that was called, to have an {what}. Received: no call")
        return self.calls[0]

    def weight(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Initializer,
        trainable: bool = True,
        regularizer: regularizers.Regularizer | None = None,
    ) -> Weight:
        """A new weight of this layer, filled by `initializer` (name or callable); `regularizer` adds to the loss."""
        array = initial(f"{self.name}/{name}", tuple(shape), initializer)
        if array.shape != tuple(shape):
            raise ValueError(f"{self.name}: expected a {name} of shape {tuple(shape)}. Received: {array.shape}")
        weight = Weight(name, self.name, array, trainable, regularizer)
        self._weights.append(weight)
        return weight

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Initializer = "glorot_uniform",
        trainable: bool = True,
        regularizer: str | regularizers.Regularizer | None = None,
        name: str | None = None,
    ) -> Weight:
        """A new weight of this layer.

        Args:
            shape: of its array.
            initializer: of `fastconv.initializers`: an object, a name or a callable from shape to array.
            trainable: whether it learns; False for what `forward` writes itself, such as moving statistics.
            regularizer: a penalty that is added to the loss, of `fastconv.regularizers`: an object, a name or None.
            name: None takes "weight", "weight_1", ...

        Raises:
            ValueError: if the shape is not made of positive integers, a name is unknown, or its own one is taken.

        >>> self.kernel = self.add_weight((input_shape[-1], 10), name="kernel")
        """
        taken = [weight.name for weight in self._weights]
        if name is None:
            name = next(n for i in itertools.count() if (n := f"weight_{i}" if i else "weight") not in taken)
        if name in taken:
            raise ValueError(f"{self.name}: expected every weight under its own name. Received: {name!r} twice")
        if not isinstance(shape, (tuple, list)):
            raise ValueError(f"{self.name}: expected the shape of {name} as a tuple of sizes. Received: {shape!r}")
        sizes = [positive_int(size, f"{self.name}/{name} shape") for size in shape]
        return self.weight(name, sizes, initializer, bool(trainable), regularizers.get(regularizer))

    @property
    def trainable(self) -> bool:
        """Whether its weights learn. What is set counts for a model from its next `compile` on, as in Keras."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag(value, "trainable")

    @property
    def trainable_weights(self) -> list[Weight]:
        return [w for w in self.weights if w.trainable and self.trainable]

    @property
    def non_trainable_weights(self) -> list[Weight]:
        return [w for w in self.weights if not (w.trainable and self.trainable)]

    @property
    def frozen_weights(self) -> list[Weight]:
        """All its weights where it is not trainable, else none."""
        return [] if self.trainable else list(self.weights)

    def count_params(self) -> int:
        return sum(math.prod(w.shape) for w in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights, in the order they were made."""
        return [w.numpy() for w in self.weights]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Copies arrays in, in the order of `get_weights`.

        Raises:
            ValueError: if their number or a shape differs; nothing is changed then.
        """
        assign_all(self.weights, weights, self.name)

    def build(self, input_shape: Any) -> None:
        """Makes the weights. Called once, with the shape of the first input."""

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return tuple(input_shape)

    def emit(self, graph: Any, *inputs: Any) -> Any:
        return user_layer.emit(self, graph, inputs)

    @classmethod
    def _is_users(cls) -> bool:
        """Whether it runs its own `forward`."""
        return cls.emit is Layer.emit

    def ensure_built(self, input_shape: Any) -> None:
        if not self.built:
            self.build(input_shape)
            self.built = True
        else:
            self.check_input(input_shape)

    def check_input(self, input_shape: Any) -> None:
        """Raises ValueError if a built layer cannot take this shape."""

    def __call__(self, inputs: Tensor | Sequence[Tensor], training: bool | None = None) -> Any:
        """Connects the layer to a symbolic tensor (or a list of them, for layers that merge).

        Args:
            inputs: the tensor, or the list.
            training: None, or False for what the layer does in prediction while the model trains, too: batch
                normalization with the moving statistics, which stay as they are, no dropout, no random images. Its
                weights learn all the same, unless `trainable` is False. (Keras 3.15 documents this, but `fit` passes
                its own `training` on.)

        Raises:
            TypeError: if something else than tensors is given.
            ValueError: if their shapes do not fit the layer, or `training` is True.
        """
        if training is not None and not isinstance(training, (bool, np.bool_)) or training:
            raise ValueError(
                f"{self.name}: expected training=None, or False for what it does in prediction. "
                f"Received: training={training!r}"
            )
        tensors = self._tensors_of(inputs)
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"{self.name}: expected a symbolic tensor, such as Input(shape) or another layer returns. "
                    f"Received: {type(tensor).__name__}. To compute on arrays, use Model.predict or fastconv.ops"
                )
        user_layer.check_methods(self, self._is_users())
        shapes = self._input_shapes(tensors)
        self.ensure_built(shapes)
        if self._is_users():
            shape = user_layer.output_shapes(self, [tensor.shape for tensor in tensors])
        else:
            shape = self.compute_output_shape(shapes)
        return Node(self, tensors, shape, inference=training is not None).output

    def _tensors_of(self, inputs: Any) -> list[Any]:
        return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]

    def _input_shapes(self, tensors: list[Tensor]) -> Any:
        if len(tensors) == 1:
            return tensors[0].shape
        if not tensors or not self._is_users():
            raise ValueError(f"{self.name}: expected one input. Received: {len(tensors)}")
        return [tensor.shape for tensor in tensors]

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def require_rank(input_shape: Shape, rank: int, layer: str, axes: str) -> None:
    """Raises ValueError unless the shape, batch included, has this many axes, none of them empty or unknown."""
    if len(input_shape) != rank:
        raise ValueError(f"{layer}: expected an input of rank {rank} {axes}. Received: shape {tuple(input_shape)}")


def refuse(value: Any, name: str) -> None:
    """Returns None, what an argument of Keras that is not supported has to be; raises ValueError on anything else."""
    if value is not None:
        raise ValueError(f"{name}: expected None, as it is not supported yet. Received: {name}={value!r}")
