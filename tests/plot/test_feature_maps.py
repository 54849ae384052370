import numpy as np
import pytest

from fastconv import layers, utils
from fastconv.callbacks import LambdaCallback
from fastconv.models import Model, Sequential
from fastconv.plot import plot_feature_maps

pytest.importorskip("matplotlib")


def rows(axes):
    """Label: its tiles, as (channels, H, W)."""
    return {
        ax.get_yticklabels()[0].get_text(): np.stack([np.asarray(image.get_array()) for image in ax.get_images()])
        for ax in axes
    }


def test_every_layer_with_images_is_a_row(pyplot, small, image):
    labels = list(rows(plot_feature_maps(small, image)))
    assert labels == ["input_layer\n8×8, 3 channels", "conv2d\n4×4, 4 channels", "re_lu\n4×4, 4 channels"]


def test_the_maps_are_what_the_layers_compute(pyplot, small, image):
    drawn = rows(plot_feature_maps(small, image))
    expected = Model(small.input, small.get_layer("conv2d").output).predict(image[None], verbose=0)[0]
    np.testing.assert_allclose(drawn["conv2d\n4×4, 4 channels"], expected.transpose(2, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(drawn["input_layer\n8×8, 3 channels"][0], image)


def test_the_scale_begins_at_0_where_nothing_is_negative(pyplot, small, image):
    norms = [ax.get_images()[0].norm for ax in plot_feature_maps(small, image)[1:]]
    assert norms[0].vmin == -norms[0].vmax < 0
    assert norms[1].vmin == 0 < norms[1].vmax


def test_a_limit_of_channels_is_told(pyplot, small, image):
    drawn = rows(plot_feature_maps(small, image, max_channels=3))
    assert drawn["conv2d\n4×4, 3 of 4 channels"].shape == (3, 4, 4)


def test_layers_can_be_chosen(pyplot, small, image):
    assert len(plot_feature_maps(small, image, layers=["re_lu"])) == 2


def test_a_batch_of_one_will_do(pyplot, small, image):
    assert len(plot_feature_maps(small, image[None])) == 3


def test_a_sequential_without_input_is_built_by_the_image(pyplot, image):
    model = Sequential([layers.Conv2D(2, 3, name="first")])
    assert list(rows(plot_feature_maps(model, image)))[1] == "first\n6×6, 2 channels"


def test_models_inside_have_their_layers_shown(pyplot, small, image):
    inner = Sequential([layers.Input((8, 8, 3)), layers.Conv2D(2, 3, name="first"), layers.ReLU(name="last")], "inner")
    outer = layers.Input((8, 8, 3), name="image")
    twice = inner(layers.Activation("tanh", name="tanh")(outer)), inner(outer)
    model = Model(outer, layers.Add(name="add")(list(twice)))
    drawn = rows(plot_feature_maps(model, image))
    assert [label.split("\n")[0] for label in drawn] == [
        "image",
        "tanh",
        "inner (call 1)/first",
        "inner (call 1)/last",
        "inner (call 2)/first",
        "inner (call 2)/last",
        "add",
    ]
    chosen = plot_feature_maps(model, image, layers=["inner/first", "inner (call 2)/last"])
    assert list(rows(chosen)) == [
        label for label in drawn if "image" in label or "first" in label or "2)/last" in label
    ]
    sums = sum(drawn[f"inner (call {i})/last\n6×6, 2 channels"] for i in (1, 2))
    np.testing.assert_allclose(drawn["add\n6×6, 2 channels"], sums, atol=1e-6)


def test_several_inputs(pyplot, image):
    a, b = layers.Input((8, 8, 3), name="a"), layers.Input((8, 8, 5), name="b")
    model = Model([a, b], layers.Concatenate(name="both")([a, b]))
    many = np.concatenate([image, image[..., :2]], axis=2)
    drawn = rows(plot_feature_maps(model, {"a": image, "b": many}))
    np.testing.assert_allclose(drawn["both\n8×8, 8 channels"], np.concatenate([image, many], 2).transpose(2, 0, 1))
    assert drawn["b\n8×8, 5 channels"].shape == (5, 8, 8)


def test_every_output_of_a_layer_is_a_row(pyplot, image):
    class Twice(layers.Layer):
        def compute_output_shape(self, input_shape):
            return [input_shape, input_shape]

        def forward(self, x):
            return x, 2 * x

    start = layers.Input((8, 8, 3))
    model = Model(start, Twice(name="twice")(start))
    drawn = rows(plot_feature_maps(model, image, layers=["twice"]))
    one, two = (drawn[f"twice (output {i})\n8×8, 3 channels"] for i in (1, 2))
    np.testing.assert_array_equal(2 * one, two)


def test_training_goes_on_as_if_nothing_had_been_drawn(pyplot, image):
    x, y = np.stack([image] * 4), np.eye(5, dtype=np.float32)[:4]

    def trained(draw):
        utils.set_random_seed(0)
        model = Sequential([layers.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(5)])
        model.compile("adam", "mse")
        drawing = LambdaCallback(on_train_batch_end=lambda batch, logs: draw and plot_feature_maps(model, image))
        model.fit(x, y, batch_size=2, epochs=2, verbose=0, callbacks=[drawing])
        model.fit(x, y, epochs=1, verbose=0)
        return model.get_weights()

    for with_pictures, without in zip(trained(True), trained(False), strict=True):
        np.testing.assert_array_equal(with_pictures, without)


def test_the_weights_stay_where_they_are(pyplot, small, image):
    small.predict(image[None], verbose=0)
    before = [weight.array for weight in small.weights]
    plot_feature_maps(small, image)
    assert all(np.shares_memory(weight.array, array) for weight, array in zip(small.weights, before, strict=True))


def test_automatic_names_go_on_as_if_nothing_had_been_drawn(pyplot, small, image):
    plot_feature_maps(small, image)
    assert Model(small.input, small.output).name == "functional_1"


def test_nan_is_drawn(pyplot, tmp_path, small, image):
    small.set_weights([np.full_like(w, np.nan) for w in small.get_weights()])
    plot_feature_maps(small, image, tmp_path / "nan.png")


@pytest.mark.parametrize("wrong", [np.zeros((8, 8)), np.zeros((2, 8, 8, 3)), "cat"], ids=["rank", "batch", "text"])
def test_what_is_no_sample_of_the_model_is_refused(small, wrong):
    with pytest.raises(ValueError, match=r"image: expected one sample of shape \(8, 8, 3\)"):
        plot_feature_maps(small, wrong)


def test_a_model_without_images_is_refused():
    with pytest.raises(ValueError, match="expected a model whose layers make images"):
        plot_feature_maps(Sequential([layers.Input((4,)), layers.Dense(3)]), np.zeros(4))


def test_an_unknown_layer_is_refused(small, image):
    with pytest.raises(ValueError, match=r"layers: expected a list of \['conv2d', 're_lu'\]. Received: .*dense"):
        plot_feature_maps(small, image, layers=["dense"])
