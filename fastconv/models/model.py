"""A functional model: the layers between input tensors and output tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from fastconv.checks import flag
from fastconv.layers.base import Layer, auto_name
from fastconv.layers.weight import Weight
from fastconv.models import structure
from fastconv.models.nodes import sort_nodes
from fastconv.models.training import Trainer

if TYPE_CHECKING:
    from fastconv.diagnosis.check_gradients import GradientReport
    from fastconv.diagnosis.explain_plan import PlanExplanation
    from fastconv.diagnosis.profile import Profile


class Model(Trainer, Layer):
    """Groups layers that were called on tensors into something that trains, and that is itself a layer.

    A model that is called on tensors shares its weights with all its calls, as every layer does. A model between
    tensors of another one shares layers and weights with it.

    Args:
        inputs: the tensor `Input(...)` returned, or a list of such, or a dict by names; tensors between layers will do.
        outputs: the tensor the last layer returned, or a list or dict of tensors.
        name: None takes the next automatic name, "functional".

    Raises: ValueError if an output does not come from the inputs, an input leads to no output, or two layers have the
        same name.
    Source: keras.Model.

    >>> x = Input((32, 32, 3))
    >>> Model(x, Dense(10, activation="softmax")(Flatten()(x))).count_params()
    30730

    The outputs of a layer inside, from the same weights:

    >>> features = Model(model.input, model.get_layer("flatten").output)
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None):
        Trainer.__init__(self)
        Layer.__init__(self, name or auto_name("Functional"))
        self.input_keys, tensors = structure.flatten(inputs, "inputs")
        self.output_keys, results = structure.flatten(outputs, "outputs")
        self.nodes = sort_nodes(tensors, results)
        self.inputs, self.outputs = tensors, results  # after the nodes: a copy follows these without recursion

    built = True

    def __getstate__(self):
        return {**Trainer.__getstate__(self), "calls": []}

    def __setstate__(self, state):
        self.__dict__.update(state)
        for node in self.nodes:
            if node not in node.layer.calls:
                node.layer.calls.append(node)

    # ---- what it is made of ----
    @property
    def layers(self) -> list[Layer]:
        """Each layer once, in the order of computation, InputLayers first among equals."""
        return list(dict.fromkeys(node.layer for node in self.nodes))

    @property
    def weights(self) -> list[Weight]:
        """Those of all layers, layer by layer, a shared one once: kernel, bias; gamma, beta, moving_mean,
        moving_variance."""
        return list(dict.fromkeys(w for layer in self.layers for w in layer.weights))

    @property
    def trainable_weights(self) -> list[Weight]:
        layers = self.layers if self.trainable else []
        return list(dict.fromkeys(w for layer in layers for w in layer.trainable_weights))

    @property
    def non_trainable_weights(self) -> list[Weight]:
        trainable = set(self.trainable_weights)
        return [w for w in self.weights if w not in trainable]

    @property
    def frozen_weights(self) -> list[Weight]:
        return [w for layer in self.layers for w in layer.frozen_weights] if self.trainable else self.weights

    @property
    def trainable(self) -> bool:
        """Whether its weights learn. Setting it sets that of all its layers, and counts from the next `compile`."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag(value, "trainable")
        for layer in self.layers:
            layer.trainable = self._trainable

    _trainable = True

    @property
    def input(self) -> Any:
        """The tensor it begins with, or the list or dict of them."""
        return structure.packed(self.inputs, self.input_keys)

    @property
    def output(self) -> Any:
        """The tensor it ends with, or the list or dict of them."""
        return structure.packed(self.outputs, self.output_keys)

    @property
    def input_shape(self) -> Any:
        return structure.packed([tensor.shape for tensor in self.inputs], self.input_keys)

    @property
    def output_shape(self) -> Any:
        return structure.packed([tensor.shape for tensor in self.outputs], self.output_keys)

    @property
    def input_names(self) -> list[str]:
        """The keys of the inputs, or the names of their layers: how arrays are told apart."""
        return structure.names(self.inputs, self.input_keys)

    @property
    def output_names(self) -> list[str]:
        """The keys of the outputs, or the names of their layers: how losses, metrics and labels are told apart."""
        return structure.names(self.outputs, self.output_keys)

    @property
    def first_input_shape(self) -> tuple | None:
        return self.inputs[0].shape if self.built else None

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

    # ---- as a layer ----
    def _tensors_of(self, inputs: Any) -> list[Any]:
        return structure.arranged(inputs, self.input_names, self.name) if self.built else super()._tensors_of(inputs)

    def _input_shapes(self, tensors):
        if not self.built:
            return super()._input_shapes(tensors)
        for tensor, own in zip(tensors, self.inputs, strict=True):
            if tensor.shape != own.shape:
                raise ValueError(f"{self.name}: expected an input of shape {own.shape}. Received: {tensor.shape}")
        return [tensor.shape for tensor in tensors]

    def compute_output_shape(self, input_shape):
        shapes = [tensor.shape for tensor in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """Connects the model to symbolic tensors, as `Layer.__call__`; returns tensors in the form of its outputs."""
        super().__call__(inputs, training)
        return structure.packed(self.calls[-1].outputs, self.output_keys)

    def ensure_built(self, input_shape):
        if not self.built:
            self.build(input_shape)

    def emit(self, graph: Any, *inputs: Any) -> list[Any]:
        """Appends the layers' steps to a plan's graph; returns the buffers of the outputs."""
        buffers = dict(zip(self.inputs, inputs, strict=True))
        for node in self.nodes:
            if node.outputs[0] in buffers:
                continue
            graph.layer = node.layer.name
            with graph.inferring(node.inference):
                made = node.layer.emit(graph, *(buffers[tensor] for tensor in node.inputs))
            buffers.update(zip(node.outputs, made if isinstance(made, list) else [made], strict=True))
        graph.layer = None
        return [buffers[tensor] for tensor in self.outputs]

    # ---- files and tables ----
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
        show_arithmetic: bool = False,
    ) -> None:
        """Prints the layers with their output shapes and parameters, in Keras 3's layout.

        Args:
            line_length: width in characters.
            positions: where columns end, as fractions of the width.
            print_fn: called with the text instead of print.
            expand_nested: show the layers of models inside, too.
            show_trainable: add a column that says which layers learn.
            layer_range: pair of layer names (or patterns) to start and end with.
            show_arithmetic: add a column that says how sizes and parameters come about: 490 = (4 x 4 x 3 + 1) x 10.
        """
        from fastconv.models.summary import summary

        shown = expand_nested, show_trainable, layer_range, show_arithmetic
        summary(self, line_length, positions, print_fn, *shown)

    def profile(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        sample_weight: Any = None,
        seconds: float = 1.0,
    ) -> Profile:
        """Times every step of the fused plan, as training runs it, on one batch of real samples.

        A copy of the model is measured: weights, moving statistics, optimizer, step number and random generators stay
        as they are. A model that is not built is built, as by `predict`.

        Args:
            x: samples, as in `fit`; the first `batch_size` are taken.
            y: labels, as in `fit`: a training step is measured. None: a prediction, which needs no `compile`.
            batch_size: 32 if None.
            sample_weight: as in `fit`.
            seconds: how long to measure; three rounds at least are.

        Returns:
            `fastconv.diagnosis.profile.Profile`: `.layers` and `.rows` with time, GFLOP/s, share of the measured peak,
            bytes, algorithm and instruction set; as text, as HTML in notebooks, and as `to_dict()`.

        Raises:
            RuntimeError: with labels before `compile`.
            ValueError: on data that do not fit, or batches instead of arrays.

        >>> print(model.profile(x_train, y_train))
        >>> model.profile(x_train, y_train).table(width=140)
        """
        from fastconv.diagnosis.profile import profile

        return profile(self, x, y, batch_size, sample_weight, seconds)

    def explain_plan(self, batch_size: int = 32, mode: str = "train") -> PlanExplanation:
        """What runs in a step on a batch of this size: the calls after fusion, the fusions and what they gain, and
        where in one block of memory (the arena) each tensor lies from its first to its last use. Runs and changes
        nothing.

        Args:
            batch_size: samples of a step.
            mode: "train", "evaluate" or "predict", which needs no `compile`.

        Returns:
            `fastconv.diagnosis.explain_plan.PlanExplanation`: `.steps`, `.fusions` and `.buffers`; as text, as HTML
            with a picture in notebooks, as `to_dict()`, as an SVG by `picture()`, and in files by `save(path)`.

        Raises:
            RuntimeError: if the model is not built, or not compiled.
            ValueError: on another mode, or a batch size that is no positive integer.

        >>> plan = model.explain_plan()
        >>> print(plan)
        >>> plan.save("arena.svg")
        """
        from fastconv.diagnosis.explain_plan import explain_plan

        return explain_plan(self, batch_size, mode)

    def _repr_html_(self) -> str:
        from fastconv.models.summary import summary_html

        return summary_html(self)

    def check_gradients(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        entries: int = 10,
        tolerance: float = 1e-4,
        seed: int = 0,
    ) -> GradientReport:
        """Compares the gradients that training would use on a batch with finite differences of its loss.

        Both are computed in float64, by the NumPy reference, on the steps that training differentiates; dropout has one
        mask throughout, batch normalization the statistics of the batch. The model does not change. A run takes two
        forward passes of the reference per entry: give it a few samples.

        Args:
            x: samples, as in `fit`.
            y: labels.
            sample_weight: as in `fit`.
            entries: of each weight that are compared: the one with the largest gradient, and random ones.
            tolerance: the largest relative error that is right.
            seed: of the choice of entries.

        Returns:
            `GradientReport`: `.ok`, `.checks` by weight, `.wrong`, and a table where it is printed. Where the loss has
            a kink (a ReLU at 0, a tie of a maximum), any slope between those of both sides is right.

        Raises:
            RuntimeError: before `compile`.
            ValueError: on data that do not fit, a loss that is not finite, or a model of which nothing learns.

        >>> print(model.check_gradients(x[:4], y[:4]))
        """
        from fastconv.diagnosis.check_gradients import check_gradients

        return check_gradients(self, x, y, sample_weight, entries, tolerance, seed)


def require_built(model: Any) -> None:
    """Raises ValueError unless it is a model that knows its shapes."""
    if not isinstance(model, Model):
        raise ValueError(f"model: expected a Model or a Sequential. Received: {model!r}")
    if not model.built:
        raise ValueError(f"{model.name}: expected a built model. Give it an Input first, or call build(input_shape)")
