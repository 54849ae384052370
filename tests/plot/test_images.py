import numpy as np
import pytest

from fastconv.plot import plot_images
from fastconv.plot.figure import RIGHT, WRONG

pytest.importorskip("matplotlib")

IMAGES = np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3)
NAMES = ["cat", "dog", "frog"]


def titles(axes):
    return [ax.get_title() for ax in axes]


def pixels(axes):
    return np.stack([np.asarray(ax.get_images()[0].get_array()) for ax in axes])


def test_predicted_and_true_labels(pyplot):
    axes = plot_images(IMAGES, [0, 1, 2], [0, 2, 2], NAMES)
    assert titles(axes) == ["cat\n", "frog\n(is dog)", "frog\n"]
    assert [ax.title.get_color() for ax in axes] == [RIGHT, WRONG, RIGHT]


def test_probabilities_are_told(pyplot):
    rows = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0, 0.25, 0.75]])
    assert titles(plot_images(IMAGES, None, rows, NAMES)) == ["cat 50%", "dog 100%", "frog 75%"]


def test_one_hot_predictions_are_no_probabilities(pyplot):
    assert titles(plot_images(IMAGES, None, np.eye(3), NAMES)) == ["cat", "dog", "frog"]


def test_true_labels_alone(pyplot):
    assert titles(plot_images(IMAGES, [[0], [1], [2]])) == ["0", "1", "2"]


def test_no_labels(pyplot):
    assert titles(plot_images(IMAGES)) == ["", "", ""]


@pytest.mark.parametrize(
    "images, expected",
    [
        (IMAGES, IMAGES / 255),
        (IMAGES.astype(np.float32), IMAGES / 255),
        (IMAGES / 255, IMAGES / 255),
        (IMAGES / 255 * 4 - 2, (IMAGES - IMAGES.min()) / np.ptp(IMAGES)),
        (np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4, 3))),
        (np.full((1, 4, 4, 3), -1.0), np.zeros((1, 4, 4, 3))),
    ],
    ids=["bytes", "bytes as floats", "0 to 1", "standardized", "zeros", "constant"],
)
def test_ranges(pyplot, images, expected):
    np.testing.assert_allclose(pixels(plot_images(images)), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 4, 5, 1)])
def test_grey_images(pyplot, shape):
    assert pixels(plot_images(np.ones(shape))).shape == (3, 4, 5)


def test_the_first_ones_up_to_the_limit(pyplot):
    np.testing.assert_allclose(pixels(plot_images(IMAGES, max_images=2)), IMAGES[:2] / 255, atol=1e-6)


def test_more_than_a_line(pyplot):
    axes = plot_images(np.zeros((19, 4, 4)))
    corners = [tuple(np.round(ax.get_position().min, 6)) for ax in axes]
    assert len({x for x, _ in corners}) == 8 and len({y for _, y in corners}) == 3


@pytest.mark.parametrize(
    "images", [np.zeros((0, 4, 4, 3)), np.zeros((4, 4)), np.zeros((2, 4, 4, 2)), np.array([["a"]])], ids=str
)
def test_what_are_no_images_is_refused(images):
    with pytest.raises(ValueError, match="x: expected images of shape"):
        plot_images(images)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="x: expected finite numbers. Received: nan at sample 1"):
        plot_images([np.zeros((4, 4)), np.full((4, 4), np.nan)])


def test_another_number_of_labels_is_refused():
    with pytest.raises(ValueError, match="y_pred: expected a label for each of 3 images. Received: 2 labels"):
        plot_images(IMAGES, [0, 1, 2], [0, 1])
