"""Whole-model gradients of the plan on the NumPy reference, in float64, against finite differences."""

import numpy as np
import pytest
from users_layers import Centered, Gate, Halves, Linear, Scale

from fastconv import layers, models, optimizers, utils
from fastconv.models.objective import Objective
from fastconv.ops import get_ops
from fastconv.plan.executor import Executor


def chain():
    x = image = layers.Input((7, 6, 3))
    x = layers.Conv2D(4, (3, 2), strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.LeakyReLU()(x)
    x = layers.Conv2D(5, 2, activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(6, use_bias=False)(x)
    x = layers.BatchNormalization(center=False)(x)
    x = layers.ReLU()(x)
    x = layers.Dropout(0.4)(x)
    return models.Model(image, layers.Dense(5, activation="softmax")(x))


def residual():
    x = image = layers.Input((5, 5, 2))
    x = layers.Conv2D(4, 3, padding="same")(x)
    y = layers.LeakyReLU()(layers.BatchNormalization(scale=False)(x))
    x = layers.Add()([x, layers.Conv2D(4, 3, padding="same")(y), y])
    x = layers.Flatten()(x)
    return models.Model(image, layers.Activation("softmax")(layers.Dense(5)(x)))


def shared_layer():
    image = layers.Input((6,))
    dense = layers.Dense(6, activation="leaky_relu")
    return models.Model(image, layers.Dense(5, activation="softmax")(dense(dense(dense(image)))))


def softmax_inside():
    x = image = layers.Input((6,))
    x = layers.Activation("softmax")(layers.Dense(7)(x))
    return models.Model(image, layers.Dense(5, activation="softmax")(x))


def smooth_activations():
    x = image = layers.Input((6,))
    for activation in ("gelu", "silu", "tanh"):
        x = layers.Dense(6, activation=activation)(x)
    x = layers.ELU(0.5)(layers.Dense(5)(x))
    return models.Model(image, layers.Softmax()(layers.ReLU(6.0, 0.1, 0.5)(layers.Dense(5)(x))))


def pooled():
    x = image = layers.Input((9, 8, 2))
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.AveragePooling2D(2, strides=1, padding="same")(x)
    x = layers.Add()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])
    return models.Model(image, layers.Dense(5, activation="softmax")(x))


def merges():
    image = layers.Input((5, 5, 2))
    x, y = (layers.Conv2D(4, 3, padding="same")(image) for _ in range(2))
    gate = layers.Reshape((1, 1, -1))(layers.Dense(4, activation="sigmoid")(layers.Flatten()(x)))
    x = layers.Multiply()([layers.PReLU("ones", shared_axes=[1, 2])(x), gate])
    x = layers.Concatenate()([layers.Maximum()([x, y]), layers.Average()([y, x, x]), layers.Subtract()([gate, y])])
    return models.Model(image, layers.Dense(5, activation="softmax")(layers.Flatten()(x)))


def nested_models():
    image, inner = layers.Input((6,)), layers.Input((6,))
    a = layers.Dense(6, activation="leaky_relu")(inner)
    both = models.Model(inner, [a, layers.Dense(6)(a)])
    first, second = both(layers.Dense(6)(image))
    chained = models.Sequential([both.layers[1], layers.Dense(6)])
    x = layers.Add()([first, chained(second), *both(second)])
    return models.Model(image, layers.Dense(5, activation="softmax")(x))


def rearranged():
    x = image = layers.Input((7, 6, 4))
    x = layers.Conv2D(4, 3, padding="same", dilation_rate=(2, 1), groups=2)(x)
    x = layers.Conv2D(6, 2, groups=2)(layers.ZeroPadding2D(((1, 0), (0, 2)))(layers.LeakyReLU()(x)))
    x = layers.BatchNormalization()(layers.Conv2DTranspose(3, 3, strides=2, padding="same")(x))
    x = layers.UpSampling2D((1, 2), interpolation="bilinear")(layers.UpSampling2D((2, 1))(x))
    x = layers.Conv2DTranspose(3, 2, dilation_rate=2)(layers.Cropping2D(((1, 2), (3, 1)))(x))
    return models.Model(image, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def separable():
    x = image = layers.Input((6, 7, 3))
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(x)
    x = layers.BatchNormalization()(layers.SeparableConv2D(4, 2, dilation_rate=2, padding="same")(x))
    x = layers.DepthwiseConv2D(2, activation="leaky_relu")(x)
    return models.Model(image, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def of_a_user():
    image = layers.Input((6,))
    x = Centered()(layers.LeakyReLU()(Linear(7)(Scale()(layers.Dense(6)(image)))))
    scale, gate = Scale(), Gate()
    x = layers.Add()([gate([scale(x), x]), gate([scale(x)] * 2), Scale(trainable=False)(x)])
    left, right = Halves()(x)
    x = layers.Concatenate()([left, Scale()(Halves()(right)[1]), right])
    return models.Model(image, layers.Dense(5, activation="softmax")(x))


NETWORKS = [
    chain,
    residual,
    shared_layer,
    softmax_inside,
    smooth_activations,
    pooled,
    merges,
    nested_models,
    rearranged,
    separable,
    of_a_user,
]


class Case:
    """A model bound to the reference in float64, and its loss as a function of the flat parameters."""

    def __init__(self, network, fuse=()):
        utils.set_random_seed(1)
        model = network()
        rng = np.random.default_rng(2)
        for weight in model.trainable_weights:
            weight.array += rng.normal(size=weight.shape) * 0.3
        loss, optimizer = Objective("categorical_crossentropy"), optimizers.SGD(0.0)  # weights stay where they are
        self.executor = Executor(model, get_ops("numpy"), loss, optimizer, fuse=fuse, dtype=np.float64)
        self.plan = self.executor.plan("train", 6)
        self.executor.arena.fill_with_nan()
        self.x = rng.normal(size=self.plan.inputs[0].shape)
        self.labels = np.eye(5)[rng.integers(5, size=6)]

    def loss(self) -> float:
        self.plan.inputs[0][...], self.plan.targets[0][...] = self.x, self.labels
        self.plan.run()  # without counting the step: dropout keeps its mask
        return self.plan.totals[0] / len(self.x)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_gradients_match_finite_differences(network):
    case = Case(network)
    case.loss()
    gradient, parameters = case.executor.store.gradient.copy(), case.executor.store.trainable
    assert np.isfinite(gradient).all()
    step = 1e-6
    for i in np.flatnonzero(parameters)[::3]:
        value = parameters[i]
        parameters[i] = value + step
        above = case.loss()
        parameters[i] = value - step
        below = case.loss()
        parameters[i] = value
        assert (above - below) / (2 * step) == pytest.approx(gradient[i], abs=1e-8, rel=1e-6)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_the_first_layer_gets_no_input_gradient(network):
    case = Case(network)
    x = case.plan.graph.inputs[0]
    producers = [s for s in case.plan.steps if s.op in ("conv2d_dgrad", "leaky_relu_backward")]
    first = next(s for s in case.plan.steps if x in (b.root for b in s.reads.values()))
    assert all(s.writes["dx"].name != f"d {x.name}" for s in producers), first


def test_gradient_of_every_consumer_is_added():
    case = Case(residual)
    adds = [s for s in case.plan.steps if s.op == "add_forward"]
    assert len(adds) == 2 + 2  # forward: two sums of three inputs; backward: x and y have two consumers each


def test_steps_know_their_layers():
    """Forward and backward, those of nested models, too; the loss and the optimizer are no layers."""
    utils.clear_session()
    inner = layers.Input((4, 4, 2))
    image = layers.Input((4, 4, 2))
    x = models.Model(inner, layers.Conv2D(3, 3, name="inside")(inner))(image)
    x = layers.LeakyReLU(name="after")(x)
    model = models.Model(image, layers.Dense(2, activation="softmax", name="last")(layers.Flatten()(x)))
    objective = Objective("categorical_crossentropy")
    plan = Executor(model, get_ops("cpu"), objective, optimizers.SGD(0.1), fuse=()).plan("train", 2)
    assert [(step.op, step.layer) for step in plan.steps] == [
        ("conv2d_fprop", "inside"),
        ("leaky_relu_forward", "after"),
        ("conv2d_fprop", "last"),
        ("softmax_xent", None),
        ("conv2d_wgrad", "last"),
        ("conv2d_dgrad", "last"),
        ("leaky_relu_backward", "after"),
        ("conv2d_wgrad", "inside"),
        ("sgd_update", None),
    ]
