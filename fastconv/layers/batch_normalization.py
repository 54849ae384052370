from __future__ import annotations

import numbers

from fastconv.layers.base import Layer, Shape
from fastconv.layers.core import channels_of


class BatchNormalization(Layer):
    """Normalizes every channel by the mean and variance of the batch, then scales by gamma and shifts by beta.

    Training uses the batch's own statistics (variance divided by the count) and moves the moving ones towards them:
    moving = moving * momentum + batch * (1 - momentum). Evaluation and prediction use the moving ones.

    Args:
        axis: the channel axis; only the last one.
        momentum: share of the old moving statistics that is kept.
        epsilon: added to the variance before its root.
        center: whether there is a beta.
        scale: whether there is a gamma.

    Input and output shape: (N, ..., C).
    Weights: gamma (C,) ones, beta (C,) zeros; not trainable: moving_mean zeros, moving_variance ones.
    Raises: ValueError on an argument out of range, and at build if axis is not the last one.
    Source: keras.layers.BatchNormalization; Ioffe and Szegedy 2015, arXiv:1502.03167.

    >>> BatchNormalization().compute_output_shape((8, 16, 16, 32))
    (8, 16, 16, 32)
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        name: str | None = None,
        input_shape: Shape | None = None,
    ):
        super().__init__(name, input_shape)
        if not isinstance(momentum, numbers.Real) or not 0 <= momentum <= 1:
            raise ValueError(f"momentum: expected a number in [0, 1]. Received: momentum={momentum!r}")
        if not isinstance(epsilon, numbers.Real) or not epsilon > 0:
            raise ValueError(f"epsilon: expected a positive number. Received: epsilon={epsilon!r}")
        self.axis = axis
        self.momentum, self.epsilon = float(momentum), float(epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self.gamma = self.beta = self.moving_mean = self.moving_variance = None

    def build(self, input_shape):
        shape = (channels_of(input_shape, self.name),)
        if self.axis not in (-1, len(input_shape) - 1):
            raise ValueError(
                f"axis: expected -1 or {len(input_shape) - 1}, the last axis (channels). Received: axis={self.axis!r}"
            )
        self.gamma = self.weight("gamma", shape, "ones") if self.scale else None
        self.beta = self.weight("beta", shape, "zeros") if self.center else None
        self.moving_mean = self.weight("moving_mean", shape, "zeros", trainable=False)
        self.moving_variance = self.weight("moving_variance", shape, "ones", trainable=False)

    def check_input(self, input_shape):
        if channels_of(input_shape, self.name) != self.moving_mean.shape[0]:
            raise ValueError(
                f"{self.name}: expected {self.moving_mean.shape[0]} channels, as it was built for. "
                f"Received: shape {tuple(input_shape)}"
            )

    def emit(self, graph, x):
        y = graph.buffer(x.shape, f"{self.name}.y")
        parameters = {
            "gamma": None if self.gamma is None else graph.weight(self.gamma),
            "beta": None if self.beta is None else graph.weight(self.beta),
        }
        moving = {
            "moving_mean": graph.weight(self.moving_mean),
            "moving_variance": graph.weight(self.moving_variance),
        }
        settings = {"epsilon": self.epsilon, "slope": 1.0}
        if graph.training:
            statistics = {n: graph.buffer(x.shape[-1:], f"{self.name}.{n}") for n in ("mean", "rstd")}
            writes = {"y": y, **statistics, **moving}
            graph.emit("batchnorm_forward", writes, x=x, momentum=self.momentum, **parameters, **settings)
        else:
            graph.emit("batchnorm_inference", {"y": y}, x=x, **parameters, **moving, **settings)
        return y
