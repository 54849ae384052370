"""What all optimizers share: the learning rate, and what Keras does around the update itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fastconv.checks import flag, number, positive, text
from fastconv.optimizers.schedules import LearningRateSchedule, checked_rate
from fastconv.settings import Configurable

LearningRate = float | LearningRateSchedule | Callable[[], float]


class Optimizer(Configurable):
    """Base. Subclasses name their slots and emit their update of the flat parameters (`emit_update`).

    A step is, in Keras' order: clip the gradients, decay the weights, update, follow with the moving average. What is
    not asked for costs nothing.

    The state (slots and step count) belongs to the compiled model, so one optimizer object may be given to several
    models; each starts fresh.

    Args:
        learning_rate: step size: a float, settable later as `optimizer.learning_rate`; a schedule of
            `fastconv.optimizers.schedules`, asked before each step for the rate at the number of steps taken; or a
            callable without arguments.
        weight_decay: before the update, w -= w * weight_decay * learning_rate (decoupled, Loshchilov and Hutter 2019).
        clipnorm: largest norm of the gradient of each weight (array).
        clipvalue: largest absolute value of an element of the gradients.
        global_clipnorm: largest norm of all gradients together. One of the three at most.
        use_ema: keep an exponential moving average of the weights; `fit` ends with the weights set to it.
        ema_momentum: share of the average that is kept in each step, in [0, 1].
        ema_overwrite_frequency: set the weights to their average after every this many steps; None for never.
        loss_scale_factor: not supported: None. Nothing underflows in float32.
        gradient_accumulation_steps: not supported: None.
        name: None for the class's name.

    Raises:
        ValueError: if an argument is out of range or not supported.
    """

    slots: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ):
        self.name = type(self).__name__.lower() if name is None else text(name, "name")
        self._learning_rate: LearningRate = 0.0
        self.learning_rate = learning_rate
        self.weight_decay = None if weight_decay is None else number(weight_decay, "weight_decay", 0)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        if sum(value is not None for value in clips.values()) > 1:
            raise ValueError(f"clipnorm, clipvalue, global_clipnorm: expected one at most. Received: {clips}")
        self.clipnorm, self.clipvalue, self.global_clipnorm = (
            None if value is None else positive(value, key) for key, value in clips.items()
        )
        self.use_ema, self.ema_momentum = flag(use_ema, "use_ema"), number(ema_momentum, "ema_momentum", 0, 1)
        self.ema_overwrite_frequency = ema_overwrite_frequency
        if ema_overwrite_frequency is not None:
            _at_least_1(ema_overwrite_frequency, "ema_overwrite_frequency")
        self.loss_scale_factor = _unsupported(loss_scale_factor, "loss_scale_factor")
        self.gradient_accumulation_steps = _unsupported(gradient_accumulation_steps, "gradient_accumulation_steps")
        self.compiled = False  # whether some model has been compiled with it
        self._undecayed: tuple[list, str | None] = [], None  # weights, and a pattern of names
        self._step, self._parameters = np.zeros(1, np.int64), 0
        self._built = False

    # ---- the learning rate
    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, by name; of a schedule the schedule."""
        return {**super().get_config(), "learning_rate": self._learning_rate}

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return self.rate_at(self.iterations)

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        if callable(value):
            self._learning_rate = value
            return
        if isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"learning_rate: expected a schedule or a callable, as {self.name!r} follows "
                f"{self._learning_rate.name!r}. Received: learning_rate={value!r}"
            )
        if isinstance(value, bool) or not isinstance(value, (float, np.floating)):
            raise ValueError(
                f"learning_rate: expected a float, a LearningRateSchedule or a callable. Received: "
                f"learning_rate={value!r}"
            )
        self._learning_rate = checked_rate(value)

    def rate_at(self, step: int) -> float:
        """The learning rate after `step` steps."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return checked_rate(rate(step))
        return checked_rate(rate()) if callable(rate) else rate

    # ---- the state, which a model has
    @property
    def iterations(self) -> int:
        """Steps taken by the model this optimizer was last compiled into."""
        return int(self._step[0])

    def attach(self, executor) -> None:
        """Called by a model that begins to use it. A reference to the executor, which has one to its optimizer, would
        keep the memory of a dropped model until Python's next search for cycles."""
        self._step, self._built = executor.step, True
        self._parameters = sum(end - begin for _, begin, end in executor.store.places)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The slots, and the moving average of the weights where there is one."""
        return ("ema",) * self.use_ema + self.slots

    def variable_count(self) -> int:
        """Numbers in its state as Keras counts them: iteration, a learning rate that is a float, slots once built."""
        own = 1 if callable(self._learning_rate) else 2
        return own + (len(self.slots) + self.use_ema) * self._parameters

    # ---- the step
    def exclude_from_weight_decay(
        self, var_list: Iterable[Any] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Leaves weights out of the decay. To be called before the first step.

        Args:
            var_list: weights (of `layer.weights`).
            var_names: regular expressions; a weight in whose name one is found is left out: "bias", "gamma", "beta".

        Raises:
            ValueError: after a model began to use the optimizer.

        >>> adam = AdamW(weight_decay=0.01)
        >>> adam.exclude_from_weight_decay(var_names=["bias"])
        """
        if self._built:
            raise ValueError("exclude_from_weight_decay: expected before the first step. Received: after it")
        self._undecayed = list(var_list or ()), "|".join(var_names) if var_names else None

    def _decays(self, weight) -> bool:
        weights, names = self._undecayed
        return all(weight is not w for w in weights) and (names is None or not re.search(names, weight.name))

    def emit(self, graph, w, dw, places) -> None:
        """Emits one step of the flat parameters `w` by their gradient `dw`.

        Args:
            graph: of the plan.
            w: buffer of the parameters.
            dw: buffer of their gradient.
            places: (weight, begin, end) of each weight in them, in order.
        """
        whole, parts = [(0, w.shape[0])], [(begin, end) for _, begin, end in places]
        for norm, ranges in ((self.clipnorm, parts), (self.global_clipnorm, whole)):
            if norm is not None:
                graph.emit("clip_by_norm", {"dw": dw}, ranges=_constant(graph, ranges), norm=norm)
        if self.clipvalue is not None:
            graph.emit("clip_by_value", {"dw": dw}, limit=self.clipvalue)
        if self.weight_decay:
            kept = [(begin, end) for weight, begin, end in places if self._decays(weight)]
            ranges = _constant(graph, whole if len(kept) == len(places) else kept)
            rate = {"learning_rate": learning_rate_of(graph), "rate": self.weight_decay}
            graph.emit("decay_weights", {"w": w}, ranges=ranges, **rate)
        self.emit_update(graph, w, dw)
        if self.use_ema:
            settings = {"momentum": self.ema_momentum, "overwrite_every": self.ema_overwrite_frequency or 0}
            average = graph.state("ema", w.shape)
            graph.emit("ema_update", {"average": average, "w": w}, step=step_of(graph), **settings)

    def emit_update(self, graph, w, dw) -> None:
        """Emits the update alone."""
        raise NotImplementedError

    def _slots(self, graph, w) -> dict:
        return {slot: graph.state(slot, w.shape) for slot in self.slots}


def learning_rate_of(graph):
    return graph.state("learning_rate", dtype="float32")


def step_of(graph):
    return graph.state("step", dtype="int64")


def _constant(graph, ranges):
    return graph.constant("ranges", np.array(ranges, np.int64).reshape(-1, 2))


# ---- checks of arguments ----


def _at_least_1(value, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}: expected an integer >= 1 or None. Received: {name}={value!r}")


def _unsupported(value, name: str) -> None:
    if value is not None:
        raise ValueError(f"{name}: expected None, as it is not supported yet. Received: {name}={value!r}")
