import types

import numpy as np
import pytest

from fastconv.plot import plot_gradient_norms

pytest.importorskip("matplotlib")

NORMS = {"conv2d": {"gradient_norm": [0.5, 0.25], "mean": [1.0, 2.0]}, "dense": {"gradient_norm": [2.0, 1.0]}}


def lines(ax):
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    drawn = [line for line in ax.get_lines() if line.get_linestyle() != "None"]
    return {name: (list(line.get_xdata()), list(line.get_ydata())) for name, line in zip(names, drawn, strict=True)}


def marks(ax, marker):
    return [x for line in ax.get_lines() if line.get_marker() == marker for x in line.get_xdata()]


def test_a_line_for_each_layer(pyplot):
    (ax,) = plot_gradient_norms(NORMS)
    assert lines(ax) == {"conv2d": ([1, 2], [0.5, 0.25]), "dense": ([1, 2], [2.0, 1.0])}
    assert ax.get_yscale() == "log"


def test_a_callback_has_the_steps(pyplot):
    (ax,) = plot_gradient_norms(types.SimpleNamespace(history=NORMS, steps=[10, 20]))
    assert lines(ax)["dense"][0] == [10, 20]


def test_layers_without_gradients_are_passed_over(pyplot):
    assert list(lines(plot_gradient_norms({**NORMS, "flatten": {"mean": [0.0, 0.0]}})[0])) == ["conv2d", "dense"]


def test_names_with_an_underscore_and_a_dollar_are_shown(pyplot):
    assert list(lines(plot_gradient_norms({"_a$b$": {"gradient_norm": [1.0]}})[0])) == ["_a$b$"]


def test_what_a_logarithm_cannot_show_is_marked(pyplot):
    (ax,) = plot_gradient_norms({"a": {"gradient_norm": [1.0, 0.0, np.nan, np.inf, 2.0]}})
    assert (marks(ax, "v"), marks(ax, "x")) == ([2], [3, 4])


@pytest.mark.parametrize(
    "norms, numbers", [([0.3, 4.0], ["0.5", "1", "2"]), ([1e-6, 0.1], ["1e-06", "0.0001", "0.01"])], ids=str
)
def test_the_axis_has_plain_numbers(pyplot, norms, numbers):
    (ax,) = plot_gradient_norms({"a": {"gradient_norm": norms}})
    ax.figure.canvas.draw()
    shown = {text.get_text() for text in (*ax.get_yticklabels(), *ax.get_yticklabels(minor=True))}
    assert shown.issuperset(numbers) and not any("$" in text for text in shown)


def test_only_zeros(pyplot, tmp_path):
    plot_gradient_norms({"a": {"gradient_norm": [0.0, 0.0]}}, tmp_path / "zeros.png")


@pytest.mark.parametrize(
    "statistics, message",
    [
        ({}, "expected the norms of one step or more"),
        ({"a": {"mean": [1.0]}}, "expected the norms of one step or more"),
        ({"a": {"gradient_norm": []}}, "expected the norms of one step or more"),
        ([1.0], "expected the callback LayerStatistics, or a dict .* Received: list"),
        ({"loss": [1.0]}, "expected the callback LayerStatistics, or a dict"),
        (
            {"a": {"gradient_norm": [1.0]}, "b": {"gradient_norm": [1.0, 2.0]}},
            r"expected 1 norms .* shape \(2,\) for 'b'",
        ),
        ({"a": {"gradient_norm": [-1.0]}}, "expected no norm below 0. Received: -1.0 for 'a'"),
    ],
)
def test_what_has_no_norms_is_refused(statistics, message):
    with pytest.raises(ValueError, match=message):
        plot_gradient_norms(statistics)
