"""What a user is told about a non-finite value."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

_SHOWN = 8  # samples in the text
_LARGE_WEIGHT = 1e3


class LayerRange(NamedTuple):
    """The largest absolute values of a layer; NaN or infinite where one is, None where there are none (yet).

    Attributes:
        layer: its name.
        weights: before the step.
        activation: of what it computes, in this step.
        activation_before: in the step before.
        gradient: of the loss by its weights and inputs, in this step.
        gradient_before: in the step before.
    """

    layer: str
    weights: float | None = None
    activation: float | None = None
    activation_before: float | None = None
    gradient: float | None = None
    gradient_before: float | None = None


class Cause(NamedTuple):
    """What probably led to it.

    Attributes:
        name: "labels", "sample_weight", "weights", "no probabilities", "unscaled input", "learning rate" or
            "no normalization".
        evidence: a sentence with the numbers that speak for it.
        advice: what to change.
    """

    name: str
    evidence: str
    advice: str


@dataclasses.dataclass(repr=False)
class NonFiniteReport:
    """The first value of a training that is NaN or infinite, in the order of computation.

    Attributes:
        tensor: what it is in: "input", "label", "sample weight", "weight", "moving statistic", "activation", "loss",
            "gradient" or "optimizer state".
        layer: the name of the layer; None of labels, sample weights and the loss, or where the step could not be
            repeated.
        name: of the tensor, as in "output of dense" or "dense/kernel".
        op: what computed it (a method of `fastconv.ops.protocol.Ops`); None where nothing did.
        values: how many of the tensor's values are not finite, and how many it has.
        step: number of the training step, from 1; `optimizer.iterations` is one less now.
        epoch: from 0, as callbacks count.
        batch: of the epoch, from 0.
        samples: numbers of the samples (in x as `fit` got it; in the batch, where x gives batches) whose part of the
            tensor is not finite. Where it comes from all of the batch: those whose numbers are not small beside
            others'.
        batch_samples: of all samples of the batch.
        ranges: of the layers, in the order of computation.
        input_max: largest absolute value that the first layer with weights reads; None if there is none.
        losses: means of the steps that led here, the last of this one; since the last copy of the weights.
        learning_rate: of the step.
        causes: the most likely first; empty where no rule applies.
        exact: False if repeating the steps did not show it again: weights or batches were changed in between, or there
            was no memory for it. Then the model is back at the last copy of its weights, and of the failure only step,
            epoch, batch and samples are known.
        iterations: steps that the model has taken, as it is now.
    """

    tensor: str
    layer: str | None
    name: str
    step: int
    iterations: int
    epoch: int = 0
    batch: int = 0
    op: str | None = None
    values: tuple[int, int] = (0, 0)
    samples: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    batch_samples: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    ranges: list[LayerRange] = dataclasses.field(default_factory=list)
    input_max: float | None = None
    losses: list[float] = dataclasses.field(default_factory=list)
    learning_rate: float | None = None
    causes: list[Cause] = dataclasses.field(default_factory=list)
    exact: bool = True

    def __str__(self):
        layer = f"layer {self.layer}, " if self.layer else ""
        step = f"step {self.step} (epoch {self.epoch + 1}, batch {self.batch + 1})"
        bad, size = self.values
        if not len(self.batch_samples):
            lines = [f"non-finite {self.tensor} in {layer}before {step}: {bad} of the {size} values of {self.name}."]
        elif self.exact:
            lines = [f"non-finite {self.tensor} in {layer}{step}: {bad} of the {size} values of {self.name}."]
            lines.append(f"Samples: {self._samples_text()}.")
        else:
            lines = [
                f"non-finite loss in {step}, samples {self._samples_text()}. Repeating the steps since the last copy "
                "of the weights did not show it again: weights or batches were changed between steps, or memory ran "
                "out. So the tensor is not known."
            ]
        if len(self.ranges) > 1:
            lines.append(self._range_text())
        for i, cause in enumerate(self.causes):
            lines.append(f"{'Also possible' if i else 'Likely cause'}: {cause.name}. {cause.evidence} {cause.advice}")
        if len(self.batch_samples):
            largest = max((r.weights for r in self.ranges if r.weights is not None), default=0.0)
            hopeless = f": up to {largest:.2g}, from where training seldom recovers" if largest > _LARGE_WEIGHT else ""
            lines.append(f"The model is as step {self.iterations} left it, with finite weights{hopeless}.")
        return "\n".join(lines)

    def __repr__(self):
        return f"<NonFiniteReport: {str(self).splitlines()[0]}>"

    def _samples_text(self) -> str:
        shown, count = ", ".join(map(str, self.samples[:_SHOWN])), len(self.samples)
        more = ", ..." if count > _SHOWN else ""
        return f"{shown}{more} ({count} of the batch's {len(self.batch_samples)})"

    def _range_text(self) -> str:
        """The layer's own numbers, or those of the largest activations before where it has none."""
        kind = "gradient" if self.tensor in ("gradient", "weight", "optimizer state") else "activation"
        known = [r for r in self.ranges if getattr(r, kind) is not None and np.isfinite(getattr(r, kind))]
        last = known[3::-1] if kind == "gradient" else known[-4:]  # gradients are computed from the end
        text = ", ".join(f"{r.layer} {getattr(r, kind):.2g}" for r in last)
        own = next((r for r in self.ranges if r.layer == self.layer), None)
        before = getattr(own, f"{kind}_before", None) if own else None
        parts = [f"Largest {kind}s of the layers before: {text}." if text else ""]
        if before is not None:
            parts.append(f"In the step before, {self.layer} had {before:.2g}.")
        return " ".join(part for part in parts if part) or "No tensor was computed before it."

    def table(self) -> str:
        """The largest absolute values of every layer, a line each."""
        titles = ("layer", "weights", "activation", "(before)", "gradient", "(before)")
        rows = [titles, *((r[0], *("-" if v is None else f"{v:.2e}" for v in r[1:])) for r in self.ranges)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(titles))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )


class NonFiniteError(FloatingPointError):
    """Raised by `fit` at the first value that is NaN or infinite.

    It is an ArithmeticError, as the arguments were in order and the arithmetic left the range of float32; NumPy raises
    FloatingPointError for the same under `np.errstate(all="raise")`.

    Attributes:
        report: a `NonFiniteReport`; `str(error)` is its text.
    """

    def __init__(self, report: NonFiniteReport):
        super().__init__(report)
        self.report = report

    def __str__(self):
        return str(self.report)
