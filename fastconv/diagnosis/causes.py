"""Rules that name the likely cause of a non-finite value, each by evidence that it shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastconv.diagnosis.report import Cause, NonFiniteReport
from fastconv.diagnosis.trace import Finding, Stage, Trace

# What initializers and learning rates are made for is inputs of about 1; images of 0..255 are not.
_INPUT_MAX = 10.0
# Of its own size, by one step. Training that goes well changes a kernel by 1e-3 of it, seldom by 1e-1.
_CHANGE_MAX = 0.5
# Over at least so many layers with kernels in a row, and no normalization between them.
_GROWTH_MAX, _GROWTH_LAYERS = 1e3, 3


def of_start(finding: Finding) -> Cause:
    """Of a state that was not finite before the first step."""
    return Cause(
        "weights",
        f"{finding.name} was not finite when fit began.",
        "Look at where it comes from: set_weights, a file, an initializer, or train_on_batch after a loss of NaN.",
    )


def of_step(now: Trace, last: Trace | None, change: tuple[str, float] | None, report: NonFiniteReport) -> list[Cause]:
    """The causes that the evidence speaks for, the most direct first.

    Args:
        now: the step that failed.
        last: the step before, where there is one.
        change: the kernel that the step before changed most, and by which share of its norm.
        report: what is known so far.
    """
    return list(_causes(now, last, change, report))


def _causes(now, last, change, report) -> Iterator[Cause]:
    finding = now.finding
    if finding.tensor == "label":
        yield Cause(
            "labels",
            "The labels given are finite, but larger than the largest float32 (3.4e38).",
            "Scale them, or leave these samples out.",
        )
        return
    if finding.tensor == "sample weight":
        yield Cause(
            "sample_weight",
            "Weights of samples are larger than the largest float32 (3.4e38).",
            "Scale them to a mean of about 1.",
        )
        return
    if now.input_max is not None and now.input_max > _INPUT_MAX:
        yield Cause(
            "unscaled input",
            f"The first layer with weights reads values up to {now.input_max:.3g}.",
            "Scale the inputs to about 1 (images: x / 255), or begin with a Rescaling or Normalization layer.",
        )
    if now.target_max > _INPUT_MAX:
        yield Cause(
            "labels",
            f"There are labels up to {now.target_max:.3g}.",
            "Scale them to about 1, and the predictions back.",
        )
    path, share = change or ("", 0.0)
    updated = finding.tensor == "weight" and finding.op is not None and finding.op.endswith("_update")
    if share > _CHANGE_MAX or updated:
        moved = f"the step before changed {path} by {share:.3g} times its norm" if path else "the update overflowed"
        yield Cause(
            "learning rate",
            f"At a learning rate of {report.learning_rate:.3g} {moved}{_course(report.losses)}.",
            "Try a tenth of it or less; clipnorm=1.0 of the optimizer bounds single steps.",
        )
    grown = _growth(now.stages) or (last and _growth(last.stages))
    if grown is not None:
        first, end, growth = grown
        yield Cause(
            "no normalization",
            f"From {first} to {end} activations grow {growth:.2g} times, with no normalization between.",
            "Put a BatchNormalization after each of these layers, or start from smaller weights.",
        )


def _course(losses: list[float]) -> str:
    """The losses on the way, where they grew."""
    finite = [loss for loss in losses if np.isfinite(loss)]
    if len(finite) < 2 or finite[-1] < 10 * min(finite):
        return ""
    return ", and the loss went " + ", ".join(f"{loss:.2g}" for loss in finite[-4:])


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
