"""Shares of right answers."""

from __future__ import annotations

from fastconv.checks import number
from fastconv.geometry import positive_int
from fastconv.labels import class_numbers
from fastconv.metrics.base import MeanMetric


class Accuracy(MeanMetric):
    """Share of the outputs that equal their label.

    Args:
        name: in logs and the history.
        dtype: None or "float32".

    Source: keras.metrics.Accuracy. Its name as a string, "accuracy", stands for the one of the following that fits the
    shapes of output and labels.

    >>> model.compile("adam", "mse", metrics=[Accuracy()])
    """

    direction = "up"

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(name, dtype)

    def emit(self, graph, output, target, sample_weight, at):
        self._require_like_output(output, target)
        reads = {"x": output, "target": target, "sample_weight": sample_weight}
        graph.emit("loss", {"totals": graph.sums(at, 2), "dx": None}, function="accuracy", **reads)


class BinaryAccuracy(MeanMetric):
    """Share of the outputs on the right side of a threshold: above it where the label is 1, else not.

    Args:
        name: in logs and the history.
        dtype: None or "float32".
        threshold: 0.5 for probabilities, 0 for logits.

    Source: keras.metrics.BinaryAccuracy.

    >>> model.compile("adam", "binary_crossentropy", metrics=[BinaryAccuracy(threshold=0.7)])
    """

    direction = "up"

    def __init__(self, name="binary_accuracy", dtype=None, threshold=0.5):
        super().__init__(name, dtype)
        self.threshold = number(threshold, "threshold")

    def emit(self, graph, output, target, sample_weight, at):
        self._require_like_output(output, target)
        writes = {"totals": graph.sums(at, 2), "dx": None}
        reads = {"x": output, "target": target, "sample_weight": sample_weight}
        graph.emit("loss", writes, function="binary_accuracy", parameter=self.threshold, **reads)


class _OfClasses(MeanMetric):
    """Share of the samples whose label is found; of a sample of several rows, the share of these."""

    direction = "up"
    k = 0  # of the op categorical_accuracy

    def emit(self, graph, output, target, sample_weight, at):
        self._check(output, target)
        writes = {"totals": graph.sums(at, 2)}
        graph.emit("categorical_accuracy", writes, x=output, labels=target, k=self.k, sample_weight=sample_weight)

    def _check(self, output, target):
        self._require_like_output(output, target)


class _OfNumbers(_OfClasses):
    """The labels are numbers of classes."""

    def target(self, output_shape):
        return tuple(output_shape[:-1]), "int32"

    def labels_of(self, y, output_shape):
        return class_numbers(y, output_shape, self.name)

    def _check(self, output, target):
        self._require_class_numbers(target)


class CategoricalAccuracy(_OfClasses):
    """Share of the samples whose largest output is at the largest of their labels (the first of equals).

    Args:
        name: in logs and the history.
        dtype: None or "float32".

    Labels: distributions (N, ..., classes). Next to `CategoricalCrossentropy` it costs nothing: the loss counts it.
    Source: keras.metrics.CategoricalAccuracy.

    >>> model.compile("adam", "categorical_crossentropy", metrics=[CategoricalAccuracy()])
    """

    def __init__(self, name="categorical_accuracy", dtype=None):
        super().__init__(name, dtype)


class SparseCategoricalAccuracy(_OfNumbers):
    """Share of the samples whose largest output is at their label (the first of equals).

    Args:
        name: in logs and the history.
        dtype: None or "float32".

    Labels: numbers of classes (N, ...). Next to `SparseCategoricalCrossentropy` it costs nothing: the loss counts it.
    Source: keras.metrics.SparseCategoricalAccuracy.

    >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=[SparseCategoricalAccuracy()])
    """

    def __init__(self, name="sparse_categorical_accuracy", dtype=None):
        super().__init__(name, dtype)


class TopKCategoricalAccuracy(_OfClasses):
    """Share of the samples for which fewer than k outputs are larger than the one at the largest of their labels.

    Args:
        k: number of outputs to look at.
        name: in logs and the history.
        dtype: None or "float32".

    Labels: distributions (N, ..., classes). A row with NaN or infinity counts as wrong.
    Source: keras.metrics.TopKCategoricalAccuracy.

    >>> model.compile("adam", "categorical_crossentropy", metrics=[TopKCategoricalAccuracy(k=3)])
    """

    def __init__(self, k=5, name="top_k_categorical_accuracy", dtype=None):
        super().__init__(name, dtype)
        self.k = positive_int(k, "k")


class SparseTopKCategoricalAccuracy(_OfNumbers):
    """Share of the samples for which fewer than k outputs are larger than the one at their label.

    Args:
        k: number of outputs to look at.
        name: in logs and the history.
        dtype: None or "float32".
        from_sorted_ids: False.

    Labels: numbers of classes (N, ...). A row with NaN or infinity counts as wrong.
    Source: keras.metrics.SparseTopKCategoricalAccuracy.

    >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=[SparseTopKCategoricalAccuracy(k=3)])
    """

    def __init__(self, k=5, name="sparse_top_k_categorical_accuracy", dtype=None, from_sorted_ids=False):
        super().__init__(name, dtype)
        if from_sorted_ids:
            raise ValueError(f"from_sorted_ids: expected False. Received: from_sorted_ids={from_sorted_ids!r}")
        self.k, self.from_sorted_ids = positive_int(k, "k"), False
