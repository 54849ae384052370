import re
from xml.etree import ElementTree

import pytest

from fastconv import layers
from fastconv.models import Model, Sequential
from fastconv.plot import plot_model

SVG = "{http://www.w3.org/2000/svg}"


class Picture:
    """What is on an SVG: boxes as (left, top, right, bottom) with their lines, and arrows from point to point."""

    def __init__(self, svg):
        self.root = ElementTree.fromstring(svg)
        groups = self.root.iter(f"{SVG}g")
        self.boxes = [
            (_corners(group.find(f"{SVG}rect")), [t.text for t in group.iter(f"{SVG}text")]) for group in groups
        ]
        self.arrows = []
        for path, head in zip(self.root.iter(f"{SVG}path"), self.root.iter(f"{SVG}polygon"), strict=True):
            start = re.match(r"M(\S+) (\S+?)L", path.get("d"))
            self.arrows.append(
                (tuple(map(float, start.groups())), tuple(map(float, head.get("points").split()[0].split(","))))
            )

    def names(self):
        return [lines[0] for _, lines in self.boxes]

    def edges(self):
        """Pairs of names: the boxes at whose lower edge an arrow begins and at whose upper edge it ends."""
        return sorted((self._at(start, 3), self._at(end, 1)) for start, end in self.arrows)

    def _at(self, point, edge):
        (found,) = [
            lines[0]
            for box, lines in self.boxes
            if box[0] <= point[0] <= box[2] and box[edge] == pytest.approx(point[1], abs=0.11)
        ]
        return found


def _corners(rect):
    x, y, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def test_a_box_has_name_class_parameters_and_shape(small):
    lines = [lines for _, lines in Picture(plot_model(small)).boxes]
    assert lines == [
        ["input_layer", "InputLayer", "(None, 8, 8, 3)"],
        ["conv2d", "Conv2D, 112 parameters", "(None, 4, 4, 4)"],
        ["re_lu", "ReLU", "(None, 4, 4, 4)"],
        ["flatten", "Flatten", "(None, 64)"],
        ["dense", "Dense, 325 parameters", "(None, 5)", "output"],
    ]


def test_arrows_connect_the_boxes(small):
    names = ["input_layer", "conv2d", "re_lu", "flatten", "dense"]
    assert Picture(plot_model(small)).edges() == sorted(zip(names, names[1:], strict=False))


def test_a_sequential_is_a_chain():
    model = Sequential([layers.Input((4,), name="in"), layers.Dense(3, name="a"), layers.Dense(2, name="b")])
    assert Picture(plot_model(model)).edges() == [("a", "b"), ("in", "a")]


@pytest.fixture
def branching():
    """Two inputs, two outputs, a model called twice, a layer called twice, a layer that reads one tensor twice."""
    inner = Sequential([layers.Input((4,), name="inner in"), layers.Dense(3, name="inner dense")], name="inner")
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    both = layers.Add(name="add")([inner(a), inner(b)])
    shared = layers.Dense(3, name="shared")
    x = shared(shared(both))
    twice = layers.Add(name="twice")([x, x])
    return Model([a, b], {"main": layers.Add(name="skip")([twice, both]), "aux": both})


def test_branches_and_calls(branching):
    picture = Picture(plot_model(branching))
    assert picture.edges() == sorted(
        [
            ("a", "inner"),
            ("b", "inner"),
            ("inner", "add"),
            ("inner", "add"),
            ("add", "shared"),
            ("shared", "shared"),
            ("shared", "twice"),
            ("shared", "twice"),
            ("twice", "skip"),
            ("add", "skip"),
        ]
    )
    lines = [lines[1] for _, lines in picture.boxes]
    assert "Dense, 12 parameters" in lines and "Dense, call 2 with the same weights" in lines
    assert [lines[-1] for _, lines in picture.boxes if lines[-1].startswith("output")] == ["output aux", "output main"]


def test_models_inside_are_drawn_with_their_layers(branching):
    picture = Picture(plot_model(branching, expand_nested=True))
    frames = [box for box, lines in picture.boxes if lines[0] == "inner"]
    inside = [box for box, lines in picture.boxes if lines[0] == "inner dense"]
    assert len(frames) == len(inside) == 2
    for box in inside:
        assert any(f[0] < box[0] and f[1] < box[1] and box[2] < f[2] and box[3] < f[3] for f in frames)
    assert picture.edges().count(("inner in", "inner dense")) == 2


def test_frozen_weights_are_named(small):
    small.get_layer("conv2d").trainable = False
    assert "Conv2D, 112 parameters, frozen" in plot_model(small)


def test_a_model_between_layers_begins_with_their_tensor(small):
    part = Model(small.get_layer("conv2d").output, small.output)
    assert Picture(plot_model(part)).names() == ["conv2d", "re_lu", "flatten", "dense"]


def test_names_are_escaped():
    name = 'a<b>&"c"\x07'
    model = Sequential([layers.Input((4,)), layers.Dense(3, name=name)], name="<m>")
    picture = Picture(plot_model(model))
    assert picture.names()[1] == 'a<b>&"c"\ufffd'
    assert picture.root.find(f"{SVG}title").text == "<m>: 15 parameters"


@pytest.mark.parametrize("name", ["mmmmmmWWWW", "conv2d_transpose_12", "Schicht_ÄÖÜ", "iiii"])
def test_texts_fit_into_their_boxes(name):
    text = pytest.importorskip("matplotlib.text")
    figure = pytest.importorskip("matplotlib.figure").Figure(dpi=72)
    model = Sequential([layers.Input((4,)), layers.Dense(3, name=name)])
    for (left, _, right, _), lines in Picture(plot_model(model)).boxes:
        for line in lines:
            drawn = text.Text(0, 0, line, fontsize=12, weight="bold" if line == lines[0] else "normal", figure=figure)
            assert drawn.get_window_extent().width <= right - left


def test_a_notebook_shows_it(small):
    picture = plot_model(small)
    assert isinstance(picture, str) and picture._repr_svg_() == picture


def test_the_file_is_the_text(tmp_path, small):
    picture = plot_model(small, tmp_path / "model.svg")
    assert (tmp_path / "model.svg").read_text(encoding="utf-8") == picture


def test_another_suffix_is_refused(tmp_path, small):
    with pytest.raises(ValueError, match=r"path must end in .svg. Received: path='.*model.png'"):
        plot_model(small, tmp_path / "model.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [Sequential([layers.Dense(3)]), layers.Dense(3), None], ids=str)
def test_what_is_no_built_model_is_refused(given):
    with pytest.raises(ValueError, match="plot_model: expected a built model"):
        plot_model(given)


def test_a_deep_model_is_drawn():
    x = image = layers.Input((4,))
    for _ in range(150):
        x = layers.Add()([x, layers.Dense(4)(x)])
    assert len(Picture(plot_model(Model(image, x))).boxes) == 301
