import pytest

from fastconv.callbacks import History
from fastconv.plot import plot_history

CURVES = {"loss": [3.0, 2.0], "accuracy": [0.1, 0.2], "val_loss": [4.0, 3.0], "val_accuracy": [0.1, 0.15]}


def lines(axes):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()}


def test_the_loss_comes_first(pyplot):
    assert [axes.get_ylabel() for axes in plot_history(CURVES)] == ["loss", "accuracy"]


def test_training_and_validation_are_drawn_over_epochs_from_1(pyplot):
    drawn = lines(plot_history(CURVES)[0])
    assert drawn == {"training": ([1, 2], [3.0, 2.0]), "validation": ([1, 2], [4.0, 3.0])}


def test_a_history_object_is_drawn(pyplot):
    history = History()
    history.history = CURVES
    assert lines(plot_history(history)[1])["training"] == ([1, 2], [0.1, 0.2])


def test_phases_continue(pyplot):
    drawn = lines(plot_history([CURVES, {"loss": [1.0, 0.5]}])[0])
    assert drawn["training"] == ([1, 2, 3, 4], [3.0, 2.0, 1.0, 0.5])


def test_a_phase_without_epochs_is_passed_over(pyplot):
    assert lines(plot_history([CURVES, {}])[0])["training"] == ([1, 2], [3.0, 2.0])


@pytest.mark.parametrize("name", ["curves.txt", "curves"])
def test_an_unknown_format_is_refused(pyplot, tmp_path, name):
    with pytest.raises(ValueError, match=rf"must end in one of .*\.png.*Received: path=.*{name}"):
        plot_history(CURVES, tmp_path / name)


@pytest.mark.parametrize("history", [{}, [], {"loss": []}, History()])
def test_a_history_without_epochs_is_refused(history):
    with pytest.raises(ValueError, match="at least one finished epoch"):
        plot_history(history)
