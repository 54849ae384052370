"""What `compile` was told to minimize and to measure: which entries of `totals` are whose, and what they say."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv import losses, regularizers
from fastconv import metrics as known_metrics


class _Measure(NamedTuple):
    """A metric of one output."""

    name: str
    metric: Any
    at: int  # its first entry of totals; where `counted`, that of the loss's right answers
    weighted: bool
    counted: bool  # by the loss, which makes it a step of its own


class _Output(NamedTuple):
    """What is taken of one output of the model."""

    loss: Any  # or None
    weight: float
    at: int  # the loss's first entry of totals
    measures: list[_Measure]

    @property
    def labelled(self) -> bool:
        return self.loss is not None or bool(self.measures)

    def target(self, shape) -> tuple[tuple, str]:
        """Shape and dtype of the labels' slot."""
        return (self.measures[0].metric if self.loss is None else self.loss).target(shape)


class Objective:
    """Losses and metrics of all outputs.

    Each emits steps that write their entries of one vector of sums over a batch. Feeders add the vectors up, so that
    what the host does per batch does not grow with the number of metrics.

    Args:
        loss: of every output: a loss, its name, or None; else a list with one per output or a dict by output names.
        loss_weights: factors of the losses in the sum that is minimized: a list or a dict, for one output a number.
        metrics: for one output a list (of metrics or names); for several a list or dict of such.
        weighted_metrics: likewise; these weigh samples as the loss does.
        output_names: of the model.

    Raises:
        ValueError: on an unknown name, or something that is not for these outputs.
    """

    def __init__(
        self, loss=None, loss_weights=None, metrics=None, weighted_metrics=None, output_names: Sequence[str] = ("",)
    ):
        self.output_names = list(output_names)
        self.losses = [None if one is None else losses.get(one) for one in self._by_output(loss, "loss")]
        weights = self._by_output(loss_weights, "loss_weights")
        self.loss_weights = [1.0 if weight is None else _factor(weight) for weight in weights]
        self._metrics = self._metrics_by_output(metrics, "metrics")
        self._weighted_metrics = self._metrics_by_output(weighted_metrics, "weighted_metrics")
        self._outputs: list[_Output] = []
        self._shapes: list[tuple] = []
        self._losses_of_logs: list[tuple[str, int, float]] = []  # name, entry of totals, weight
        self._measures: list[_Measure] = []  # in the order of the logs
        self._penalties_at: int | None = None  # entry of totals, where weights have penalties
        self.size = 0  # of totals

    def _by_output(self, given: Any, argument: str) -> list[Any]:
        """One value per output; a single one stands for all, and None for what is not there."""
        names = self.output_names
        if isinstance(given, dict):
            unknown = [name for name in given if name not in names]
            if unknown:
                raise ValueError(f"{argument}: expected keys out of the output names {names}. Received: {unknown[0]!r}")
            return [given.get(name) for name in names]
        if isinstance(given, (list, tuple)):
            if len(given) != len(names):
                raise ValueError(
                    f"{argument}: expected one entry for each of the {len(names)} outputs {names}. "
                    f"Received: {len(given)}"
                )
            return list(given)
        return [given] * len(names)

    def _metrics_by_output(self, given: Any, argument: str) -> list[list[Any]]:
        """A list of metrics, or of their names, per output."""
        if len(self.output_names) == 1 and not isinstance(given, dict):
            given = [given]  # a list is of metrics here
        per_output = [_as_list(one) for one in self._by_output(given, argument)]
        for metric in (metric for one in per_output for metric in one):
            known_metrics.check(metric)
        return per_output

    # ---- entries of totals ----
    def lay_out(self, output_shapes: Sequence[tuple], owner: Any = None) -> None:
        """Gives every loss and metric its entries, once the shapes of the outputs are known.

        Args:
            output_shapes: of the model.
            owner: the model or its graph, whose weights with regularizers share one entry.

        Raises:
            ValueError: if a loss or metric cannot take its output.
        """
        shapes = [tuple(shape[1:]) for shape in output_shapes]
        if self._outputs and shapes == self._shapes:
            return
        penalized = owner is not None and regularizers.penalized(owner)
        outputs, size, names = [], 0, set()
        for i, (loss, shape) in enumerate(zip(self.losses, output_shapes, strict=True)):
            at, measures = size, []
            if loss is not None:
                loss.check_output(shape)
                size += loss.state_size
            for weighted, given in ((False, self._metrics[i]), (True, self._weighted_metrics[i])):
                for one in given:
                    metric = known_metrics.get(one, shape if loss is None else loss.target(shape)[0], shape)
                    counted = not weighted and loss is not None and loss.counts(metric)
                    name = self._log_name(i, metric.name, weighted, names)
                    measures.append(_Measure(name, metric, at + 1 if counted else size, weighted, counted))
                    size += 0 if counted else metric.state_size
            outputs.append(_Output(loss, self.loss_weights[i], at, measures))
        self._outputs, self._shapes, self.size = outputs, shapes, size + penalized
        self._penalties_at = size if penalized else None
        self._losses_of_logs = [
            (f"{name}_loss", mine.at, mine.weight)
            for name, mine in zip(self.output_names, outputs, strict=True)
            if mine.loss is not None
        ]
        self._measures = [measure for mine in outputs for measure in mine.measures]
        if len(outputs) > 1:
            self._measures.sort(key=lambda measure: measure.name)

    def _log_name(self, output: int, name: str, weighted: bool, taken: set[str]) -> str:
        """Keras' rule: the output's name comes first where there are several; "weighted_" or a number makes it new."""
        prefix = f"{self.output_names[output]}_" if len(self.output_names) > 1 else ""
        if weighted and prefix + name in taken:
            name = f"weighted_{name}"
        numbered = (f"{prefix}{name}_{i}" if i else prefix + name for i in range(len(taken) + 1))
        found = next(candidate for candidate in numbered if candidate not in taken)
        taken.add(found)
        return found

    def emit(self, graph: Any, outputs: list[Any], weighted: Sequence[bool] = ()) -> None:
        """Appends the steps of all losses and metrics to a graph. Those of the penalties come later: `emit_penalties`.

        Args:
            graph: the model's, up to its outputs.
            outputs: their buffers.
            weighted: for which outputs with labels the samples have weights; () for none.
        """
        self.lay_out([output.shape for output in outputs], graph)
        graph.totals = graph.buffer((self.size,), "totals", dtype="float64")
        for mine, output in zip(self._outputs, outputs, strict=True):
            if not mine.labelled:
                continue
            place = len(graph.targets)
            target, weights = graph.target(*mine.target(output.shape), bool(weighted) and weighted[place])
            if mine.loss is not None:
                mine.loss.emit(graph, output, target, weights, mine.at, mine.weight)
            for measure in mine.measures:
                if not measure.counted:
                    measure.metric.emit(graph, output, target, weights if measure.weighted else None, measure.at)

    def emit_penalties(self, graph: Any, w: Any, dw: Any, places: Any) -> None:
        """Appends the step of the weights' penalties, after all others that make gradients.

        Args:
            graph: the model's, differentiated where it trains.
            w: buffer of the flat parameters.
            dw: buffer of their gradient, or None.
            places: (weight, begin, end) of each weight in them.
        """
        regularizers.emit(graph, w, dw, places, graph.targets[0].shape[0], self._penalties_at)

    # ---- labels ----
    @property
    def labelled(self) -> list[int]:
        """The places of the outputs that have labels."""
        return [i for i, output in enumerate(self._outputs) if output.labelled]

    def labels_of(self, output: int, y: Any, shape: tuple) -> np.ndarray:
        """`y`, the labels of an output of this shape, as the array that its loss or metrics read."""
        mine = self._outputs[output]
        return (mine.measures[0].metric if mine.loss is None else mine.loss).labels_of(y, shape)

    # ---- results ----
    def direction(self, name: str) -> str | None:
        """Which is better, "up" or "down", of the entry of this name in the logs; None where nobody knows."""
        if name == "loss" or any(name == loss for loss, *_ in self._losses_of_logs):
            return "down"
        return next((measure.metric.direction for measure in self._measures if measure.name == name), None)

    @property
    def loss_places(self) -> list[int]:
        """The entries of totals that are losses or penalties."""
        penalties = [] if self._penalties_at is None else [self._penalties_at]
        return [at for _, at, _ in self._losses_of_logs] + penalties

    def loss_of(self, sums: np.ndarray) -> float:
        """The loss over all samples of `sums`, not divided by their number."""
        loss = 0.0 if self._penalties_at is None else float(sums[self._penalties_at])
        for _, at, weight in self._losses_of_logs:
            loss += weight * float(sums[at])
        return loss

    def results(self, sums: np.ndarray, seen: int) -> dict[str, float]:
        """Losses and metrics over the samples seen, in Keras' order: the loss, and then the metrics; where there are
        several outputs, the loss, the outputs' own losses (without their weights), and the metrics by name."""
        seen = max(seen, 1)
        logs = {"loss": 0.0}
        for name, at, weight in self._losses_of_logs:
            loss = float(sums[at]) / seen
            logs["loss"] += weight * loss
            if len(self._losses_of_logs) > 1:
                logs[name] = loss
        if self._penalties_at is not None:
            logs["loss"] += float(sums[self._penalties_at]) / seen
        right = np.full(2, float(seen))
        for name, metric, at, _, counted in self._measures:
            right[0] = sums[at]
            logs[name] = metric.result(right if counted else sums[at : at + metric.state_size])
        return logs


def _as_list(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]


def _factor(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"loss_weights: expected numbers. Received: {value!r}")
    return float(value)
