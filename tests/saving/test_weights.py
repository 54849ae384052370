import json
import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import fastconv
from fastconv import layers, saving, utils
from fastconv.models import Model, Sequential


def small_model(filters=2, batch_norm=True):
    image = layers.Input((8, 8, 3))
    x = layers.Conv2D(filters, 3)(image)
    x = layers.BatchNormalization()(x) if batch_norm else x
    x = layers.LeakyReLU()(x)
    return Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


@pytest.fixture
def model():
    return small_model()


@pytest.fixture
def saved(model, tmp_path):
    """A whole weights file of another run of the same model."""
    path = tmp_path / "saved.safetensors"
    saving.save_weights(small_model(), path)
    return path


def assert_refused(model, path, message, error=ValueError):
    """Loading raises, and changes nothing."""
    before = model.get_weights()
    with pytest.raises(error, match=message):
        saving.load_weights(model, path)
    for array, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, old)


# --- save and load ---------------------------------------------------------------------------------------------------


def test_loaded_weights_are_those_saved(model, tmp_path):
    utils.set_random_seed(1)
    other = small_model()
    saving.save_weights(other, tmp_path / "w.safetensors")
    saving.load_weights(model, tmp_path / "w.safetensors")
    for array, expected in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_names_in_the_file_do_not_depend_on_automatic_names(saved):
    assert sorted(load_file(saved)) == [
        "layers.0.conv2d.bias",
        "layers.0.conv2d.kernel",
        "layers.1.batch_normalization.beta",
        "layers.1.batch_normalization.gamma",
        "layers.1.batch_normalization.moving_mean",
        "layers.1.batch_normalization.moving_variance",
        "layers.2.dense.bias",
        "layers.2.dense.kernel",
    ]


@pytest.mark.parametrize("suffix", ["safetensors", "weights.h5"])
def test_layers_of_models_inside_are_told_apart(tmp_path, suffix):
    def nested():
        image = layers.Input((8, 8, 3))
        inner = [Sequential([layers.Input((8, 8, 3)), layers.Conv2D(2, 3)]) for _ in range(2)]
        return Model(image, layers.Add()([inner[0](image), inner[1](image)]))

    model, other = nested(), nested()
    saving.save_weights(model, tmp_path / f"w.{suffix}")
    saving.load_weights(other, tmp_path / f"w.{suffix}")
    for array, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_the_file_says_what_it_is(saved):
    content = saved.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = header["__metadata__"]
    metadata.pop("model")
    assert metadata == {"format": "fastconv.weights", "version": "1", "fastconv": fastconv.__version__}


def test_values_that_are_not_finite_are_kept(model, tmp_path):
    model.weights[0].assign(np.full(model.weights[0].shape, np.nan))
    saving.save_weights(model, tmp_path / "w.safetensors")
    saving.load_weights(model, tmp_path / "w.safetensors")
    assert np.isnan(model.weights[0].array).all()


def test_a_path_may_be_a_string(model, saved):
    saving.load_weights(model, str(saved))


def test_a_file_of_other_origin_is_read_by_its_arrays(model, saved):
    save_file(load_file(saved), saved, {"format": "pt"})
    saving.load_weights(model, saved)


@pytest.mark.parametrize("name", ["w.h5", "w.keras", "w"])
@pytest.mark.parametrize("function", [saving.save_weights, saving.load_weights])
def test_another_suffix_is_refused(model, tmp_path, function, name):
    with pytest.raises(
        ValueError, match=rf'end in ".safetensors" or, as .*, such as .*w.safetensors.*Received: path=.*{name}'
    ):
        function(model, tmp_path / name)


@pytest.mark.parametrize("function", [saving.save_weights, saving.load_weights])
def test_a_model_without_weights_is_refused(tmp_path, function):
    with pytest.raises(ValueError, match="has no weights yet"):
        function(Sequential([layers.Dense(3)]), tmp_path / "w.safetensors")


def test_a_failed_save_keeps_the_old_file(model, saved, monkeypatch):
    before = saved.read_bytes()
    monkeypatch.setattr(os, "fsync", _no_space)
    with pytest.raises(OSError, match="No space left"):
        saving.save_weights(model, saved)
    assert saved.read_bytes() == before


def _no_space(descriptor):
    raise OSError(28, "No space left on device")


# --- files that do not fit -------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(model, tmp_path):
    assert_refused(model, tmp_path / "none.safetensors", "no weights file .*none.safetensors", FileNotFoundError)


def test_a_folder_is_refused(model, tmp_path):
    (tmp_path / "w.safetensors").mkdir()
    assert_refused(model, tmp_path / "w.safetensors", "Expected a weights file. Received a folder: .*w.safetensors")


@pytest.mark.parametrize("length", [0, 7, 8, 9, 100, -1])
def test_a_truncated_file_is_refused(model, saved, length):
    saved.write_bytes(saved.read_bytes()[:length])
    assert_refused(model, saved, r"saved.safetensors is (damaged or )?cut short.*expected.*Received: ")


def test_a_file_that_is_too_long_is_refused(model, saved):
    saved.write_bytes(saved.read_bytes() + b"1234")
    assert_refused(model, saved, "saved.safetensors is damaged or cut short.*Received: ")


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n" + bytes(800), b"PK\x03\x04" + bytes(800), b"x" * 800])
def test_a_file_of_another_kind_is_refused(model, saved, content):
    saved.write_bytes(content)
    assert_refused(model, saved, "saved.safetensors is cut short or is no safetensors file: expected.*Received: 8")


def test_a_header_of_unreasonable_length_is_refused(model, saved):
    with open(saved, "wb") as file:
        file.write((1 << 25).to_bytes(8, "little"))
        file.truncate(1 << 26)  # a hole, no bytes on disk
    assert_refused(model, saved, "which claim a header of 33554432")


def test_damaged_headers_are_refused(model, saved):
    content = bytearray(saved.read_bytes())
    rng = np.random.default_rng(0)
    for position in rng.integers(8, 400, 200):
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        saved.write_bytes(damaged)
        try:
            saving.load_weights(model, saved)
        except ValueError as error:
            assert str(saved) in str(error)


@pytest.mark.parametrize(
    "other, message",
    [
        (
            lambda: small_model(batch_norm=False),
            r"expected 8 arrays. Received: 4; it lacks layers.1.batch_normalization",
        ),
        (
            lambda: Sequential([layers.Input((4,)), layers.Dense(3)]),
            r"lacks layers.0.conv2d.kernel, .* and 4 more and has",
        ),
        (
            lambda: small_model(filters=5),
            r"layers.0.conv2d.kernel: expected float32 \(3, 3, 3, 2\). .*F32 \(3, 3, 3, 5\)",
        ),
    ],
    ids=["fewer layers", "other layers", "other shapes"],
)
def test_weights_of_another_model_are_refused(model, tmp_path, other, message):
    saving.save_weights(other(), tmp_path / "w.safetensors")
    assert_refused(model, tmp_path / "w.safetensors", "w.safetensors holds the weights of another model.*" + message)


def test_an_array_too_many_is_refused(model, saved):
    save_file({**load_file(saved), "extra": np.zeros(1, np.float32)}, saved)
    assert_refused(model, saved, "expected 8 arrays. Received: 9; it has extra, which the model has not")


def test_another_dtype_is_refused(model, saved):
    save_file({name: array.astype(np.float16) for name, array in load_file(saved).items()}, saved)
    assert_refused(model, saved, r"expected float32 \(3, 3, 3, 2\). Received: F16")


def test_a_newer_format_is_refused(model, saved):
    save_file(load_file(saved), saved, {"format": "fastconv.weights", "version": "2", "fastconv": "9.0"})
    assert_refused(model, saved, "expected version 1 .*Received: version 2, written by fastconv 9.0")
