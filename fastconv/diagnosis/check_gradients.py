"""`Model.check_gradients`: the backward pass against finite differences, weight by weight, in float64."""

from __future__ import annotations

import dataclasses
import numbers
import weakref
from typing import Any

import numpy as np

from fastconv import optimizers
from fastconv.checks import positive, refused
from fastconv.geometry import positive_int
from fastconv.ops import get_ops
from fastconv.plan.executor import Executor

# Of central differences. Their error is about h**2 times the third derivative, and rounding of the loss over h; a
# smaller step is tried where a larger one may have crossed a kink.
_STEPS = (1e-5, 1e-6, 1e-7)
_ROUNDING = 1e-14  # of a loss in float64, relative: sums of some thousand terms
_SMALL = 1e-3  # of the largest entry of a weight's gradient: errors of smaller entries are relative to this


@dataclasses.dataclass(frozen=True)
class WeightCheck:
    """What was found for one weight.

    Attributes:
        weight: its path, "conv2d/kernel".
        shape: of it.
        checked: entries that were compared.
        kinks: entries of these where the loss has no derivative (a ReLU at 0, a tie of a maximum) and the backward pass
            gave a slope between those of both sides.
        error: the largest relative error of the others.
        at: the entry that has it.
        backward: its gradient by the backward pass.
        difference: and by finite differences.
    """

    weight: str
    shape: tuple[int, ...]
    checked: int
    kinks: int
    error: float
    at: tuple[int, ...]
    backward: float
    difference: float


@dataclasses.dataclass(frozen=True)
class GradientReport:
    """What `Model.check_gradients` found; `print` shows it as a table.

    Attributes:
        checks: a `WeightCheck` for each weight that learns.
        tolerance: the largest relative error that is right.
        samples: in the batch.
    """

    checks: list[WeightCheck]
    tolerance: float
    samples: int

    @property
    def wrong(self) -> list[WeightCheck]:
        """The weights whose gradients are wrong."""
        return [check for check in self.checks if not check.error <= self.tolerance]  # NaN is wrong, too

    @property
    def ok(self) -> bool:
        """Whether all gradients are right."""
        return not self.wrong

    def __str__(self) -> str:
        header = ("weight", "shape", "checked", "kinks", "largest error", "")
        rows = [
            (c.weight, str(c.shape), str(c.checked), str(c.kinks), f"{c.error:.1e}", "WRONG" if c in self.wrong else "")
            for c in self.checks
        ]
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in (header, *rows)
        ]
        lines = [line.rstrip() for line in lines]
        lines += [
            f"{c.weight}{list(c.at)}: {c.backward:.6g} by the backward pass, {c.difference:.6g} by finite differences"
            for c in self.wrong
        ]
        count = sum(c.checked for c in self.checks)
        verdict = f"{len(self.wrong)} of {len(self.checks)} weights are wrong" if self.wrong else "all right"
        lines.append(
            f"{count} entries of {len(self.checks)} weights on {self.samples} samples, in float64: {verdict} "
            f"(tolerance {self.tolerance:g})"
        )
        return "\n".join(lines)


def check_gradients(
    model: Any, x: Any, y: Any, sample_weight: Any = None, entries: int = 10, tolerance: float = 1e-4, seed: int = 0
) -> GradientReport:
    """See `Model.check_gradients`."""
    model._require_compiled("check_gradients")
    entries, tolerance = positive_int(entries, "entries"), positive(tolerance, "tolerance")
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise refused("seed", "an integer >= 0", seed)
    samples = model._checked(x, y, sample_weight)
    loss = _Loss(model, samples)
    if not loss.weights:
        raise ValueError("check_gradients: expected at least one weight that learns. Received: none")
    generator = np.random.default_rng(seed)
    return GradientReport([loss.check(w, entries, tolerance, generator) for w in loss.weights], tolerance, len(samples))


class _Loss:
    """The loss of a batch in training, as a function of the weights: the model's plan on the NumPy reference."""

    def __init__(self, model: Any, samples: Any):
        ops, still = get_ops("numpy"), optimizers.SGD(0.0)  # a rate of 0: weights stay where they are
        state = {"step": np.zeros(1, np.int64), "seed": np.zeros(1, np.int64)}  # one mask of dropout for all runs
        settings = {"fuse": (), "dtype": np.float64, "state": state, "frozen": model.frozen}
        self._executor = Executor(weakref.proxy(model), ops, model.objective, still, **settings)
        self._plan = self._executor.plan("train", len(samples), samples.weighted)
        self._samples, self._store = samples, self._executor.store
        self.weights = self._store.learning
        self._forward = self._calls_of_totals()
        self.value = self._run(self._plan.calls)
        if not np.isfinite(self.value):
            raise ValueError(f"check_gradients: expected a finite loss on these samples. Received: {self.value}")
        self._gradient = self._store.gradient.copy()

    def _calls_of_totals(self) -> list[Any]:
        """The calls that the loss takes: the plan without its backward pass."""
        needed, kept = {self._plan.graph.totals}, []
        for step, call in zip(reversed(self._plan.steps), reversed(self._plan.calls), strict=True):
            if any(buffer.root in needed for buffer in step.writes.values()):
                needed.update(buffer.root for buffer in step.reads.values())
                kept.append(call)
        return kept[::-1]

    def _run(self, calls: list[Any]) -> float:
        for slot, array in zip(self._plan.slots, self._samples.arrays, strict=True):
            slot[...] = array
        for call in calls:
            call()
        return self._executor.objective.results(self._plan.totals, len(self._samples))["loss"]

    def check(self, weight: Any, entries: int, tolerance: float, generator: np.random.Generator) -> WeightCheck:
        """Compares entries of a weight, the one with the largest gradient among them."""
        place = next((begin, end) for w, begin, end in self._store.places if w is weight)
        gradient = self._gradient[slice(*place)]
        largest = int(np.abs(gradient).argmax())
        others = np.delete(np.arange(gradient.size), largest)
        chosen = [largest, *generator.choice(others, min(entries - 1, len(others)), replace=False)]
        worst, kinks = (0.0, largest, gradient[largest], gradient[largest]), 0
        for i in map(int, chosen):
            error, difference, kink = self._error(place[0] + i, gradient[i], _SMALL * abs(gradient[largest]), tolerance)
            kinks += kink
            if not kink and not error <= worst[0]:
                worst = error, i, gradient[i], difference
        error, i, backward, difference = worst
        at = tuple(map(int, np.unravel_index(i, weight.shape)))
        found = float(error), at, float(backward), float(difference)
        return WeightCheck(weight.path, weight.shape, len(chosen), kinks, *found)

    def _error(self, i: int, slope: float, least: float, tolerance: float) -> tuple[float, float, bool]:
        """Relative error of the backward pass's slope along one entry, the difference's, and whether it is a kink."""
        best = np.inf, np.nan
        for step in _STEPS:
            below, above = self._one_sided(i, step)
            difference, rounding = (below + above) / 2, _ROUNDING * max(1.0, abs(self.value)) / step
            size = max(abs(slope), abs(difference), least, rounding / tolerance)  # what may be rounding is no error
            best = min(best, (abs(slope - difference) / size, difference), key=lambda one: one[0])
            if best[0] <= tolerance:
                return *best, False
            within = min(below, above) - rounding <= slope <= max(below, above) + rounding
            if within and abs(above - below) - rounding > tolerance * size and step == _STEPS[-1]:
                return *best, True
        return *best, False

    def _one_sided(self, i: int, step: float) -> tuple[float, float]:
        """The slopes of the loss below and above the entry's value."""
        parameters = self._store.trainable
        value = parameters[i]
        parameters[i] = value + step
        above = self._run(self._forward)
        parameters[i] = value - step
        below = self._run(self._forward)
        parameters[i] = value
        return (self.value - below) / step, (above - self.value) / step
