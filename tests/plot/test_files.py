"""What every picture by matplotlib does with files, figures and a missing matplotlib."""

import subprocess
import sys

import numpy as np
import pytest

from fastconv import layers, plot
from fastconv.models import Model

CURVES = {"loss": [3.0, 2.0]}

# A call of each function, given a model and an image; the arguments but the path.
CALLS = {
    "history": lambda model, image: (plot.plot_history, CURVES),
    "filters": lambda model, image: (plot.plot_filters, model),
    "feature_maps": lambda model, image: (plot.plot_feature_maps, model, image),
    "confusion_matrix": lambda model, image: (plot.plot_confusion_matrix, [0, 1, 1], [0, 1, 0]),
    "gradient_norms": lambda model, image: (plot.plot_gradient_norms, {"conv2d": {"gradient_norm": [1.0, 0.0]}}),
    "padding": lambda model, image: (plot.plot_padding, 8, 3, 2),
    "receptive_field": lambda model, image: (plot.plot_receptive_field, model),
    "images": lambda model, image: (plot.plot_images, image[None], [1], [0]),
}


@pytest.fixture(params=CALLS)
def draw(request, small, image):
    function, *arguments = CALLS[request.param](small, image)
    return lambda **settings: function(*arguments, **settings)


def test_every_function_is_called_here():
    names = {name.removeprefix("plot_") for name in plot.__all__}
    assert names - {"model"} == set(CALLS)  # the graph is no picture by matplotlib


def test_the_file_is_an_image(pyplot, tmp_path, draw):
    draw(path=tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_leaves_no_figure_open(pyplot, tmp_path, draw):
    draw(path=tmp_path / "picture.pdf")
    assert pyplot.get_fignums() == []


def test_without_a_file_the_figure_is_pyplot_s(pyplot, draw):
    axes = draw()
    assert [axes[0].figure.number] == pyplot.get_fignums()


def test_an_unknown_format_is_refused(pyplot, tmp_path, draw):
    with pytest.raises(ValueError, match=r"must end in one of .*\.png.*Received: path=.*picture\.txt"):
        draw(path=tmp_path / "picture.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_leaves_nothing(pyplot, tmp_path, draw):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        draw(path=tmp_path / "missing" / "picture.png")
    assert list(tmp_path.iterdir()) == []


def require_all_within(figure):
    figure.canvas.draw()
    outer, inner = figure.bbox, figure.get_tightbbox()
    assert inner.x0 >= -0.01 and inner.y0 >= -0.01
    assert inner.x1 * figure.dpi <= outer.x1 + 1 and inner.y1 * figure.dpi <= outer.y1 + 1


def test_texts_and_axes_lie_within_the_figure(pyplot, draw):
    require_all_within(draw()[0].figure)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch, draw):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "fastconv\[plot\]"'):
        draw()


def test_importing_the_functions_imports_no_matplotlib(tmp_path):
    command = [sys.executable, "-c", "import sys, fastconv.plot; print('matplotlib' in sys.modules)"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout.strip() == "False"


LONG = ["a long name of a class, of many words", "b"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot.plot_confusion_matrix([0, 1], [0, 1], LONG),
        lambda: plot.plot_images(np.zeros((1, 4, 4)), [0], [1], LONG),
        lambda: plot.plot_images(np.zeros((9, 4, 4)), [0] * 9, [1] * 9, LONG),
        lambda: plot.plot_gradient_norms({LONG[0]: {"gradient_norm": [1.0]}}),
    ],
    ids=["confusion matrix", "one image", "images", "gradient norms"],
)
def test_long_names_lie_within_the_figure(pyplot, draw):
    require_all_within(draw()[0].figure)


def test_names_are_no_formulas(pyplot, tmp_path):
    """This one is a formula that matplotlib could not read."""
    names = ["$\\frac{$", "_b"]
    image = layers.Input((4, 4, 1), name=names[0])
    model = Model(image, layers.Conv2D(2, 2, name="conv" + names[0])(image))
    plot.plot_confusion_matrix([0, 1], [1, 1], names, tmp_path / "a.png")
    plot.plot_images(np.zeros((2, 4, 4)), [0, 1], [1, 1], names, tmp_path / "b.png")
    plot.plot_filters(model, tmp_path / "c.png")
    plot.plot_feature_maps(model, np.zeros((4, 4, 1)), tmp_path / "d.png")
    plot.plot_receptive_field(model, path=tmp_path / "e.png")
    plot.plot_gradient_norms({names[0]: {"gradient_norm": [1.0]}}, tmp_path / "f.png")
