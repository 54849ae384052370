import numpy as np
import pytest

from fastconv import layers
from fastconv.models import Model, Sequential
from fastconv.models.networks import cnn, mlp
from fastconv.plot import plot_receptive_field

pytest.importorskip("matplotlib")


def texts(ax):
    """The lines of the legend beside the picture, which has axes of its own."""
    beside = ax.figure.axes[ax.figure.axes.index(ax) + 1]
    return [text.get_text() for text in beside.get_legend().get_texts()]


def title(ax):
    return ax.figure.axes[0].texts[0].get_text()


def test_every_layer_that_sees_more_is_told(pyplot):
    (ax,) = plot_receptive_field(cnn())
    assert [text.split(": ")[1] for text in texts(ax)] == ["3×3", "5×5", "9×9", "13×13"]
    assert title(ax).endswith("sees at (3, 3) of 8×8")


def test_the_frame_of_the_last_is_the_field(pyplot):
    (ax,) = plot_receptive_field(cnn())
    frames = [patch.get_bbox().extents for patch in ax.patches if not patch.get_fill() and patch.get_linewidth() == 2]
    np.testing.assert_array_equal(frames[-1], [8.5, 8.5, 21.5, 21.5])


def test_what_lies_in_the_padding_is_told(pyplot, small):
    (ax,) = plot_receptive_field(small, "conv2d", position=(3, 0))
    assert texts(ax) == ["conv2d: 3×3, 2×3 in the image"]


def test_a_dense_layer_sees_the_image(pyplot, small):
    (ax,) = plot_receptive_field(small, small.get_layer("dense"))
    assert texts(ax)[-1] == "flatten: 9×9, 8×8 in the image"
    assert title(ax) == "What dense sees"


def test_another_image_size(pyplot, small):
    (ax,) = plot_receptive_field(small, "re_lu", image_size=(20, 10))
    assert title(ax) == "What re_lu sees at (4, 2) of 10×5"


def test_a_layer_of_a_model_inside(pyplot):
    inner = Sequential([layers.Input((8, 8, 1)), layers.Conv2D(1, 5, name="conv")], name="inner")
    image = layers.Input((8, 8, 1))
    (ax,) = plot_receptive_field(Model(image, inner(layers.MaxPooling2D(1, name="pool")(image))), "inner/conv")
    assert texts(ax) == ["pool: 1×1", "inner/conv: 5×5"]


def test_each_image_that_a_layer_sees_has_its_picture(pyplot):
    a, b, c = (layers.Input((8, 8, 1), name=name) for name in "abc")
    both = layers.Add(name="both")([layers.Conv2D(1, 3)(a), layers.Cropping2D(1)(b)])
    model = Model([a, b, c], [both, layers.Conv2D(1, 3)(c)])
    assert [ax.get_xlabel() for ax in plot_receptive_field(model, "both")] == ["a", "b"]


def test_a_large_field_keeps_the_image_in_sight(pyplot):
    model = Sequential([layers.Input((8, 8, 1)), layers.Conv2D(1, 99, padding="same")])
    (ax,) = plot_receptive_field(model)
    assert ax.get_xlim() == (-9.5, 17.5)


@pytest.mark.parametrize("position", [(8, 0), (0, -1), (0,), 3, (0.5, 0)], ids=str)
def test_a_position_outside_the_output_is_refused(small, position):
    with pytest.raises(ValueError, match="position: expected a row and a column within 4×4, the output of 'conv2d'"):
        plot_receptive_field(small, "conv2d", position=position)


def test_a_position_where_there_is_none_is_refused(small):
    with pytest.raises(ValueError, match="position: expected None, as the output of 'dense' has no rows"):
        plot_receptive_field(small, "dense", position=(0, 0))


@pytest.mark.parametrize("layer", ["conv", layers.ReLU()], ids=str)
def test_an_unknown_layer_is_refused(small, layer):
    with pytest.raises(ValueError, match=r"layer: expected one of \['conv2d', 're_lu', 'flatten', 'dense'\]"):
        plot_receptive_field(small, layer)


@pytest.mark.parametrize("model", [mlp(), Sequential([layers.Input((4,)), layers.Dense(2)])], ids=["images", "rows"])
def test_a_model_without_feature_maps_is_refused(model):
    with pytest.raises(ValueError, match="expected a model of images"):
        plot_receptive_field(model)


def test_a_layer_of_a_model_that_sees_no_image_is_refused(pyplot):
    model = Sequential([layers.Input((4,)), layers.Dense(2, name="rows")])
    with pytest.raises(ValueError, match="expected a layer that depends on an image. Received: 'rows'"):
        plot_receptive_field(model, "rows")


def test_an_image_too_small_for_the_model_is_refused():
    model = Sequential([layers.Input((8, 8, 1)), layers.Conv2D(1, 5)])
    with pytest.raises(ValueError, match="expected a window inside the image"):
        plot_receptive_field(model, image_size=4)


def test_an_unbuilt_model_is_refused():
    with pytest.raises(ValueError, match="expected a built model"):
        plot_receptive_field(Sequential([layers.Conv2D(1, 3)]))
