import numpy as np
import pytest

from fastconv import layers
from fastconv.models import Model, Sequential
from fastconv.plot import plot_filters

pytest.importorskip("matplotlib")


def tiles(axes):
    return [np.asarray(image.get_array()) for ax in axes for image in ax.get_images()]


def test_a_column_for_each_filter_and_a_row_for_each_channel(pyplot, small):
    layer = small.get_layer("conv2d")
    kernel = layer.get_weights()[0]
    expected = [kernel[:, :, c, k] for c in range(3) for k in range(4)]
    np.testing.assert_array_equal(tiles(plot_filters(layer)), expected)


def test_the_scale_is_centred_on_0(pyplot, small):
    norm = plot_filters(small)[0].get_images()[0].norm
    assert norm.vmin == -norm.vmax and norm.vmax == abs(small.get_weights()[0]).max()


def test_limits_take_the_first(pyplot, small):
    kernel = small.get_weights()[0]
    drawn = tiles(plot_filters(small, max_filters=2, max_channels=1))
    np.testing.assert_array_equal(drawn, [kernel[:, :, 0, 0], kernel[:, :, 0, 1]])


def test_17_filters_are_two_lines(pyplot):
    model = Sequential([layers.Input((8, 8, 1)), layers.Conv2D(17, (1, 5))])
    assert [len(ax.get_images()) for ax in plot_filters(model)] == [16, 1]


@pytest.mark.parametrize(
    "layer, count",
    [
        (layers.Conv2D(4, 3, groups=2), 2 * 4),
        (layers.Conv2DTranspose(5, 3), 4 * 5),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), 4 * 2),
        (layers.SeparableConv2D(6, 3), 4 * 1),
    ],
)
def test_other_convolutions(pyplot, layer, count):
    Sequential([layers.Input((8, 8, 4)), layer])
    assert len(tiles(plot_filters(layer))) == count


def test_channels_of_a_transposed_convolution_are_its_inputs(pyplot):
    layer = layers.Conv2DTranspose(2, 3)
    Sequential([layers.Input((8, 8, 3)), layer])
    np.testing.assert_array_equal(tiles(plot_filters(layer))[1], layer.get_weights()[0][:, :, 1, 0])


def test_the_first_convolution_may_be_in_a_model_inside(pyplot, small):
    outer = layers.Input((8, 8, 3))
    model = Model(outer, small(layers.ReLU()(outer)))
    assert len(tiles(plot_filters(model))) == 12


def test_weights_of_0_and_nan_are_drawn(pyplot, tmp_path, small):
    small.set_weights([np.zeros_like(w) for w in small.get_weights()])
    plot_filters(small, tmp_path / "zeros.png")
    small.set_weights([np.full_like(w, np.nan) for w in small.get_weights()])
    plot_filters(small, tmp_path / "nan.png")


@pytest.mark.parametrize(
    "given", [layers.Dense(3), Sequential([layers.Input((4,)), layers.Dense(3)]), "conv2d"], ids=str
)
def test_what_has_no_convolution_is_refused(given):
    with pytest.raises(ValueError, match="expected a convolution, or a model with one"):
        plot_filters(given)


def test_an_unbuilt_layer_is_refused():
    with pytest.raises(ValueError, match="expected a built layer"):
        plot_filters(layers.Conv2D(3, 3))


def test_a_limit_of_0_is_refused(small):
    with pytest.raises(ValueError, match="max_filters: expected a positive integer"):
        plot_filters(small, max_filters=0)
