"""Finds the step that made the first non-finite value, by repeating steps: training has the same bits every time."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from fastconv.diagnosis import causes
from fastconv.diagnosis.report import LayerRange, NonFiniteReport
from fastconv.diagnosis.trace import Finding, Trace, weight_at
from fastconv.models import loops
from fastconv.models.watched import Taken
from fastconv.plan.executor import Executor
from fastconv.plan.snapshot import Snapshot


def explain_start(executor: Executor, epoch: int, batch: int) -> NonFiniteReport:
    """The report on an executor that is not finite before any step is taken."""
    finding = _in_state(executor)
    count = executor.iterations
    report = NonFiniteReport(finding.tensor, finding.layer, finding.name, count + 1, count, epoch, batch)
    report.values, report.causes = finding.values, [causes.of_start(finding)]
    return report


def explain(executor: Executor, snapshot: Snapshot, taken: list[Taken]) -> NonFiniteReport:
    """The report on steps that ended with a non-finite value.

    Args:
        executor: is left as before the step that made it, or as in the snapshot where repeating does not show it.
        snapshot: of before the first step, finite.
        taken: the steps since then.
    """
    before, earlier = Snapshot(executor), Snapshot(executor)
    snapshot.restore()
    losses: list[float] = []
    try:
        for i, step in enumerate(taken):
            before, earlier = earlier, before
            before.take()
            loss = _repeat(executor, step)
            losses.append(loss / len(step.numbers))
            if step.loss is not None and not _same(loss, step.loss):
                break
            if not (math.isfinite(loss) and executor.is_finite()):
                fused = functools.partial(executor.plan, "train")
                last = _traced(executor, earlier, taken[i - 1], [executor.unfused_plan]) if i else None
                now = _traced(executor, before, step, [executor.unfused_plan, fused])
                if now is None or now.finding is None:
                    break
                report = _report(executor, step, now, last, before)
                report.losses = losses
                change = _change(earlier, before, taken[i - 1].rate) if i else None
                report.causes = causes.of_step(now, last, change, step.rate, losses)
                return report
    except MemoryError:  # for two more copies
        pass
    except BaseException:
        snapshot.restore()
        raise
    snapshot.restore()
    step = taken[-1]
    report = NonFiniteReport("loss", None, "the loss", 0, executor.iterations, step.epoch, step.batch, exact=False)
    report.step = executor.iterations + len(taken)
    report.samples = report.batch_samples = step.numbers
    report.learning_rate = step.rate
    return report


def _repeat(executor: Executor, step: Taken) -> float:
    plan = executor.plan("train", len(step.numbers), step.samples.weighted)
    loops.fill(plan, step.samples, step.numbers)
    executor.train_step(plan, rate=step.rate)
    return executor.objective.loss_of(executor.memory.download(plan.totals))


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def _traced(executor: Executor, before: Snapshot, step: Taken, plans: list[Callable]) -> Trace | None:
    """The step, taken apart; the executor is as before it then.

    It is looked at in the first of the plans that fits into memory and shows a non-finite value; unfused steps are
    those of the layers, but it may be that only fused ones make the value. None if no plan fits.
    """
    seen = None
    for plan_of in plans:
        before.restore()
        try:
            plan = plan_of(len(step.numbers), step.samples.weighted)
        except MemoryError:
            continue
        loops.fill(plan, step.samples, step.numbers)
        seen = Trace(executor, plan, step.numbers).run(step.rate)
        executor.clear_gradients()
        if seen.finding is not None:
            break
    before.restore()
    return seen


def _report(executor: Executor, step: Taken, now: Trace, last: Trace | None, before: Snapshot) -> NonFiniteReport:
    finding, numbers = now.finding, step.numbers
    weights: dict[str, float] = {}
    for weight in executor.store.weights:
        largest = float(np.abs(weight.array).max(initial=0.0))
        weights[weight.layer_name] = max(weights.get(weight.layer_name, 0.0), largest)
    layers = dict.fromkeys([*(last.activations if last else ()), *now.activations])
    count = executor.iterations
    at = (step.epoch, step.batch)
    report = NonFiniteReport(finding.tensor, finding.layer, finding.name, count + 1, count, *at)
    report.op, report.values, report.learning_rate = finding.op, finding.values, step.rate
    report.batch_samples = numbers
    report.samples = finding.samples
    report.input_max = now.input.value if now.input else None
    report.ranges = [
        LayerRange(
            layer,
            weights.get(layer),
            now.activations.get(layer),
            last.activations.get(layer) if last else None,
            now.gradients.get(layer),
            last.gradients.get(layer) if last else None,
        )
        for layer in layers
    ]
    return report


def _change(earlier: Snapshot, before: Snapshot, rate: float) -> causes.Change:
    """What the step between changed most."""
    old, new = ({path: w.astype(np.float64) for path, w in of.weights().items()} for of in (earlier, before))
    shares = {
        path: float(np.linalg.norm(new[path] - old[path]) / max(np.linalg.norm(old[path]), 1e-30))
        for path in old
        if old[path].ndim > 1
    }
    path = max(shares, key=shares.get, default="")
    return causes.Change(path, shares.get(path, 0.0), rate)


def _in_state(executor: Executor) -> Finding:
    """The first weight, moving statistic or slot of the optimizer that is not finite."""
    none = np.zeros(0, np.int64)
    for weight in executor.store.weights:
        bad = ~np.isfinite(weight.array)
        if bad.any():
            tensor = "weight" if weight.trainable else "moving statistic"
            return Finding(tensor, weight.layer_name, weight.path, None, (int(bad.sum()), bad.size), none)
    arrays = {name: ~np.isfinite(executor.memory.download(array)) for name, array in executor.arrays.items()}
    name = next(name for name, bad in arrays.items() if bad.any())
    weight, bad = weight_at(executor, arrays[name])
    values = (int(bad.sum()), bad.size)
    return Finding("optimizer state", weight.layer_name, f"{name} of {weight.path}", None, values, none)
