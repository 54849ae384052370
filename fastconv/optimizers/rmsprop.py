from __future__ import annotations

from fastconv.checks import flag, fraction, positive
from fastconv.optimizers.base import LearningRate, Optimizer, learning_rate_of


class RMSprop(Optimizer):
    """Gradients divided by the root of a moving mean of their squares (Tieleman and Hinton 2012).

    velocity = rho * velocity + (1 - rho) * g^2; change = learning_rate * g / sqrt(velocity + epsilon); w -= change.

    Args:
        learning_rate: step size, see `Optimizer` for this and all arguments not named here.
        rho: decay of the mean of squared gradients.
        momentum: share of the last change that is added to this one, in [0, 1).
        epsilon: keeps the division finite.
        centered: divide by the gradients' standard deviation: velocity minus the square of a moving mean of gradients.

    Raises:
        ValueError: if an argument is out of range.
    Source: keras.optimizers.RMSprop.

    >>> RMSprop().rho
    0.9
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.rho, self.momentum = fraction(rho, "rho"), fraction(momentum, "momentum")
        self.epsilon, self.centered = positive(epsilon, "epsilon"), flag(centered, "centered")
        self.slots = ("velocity", *("momentum_buffer",) * bool(momentum), *("average",) * self.centered)

    def emit_update(self, graph, w, dw) -> None:
        slots = {"average": None, "momentum_buffer": None, **self._slots(graph, w)}
        rate = {"learning_rate": learning_rate_of(graph)}
        settings = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon}
        graph.emit("rmsprop_update", {"w": w, **slots}, dw=dw, **rate, **settings)
