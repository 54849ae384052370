"""Optimizers, by Keras' names and formulas. Each is one pass over the flat parameters."""

from __future__ import annotations

import math
import numbers

import numpy as np


class Optimizer:
    """Base: the learning rate and the name. Subclasses name their slots and emit their update.

    The state (slots and step count) belongs to the compiled model, so one optimizer object may be given to several
    models; each starts fresh.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, learning_rate: float, name: str):
        self.name = name
        self.learning_rate_array = np.zeros(1, np.float32)  # what a plan is bound to: a change needs no new plan
        self.learning_rate = learning_rate
        self.compiled = False  # whether some model has been compiled with it
        self._step, self._parameters = np.zeros(1, np.int64), 0

    @property
    def learning_rate(self) -> float:
        return float(self._learning_rate)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if isinstance(value, bool) or not isinstance(value, (float, np.floating)):
            raise ValueError(f"learning_rate: expected a float. Received: learning_rate={value!r}")
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"learning_rate: expected a finite number >= 0. Received: learning_rate={value!r}")
        self._learning_rate = value
        self.learning_rate_array[0] = value

    @property
    def iterations(self) -> int:
        """Steps taken by the model this optimizer was last compiled into."""
        return int(self._step[0])

    def attach(self, executor) -> None:
        """Called by a model that begins to use it. A reference to the executor, which has one to its optimizer, would
        keep the memory of a dropped model until Python's next search for cycles."""
        self._step = executor.step
        self._parameters = sum(math.prod(w.shape) for w in executor.store.weights if w.trainable)

    def variable_count(self) -> int:
        """Numbers in its state as Keras counts them: iteration, learning rate, and the slots once built."""
        return 2 + len(self.slots) * self._parameters

    def emit(self, graph, w, dw) -> None:
        """Emits the update of the flat parameters `w` by their gradient `dw`."""
        raise NotImplementedError

    def _slots(self, graph, w) -> dict:
        return {slot: graph.state(slot, w.shape) for slot in self.slots}


def _fraction(value, name: str) -> float:
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 <= value < 1:
        raise ValueError(f"{name}: expected a number in [0, 1). Received: {name}={value!r}")
    return float(value)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015) with Keras' "epsilon hat": epsilon is not bias-corrected.

    m += (g - m)(1 - beta_1); v += (g^2 - v)(1 - beta_2);
    w -= learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)

    Args:
        learning_rate: step size, a float; settable later as `optimizer.learning_rate`.
        beta_1: decay of the mean of gradients.
        beta_2: decay of the mean of squared gradients.
        epsilon: keeps the division finite.

    Raises:
        ValueError: if an argument is out of range.
    Source: keras.optimizers.Adam.

    >>> Adam(learning_rate=0.0005).learning_rate
    0.0005
    """

    slots = ("m", "v")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str = "adam",
    ):
        super().__init__(learning_rate, name)
        self.beta_1, self.beta_2 = _fraction(beta_1, "beta_1"), _fraction(beta_2, "beta_2")
        if not epsilon > 0:
            raise ValueError(f"epsilon: expected a positive number. Received: epsilon={epsilon!r}")
        self.epsilon = float(epsilon)

    def emit(self, graph, w, dw) -> None:
        graph.emit(
            "adam_update",
            {"w": w, **self._slots(graph, w)},
            dw=dw,
            learning_rate=graph.state("learning_rate", dtype="float32"),
            step=graph.state("step", dtype="int64"),
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    velocity = momentum * velocity - learning_rate * g; w += velocity (nesterov: w += momentum * velocity -
    learning_rate * g). Without momentum: w -= learning_rate * g.

    Args:
        learning_rate: step size, a float.
        momentum: share of the last change that is kept, in [0, 1).
        nesterov: look ahead along the velocity (Sutskever et al. 2013).

    Raises:
        ValueError: if an argument is out of range.
    Source: keras.optimizers.SGD.

    >>> SGD(0.1, momentum=0.9).momentum
    0.9
    """

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False, name: str = "SGD"):
        super().__init__(learning_rate, name)
        self.momentum, self.nesterov = _fraction(momentum, "momentum"), bool(nesterov)
        self.slots = ("velocity",) if self.momentum else ()

    def emit(self, graph, w, dw) -> None:
        slots = self._slots(graph, w) or {"velocity": None}
        graph.emit(
            "sgd_update",
            {"w": w, **slots},
            dw=dw,
            learning_rate=graph.state("learning_rate", dtype="float32"),
            momentum=self.momentum,
            nesterov=self.nesterov,
        )


_KNOWN = {"adam": Adam, "sgd": SGD}


def get(identifier: str | Optimizer) -> Optimizer:
    """An optimizer object: `identifier` itself, or a new one with defaults by its name.

    Raises:
        ValueError: listing the known names.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in _KNOWN:
        return _KNOWN[identifier.lower()]()
    raise ValueError(f"optimizer: expected an Optimizer or one of {sorted(_KNOWN)}. Received: {identifier!r}")
