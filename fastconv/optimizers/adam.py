from __future__ import annotations

from fastconv.checks import flag, fraction, positive
from fastconv.optimizers.base import LearningRate, Optimizer, learning_rate_of, step_of


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015) with Keras' "epsilon hat": epsilon is not bias-corrected.

    m += (g - m)(1 - beta_1); v += (g^2 - v)(1 - beta_2);
    w -= learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)

    Args:
        learning_rate: step size, see `Optimizer` for this and all arguments not named here.
        beta_1: decay of the mean of gradients.
        beta_2: decay of the mean of squared gradients.
        epsilon: keeps the division finite.
        amsgrad: divide by the largest v so far (Reddi et al. 2018).

    Raises:
        ValueError: if an argument is out of range.
    Source: keras.optimizers.Adam.

    >>> Adam(learning_rate=0.0005).learning_rate
    0.0005
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.beta_1, self.beta_2 = fraction(beta_1, "beta_1"), fraction(beta_2, "beta_2")
        self.epsilon, self.amsgrad = positive(epsilon, "epsilon"), flag(amsgrad, "amsgrad")
        self.slots = ("m", "v", "v_hat") if self.amsgrad else ("m", "v")

    def emit_update(self, graph, w, dw) -> None:
        graph.emit(
            "adam_update",
            {"w": w, **self._slots(graph, w)},
            dw=dw,
            learning_rate=learning_rate_of(graph),
            step=step_of(graph),
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )


class AdamW(Adam):
    """Adam with weight decay that does not pass through its means (Loshchilov and Hutter 2019).

    Args:
        learning_rate: step size, see `Optimizer` and `Adam` for this and all arguments not named here.
        weight_decay: before Adam's step, w -= w * weight_decay * learning_rate.

    Raises:
        ValueError: if an argument is out of range.
    Source: keras.optimizers.AdamW.

    >>> AdamW().weight_decay
    0.004
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        if weight_decay is None:
            raise ValueError("weight_decay: expected a number >= 0. Received: weight_decay=None")
        clips, averages = (clipnorm, clipvalue, global_clipnorm), (use_ema, ema_momentum, ema_overwrite_frequency)
        refused = loss_scale_factor, gradient_accumulation_steps
        adam = beta_1, beta_2, epsilon, amsgrad
        super().__init__(learning_rate, *adam, weight_decay, *clips, *averages, *refused, name)
