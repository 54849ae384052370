"""Losses, by Keras' names. Softmax and cross-entropy are one step from the logits, never clipped."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from fastconv.metrics import Accuracy
from fastconv.settings import Configurable

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastconv.metrics import Metric


class Loss(Configurable):
    """Base: a number per sample, whose mean over a batch is minimized.

    Subclasses say which labels they read (`target`, `labels_of`), which outputs they take (`check_output`), and emit
    their sum over a batch and its gradient.
    """

    name: str
    state_size = 1  # entries of totals: the sum of the losses, and what a subclass counts besides

    def target(self, output_shape) -> tuple[tuple, str]:
        """Shape and dtype of the labels for a model output of this shape, batch first."""
        return tuple(output_shape), "float"

    def labels_of(self, y: npt.ArrayLike, output_shape) -> np.ndarray:
        """`y` as the array the loss reads, checked in full.

        Raises:
            ValueError: naming what was expected and received, and the loss that would fit.
        """
        raise NotImplementedError

    def check_output(self, output_shape) -> None:
        """Raises ValueError if the loss cannot take a model output of this shape."""

    def counts(self, metric: Metric) -> bool:
        """Whether entry 1 of this loss is the first of this metric's."""
        return False

    def emit(self, graph, output, target, sample_weight, at: int, weight: float) -> None:
        """Emits the loss of `output`, and in training where its gradient starts.

        Args:
            graph: what steps are appended to.
            output: the model's.
            target: the labels.
            sample_weight: factors of the samples' losses, or None.
            at: entry of `graph.totals` that takes the sum of sample_weight * loss over the batch.
            weight: the gradient is that of weight * (this sum) / batch.
        """
        raise NotImplementedError


class _Crossentropy(Loss):
    """Cross-entropy between labels and the softmax of the model's logits; it counts right answers on the way.

    A model that ends in softmax gives its logits away (Keras on TensorFlow does the same): the loss of a saturated
    output stays exact where log(softmax) would be clipped.

    Args:
        from_logits: whether the model's output is logits; else it has to end in a softmax.
    """

    state_size = 2

    def __init__(self, from_logits: bool = False, name: str | None = None):
        self.from_logits, self.name = bool(from_logits), name or self.name

    def counts(self, metric):
        return isinstance(metric, Accuracy)

    def emit(self, graph, output, target, sample_weight, at, weight):
        if sample_weight is not None or weight != 1:
            raise ValueError(f"{self.name}: expected no sample weights, and a loss weight of 1 (others come later)")
        logits = self._logits(graph, output)
        dx = graph.buffer(logits.shape, "d logits") if graph.training else None
        graph.emit("softmax_xent", {"totals": graph.sums(at, 2), "dx": dx}, x=logits, labels=target)
        if dx is not None:
            graph.add_loss_gradient(logits, dx)

    def _logits(self, graph, output):
        producer = graph.producer(output)
        if producer is not None and producer.op == "softmax_forward":
            if self.from_logits:
                warnings.warn(
                    f"{self.name}: from_logits=True, but the model ends in softmax; its logits are used.", stacklevel=2
                )
            return producer.reads["x"]
        if not self.from_logits:
            raise ValueError(
                f"{self.name}: expected a model that ends in softmax, or from_logits=True. Received: a model whose "
                f"last step is {producer.op if producer else 'its input'}"
            )
        return output

    def check_output(self, output_shape):
        if len(output_shape) != 2:
            raise ValueError(f"{self.name}: expected a model output (N, classes). Received: shape {output_shape}")


def _numeric(y, name: str) -> np.ndarray:
    y = np.asarray(y)
    if y.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected y of real numbers. Received: dtype {y.dtype}")
    return y


class CategoricalCrossentropy(_Crossentropy):
    """Cross-entropy against one distribution over the classes per sample (one-hot rows of `to_categorical`).

    Args:
        from_logits: whether the model's output is logits; else it has to end in a softmax.

    Labels: (N, classes), any real dtype.
    Source: keras.losses.CategoricalCrossentropy.
    """

    name = "categorical_crossentropy"

    def labels_of(self, y, output_shape):
        y, classes = _numeric(y, self.name), output_shape[-1]
        if y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1 and classes != 1):
            raise ValueError(
                f"{self.name}: expected one row of {classes} numbers per sample. Received: y of shape {y.shape}, which "
                'looks like integer labels: use loss="sparse_categorical_crossentropy", or utils.to_categorical(y)'
            )
        if y.ndim != 2 or y.shape[1] != classes:
            raise ValueError(f"{self.name}: expected y of shape (N, {classes}). Received: shape {y.shape}")
        bad = np.flatnonzero(~np.isfinite(y).all(axis=1)) if y.dtype.kind == "f" else ()
        if len(bad):
            raise ValueError(f"{self.name}: expected finite labels. Received: {y[bad[0]]} at sample {bad[0]}")
        return np.ascontiguousarray(y, dtype=np.float32)


class SparseCategoricalCrossentropy(_Crossentropy):
    """Cross-entropy against one integer label per sample.

    Args:
        from_logits: whether the model's output is logits; else it has to end in a softmax.

    Labels: (N,) or (N, 1), whole numbers in [0, classes).
    Source: keras.losses.SparseCategoricalCrossentropy.
    """

    name = "sparse_categorical_crossentropy"

    def target(self, output_shape):
        return tuple(output_shape[:1]), "int32"

    def labels_of(self, y, output_shape):
        y, classes = _numeric(y, self.name), output_shape[-1]
        if y.ndim == 2 and y.shape[1] == classes and classes != 1:
            raise ValueError(
                f"{self.name}: expected one integer label per sample. Received: y of shape {y.shape}, which looks "
                'one-hot: use loss="categorical_crossentropy", or y.argmax(axis=1)'
            )
        if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] != 1):
            raise ValueError(f"{self.name}: expected y of shape (N,) or (N, 1). Received: shape {y.shape}")
        y = y.reshape(-1)
        bad = np.flatnonzero(~((y >= 0) & (y < classes) & (y == np.floor(y))))  # NaN is bad, too
        if len(bad):
            raise ValueError(
                f"{self.name}: expected whole labels from 0 to {classes - 1}, as the model has {classes} outputs. "
                f"Received: {y[bad[0]]} at sample {bad[0]} ({len(bad)} such labels)"
            )
        return y.astype(np.int32)


_KNOWN = {loss.name: loss for loss in (CategoricalCrossentropy, SparseCategoricalCrossentropy)}


def get(identifier: str | Loss) -> Loss:
    """A loss object: `identifier` itself, or a new one by its name.

    Raises:
        ValueError: listing the known names.
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str) and identifier in _KNOWN:
        return _KNOWN[identifier]()
    raise ValueError(f"loss: expected a Loss or one of {sorted(_KNOWN)}. Received: {identifier!r}")
