"""Learning rates by the number of steps taken, with Keras' names and formulas; OneCycle is fastconv's own."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

import numpy as np

from fastconv.checks import flag, number, positive, refused, text
from fastconv.settings import Configurable


def checked_rate(value) -> float:
    """`value` as a learning rate.

    Raises:
        ValueError: unless it is a finite number >= 0.
    """
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = math.nan
    if not (math.isfinite(rate) and rate >= 0):
        raise ValueError(f"learning_rate: expected a finite number >= 0. Received: learning_rate={value!r}")
    return rate


class LearningRateSchedule(Configurable):
    """Base: an object called with the number of steps taken (0 before the first) that returns the next step's rate.

    Source: keras.optimizers.schedules.LearningRateSchedule.

    >>> class Halved(LearningRateSchedule):
    ...     name = "halved"
    ...
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** (step // 1000)
    """

    name = "schedule"

    def __call__(self, step: int) -> float:
        raise NotImplementedError


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate ** (step / decay_steps).

    Args:
        initial_learning_rate: rate of the first step.
        decay_steps: steps over which the rate is multiplied by `decay_rate`.
        decay_rate: the factor.
        staircase: whether step / decay_steps is rounded down.
        name: of the schedule.

    Raises: ValueError if decay_steps is not positive.
    Source: keras.optimizers.schedules.ExponentialDecay.

    >>> ExponentialDecay(0.5, decay_steps=100, decay_rate=0.5)(200)
    0.125
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        self.initial_learning_rate = number(initial_learning_rate, "initial_learning_rate", 0)
        self.decay_steps, self.decay_rate = _steps(decay_steps, "decay_steps"), number(decay_rate, "decay_rate", 0)
        self.staircase, self.name = flag(staircase, "staircase"), text(name, "name")

    def __call__(self, step):
        periods = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate**periods


class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps).

    Args:
        initial_learning_rate: rate of the first step.
        decay_steps: steps over which `decay_rate` is added to the denominator.
        decay_rate: what is added.
        staircase: whether step / decay_steps is rounded down.
        name: of the schedule.

    Raises: ValueError if decay_steps is not positive.
    Source: keras.optimizers.schedules.InverseTimeDecay.

    >>> InverseTimeDecay(0.5, decay_steps=100, decay_rate=1.0)(100)
    0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        self.initial_learning_rate = number(initial_learning_rate, "initial_learning_rate", 0)
        self.decay_steps, self.decay_rate = _steps(decay_steps, "decay_steps"), number(decay_rate, "decay_rate", 0)
        self.staircase, self.name = flag(staircase, "staircase"), text(name, "name")

    def __call__(self, step):
        periods = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * periods)


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], then values[1] up to boundaries[1], and so on.

    Args:
        boundaries: numbers of steps, ascending.
        values: one rate more than there are boundaries.
        name: of the schedule.

    Raises: ValueError if the lengths do not fit.
    Source: keras.optimizers.schedules.PiecewiseConstantDecay.

    >>> decay = PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    >>> decay(100), decay(101), decay(1000)
    (0.1, 0.01, 0.001)
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"):
        boundaries, values = _numbers(boundaries, "boundaries"), _numbers(values, "values")
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"values: expected one more than boundaries, {len(boundaries) + 1}. Received: {len(values)} values"
            )
        if boundaries != sorted(boundaries):
            raise ValueError(f"boundaries: expected ascending numbers. Received: boundaries={boundaries!r}")
        self.boundaries, self.values, self.name = boundaries, values, text(name, "name")

    def __call__(self, step):
        return self.values[bisect.bisect_left(self.boundaries, step)]


class PolynomialDecay(LearningRateSchedule):
    """end_learning_rate + (initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ** power.

    Args:
        initial_learning_rate: rate of the first step.
        decay_steps: steps to the end, after which the rate stays.
        end_learning_rate: rate at the end.
        power: of the polynomial; 1 is a line.
        cycle: whether to start anew beyond decay_steps, with 2, 3, ... times as many steps to the end.
        name: of the schedule.

    Raises: ValueError if decay_steps is not positive.
    Source: keras.optimizers.schedules.PolynomialDecay.

    >>> PolynomialDecay(0.5, decay_steps=100, end_learning_rate=0.25)(50)
    0.375
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        self.initial_learning_rate = number(initial_learning_rate, "initial_learning_rate", 0)
        self.decay_steps = _steps(decay_steps, "decay_steps")
        self.end_learning_rate = number(end_learning_rate, "end_learning_rate", 0)
        self.power, self.cycle, self.name = number(power, "power"), flag(cycle, "cycle"), text(name, "name")

    def __call__(self, step):
        steps = self.decay_steps * max(1, math.ceil(step / self.decay_steps)) if self.cycle else self.decay_steps
        left = (1 - min(step, steps) / steps) ** self.power
        return self.end_learning_rate + (self.initial_learning_rate - self.end_learning_rate) * left


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate to `alpha` of it, after a line up to it where there is a warm-up.

    Args:
        initial_learning_rate: rate of the first step.
        decay_steps: steps of the decay, after which the rate stays; those of the warm-up come before them.
        alpha: the last rate as a share of that from which it decays.
        name: of the schedule.
        warmup_target: rate at the end of the warm-up, from which it decays; None for no warm-up.
        warmup_steps: steps of the warm-up.

    Raises: ValueError if decay_steps is not positive.
    Source: keras.optimizers.schedules.CosineDecay; Loshchilov and Hutter 2017, arXiv:1608.03983.

    >>> decay = CosineDecay(0.0, decay_steps=100, warmup_target=0.5, warmup_steps=10)
    >>> decay(0), decay(5), decay(10), decay(110)
    (0.0, 0.25, 0.5, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ):
        self.initial_learning_rate = number(initial_learning_rate, "initial_learning_rate", 0)
        self.decay_steps = _steps(decay_steps, "decay_steps")
        self.warmup_target = None if warmup_target is None else number(warmup_target, "warmup_target", 0)
        self.alpha, self.name = number(alpha, "alpha"), text(name, "name")
        self.warmup_steps = warmup_steps if warmup_steps == 0 else _steps(warmup_steps, "warmup_steps")

    def __call__(self, step):
        top, begin = self.initial_learning_rate, 0
        if self.warmup_target is not None:
            top, begin = self.warmup_target, self.warmup_steps
            if step < begin:
                return self.initial_learning_rate + (top - self.initial_learning_rate) * step / begin
        fraction = min(step - begin, self.decay_steps) / self.decay_steps
        return top * ((1 - self.alpha) * _half_cosine(fraction) + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """A cosine decay that starts anew, in periods that grow.

    Args:
        initial_learning_rate: rate of the first step.
        first_decay_steps: steps of the first period.
        t_mul: each period has so many times the steps of the one before, at least 1.
        m_mul: each starts from so many times the rate of the one before.
        alpha: the lowest rate as a share of the initial one.
        name: of the schedule.

    Raises: ValueError if first_decay_steps is not positive or t_mul below 1.
    Source: keras.optimizers.schedules.CosineDecayRestarts; Loshchilov and Hutter 2017, arXiv:1608.03983.

    >>> decay = CosineDecayRestarts(0.5, first_decay_steps=100)
    >>> decay(0), decay(50), decay(100)
    (0.5, 0.25, 0.5)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        self.initial_learning_rate = number(initial_learning_rate, "initial_learning_rate", 0)
        self.first_decay_steps = _steps(first_decay_steps, "first_decay_steps")
        self.t_mul, self.m_mul, self.alpha = number(t_mul, "t_mul", 1), number(m_mul, "m_mul"), number(alpha, "alpha")
        self.name = text(name, "name")

    def __call__(self, step):
        length, restarts, within = self.first_decay_steps, 0, step  # of the period that the step is in
        if self.t_mul == 1:
            restarts, within = divmod(step, length)
        while within >= length:
            length, restarts, within = length * self.t_mul, restarts + 1, within - length
        cosine = self.m_mul**restarts * _half_cosine(within / length)
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)


class OneCycle(LearningRateSchedule):
    """Up by half a cosine and down by another, far below the start: one cycle over the whole training.

    fastconv's own; Keras has no such class. The rates are those of torch.optim.lr_scheduler.OneCycleLR.

    Args:
        max_learning_rate: the peak.
        total_steps: of the cycle; after it the rate stays.
        warmup_fraction: share of the steps before the peak.
        initial_factor: the peak is so many times the first rate.
        final_factor: the first rate is so many times the last.
        name: of the schedule.

    Raises: ValueError if total_steps is not positive or the peak would not lie within.
    Source: Smith and Topin 2018, arXiv:1708.07120.

    >>> cycle = OneCycle(0.5, total_steps=101, warmup_fraction=0.5, initial_factor=5)
    >>> cycle(0), cycle(49.5)
    (0.1, 0.5)
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        warmup_fraction: float = 0.3,
        initial_factor: float = 25.0,
        final_factor: float = 1e4,
        name: str = "OneCycle",
    ):
        self.max_learning_rate = number(max_learning_rate, "max_learning_rate", 0)
        self.total_steps = _steps(total_steps, "total_steps")
        self.warmup_fraction = number(warmup_fraction, "warmup_fraction", 0, 1)
        self.initial_factor = positive(initial_factor, "initial_factor")
        self.final_factor, self.name = positive(final_factor, "final_factor"), text(name, "name")

    def __call__(self, step):
        first = self.max_learning_rate / self.initial_factor
        peak, last = self.warmup_fraction * self.total_steps - 1, self.total_steps - 1
        step = min(step, last)
        if step < peak:
            return first + (self.max_learning_rate - first) * (1 - _half_cosine(step / peak))
        down = _half_cosine((step - peak) / (last - peak)) if last > peak else 1.0
        lowest = first / self.final_factor
        return lowest + (self.max_learning_rate - lowest) * down


def _half_cosine(fraction: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * fraction))


def _numbers(values, name: str) -> list:
    """`values` as a list, its numbers as they are."""
    if not isinstance(values, (list, tuple, np.ndarray)):
        raise refused(name, "a list of numbers", values)
    for value in values:
        number(value, name)
    return list(values)


def _steps(value, name: str):
    """`value` as it is, an int where it was one."""
    positive(value, name)
    return value
