"""What activations, gradients and updates of each layer are like while a model trains."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from fastconv.callbacks.base import Callback, Logs
from fastconv.callbacks.tensorboard import summary_writer
from fastconv.checks import path

# What steps call what they compute: most; a transposed convolution; a layer of the user's own, the first of several.
_OUTPUTS = ("y", "dx", "y0")


class LayerStatistics(Callback):
    """Records numbers about the activations, gradients and weights of each layer, on one batch that stays the same.

    Of a layer's output as training computes it (statistics of the batch, dropout), and of all its weights that learn:

    | statistic | what it is |
    | --- | --- |
    | activation_mean, activation_std | mean and standard deviation of the output |
    | activation_max | largest absolute value of it |
    | activation_zeros | share of it that is exactly 0: of a ReLU, what it cuts off |
    | gradient_norm, gradient_mean, gradient_std, gradient_max, gradient_zeros | likewise of the loss's gradient |
    | weight_norm | root of the sum of squares of the weights |
    | update_ratio | the norm of the update that the optimizer would make by this gradient, over `weight_norm` |

    An update_ratio near 0.001 is common; 0.1 is a high learning rate. A gradient_norm that falls or grows from layer to
    layer by orders of magnitude is a gradient that vanishes or explodes. A loss takes the logits of a last softmax, so
    that the last layer's output is these.

    Args:
        x: the samples of the batch, 32 or so: as in `fit`.
        y: their labels.
        frequency: "epoch", or a number of batches from one record to the next.
        log_dir: a folder for TensorBoard, which shows "layer/<statistic>/<layer>" by training step; needs tensorboardX.
            None writes nothing.

    Attributes:
        history: a list of values for each layer and statistic: `history["conv2d"]["gradient_norm"]`. Layers without
            weights that learn have no statistics of gradients and weights; NaN is what there is no number for.
        steps: the training steps after which they were recorded, counted from 1.

    A record costs about two training steps on the batch, and the training is the same to the bit with it.

    Raises:
        ValueError: if the frequency is none, or at the beginning of `fit` if the batch does not fit the model.
        ImportError: with `log_dir`, without tensorboardX.

    >>> statistics = LayerStatistics(x_train[:32], y_train[:32])
    >>> history = model.fit(x_train, y_train, callbacks=[statistics])
    >>> statistics.history["dense"]["update_ratio"]
    """

    state_names = ("history", "steps")

    def __init__(
        self, x: Any, y: Any, frequency: str | int = "epoch", log_dir: str | os.PathLike[str] | None = None
    ) -> None:
        super().__init__()
        whole = isinstance(frequency, int) and not isinstance(frequency, bool) and frequency > 0
        if frequency != "epoch" and not whole:
            raise ValueError(f'frequency: expected "epoch" or a number of batches. Received: frequency={frequency!r}')
        self.frequency, self.log_dir = frequency, None if log_dir is None else path(log_dir, "log_dir")
        self.history: dict[str, dict[str, list[float]]] = {}
        self.steps: list[int] = []
        self._given, self._samples, self._writer = (x, y), None, None
        if log_dir is not None:
            summary_writer()

    def logs_due(self, hook: str) -> bool:
        """See `CallbackList.logs_due`."""
        return False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._samples = self.model._checked(*self._given)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.frequency != "epoch" and (self.model.optimizer.iterations % self.frequency) == 0:
            self._record()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.frequency == "epoch":
            self._record()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._samples = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _record(self) -> None:
        found, step = _statistics(self.model, self._samples), self.model.optimizer.iterations
        for layer, statistics in found.items():
            for name, value in statistics.items():
                missed = [math.nan] * len(self.steps)  # of a layer that is new, where there are other records
                self.history.setdefault(layer, {}).setdefault(name, missed).append(value)
        self.steps.append(step)
        if self.log_dir is not None:
            self._writer = self._writer or summary_writer()(self.log_dir)
            for layer, statistics in found.items():
                for name, value in statistics.items():
                    self._writer.add_scalar(f"layer/{name}/{layer}", value, step)
            self._writer.flush()


def _statistics(model: Any, samples: Any) -> dict[str, dict[str, float]]:
    """Of each layer that computes something, in the order of computation."""
    from fastconv.diagnosis.probe import Probe

    probe = Probe(model, "train", len(samples), samples.weighted)
    forward = {step: step.layer for step in probe.forward if step.layer is not None}
    last = {layer: step for step, layer in forward.items()}  # a convolution's activation is its last step
    found: dict[str, dict[str, float]] = {}

    def visit(step: Any, values: Any) -> None:
        if last.get(step.layer) is step:
            output = next(name for name in _OUTPUTS if name in step.writes)
            found[step.layer] = _summary("activation", values(output))

    probe.run(samples, visit)
    gradients, updates, weights = {}, {}, {}
    for parts, by_layer in ((probe.gradients(), gradients), (probe.updates(), updates)):
        for weight, values in parts:
            by_layer.setdefault(weight.layer_name, []).append(values.ravel())
            if by_layer is gradients:
                weights.setdefault(weight.layer_name, []).append(weight.array.ravel())
    for layer, parts in gradients.items():
        mine, norm = found.setdefault(layer, {}), _norm(np.concatenate(weights[layer]))
        gradient = np.concatenate(parts)
        mine["gradient_norm"] = _norm(gradient)
        mine.update(_summary("gradient", gradient))
        mine["weight_norm"] = norm
        mine["update_ratio"] = _norm(np.concatenate(updates[layer])) / norm if norm else math.nan
    return found


def _summary(what: str, values: np.ndarray) -> dict[str, float]:
    return {
        f"{what}_mean": float(values.mean(dtype=np.float64)),
        f"{what}_std": float(values.std(dtype=np.float64)),
        f"{what}_max": float(np.abs(values).max()),
        f"{what}_zeros": float((values == 0).mean()),
    }


def _norm(values: np.ndarray) -> float:
    return math.sqrt(float(np.square(values, dtype=np.float64).sum()))
