"""Random layers: in training as the op says, elsewhere without effect; repeatable; settings."""

import numpy as np
import pytest
from layer_runner import run_layer

from fastconv import layers, models, utils
from fastconv.ops import get_ops
from fastconv.plan.graph import Graph

IMAGES = np.random.default_rng(0).normal(size=(6, 5, 4, 2)).astype(np.float32)


def emitted(layer, mode="train", shape=(8, 10, 20, 3)):
    graph = Graph(mode, [shape])
    y = layer.emit(graph, graph.inputs[0])
    return graph.steps[-1].attrs if graph.steps else None, y.shape


@pytest.mark.parametrize("layer", [layers.RandomFlip(), layers.RandomTranslation(0.5, 0.5)], ids=str)
@pytest.mark.parametrize("mode", ["evaluate", "predict"])
def test_nothing_happens_but_in_training(layer, mode):
    assert emitted(layer, mode) == (None, (8, 10, 20, 3))


def test_crop_takes_the_middle_but_in_training():
    layer = layers.RandomCrop(2, 2)
    model = models.Sequential([layers.Input(IMAGES.shape[1:]), layer])
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), IMAGES[:, 1:3, 1:3])


def test_crop_in_training_is_a_part_of_the_image():
    attributes, shape = emitted(layers.RandomCrop(8, 20))
    assert shape == (8, 8, 20, 3)
    assert (attributes["rows"], attributes["columns"], attributes["whole"]) == ((0, 3), (0, 1), True)


def test_crop_of_the_whole_image_is_no_step():
    assert emitted(layers.RandomCrop(10, 20))[0] is None


@pytest.mark.parametrize(
    ("factors", "rows", "columns"),
    [((0.1, 0.5), (-1, 1), (-10, 10)), (((0.1, 0.3), (-0.5, 0)), (-3, -1), (0, 10)), ((-0.1, 0), (-1, 1), (0, 0))],
)
def test_translation_moves_the_window_the_other_way(factors, rows, columns):
    attributes, _ = emitted(layers.RandomTranslation(*factors))
    np.testing.assert_allclose([attributes["rows"], attributes["columns"]], [rows, columns], atol=1e-12)
    assert not attributes["whole"]


def test_nearest_translation_rounds():
    attributes, _ = emitted(layers.RandomTranslation(0.1, 0.1, interpolation="nearest"))
    np.testing.assert_allclose(attributes["rows"], (-0.5, 1.5))
    assert attributes["whole"]


def outputs(seed, run_seed):
    """What the first training step of a model makes of the images: the gradient of a dense layer tells."""
    utils.set_random_seed(run_seed)
    model = models.Sequential(
        [layers.Input((5, 4, 2)), layers.RandomTranslation(0.5, 0.5, seed=seed), layers.Flatten()]
        + [layers.Dense(2, kernel_initializer="zeros", activation="softmax")]
    )
    model.compile(optimizer="sgd", loss="categorical_crossentropy")
    model.train_on_batch(IMAGES, np.eye(2)[np.arange(6) % 2])
    return model.get_weights()[0]


def test_a_seed_of_the_run_repeats():
    np.testing.assert_array_equal(outputs(None, 1), outputs(None, 1))
    assert not np.array_equal(outputs(None, 1), outputs(None, 2))


def test_a_seed_of_the_layer_needs_none_of_the_run():
    np.testing.assert_array_equal(outputs(7, 1), outputs(7, 2))
    assert not np.array_equal(outputs(7, 1), outputs(8, 1))


def test_after_trainable_weights_there_is_no_gradient():
    with pytest.raises(
        ValueError, match="expected no trainable weights before a layer that has no gradient.*random_window"
    ):
        run_layer(layers.RandomFlip(), [IMAGES], IMAGES, get_ops("cpu"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RandomFlip("diagonal"), "mode: expected one of.*horizontal.*mode='diagonal'"),
        (lambda: layers.RandomFlip(seed=1.5), "seed: expected an integer or None. Received: seed=1.5"),
        (lambda: layers.RandomTranslation(1.5, 0), r"height_factor: expected a number in \[-1, 1\] or two.*=1.5"),
        (lambda: layers.RandomTranslation(0, (0, 0, 1)), r"width_factor: expected"),
        (lambda: layers.RandomTranslation(0, "0"), r"width_factor='0'"),
        (lambda: layers.RandomTranslation(0, 0, "mirror"), r"fill_mode: expected one of.*'mirror'"),
        (lambda: layers.RandomTranslation(0, 0, interpolation="cubic"), r'interpolation: expected "bilinear" or'),
        (lambda: layers.RandomTranslation(0, 0, fill_value=None), r"fill_value: expected a finite number"),
        (lambda: layers.RandomCrop(0, 3), r"height: expected a positive integer"),
        (lambda: layers.RandomCrop(6, 3)(layers.Input((5, 4, 2))), r"expected images of 6x3 pixels or more"),
        (lambda: layers.RandomFlip()(layers.Input((5, 4))), r"expected an input of rank 4"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
