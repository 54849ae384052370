"""Rules that name the likely cause of a non-finite value, each by evidence that it shows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastconv.diagnosis.report import Cause
from fastconv.diagnosis.trace import Finding, Stage, Trace

# What initializers and learning rates are made for is numbers of about 1; images of 0..255 are not.
_GIVEN_MAX = 10.0
# Of its own size, by one step. Training that goes well changes a kernel by 1e-3 of it, seldom by 1e-1.
_CHANGE_MAX = 0.5
# Over at least so many layers with kernels in a row, and no normalization between them.
_GROWTH_MAX, _GROWTH_LAYERS = 1e3, 3

_BEYOND = "are finite, but larger than the largest float32 (3.4e38)."
_LOOK_AT_SAMPLE = "Look at that sample: it is far from the others."


class Change(NamedTuple):
    """What the step before changed most: a kernel, by which share of its norm, at which learning rate."""

    path: str
    share: float
    rate: float


def of_start(finding: Finding) -> Cause:
    """Of a state that was not finite before the first step."""
    return Cause(
        "weights",
        f"{finding.name} was not finite when fit began.",
        "Look at where it comes from: set_weights, a file, an initializer, or train_on_batch after a loss of NaN.",
    )


def of_step(now: Trace, last: Trace | None, change: Change | None, rate: float, losses: list[float]) -> list[Cause]:
    """The causes that the evidence speaks for, the most direct first.

    Args:
        now: the step that failed.
        last: the step before, where there is one.
        change: what that one did.
        rate: the learning rate of the step that failed.
        losses: of the steps that led here.
    """
    given = {"label": ("labels", "The labels given"), "sample weight": ("sample_weight", "The sample weights given")}
    if now.finding.tensor in given:
        name, what = given[now.finding.tensor]
        return [Cause(name, f"{what} {_BEYOND}", "Scale them, or leave these samples out.")]
    if now.sums_of_zero:
        return [_of_predictions(now)]
    found = (_of_inputs(now, last), _of_labels(now, last), _of_rate(now, change, rate, losses), _of_growth(now, last))
    return [cause for cause in found if cause is not None]


def _of_predictions(now: Trace) -> Cause:
    return Cause(
        "no probabilities",
        f"The loss divides predictions by their sum, which is 0 for {now.sums_of_zero} of the samples.",
        "End the model in softmax, or pass from_logits=True to the loss.",
    )


def _of_inputs(now: Trace, last: Trace | None) -> Cause | None:
    largest, advice = _peak(now, last, "input")
    return largest and Cause(
        "unscaled input",
        f"The first layer with weights reads values up to {largest}.",
        advice or "Scale the inputs to about 1 (images: x / 255), or begin with a Rescaling or Normalization layer.",
    )


def _of_labels(now: Trace, last: Trace | None) -> Cause | None:
    largest, advice = _peak(now, last, "target")
    return largest and Cause(
        "labels",
        f"There are labels up to {largest}.",
        advice or "Scale them to about 1, and the predictions back.",
    )


def _peak(now: Trace, last: Trace | None, what: str) -> tuple[str | None, str]:
    """The largest of what was given in this step and the one before, if it is too large; advice where a sample stands
    out."""
    steps = [(now, "")] if last is None else [(now, ""), (last, " of the step before")]
    peaks = [(getattr(step, what), where) for step, where in steps if getattr(step, what) is not None]
    peak, where = max(peaks, key=lambda pair: pair[0].value, default=(None, ""))
    if peak is None or not peak.value > _GIVEN_MAX:
        return None, ""
    if peak.outlier:
        return f"{peak.value:.3g} (sample {peak.sample}{where})", _LOOK_AT_SAMPLE
    return f"{peak.value:.3g}", ""


def _of_rate(now: Trace, change: Change | None, rate: float, losses: list[float]) -> Cause | None:
    advice = "Try a tenth of it or less; clipnorm=1.0 of the optimizer bounds single steps."
    if change is not None and change.share > _CHANGE_MAX:
        evidence = f"the step before changed {change.path} by {change.share:.3g} times its norm{_course(losses)}"
        return Cause("learning rate", f"At a learning rate of {change.rate:.3g} {evidence}.", advice)
    if now.finding.tensor == "weight":  # its gradient was finite, or that would have been found before it
        evidence = f"the update of {now.finding.name} overflowed, from finite gradients"
        return Cause("learning rate", f"At a learning rate of {rate:.3g} {evidence}.", advice)
    return None


def _course(losses: list[float]) -> str:
    """The losses on the way, where they grew."""
    finite = [loss for loss in losses if np.isfinite(loss)]
    if len(finite) < 2 or finite[-1] < 10 * min(finite):
        return ""
    return ", and the loss went " + ", ".join(f"{loss:.2g}" for loss in finite[-4:])


def _of_growth(now: Trace, last: Trace | None) -> Cause | None:
    grown = _growth(now.stages) or (_growth(last.stages) if last else None)
    if grown is None:
        return None
    first, end, growth = grown
    return Cause(
        "no normalization",
        f"From {first} to {end} activations grow {growth:.2g} times, with no normalization between.",
        "Put a BatchNormalization after each of these layers, or start from smaller weights.",
    )


def _growth(stages: list[Stage]) -> tuple[str, str, float] | None:
    """The first and the last of the layers in a row over which activations grow most, and by which factor."""
    found, row = None, []
    for stage in stages:
        if stage.norm:
            row = []
        elif stage.kernel:
            largest = stage.largest if np.isfinite(stage.largest) else float(np.finfo(np.float32).max)
            row.append((stage.layer, largest))
            growth = largest / max(row[0][1], 1e-30)
            if len(row) >= _GROWTH_LAYERS and growth > _GROWTH_MAX and (found is None or growth > found[2]):
                found = row[0][0], stage.layer, growth
    return found
