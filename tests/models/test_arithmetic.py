"""The arithmetic of a summary: each expression has the value before it, and this is the layer's."""

import math
import re

import pytest

from fastconv import layers, models
from fastconv.models.arithmetic import arithmetic

GREY = (32, 30, 3)  # of the input, where a case has no other

CASES = [
    (layers.Conv2D(10, 4, strides=2, padding="same"), ["16 = ceil(32 / 2)", "15 = ceil(30 / 2)"]),
    (layers.Conv2D(4, (3, 5)), ["30 = 32 - 3 + 1", "26 = 30 - 5 + 1"]),
    (layers.Conv2D(6, 3, strides=(3, 1), use_bias=False), ["10 = floor((32 - 3) / 3) + 1", "28 = 30 - 3 + 1"]),
    (layers.Conv2D(6, 3, dilation_rate=2, groups=3), ["28 = 32 - ((3 - 1) x 2 + 1) + 1"]),
    (layers.Conv2D(6, 3, padding="same"), []),
    (layers.DepthwiseConv2D(3, depth_multiplier=2), ["30 = 32 - 3 + 1"]),
    (layers.SeparableConv2D(4, 2, strides=2), ["16 = floor((32 - 2) / 2) + 1"]),
    (layers.Conv2DTranspose(5, 3, strides=2, padding="same"), ["64 = 32 x 2", "60 = 30 x 2"]),
    (layers.Conv2DTranspose(5, 3, strides=2), ["65 = (32 - 1) x 2 + 3"]),
    (layers.Conv2DTranspose(5, 3, strides=2, padding="same", output_padding=1), ["64 = (32 - 1) x 2 + 1 + 1"]),
    (layers.Conv2DTranspose(5, 3, dilation_rate=2), ["36 = (32 - 1) x 1 + 5"]),
    (layers.MaxPooling2D(), ["16 = floor((32 - 2) / 2) + 1"]),
    (layers.AveragePooling2D(3, strides=2, padding="same"), ["16 = ceil(32 / 2)"]),
    (layers.ZeroPadding2D(((1, 2), (0, 3))), ["35 = 1 + 32 + 2", "33 = 0 + 30 + 3"]),
    (layers.Cropping2D(((1, 2), (0, 3))), ["29 = 32 - 1 - 2", "27 = 30 - 0 - 3"]),
    (layers.UpSampling2D((2, 3)), ["64 = 32 x 2", "90 = 30 x 3"]),
    (layers.Flatten(), ["2,880 = 32 x 30 x 3"]),
    (layers.Dense(7), []),
    (layers.BatchNormalization(), []),
    (layers.BatchNormalization(center=False), []),
    (layers.PReLU(shared_axes=[1, 2]), []),
    (layers.Normalization(), []),
    (layers.ReLU(), []),
]


def value(expression):
    code = re.sub(r" \([a-z_, ]+\)", "", expression).replace(" x ", " * ").replace(",", "")
    return eval(code, {"ceil": math.ceil, "floor": math.floor})


@pytest.mark.parametrize("layer, expected", CASES, ids=lambda case: getattr(case, "name", ""))
def test_sizes_and_parameters_are_what_their_expressions_say(layer, expected):
    output = layer(layers.Input(GREY))
    lines = arithmetic(layer)
    assert [line for line in expected if line not in lines] == []
    for line in lines:
        number, expression = line.split(" = ")
        assert value(expression) == int(number.replace(",", ""))
    counts = [f"{layer.count_params():,}"] if layer.weights else []
    found = [line.split(" = ")[0] for line in lines]
    assert found[len(found) - len(counts) :] == counts
    assert {int(n.replace(",", "")) for n in found[: len(found) - len(counts)]} <= set(output.shape[1:])


def test_the_courses_question():
    layer = layers.Conv2D(10, 4, strides=2, padding="same")
    layer(layers.Input((32, 32, 3)))
    assert arithmetic(layer) == ["16 = ceil(32 / 2)", "490 = (4 x 4 x 3 + 1) x 10"]


def test_the_parts_of_batch_normalization_have_names():
    layer = layers.BatchNormalization()
    layer(layers.Input(GREY))
    assert arithmetic(layer) == ["12 = 4 x 3 (gamma, beta, moving_mean, moving_variance)"]


def test_concatenated_channels_are_added():
    a, b = layers.Input((4, 4, 3)), layers.Input((4, 4, 5))
    layer = layers.Concatenate()
    layer([a, b])
    assert arithmetic(layer) == ["8 = 3 + 5"]


def test_a_model_within_is_the_sum_of_its_layers():
    inner = models.Sequential([layers.Input((4,)), layers.Dense(3), layers.ReLU(), layers.Dense(2)])
    inner(layers.Input((4,)))
    assert arithmetic(inner) == ["23 = 15 + 8"]


def test_an_unbuilt_layer_has_none():
    assert arithmetic(layers.Dense(3)) == []
