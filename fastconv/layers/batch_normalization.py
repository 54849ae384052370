from __future__ import annotations

from fastconv import initializers, regularizers
from fastconv.checks import flag, number, positive
from fastconv.layers.base import Initializer, Layer, Shape, refuse
from fastconv.layers.core import channels_of
from fastconv.layers.kernel import Penalty


class BatchNormalization(Layer):
    """Normalizes every channel by the mean and variance of the batch, then scales by gamma and shifts by beta.

    Training uses the batch's own statistics (variance divided by the count) and moves the moving ones towards them:
    moving = moving * momentum + batch * (1 - momentum). Evaluation and prediction use the moving ones, and so does
    training where the layer is frozen (`trainable=False`).

    Args:
        axis: the channel axis; only the last one.
        momentum: share of the old moving statistics that is kept.
        epsilon: added to the variance before its root.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer: of `fastconv.initializers`: an object, a name or a callable from shape to array.
        gamma_initializer: likewise.
        moving_mean_initializer: likewise.
        moving_variance_initializer: likewise.
        beta_regularizer: penalty that is added to the loss: `regularizers.L1`, `L2`, `L1L2`, a name or None.
        gamma_regularizer: likewise.
        beta_constraint: not supported: None.
        gamma_constraint: not supported: None.
        trainable: whether gamma and beta learn and training normalizes by the batch; settable later.

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
        beta_initializer: Initializer = "zeros",
        gamma_initializer: Initializer = "ones",
        moving_mean_initializer: Initializer = "zeros",
        moving_variance_initializer: Initializer = "ones",
        beta_regularizer: Penalty = None,
        gamma_regularizer: Penalty = None,
        beta_constraint: None = None,
        gamma_constraint: None = None,
        name: str | None = None,
        input_shape: Shape | None = None,
        trainable: bool = True,
    ):
        super().__init__(name, input_shape, trainable)
        self.axis = axis
        self.momentum, self.epsilon = number(momentum, "momentum", 0, 1), positive(epsilon, "epsilon")
        self.center, self.scale = flag(center, "center"), flag(scale, "scale")
        checked = initializers.checked
        self.beta_initializer = checked(beta_initializer, "beta_initializer")
        self.gamma_initializer = checked(gamma_initializer, "gamma_initializer")
        self.moving_mean_initializer = checked(moving_mean_initializer, "moving_mean_initializer")
        self.moving_variance_initializer = checked(moving_variance_initializer, "moving_variance_initializer")
        self.beta_regularizer = regularizers.get(beta_regularizer, "beta_regularizer")
        self.gamma_regularizer = regularizers.get(gamma_regularizer, "gamma_regularizer")
        self.beta_constraint = refuse(beta_constraint, "beta_constraint")
        self.gamma_constraint = refuse(gamma_constraint, "gamma_constraint")
        self.gamma = self.beta = self.moving_mean = self.moving_variance = None

    def build(self, input_shape):
        shape = (channels_of(input_shape, self.name),)
        if self.axis not in (-1, len(input_shape) - 1):
            raise ValueError(
                f"axis: expected -1 or {len(input_shape) - 1}, the last axis (channels). Received: axis={self.axis!r}"
            )
        if self.scale:
            self.gamma = self.weight("gamma", shape, self.gamma_initializer, regularizer=self.gamma_regularizer)
        if self.center:
            self.beta = self.weight("beta", shape, self.beta_initializer, regularizer=self.beta_regularizer)
        self.moving_mean = self.weight("moving_mean", shape, self.moving_mean_initializer, trainable=False)
        self.moving_variance = self.weight("moving_variance", shape, self.moving_variance_initializer, trainable=False)

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
        if graph.layers_train and self.moving_mean not in graph.frozen:
            statistics = {n: graph.buffer(x.shape[-1:], f"{self.name}.{n}") for n in ("mean", "rstd")}
            writes = {"y": y, **statistics, **moving}
            graph.emit("batchnorm_forward", writes, x=x, momentum=self.momentum, **parameters, **settings)
        else:
            graph.emit("batchnorm_inference", {"y": y}, x=x, **parameters, **moving, **settings)
        return y
