from __future__ import annotations

from fastconv.checks import flag, fraction
from fastconv.optimizers.base import LearningRate, Optimizer, learning_rate_of


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    velocity = momentum * velocity - learning_rate * g; w += velocity (nesterov: w += momentum * velocity -
    learning_rate * g). Without momentum: w -= learning_rate * g.

    Args:
        learning_rate: step size, see `Optimizer` for this and all arguments not named here.
        momentum: share of the last change that is kept, in [0, 1).
        nesterov: look ahead along the velocity (Sutskever et al. 2013).

    Raises:
        ValueError: if an argument is out of range.
    Source: keras.optimizers.SGD.

    >>> SGD(0.1, momentum=0.9).momentum
    0.9
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        clips, averages = (clipnorm, clipvalue, global_clipnorm), (use_ema, ema_momentum, ema_overwrite_frequency)
        refused = loss_scale_factor, gradient_accumulation_steps
        super().__init__(learning_rate, weight_decay, *clips, *averages, *refused, name)
        self.momentum, self.nesterov = fraction(momentum, "momentum"), flag(nesterov, "nesterov")
        self.slots = ("velocity",) if self.momentum else ()

    def emit_update(self, graph, w, dw) -> None:
        slots = self._slots(graph, w) or {"velocity": None}
        rate = {"learning_rate": learning_rate_of(graph)}
        graph.emit("sgd_update", {"w": w, **slots}, dw=dw, **rate, momentum=self.momentum, nesterov=self.nesterov)
