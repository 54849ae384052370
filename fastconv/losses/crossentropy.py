"""Cross-entropies. One with the softmax or sigmoid before it is one step from the logits, never clipped."""

from __future__ import annotations

import numbers

from fastconv.checks import flag
from fastconv.labels import class_numbers, like_output, require
from fastconv.losses.base import OneStep
from fastconv.metrics.accuracy import CategoricalAccuracy, SparseCategoricalAccuracy

_UNBOUNDED = ("conv2d_fprop", "batchnorm_forward", "leaky_relu_forward")  # whose outputs are no probabilities


class _Crossentropy(OneStep):
    """A model that ends in the activation gives its logits away (Keras on TensorFlow does the same): the loss of a
    saturated output stays exact where a log of it would be clipped."""

    activation: str  # that makes probabilities of logits

    def __init__(self, from_logits, label_smoothing, axis, reduction, name, dtype):
        super().__init__(name, reduction, dtype)
        if not isinstance(label_smoothing, numbers.Real) or not 0 <= label_smoothing <= 1:
            raise ValueError(
                f"label_smoothing: expected a number from 0 to 1. Received: label_smoothing={label_smoothing!r}"
            )
        if axis != -1:
            raise ValueError(f"axis: expected -1, the last axis. Received: axis={axis!r}")
        self.from_logits, self.axis = flag(from_logits, "from_logits"), axis
        self.label_smoothing = float(label_smoothing)

    def _logits(self, graph, output):
        """The logits behind the output, or None if it is probabilities from elsewhere."""
        producer = graph.producer(output)
        if producer is not None and self._makes_probabilities(producer):
            return producer.reads["x"]
        return output if self.from_logits else None

    def advice(self, graph, output):
        producer = graph.producer(output)
        if producer is None:
            return None
        if self.from_logits and self._makes_probabilities(producer):
            return "from_logits", (
                f"{self.name} has from_logits=True, but {producer.layer!r} ends in {self.activation}. Its logits are "
                f"used, as in Keras on TensorFlow; elsewhere {self.activation} would be taken twice. Leave one out."
            )
        if not self.from_logits and producer.op in _UNBOUNDED:
            return "no_probabilities", (
                f"{self.name} expects probabilities, but {producer.layer!r} makes none: its outputs have no bounds, "
                f"and are clipped to 0 and 1, where they teach nothing: end the model in {self.activation}, or pass "
                "from_logits=True."
            )
        return None

    def _makes_probabilities(self, step) -> bool:
        return step.op == "softmax_forward"


class BinaryCrossentropy(_Crossentropy):
    """Cross-entropy of outputs that each are the probability of something, a label of 1, against its absence, 0.

    Args:
        from_logits: whether the model's output is logits; else it is probabilities, from a sigmoid or clipped to
            [1e-7, 1 - 1e-7].
        label_smoothing: share s of labels * (1 - s) + s / 2.
        axis: -1.
        reduction: see `Loss`.
        name: in messages.
        dtype: None or "float32".

    Labels: numbers from 0 to 1 in the shape of the output, (N, ...); (N,) for an output (N, 1).
    Source: keras.losses.BinaryCrossentropy.

    >>> model.compile("adam", BinaryCrossentropy(label_smoothing=0.1))
    """

    activation = "sigmoid"

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_crossentropy",
        dtype=None,
    ):
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)

    def labels_of(self, y, output_shape):
        y = like_output(y, output_shape, self.name)
        require(
            y,
            lambda labels: (labels >= 0) & (labels <= 1),
            f'{self.name}: expected labels from 0 to 1 (for numbers of classes use "sparse_categorical_crossentropy", '
            'for others "mean_squared_error")',
        )
        return y

    def step(self, graph, output):
        logits, attributes = self._logits(graph, output), {"label_smoothing": self.label_smoothing}
        if logits is None:
            return "loss", output, {"function": "binary_crossentropy", **attributes}
        return "loss", logits, {"function": "binary_crossentropy_of_logits", **attributes}

    def _makes_probabilities(self, step):
        return step.op == "activation_forward" and step.attrs["function"] == "sigmoid"


class _OfClasses(_Crossentropy):
    """It counts right answers on the way."""

    activation = "softmax"
    labels = "labels"
    counted: type  # metric

    def counts(self, metric):
        return isinstance(metric, self.counted)

    def check_output(self, output_shape):
        if len(output_shape) < 2:
            raise ValueError(
                f"{self.name}: expected a model output (N, ..., classes). Received: shape {tuple(output_shape)}"
            )

    def step(self, graph, output):
        logits, attributes = self._logits(graph, output), {"label_smoothing": self.label_smoothing}
        if logits is None:
            return "categorical_crossentropy", output, attributes
        return "softmax_xent", logits, attributes


class CategoricalCrossentropy(_OfClasses):
    """Cross-entropy against one distribution over the classes per sample (one-hot rows of `to_categorical`).

    Args:
        from_logits: whether the model's output is logits; else it is probabilities, from a softmax, or divided by their
            sum and clipped to [1e-7, 1 - 1e-7].
        label_smoothing: share s of labels * (1 - s) + s / classes.
        axis: -1.
        reduction: see `Loss`.
        name: in messages.
        dtype: None or "float32".

    Labels: (N, ..., classes), any real dtype.
    Source: keras.losses.CategoricalCrossentropy.

    >>> model.compile("adam", CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    """

    counted = CategoricalAccuracy

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_crossentropy",
        dtype=None,
    ):
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)

    def labels_of(self, y, output_shape):
        return like_output(y, output_shape, self.name)


class SparseCategoricalCrossentropy(_OfClasses):
    """Cross-entropy against one integer label per sample.

    Args:
        from_logits: whether the model's output is logits; else it is probabilities, from a softmax, or clipped to
            [1e-7, 1 - 1e-7] and divided by their sum.
        ignore_class: None.
        axis: -1.
        reduction: see `Loss`.
        name: in messages.
        dtype: None or "float32".

    Labels: (N, ...) or (N, ..., 1), whole numbers in [0, classes).
    Source: keras.losses.SparseCategoricalCrossentropy.

    >>> model.compile("adam", SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    """

    counted = SparseCategoricalAccuracy

    def __init__(
        self,
        from_logits=False,
        ignore_class=None,
        axis=-1,
        reduction="sum_over_batch_size",
        name="sparse_categorical_crossentropy",
        dtype=None,
    ):
        super().__init__(from_logits, 0.0, axis, reduction, name, dtype)
        if ignore_class is not None:
            raise ValueError(f"ignore_class: expected None. Received: ignore_class={ignore_class!r}")
        self.ignore_class = None

    def target(self, output_shape):
        return tuple(output_shape[:-1]), "int32"

    def labels_of(self, y, output_shape):
        return class_numbers(y, output_shape, self.name)
