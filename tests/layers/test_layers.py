"""Settings, shapes, names and refusals of the layers; what they compute is tested through models and ops."""

import doctest

import numpy as np
import pytest

from fastconv import initializers, layers, models, utils
from fastconv.layers import conv2d, conv2d_transpose, depthwise_conv2d, pooling2d, reshaping2d
from fastconv.layers.base import snake_case


@pytest.mark.parametrize(
    ("cls", "name"),
    [("Conv2D", "conv2d"), ("LeakyReLU", "leaky_re_lu"), ("BatchNormalization", "batch_normalization"),
     ("ReLU", "re_lu"), ("InputLayer", "input_layer"), ("Dense", "dense")],
)  # fmt: skip
def test_automatic_names_follow_keras(cls, name):
    assert snake_case(cls) == name


def test_automatic_names_count_up_and_start_anew():
    utils.clear_session()
    assert [layers.Dense(1).name for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    utils.clear_session()
    assert layers.Dense(1).name == "dense"


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Conv2D(32, 3, strides=2, padding="same"), (None, 32, 32, 3), (None, 16, 16, 32)),
        (layers.Conv2D(10, (4, 4), strides=2, padding="SAME"), (None, 32, 32, 3), (None, 16, 16, 10)),
        (layers.Conv2D(2, (3, 5)), (None, 9, 9, 1), (None, 7, 5, 2)),
        (layers.Dense(10), (None, 4, 6), (None, 4, 10)),
        (layers.MaxPooling2D(), (None, 32, 31, 3), (None, 16, 15, 3)),
        (layers.AveragePooling2D(3, strides=2, padding="same"), (None, 32, 31, 3), (None, 16, 16, 3)),
        (layers.GlobalAveragePooling2D(), (None, 8, 8, 20), (None, 20)),
        (layers.GlobalMaxPooling2D(keepdims=True), (None, 8, 8, 20), (None, 1, 1, 20)),
        (layers.Conv2D(6, 3, dilation_rate=2, groups=3), (None, 9, 8, 3), (None, 5, 4, 6)),
        (layers.Conv2DTranspose(6, 3, strides=2, padding="same"), (None, 9, 8, 3), (None, 18, 16, 6)),
        (layers.Conv2DTranspose(6, 3, strides=2), (None, 9, 8, 3), (None, 19, 17, 6)),
        (layers.Conv2DTranspose(6, 2, strides=3), (None, 9, 8, 3), (None, 27, 24, 6)),
        (layers.Conv2DTranspose(6, 3, strides=2, output_padding=0), (None, 9, 8, 3), (None, 19, 17, 6)),
        (layers.Conv2DTranspose(6, 3, dilation_rate=2), (None, 9, 8, 3), (None, 13, 12, 6)),
        (layers.DepthwiseConv2D((3, 2), strides=2, depth_multiplier=2), (None, 9, 8, 3), (None, 4, 4, 6)),
        (layers.SeparableConv2D(7, 3, padding="same", dilation_rate=3), (None, 9, 8, 3), (None, 9, 8, 7)),
        (layers.ZeroPadding2D(((1, 0), (2, 3))), (None, 9, 8, 3), (None, 10, 13, 3)),
        (layers.Cropping2D((1, 2)), (None, 9, 8, 3), (None, 7, 4, 3)),
        (layers.UpSampling2D((2, 3)), (None, 9, 8, 3), (None, 18, 24, 3)),
        (layers.Flatten(), (None, 8, 8, 20), (None, 1280)),
        (layers.BatchNormalization(), (None, 5, 7), (None, 5, 7)),
        (layers.Dropout(0.5), (None, 3), (None, 3)),
        (layers.LeakyReLU(), (None, 3), (None, 3)),
    ],
)
def test_output_shapes(layer, shape, expected):
    assert layer.compute_output_shape(shape) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv2D(0, 3), r"filters: expected a positive integer.*filters=0"),
        (lambda: layers.Conv2D(-1, 3), r"filters=-1"),
        (lambda: layers.Conv2D(2.5, 3), r"filters=2.5"),
        (lambda: layers.Conv2D(4, 0), r"kernel_size: expected positive integers.*kernel_size=0"),
        (lambda: layers.Conv2D(4, (3, 3, 3)), r"kernel_size: expected an int or a pair"),
        (lambda: layers.Conv2D(4, 3, strides=0), r"strides=0"),
        (lambda: layers.Conv2D(4, 3, strides=(1, -2)), r"strides=\(1, -2\)"),
        (lambda: layers.Conv2D(4, 3, padding="full"), r'padding: expected "valid" or "same".*full'),
        (
            lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2),
            r"dilation_rate: expected 1 where strides are above 1",
        ),
        (lambda: layers.Conv2D(4, 3, dilation_rate=0), r"dilation_rate: expected positive integers.*dilation_rate=0"),
        (lambda: layers.Conv2D(5, 3, groups=2), r"filters: expected a multiple of groups=2.*filters=5"),
        (lambda: layers.Conv2D(4, 3, groups=0), r"groups: expected a positive integer.*groups=0"),
        (lambda: layers.Conv2D(4, 3, groups=2)(layers.Input((5, 5, 3))), r"a multiple of groups=2.*5, 5, 3"),
        (lambda: layers.Conv2D(4, 3, dilation_rate=3)(layers.Input((5, 9, 3))), r"window inside the image.*\(7, 7\)"),
        (lambda: layers.Conv2D(4, 3, data_format="channels_first"), r'data_format: expected None or "channels_last"'),
        (lambda: layers.Conv2DTranspose(4, 3, strides=2, output_padding=2), r"output_padding: .* below the strides"),
        (lambda: layers.Conv2DTranspose(4, 3, output_padding=(0, 0, 0)), r"output_padding=\(0, 0, 0\)"),
        (lambda: layers.Conv2DTranspose(4, 3, strides=2, dilation_rate=2), r"dilation_rate: expected 1 where strides"),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), r"depth_multiplier: expected a positive integer"),
        (lambda: layers.SeparableConv2D(0, 3), r"filters: expected a positive integer"),
        (lambda: layers.ZeroPadding2D(-1), r"padding: expected an int, two ints or .*padding=-1"),
        (lambda: layers.ZeroPadding2D((1, 2, 3)), r"padding: expected an int, two ints or .*padding=\(1, 2, 3\)"),
        (lambda: layers.Cropping2D(((1, 2), (3,))), r"cropping: expected an int, two ints or "),
        (lambda: layers.Cropping2D(2)(layers.Input((4, 9, 3))), r"cropping: expected to leave a pixel"),
        (lambda: layers.UpSampling2D(0), r"size: expected positive integers.*size=0"),
        (lambda: layers.UpSampling2D(interpolation="cubic"), r"interpolation: expected one of .*'bilinear'.*cubic"),
        (lambda: layers.MaxPooling2D(0), r"pool_size: expected positive integers.*pool_size=0"),
        (lambda: layers.AveragePooling2D(2, strides=0), r"strides: expected positive integers.*strides=0"),
        (lambda: layers.MaxPooling2D(padding="full"), r'padding: expected "valid" or "same".*full'),
        (lambda: layers.MaxPooling2D(data_format="channels_first"), r'data_format: expected None or "channels_last"'),
        (lambda: layers.GlobalMaxPooling2D("channels_first"), r'data_format: expected None or "channels_last"'),
        (lambda: layers.MaxPooling2D(5)(layers.Input((4, 9, 3))), r"pool_size: expected a window inside the image"),
        (lambda: layers.GlobalAveragePooling2D()(layers.Input((4, 3))), r"expected an input of rank 4"),
        (lambda: layers.Conv2D(4, 3, activation="swash"), r"activation: expected None or one of.*relu.*swash"),
        (lambda: layers.Dense(0), r"units=0"),
        (lambda: layers.Dense("ten"), r"units='ten'"),
        (lambda: layers.Dropout(1.5), r"rate=1.5"),
        (lambda: layers.LeakyReLU(-0.1), r"negative_slope=-0.1"),
        (lambda: layers.ReLU(max_value=-1), r"max_value: expected a finite number >= 0. Received: max_value=-1"),
        (lambda: layers.ReLU(negative_slope=None), r"negative_slope: expected a finite number >= 0"),
        (lambda: layers.ReLU(threshold=-0.5), r"threshold=-0.5"),
        (lambda: layers.ELU("1"), r"alpha: expected a finite number. Received: alpha='1'"),
        (lambda: layers.BatchNormalization(momentum=1.5), r"momentum=1.5"),
        (lambda: layers.BatchNormalization(epsilon=0), r"epsilon=0"),
        (lambda: layers.Activation("sotfmax"), r"softmax.*sotfmax"),
        (lambda: layers.Input((32, 0, 3)), r"shape=0"),
        (lambda: layers.Input(32), r"shape: expected sizes, such as .*shape=32"),
        (lambda: layers.Dense(3, kernel_initializer="glorot"), r"kernel_initializer: expected"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        layer = make()
        layer(layers.Input((4,)))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (lambda: layers.Conv2D(4, 3), (8, 8), r"rank 4.*\(None, 8, 8\)"),
        (lambda: layers.Conv2D(4, 5), (3, 3, 1), r"kernel_size.*\(5, 5\).*\(3, 3\)"),
        (lambda: layers.BatchNormalization(axis=1), (8, 8, 3), r"axis: expected -1 or 3.*axis=1"),
        (lambda: layers.Add(), (8,), r"two or more inputs"),
        (lambda: layers.PReLU(shared_axes=[3]), (8, 3), r"shared_axes: expected axes from 1 to 2.*shared_axes=\[3\]"),
        (lambda: layers.PReLU(shared_axes=[0]), (8, 3), r"shared_axes=\[0\]"),
        (lambda: layers.PReLU(shared_axes=[2, 4]), (5, 4, 3, 2, 6), r"in two runs at most.*\[2, 4\]"),
        (lambda: layers.Softmax(axis=1), (8, 3), r"axis: expected -1 or 2, the last one. Received: axis=1"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer()(layers.Input(shape))


def test_a_built_layer_refuses_another_channel_count():
    conv, dense, norm = layers.Conv2D(4, 3), layers.Dense(3), layers.BatchNormalization()
    for layer, shapes in ((conv, ((8, 8, 3), (8, 8, 4))), (dense, ((5,), (6,))), (norm, ((5,), (6,)))):
        layer(layers.Input(shapes[0]))
        with pytest.raises(ValueError, match=r"expected.*Received"):
            layer(layers.Input(shapes[1]))


def test_prelu_refuses_an_input_that_its_alpha_does_not_fit():
    layer = layers.PReLU(shared_axes=[1, 2])
    layer(layers.Input((5, 5, 3)))
    assert layer(layers.Input((7, 6, 3))).shape == (None, 7, 6, 3)
    for shape in ((5, 5, 4), (5, 3)):
        with pytest.raises(ValueError, match=r"expected an input that fits its alpha of shape \(1, 1, 3\)"):
            layer(layers.Input(shape))


def test_a_frozen_prelu_passes_gradients_on():
    dense, layer = layers.Dense(3), layers.PReLU("ones")
    layer.trainable = False
    model = models.Sequential([layers.Input((4,)), dense, layer, layers.Dense(2, activation="softmax")])
    model.compile(optimizer="sgd", loss="categorical_crossentropy")
    before, alpha = dense.kernel.numpy(), layer.alpha.numpy()
    model.train_on_batch(np.eye(2, 4), np.eye(2))
    assert not np.array_equal(dense.kernel.array, before)
    np.testing.assert_array_equal(layer.alpha.array, alpha)


def test_an_array_is_no_tensor():
    with pytest.raises(TypeError, match="symbolic tensor.*ndarray"):
        layers.Dense(3)(np.zeros((2, 3)))


def test_leaky_relu_slopes():
    assert layers.LeakyReLU().negative_slope == 0.3
    assert layers.LeakyReLU(alpha=0.1).negative_slope == 0.1
    assert layers.LeakyReLU(negative_slope=0.05).negative_slope == 0.05


def test_an_old_name_of_an_argument_is_no_setting():
    assert layers.LeakyReLU(alpha=0.1).get_config()["negative_slope"] == 0.1
    assert "alpha" not in layers.LeakyReLU(alpha=0.1).get_config()


def test_weights_come_in_keras_order():
    norm = layers.BatchNormalization()
    norm(layers.Input((3,)))
    assert [w.name for w in norm.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [w.name for w in norm.non_trainable_weights] == ["moving_mean", "moving_variance"]


def test_set_weights_changes_all_or_nothing():
    dense = layers.Dense(2)
    dense(layers.Input((3,)))
    before = dense.get_weights()
    with pytest.raises(ValueError, match=r"expected shape \(2,\).*\(3,\)"):
        dense.set_weights([np.ones((3, 2)), np.ones(3)])
    np.testing.assert_array_equal(dense.kernel.array, before[0])
    with pytest.raises(ValueError, match="expected 2 arrays.*1"):
        dense.set_weights([np.ones((3, 2))])


@pytest.mark.parametrize(
    ("shape", "limit"),
    [((3, 3, 32, 64), (6 / (9 * 96)) ** 0.5), ((4096, 128), (6 / 4224) ** 0.5), ((7,), (6 / 14) ** 0.5)],
)
def test_glorot_limits(shape, limit):
    utils.set_random_seed(0)
    values = initializers.glorot_uniform()(shape)
    assert values.dtype == np.float32 and np.abs(values).max() <= limit
    if values.size > 1000:
        assert np.abs(values).max() > 0.99 * limit
        assert values.std() == pytest.approx(limit / 3**0.5, rel=0.02)


def test_input_shape_argument_of_the_first_layer():
    assert layers.Dense(3, input_shape=(4,)).first_input_shape == (None, 4)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 3, groups=2),
        layers.Conv2DTranspose(4, 3),
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(4, 3),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_built_layer_refuses_another_number_of_channels(layer):
    layer(layers.Input((5, 5, 2)))
    with pytest.raises(ValueError, match=r"expected 2 input channels, as its kernel has.*5, 5, 6"):
        layer(layers.Input((5, 5, 6)))


MODULES = (conv2d, conv2d_transpose, depthwise_conv2d, pooling2d, reshaping2d)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_docstring_examples(module):
    assert doctest.testmod(module).failed == 0
