import numpy as np
import pytest

from fastconv.plot import plot_confusion_matrix

pytest.importorskip("matplotlib")

TRUE, PREDICTED = [0, 0, 0, 1, 2], [0, 1, 1, 1, 0]
COUNTS = [["1", "2", "0"], ["0", "1", "0"], ["1", "0", "0"]]


def numbers(ax):
    return np.array([text.get_text() for text in ax.texts]).reshape(3, 3).tolist()


def test_rows_are_true_and_columns_predicted(pyplot):
    (ax,) = plot_confusion_matrix(TRUE, PREDICTED)
    assert numbers(ax) == COUNTS
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true", "predicted")
    assert ax.figure.axes[0].texts[0].get_text() == "2 of 5 right (40.0%)"


def test_colours_are_shares_of_the_row(pyplot):
    (ax,) = plot_confusion_matrix(TRUE, PREDICTED)
    np.testing.assert_allclose(ax.get_images()[0].get_array(), [[1 / 3, 2 / 3, 0], [0, 1, 0], [1, 0, 0]])


def test_one_hot_labels_and_probabilities(pyplot):
    probabilities = np.eye(3, dtype=np.float32)[PREDICTED] * 0.4 + 0.2
    (ax,) = plot_confusion_matrix(np.eye(3)[TRUE], probabilities)
    assert numbers(ax) == COUNTS


def test_labels_as_cifar_10_has_them(pyplot):
    assert numbers(plot_confusion_matrix(np.array(TRUE)[:, None], PREDICTED)[0]) == COUNTS


def test_names(pyplot):
    (ax,) = plot_confusion_matrix(TRUE, PREDICTED, ["cat", "dog", "frog"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "dog", "frog"]


def test_a_class_that_never_occurs_has_its_row(pyplot):
    (ax,) = plot_confusion_matrix([0, 0], [0, 0], ["cat", "dog"])
    np.testing.assert_array_equal(ax.get_images()[0].get_array(), [[1, 0], [0, 0]])


def test_many_classes_have_no_numbers_and_fewer_names(pyplot):
    (ax,) = plot_confusion_matrix(range(100), range(100))
    assert not ax.texts and len(ax.get_xticks()) <= 40


@pytest.mark.parametrize(
    "true, predicted, message",
    [
        ([0, 1], [0], "y_pred: expected as many samples as y_true, 2. Received: y_pred of 1"),
        ([], [], "y_true: expected class numbers"),
        (["cat"], [0], "y_true: expected class numbers"),
        ([0], [[[0]]], "y_pred: expected class numbers"),
        ([0, -1], [0, 0], "Received: -1 at sample 1"),
        ([0], [[0.7]], r"give \(probabilities > 0.5\). Received: 0.7"),
        ([0], [[0.7, np.nan]], "y_pred: expected finite numbers. Received: nan at sample 0"),
        ([10**9], [0], "class numbers from 0 to 999"),
    ],
)
def test_what_are_no_labels_is_refused(true, predicted, message):
    with pytest.raises(ValueError, match=message):
        plot_confusion_matrix(true, predicted)


@pytest.mark.parametrize("classes", [["cat"], "cats"])
def test_too_few_names_are_refused(classes):
    with pytest.raises(ValueError, match="classes: expected a list of 3 names or more"):
        plot_confusion_matrix(TRUE, PREDICTED, classes)
