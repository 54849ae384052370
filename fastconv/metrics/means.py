"""Losses as metrics: means over the samples."""

from __future__ import annotations

import math

from fastconv.checks import flag
from fastconv.metrics.base import MeanMetric


class _OfLoss(MeanMetric):
    """The mean of a loss."""

    direction = "down"
    _loss: object

    def target(self, output_shape):
        return self._loss.target(output_shape)

    def labels_of(self, y, output_shape):
        return self._loss.labels_of(y, output_shape)

    def emit(self, graph, output, target, sample_weight, at):
        self._require_like_output(output, target)
        self._loss.emit_value(graph, output, target, sample_weight, at)


class MeanSquaredError(_OfLoss):
    """Mean of (output - label)^2.

    Args:
        name: in logs and the history.
        dtype: None or "float32".

    Source: keras.metrics.MeanSquaredError.

    >>> model.compile("adam", "mae", metrics=[MeanSquaredError()])
    """

    def __init__(self, name="mean_squared_error", dtype=None):
        from fastconv import losses

        super().__init__(name, dtype)
        self._loss = losses.MeanSquaredError(name=name)


class RootMeanSquaredError(MeanSquaredError):
    """Root of the mean of (output - label)^2 over all samples.

    Args:
        name: in logs and the history.
        dtype: None or "float32".

    Source: keras.metrics.RootMeanSquaredError.

    >>> model.compile("adam", "mse", metrics=[RootMeanSquaredError()])
    """

    def __init__(self, name="root_mean_squared_error", dtype=None):
        super().__init__(name, dtype)

    def result(self, state):
        return math.sqrt(super().result(state))


class MeanAbsoluteError(_OfLoss):
    """Mean of |output - label|.

    Args:
        name: in logs and the history.
        dtype: None or "float32".

    Source: keras.metrics.MeanAbsoluteError.

    >>> model.compile("adam", "mse", metrics=[MeanAbsoluteError()])
    """

    def __init__(self, name="mean_absolute_error", dtype=None):
        from fastconv import losses

        super().__init__(name, dtype)
        self._loss = losses.MeanAbsoluteError(name=name)


class BinaryCrossentropy(_OfLoss):
    """Mean of the loss of the same name.

    Args:
        name: in logs and the history.
        dtype: None or "float32".
        from_logits: as in `fastconv.losses.BinaryCrossentropy`.
        label_smoothing: likewise.

    Source: keras.metrics.BinaryCrossentropy.

    >>> model.compile("adam", "mse", metrics=[BinaryCrossentropy()])
    """

    def __init__(self, name="binary_crossentropy", dtype=None, from_logits=False, label_smoothing=0):
        from fastconv import losses

        super().__init__(name, dtype)
        self.from_logits, self.label_smoothing = flag(from_logits, "from_logits"), label_smoothing
        self._loss = losses.BinaryCrossentropy(from_logits, label_smoothing, name=name)


class _OfClasses(_OfLoss):
    """The loss counts right answers where others have the sum of the weights, which another step takes."""

    state_size = 4

    def emit(self, graph, output, target, sample_weight, at):
        self._loss.emit_value(graph, output, target, sample_weight, at)
        writes = {"totals": graph.sums(at + 2, 2)}
        graph.emit("categorical_accuracy", writes, x=output, labels=target, sample_weight=sample_weight)

    def result(self, state):
        return super().result(state[[0, 3]])


class CategoricalCrossentropy(_OfClasses):
    """Mean of the loss of the same name.

    Args:
        name: in logs and the history.
        dtype: None or "float32".
        from_logits: as in `fastconv.losses.CategoricalCrossentropy`.
        label_smoothing: likewise.
        axis: -1.

    Source: keras.metrics.CategoricalCrossentropy.

    >>> model.compile("adam", CategoricalCrossentropy(label_smoothing=0.1), metrics=["categorical_crossentropy"])
    """

    def __init__(self, name="categorical_crossentropy", dtype=None, from_logits=False, label_smoothing=0, axis=-1):
        from fastconv import losses

        super().__init__(name, dtype)
        self.from_logits, self.label_smoothing, self.axis = flag(from_logits, "from_logits"), label_smoothing, axis
        self._loss = losses.CategoricalCrossentropy(from_logits, label_smoothing, axis, name=name)

    def emit(self, graph, output, target, sample_weight, at):
        self._require_like_output(output, target)
        super().emit(graph, output, target, sample_weight, at)


class SparseCategoricalCrossentropy(_OfClasses):
    """Mean of the loss of the same name.

    Args:
        name: in logs and the history.
        dtype: None or "float32".
        from_logits: as in `fastconv.losses.SparseCategoricalCrossentropy`.
        ignore_class: None.
        axis: -1.

    Source: keras.metrics.SparseCategoricalCrossentropy.

    >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=[SparseCategoricalCrossentropy()])
    """

    def __init__(
        self, name="sparse_categorical_crossentropy", dtype=None, from_logits=False, ignore_class=None, axis=-1
    ):
        from fastconv import losses

        super().__init__(name, dtype)
        self.from_logits, self.ignore_class, self.axis = flag(from_logits, "from_logits"), ignore_class, axis
        self._loss = losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis, name=name)

    def emit(self, graph, output, target, sample_weight, at):
        self._require_class_numbers(target)
        super().emit(graph, output, target, sample_weight, at)
