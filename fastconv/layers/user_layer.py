"""Layers that a user wrote: their `forward` and `backward` in Python, as steps of a plan.

A plan's arrays are used again and again, so that what is passed to the user's code are views for the time of the call,
and what it returns is copied. On the host the views cannot be written to; CuPy has no such views.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

_REAL = "fiub"  # kinds of dtype


def check_methods(layer: Any, runs_forward: bool) -> None:
    """Raises TypeError unless a layer has a `forward` if it runs it, and only then."""
    has_forward, name = callable(getattr(layer, "forward", None)), type(layer).__name__
    if runs_forward and not has_forward:
        raise TypeError(
            f"{layer.name}: expected a method forward(self, x), which returns an array (Keras' `call`, on arrays). "
            f"Received: {name} without one"
        )
    if has_forward and not runs_forward:
        raise TypeError(
            f"{layer.name}: expected layers.Layer itself as the base of a layer with a forward. Received: {name} of "
            f"{[base.__name__ for base in type(layer).__bases__]}, which has kernels of its own"
        )


def output_shapes(layer: Any, input_shapes: Sequence[tuple]) -> list[tuple]:
    """What a user's `compute_output_shape` returns for these inputs, batch included: the shape of each output.

    Raises:
        ValueError: if these are no shapes for the same batch.
    """
    given = layer.compute_output_shape(input_shapes[0] if len(input_shapes) == 1 else list(input_shapes))
    several = isinstance(given, (tuple, list)) and given and all(isinstance(one, (tuple, list)) for one in given)
    batch = input_shapes[0][0]
    shapes = [tuple(one) if isinstance(one, (tuple, list)) else () for one in (given if several else [given])]
    for shape in shapes:
        whole = all(isinstance(size, (int, np.integer)) and size > 0 for size in shape[1:])
        if not shape or shape[0] != batch or not whole:
            raise ValueError(
                f"{layer.name}: expected compute_output_shape to return the shape of an array, or a list of such, with "
                f"the batch {batch} first. Received: {given!r}"
            )
    return [(batch, *map(int, shape[1:])) for shape in shapes]


def emit(layer: Any, graph: Any, inputs: Sequence[Any]) -> list[Any]:
    """Emits the call of a layer's `forward` on buffers; returns those of its outputs."""
    shapes = output_shapes(layer, [x.shape for x in inputs])
    outputs = [graph.buffer(shape, f"{layer.name}.{name}") for name, shape in _numbered("y", shapes).items()]
    arrays = _numbered("x", inputs) | _numbered("w", map(graph.weight, layer.weights))
    call = UserCall(layer, len(inputs), len(outputs), graph.layers_train)
    graph.emit("user_forward", _numbered("y", outputs), call=call, **arrays)
    return outputs


class UserCall:
    """One call of a user's layer in a plan: what the ops "user_forward" and "user_backward" run.

    Args:
        layer: with its weights made.
        inputs: how many there are.
        outputs: likewise.
        training: whether it does what it does in training alone.
    """

    def __init__(self, layer: Any, inputs: int, outputs: int, training: bool):
        self.layer, self._inputs, self._outputs, self._training = layer, inputs, outputs, training
        self.weights = list(layer.weights)
        asks = "training" in inspect.signature(layer.forward).parameters
        self._options = {"training": training} if asks else {}

    @property
    def has_backward(self) -> bool:
        return callable(getattr(self.layer, "backward", None))

    def forward(self, **arrays: Any) -> None:
        """Writes the outputs y0, y1, ... of the inputs x0, x1, ... and the weights w0, w1, ...

        Raises:
            TypeError: if the layer returns no arrays of this memory.
            ValueError: if it returns another number of them, or one of another shape, or of no real numbers.
        """
        with self._weights_at(arrays, writable=self._training):
            made = self.layer.forward(self._lent("x", arrays), **self._options)
        outputs = [made] if self._outputs == 1 else made
        if not isinstance(outputs, (tuple, list)) or len(outputs) != self._outputs:
            raise ValueError(f"{self.layer.name}: expected forward to return a list of {self._outputs} arrays. "
                             f"Received: {_described(made)}")  # fmt: skip
        for i, output in enumerate(outputs):
            self._store(output, arrays[f"y{i}"], "forward to return")

    def backward(self, **arrays: Any) -> None:
        """Writes the gradients dx0, dx1, ... and dw0, dw1, ..., where they are among the arrays, of dy0, dy1, ..., of
        which zeros are left out, and what `forward` read and wrote.

        Raises: as `forward`.
        """
        zeros = {f"dy{i}": np.zeros_like(arrays[f"y{i}"]) for i in range(self._outputs) if f"dy{i}" not in arrays}
        dy, x, y = (self._lent(name, {**arrays, **zeros}) for name in ("dy", "x", "y"))
        with self._weights_at(arrays):
            made = self.layer.backward(dy, x, y)
        for name, gradient in self._gradients(made).items():
            if name not in arrays:
                continue
            if gradient is None:
                arrays[name][...] = 0
            else:
                self._store(gradient, arrays[name], f"backward to return, as {name},")

    def _lent(self, name: str, arrays: dict[str, Any]) -> Any:
        """Views of the arrays of an input or an output, in the form that the layer takes them."""
        views = [_view(arrays[f"{name}{i}"]) for i in range(self._inputs if name == "x" else self._outputs)]
        return views if len(views) > 1 else views[0]

    @contextlib.contextmanager
    def _weights_at(self, arrays: dict[str, Any], writable: bool = False) -> Iterator[None]:
        """A context in which the weights' `value` is the plan's array. Those that never learn, such as moving
        statistics, can be written to where it is `writable`."""
        before = [weight.storage for weight in self.weights]
        try:
            for i, weight in enumerate(self.weights):
                weight.storage = _view(arrays[f"w{i}"], writable and not weight.trainable)
            yield
        finally:
            for weight, storage in zip(self.weights, before, strict=True):
                weight.storage = storage

    def _gradients(self, made: Any) -> dict[str, Any]:
        """What `backward` returned, by the names of the arrays that it is for."""
        learning = [i for i, weight in enumerate(self.weights) if weight.trainable]
        of_inputs, of_weights = made, []
        if learning:
            of_inputs, *of_weights = made if isinstance(made, (tuple, list)) and made else (made,)
        if self._inputs == 1:
            of_inputs = [of_inputs]
        if not isinstance(of_inputs, (tuple, list)) or made is None:  # as where a `return` was forgotten
            of_inputs = []
        if len(of_inputs) != self._inputs or len(of_weights) != len(learning):
            raise ValueError(f"{self.layer.name}: expected backward to return {self._form(learning)}. "
                             f"Received: {_described(made)}")  # fmt: skip
        return _numbered("dx", of_inputs) | {f"dw{i}": dw for i, dw in zip(learning, of_weights, strict=True)}

    def _form(self, learning: list[int]) -> str:
        x = "dx" if self._inputs == 1 else f"[{', '.join(f'dx{i}' for i in range(self._inputs))}]"
        weights = [f"d{self.weights[i].name}" for i in learning]
        return f"({', '.join([x, *weights])})" if weights else x

    def _store(self, made: Any, array: Any, what: str) -> None:
        """Copies what the layer returned into a plan's array."""
        expected = f"{self.layer.name}: expected {what} an array of real numbers of shape {array.shape}. Received:"
        if not isinstance(made, type(array)):
            raise TypeError(f"{expected} {_described(made)}, no {type(array).__module__}.ndarray")
        if made.shape != array.shape:
            raise ValueError(f"{expected} shape {made.shape}")
        if made.dtype.kind not in _REAL:
            raise ValueError(f"{expected} dtype {made.dtype}")
        array[...] = made


def _view(array: Any, writable: bool = False) -> Any:
    view = array.view()
    if isinstance(view, np.ndarray):
        view.flags.writeable = writable
    return view


def _described(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return type(value).__name__


def _numbered(name: str, values: Iterable[Any]) -> dict[str, Any]:
    return {f"{name}{i}": value for i, value in enumerate(values)}
