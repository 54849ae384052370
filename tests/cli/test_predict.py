import json
import sys

import numpy as np
import pytest

import fastconv
from fastconv import datasets, layers
from fastconv.models import Sequential
from fastconv.models.networks import NETWORKS

pytest.importorskip("h5py", reason="h5py is not installed: no model to predict with")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: images cannot be read")


def save(path, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def predictions(program, *args):
    return json.loads(program("predict", *args, "--json").out)["predictions"]


@pytest.mark.parametrize("size", [(32, 32), (64, 64)])
def test_the_classes_are_those_of_the_model_by_their_names(program, networks, size):
    x = datasets.load_sample()[1][0][:2]
    for i, image in enumerate(x):
        Image.fromarray(image).resize(size, Image.Resampling.NEAREST).save(f"{i}.png")
    model = NETWORKS["conv"].factory()
    model.load_weights("conv.safetensors")
    expected = model.predict(x / np.float32(255), verbose=0)
    for row, found in zip(expected, predictions(program, "conv.safetensors", "0.png", "1.png"), strict=True):
        best = found["classes"]
        assert [one["class"] for one in best] == list((-row).argsort()[:3])
        assert [one["label"] for one in best] == [datasets.cifar10.LABELS[i] for i in (-row).argsort()[:3]]
        np.testing.assert_allclose([one["probability"] for one in best], -np.sort(-row)[:3], atol=1e-2)


def test_it_says_what_was_done_to_the_images(program, networks):
    save("a.png", np.zeros((20, 10, 3)))
    lines = program("predict", "small.keras", "a.png", "--top", "2").out.splitlines()
    assert lines[0] == "Images cropped to the middle, resized to 6x8, L, pixels 0..1"
    assert lines[1] == "a.png  class 0 25.0%  class 1 25.0%"


def test_the_middle_of_an_image_counts(program, networks):
    middle = np.random.default_rng(0).integers(0, 256, (8, 6), np.uint8)
    save("exact.png", middle)
    save("wide.png", np.pad(middle, ((0, 0), (5, 5)), constant_values=200))
    exact, wide = predictions(program, "small.keras", "exact.png", "wide.png")
    assert exact["classes"] == wide["classes"]


def test_rotated_photographs_are_turned_upright(program, networks):
    upright = np.random.default_rng(0).integers(0, 256, (8, 6), np.uint8)
    save("upright.png", upright)
    exif = Image.Exif()
    exif[0x0112] = 8  # taken with the camera turned: the viewer turns it by 90 degrees, counterclockwise
    Image.fromarray(np.rot90(upright, -1).copy()).save("turned.png", exif=exif)
    a, b = predictions(program, "small.keras", "upright.png", "turned.png")
    assert a["classes"] == b["classes"]


@pytest.mark.parametrize(("option", "expected"), [((), "0..255"), (("--pixels", "0..1"), "0..1")])
def test_a_model_that_rescales_gets_the_pixels_as_they_are(program, tmp_path, option, expected):
    model = Sequential([layers.Input((2, 2, 1)), layers.Rescaling(0.5), layers.Flatten(), layers.Dense(1, name="d")])
    model.get_layer("d").set_weights([np.ones((4, 1)), np.zeros(1)])
    model.save(tmp_path / "a.keras")
    save(tmp_path / "a.png", np.full((2, 2), 255))
    report = json.loads(program("predict", "a.keras", "a.png", "--json", *option).out)
    assert report["prepared"].endswith(f"pixels {expected}")
    score = report["predictions"][0]["classes"][0]["score"]
    assert score == pytest.approx(510 if expected == "0..255" else 2)


def test_names_of_classes_come_from_a_file(program, networks):
    save("a.png", np.zeros((8, 6)))
    (networks / "names.txt").write_text("a\nb\nc\nd\n")
    assert "  a 25.0%  b 25.0%" in program("predict", "small.keras", "a.png", "--labels", "names.txt").out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("missing.keras", "a.png"), "There is no model file missing.keras"),
        (("small.keras", "missing.png"), "cannot read the image missing.png: No such file or directory"),
        (("small.keras", "a.png", "text.png"), "cannot read the image text.png: cannot identify image file"),
        (("small.keras", "cut.png"), "cannot read the image cut.png: "),
        (("small.keras", "deep.png"), "cannot read the image deep.png: expected 8 bits a channel. Received: mode I;16"),
        (("small.keras", "a.png", "--labels", "missing.txt"), "--labels: expected cifar10, or a text file"),
        (("small.keras", "a.png", "--labels", "cifar10"), "--labels: expected 4 names, as the model has classes"),
        (("rows.keras", "a.png"), "expected a model of one input (height, width, 1, 3 or 4 channels)"),
        (("images.keras", "a.png"), "expected a model of one output (classes)"),
    ],
)
def test_what_does_not_fit_is_refused(program, networks, args, words):
    save("a.png", np.zeros((8, 6)))
    Image.fromarray(np.zeros((8, 6), np.uint16)).save("deep.png")
    save("cut.png", np.random.default_rng(0).integers(0, 256, (90, 90, 3)))
    (networks / "cut.png").write_bytes((networks / "cut.png").read_bytes()[:4000])
    (networks / "text.png").write_text("text")
    Sequential([layers.Input((4,)), layers.Dense(2)]).save("rows.keras")
    Sequential([layers.Input((4, 4, 1)), layers.Conv2D(2, 3)]).save("images.keras")
    result = program("predict", *args)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert words in result.err


def test_without_pillow_it_says_what_to_install(program, networks, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    result = program("predict", "small.keras", "a.png")
    assert (result.code, result.err) == (1, "fastconv: error: images are read with Pillow: pip install pillow\n")


def test_a_device_that_cannot_be_used_is_refused(program, networks, install):
    save("a.png", np.zeros((8, 6)))
    install(None)
    result = program("predict", "small.keras", "a.png", "--device", "cuda")
    assert result.code == 2 and "built without CUDA" in result.err
    assert fastconv.get_device() == "cpu"
