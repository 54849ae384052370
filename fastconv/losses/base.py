"""What losses have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv.checks import text
from fastconv.labels import check_dtype
from fastconv.settings import Configurable

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastconv.metrics import Metric

_REDUCTIONS = ("sum_over_batch_size", "mean")


class Loss(Configurable):
    """Base: a number per sample, whose mean over a batch is minimized.

    Subclasses say which labels they read (`target`, `labels_of`), which outputs they take (`check_output`), and emit
    their sum over a batch and its gradient.

    Args:
        name: in messages.
        reduction: "sum_over_batch_size" or "mean", which is the same here.
        dtype: None or "float32".
    """

    name: str
    state_size = 1  # entries of totals: the sum of the losses, and what a subclass counts besides

    def __init__(self, name: str | None = None, reduction: str = "sum_over_batch_size", dtype: str | None = None):
        if not isinstance(reduction, str) or reduction not in _REDUCTIONS:
            raise ValueError(
                f"reduction: expected one of {list(_REDUCTIONS)} (others are not supported). "
                f"Received: reduction={reduction!r}"
            )
        check_dtype(dtype)
        self.name = type(self).__name__ if name is None else text(name, "name")
        self.reduction, self.dtype = reduction, dtype

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

    def advice(self, graph, output) -> tuple[str, str] | None:
        """What users should know of this loss after these layers: a kind of `AdviceWarning` and a text; or None."""
        return None

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


class OneStep(Loss):
    """A loss that is one op: `step` says which, of which buffer, and with which attributes."""

    state_size = 2
    labels = "target"  # the op's name for them

    def step(self, graph, output) -> tuple[str, Any, dict]:
        raise NotImplementedError

    def emit(self, graph, output, target, sample_weight, at, weight):
        op, x, attributes = self.step(graph, output)
        dx = graph.buffer(x.shape, f"d {x.name}") if graph.training else None
        self._emit(
            graph, op, at, dx, x=x, sample_weight=sample_weight, weight=weight, **{self.labels: target}, **attributes
        )
        if dx is not None:
            graph.add_loss_gradient(x, dx)

    def emit_value(self, graph, output, target, sample_weight, at: int) -> None:
        """Emits the sum of the losses alone, for a metric."""
        op, x, attributes = self.step(graph, output)
        self._emit(graph, op, at, None, x=x, sample_weight=sample_weight, **{self.labels: target}, **attributes)

    def _emit(self, graph, op, at, dx, **arguments):
        graph.emit(op, {"totals": graph.sums(at, 2), "dx": dx}, **arguments)
