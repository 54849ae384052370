"""Receptive fields against what the kernels read: the pixels whose change changes the output."""

import numpy as np
import pytest

from fastconv import layers
from fastconv.models import Model, Sequential
from fastconv.plot.fields import Graph, extent

SIZE = (13, 12)


def ones(model):
    """All weights 1, moving means 0: with positive images and no activation but ReLU nothing cancels out."""
    model.set_weights([np.zeros_like(w) if "mean" in v.name else np.ones_like(w)
                       for v, w in zip(model.weights, model.get_weights(), strict=True)])  # fmt: skip
    return model


def measured(model):
    """Of each pixel of the output the rectangle around the pixels of the image that it has a gradient to, by
    differences."""
    height, width, channels = model.input_shape[1:]
    images = np.ones((1 + height * width, height, width, channels), np.float32)
    images[1:].reshape(height * width, height * width, -1)[range(height * width), range(height * width)] += 1
    y = model.predict(images, verbose=0)
    y = y.reshape(len(y), *(y.shape[1:3] if y.ndim == 4 else (1, 1)), -1)[..., 0]
    changed = (y[1:] != y[0]).reshape(height, width, *y.shape[1:])

    def span(marks):
        places = np.flatnonzero(marks)
        return (int(places[0]), int(places[-1])) if len(places) else None

    return {
        (r, c): (span(changed[..., r, c].any(axis=1)), span(changed[..., r, c].any(axis=0)))
        for r in range(y.shape[1])
        for c in range(y.shape[2])
    }


def computed(model, position, clipped=True):
    graph = Graph(model, None)
    return graph.fields(graph.calls[-1].outputs[0], position, clipped).get(graph.inputs[0])


def chain(*parts):
    return Sequential([layers.Input((*SIZE, 2)), *parts])


def residual():
    image = layers.Input((*SIZE, 2))
    x = layers.Conv2D(2, 3, strides=2, padding="same")(image)
    y = layers.BatchNormalization()(layers.Conv2D(2, (5, 3), padding="same")(x))
    return Model(image, layers.Add()([layers.ReLU()(y), x]))


def nested():
    image = layers.Input((*SIZE, 2))
    block = Sequential([layers.Input((*SIZE, 2)), layers.Conv2D(2, 3, padding="same")], name="block")
    return Model(image, block(block(image)))


def gated():
    """As in squeeze-and-excitation: every pixel through the gate."""
    image = layers.Input((*SIZE, 2))
    gate = layers.Dense(2)(layers.GlobalAveragePooling2D(keepdims=True)(image))
    return Model(image, layers.Multiply()([layers.Conv2D(2, 3, padding="same")(image), gate]))


MODELS = {
    "same": lambda: chain(layers.Conv2D(2, 3, padding="same"), layers.Conv2D(2, (3, 5), padding="same")),
    "valid": lambda: chain(layers.Conv2D(2, 4), layers.Conv2D(2, (1, 3))),
    "strides": lambda: chain(layers.Conv2D(2, 3, 2, "same"), layers.Conv2D(2, 3, (1, 2), "same")),
    "even kernels": lambda: chain(layers.Conv2D(2, 4, 2, "same"), layers.Conv2D(2, 2, padding="same")),
    "a stride beyond the kernel": lambda: chain(layers.Conv2D(2, 2, 3, "same"), layers.Conv2D(2, 2)),
    "dilation": lambda: chain(layers.Conv2D(2, 3, dilation_rate=(2, 1), padding="same"), layers.Conv2D(2, 2)),
    "dilation at the border": lambda: chain(*(layers.Conv2D(2, 3, dilation_rate=3, padding="same") for _ in range(2))),
    "pooling": lambda: chain(layers.MaxPooling2D(3, 2, "same"), layers.AveragePooling2D((1, 2))),
    "depthwise": lambda: chain(layers.DepthwiseConv2D(3, padding="same"), layers.SeparableConv2D(2, (2, 3))),
    "transposed": lambda: chain(layers.MaxPooling2D(2), layers.Conv2DTranspose(2, 3, 2, "same")),
    "transposed, valid": lambda: chain(layers.Conv2D(2, 3, 2), layers.Conv2DTranspose(2, (4, 3), (2, 1))),
    "transposed, dilated": lambda: chain(layers.Conv2D(2, 3), layers.Conv2DTranspose(2, 3, dilation_rate=2)),
    "transposed, with holes": lambda: chain(layers.Conv2DTranspose(2, 2, 3, "same", use_bias=False)),
    "padding and cropping": lambda: chain(
        layers.ZeroPadding2D(((2, 1), (0, 3))), layers.Conv2D(2, 3, 2), layers.Cropping2D(((0, 1), (1, 0)))
    ),
    "same after cropping": lambda: chain(layers.Cropping2D(2), layers.Conv2D(2, 5, padding="same")),
    "upsampling": lambda: chain(layers.UpSampling2D((2, 3)), layers.Conv2D(2, 3, padding="same")),
    "bilinear upsampling": lambda: chain(layers.UpSampling2D((2, 3), interpolation="bilinear"), layers.Conv2D(2, 1)),
    "crop": lambda: chain(layers.RandomCrop(8, 7), layers.Conv2D(2, 3)),
    "residual": residual,
    "nested": nested,
    "gated": gated,
    "flatten": lambda: chain(layers.Conv2D(2, 3, 3), layers.Flatten(), layers.Dense(2)),
    "global pooling": lambda: chain(layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(keepdims=True)),
    "reshape": lambda: chain(layers.Reshape((*SIZE, 2)), layers.Dense(2)),
}


@pytest.mark.parametrize("name", [name for name in MODELS if name != "reshape"])
def test_the_field_is_where_the_gradient_is_not_zero(name):
    model = ones(MODELS[name]())
    expected = measured(model)
    assert {position: computed(model, position) for position in expected} == expected


def test_reshape_counts_as_the_whole():
    assert computed(MODELS["reshape"](), (3, 3)) == ((0, 12), (0, 11))


def test_each_of_several_inputs_has_its_field():
    a, b = layers.Input((9, 9, 1)), layers.Input((9, 9, 1))
    model = ones(Model([a, b], layers.Concatenate()([layers.Conv2D(1, 3)(a), layers.Conv2D(1, 7, padding="same")(
        layers.Cropping2D(1)(b))])))  # fmt: skip
    graph = Graph(model, None)
    fields = graph.fields(graph.calls[-1].outputs[0], (3, 3), True)
    assert [fields[number] for number in graph.inputs] == [((3, 5), (3, 5)), ((1, 7), (1, 7))]


def test_padding_counts_where_it_is_asked_for():
    model = chain(layers.Conv2D(2, 3, padding="same"), layers.Conv2D(2, 3, padding="same"))
    assert computed(model, (0, 11), clipped=False) == ((-2, 2), (9, 13))


def test_the_field_of_a_stack_has_the_size_of_the_textbook():
    """1 + sum of (kernel - 1) times the strides before: Araujo et al. 2019, equation 2."""
    parts = [(3, 1), (3, 2), (5, 1), (3, 2), (3, 1)]
    model = Sequential([layers.Input((64, 64, 1)), *(layers.Conv2D(1, k, s, "same") for k, s in parts)])
    rows, columns = computed(model, (8, 8))
    assert extent(rows) == extent(columns) == 1 + 2 * 1 + 2 * 1 + 4 * 2 + 2 * 2 + 2 * 4


def test_another_image_size():
    model = chain(layers.Conv2D(2, 3, 2, "same"), layers.Conv2D(2, 3, 2, "same"))
    assert Graph(model, (40, 21)).shapes[-1] == (None, 10, 6, 2)


class Halves(layers.Layer):
    """A layer of a user's: the left and the right half of images."""

    def compute_output_shape(self, input_shape):
        n, h, w, c = input_shape
        return [(n, h, w // 2, c), (n, h, w - w // 2, c)]

    def forward(self, x):
        return x[:, :, : x.shape[2] // 2], x[:, :, x.shape[2] // 2 :]


def test_a_layer_of_a_user_s_counts_where_it_is_not_on_the_way():
    image = layers.Input((4, 4, 1))
    before = layers.Conv2D(1, 3, padding="same")(image)
    graph = Graph(Model(image, Halves()(before)), None)
    assert graph.fields(graph.calls[0].outputs[0], (1, 1), True)[graph.inputs[0]] == ((0, 2), (0, 2))
    assert [graph.shapes[output] for output in graph.calls[1].outputs] == [(None, 4, 2, 1)] * 2
    with pytest.raises(ValueError, match="expected a layer whose receptive field is known. Received: Halves"):
        graph.fields(graph.calls[1].outputs[1], (0, 0), True)


@pytest.mark.parametrize("layer", [layers.Concatenate(axis=1)], ids=str)
def test_an_unknown_layer_is_refused(layer):
    image = layers.Input((4, 4, 1))
    with pytest.raises(ValueError, match="expected a layer whose receptive field is known. Received: Concatenate"):
        computed(Model(image, layer([image, image])), (0, 0))
