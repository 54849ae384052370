"""The dtype policy of a model in .keras files: a setting of its layers there, of `compile` here."""

import json
import zipfile

import numpy as np
import pytest

import fastconv
from fastconv import Sequential, device, layers, models, saving
from fastconv.ops import get_ops

MIXED = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_bfloat16"}, "registered_name": None}


class Gpu(type(get_ops("cpu"))):
    """A backend by whose name models can have the policy. Nothing is run on it."""

    name = "cuda"


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(device, "_ops", Gpu())


@pytest.fixture
def on_cpu(monkeypatch):
    return lambda: monkeypatch.setattr(device, "_ops", get_ops("cpu"))


def saved(folder, policy="mixed_bfloat16"):
    image, inner = layers.Input((4,)), layers.Input((4,))
    inside = models.Model(inner, layers.Dense(3)(layers.ReLU()(inner)))
    model = models.Model(image, layers.Softmax()(inside(image)))
    model.compile("sgd", "categorical_crossentropy", dtype_policy=policy)
    model.save(folder / "net.keras")
    return model, folder / "net.keras"


def config_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def changed(path, change):
    """The path of a copy with another config."""
    config, copy = config_of(path), path.with_name("changed.keras")
    change(config)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, json.dumps(config) if name == "config.json" else source.read(name))
    return copy


def test_every_layer_has_it_in_the_form_of_keras(tmp_path, gpu):
    outer, inside, softmax = config_of(saved(tmp_path)[1])["config"]["layers"]
    assert outer["config"]["dtype"] == inside["config"]["layers"][0]["config"]["dtype"] == "float32"  # the inputs
    assert [entry["config"]["dtype"] for entry in (*inside["config"]["layers"][1:], softmax)] == [MIXED] * 3


def test_a_loaded_model_is_compiled_with_it(tmp_path, gpu):
    path = saved(tmp_path)[1]
    assert fastconv.load_model(path).dtype_policy == "mixed_bfloat16"
    assert fastconv.load_model(path, compile=False).dtype_policy == "float32"
    assert fastconv.load_model(saved(tmp_path, None)[1]).dtype_policy == "float32"


def test_a_last_layer_of_float32_changes_nothing(tmp_path, gpu):
    path = changed(saved(tmp_path)[1], lambda config: config["config"]["layers"][-1]["config"].update(dtype="float32"))
    assert fastconv.load_model(path).dtype_policy == "mixed_bfloat16"


def test_without_a_gpu_it_is_float32_with_a_warning(tmp_path, gpu, on_cpu):
    model, path = saved(tmp_path)
    on_cpu()
    with pytest.warns(UserWarning, match=r'expected a GPU for "mixed_bfloat16".*compiled with "float32"'):
        loaded = fastconv.load_model(path)
    assert loaded.dtype_policy == "float32"
    loaded.fit(np.ones((4, 4)), np.eye(3)[[0, 1, 2, 0]], verbose=0)
    assert len(loaded.get_weights()) == len(model.get_weights())


@pytest.mark.parametrize(
    "dtype", ["mixed_float16", {"config": {"name": "int8_from_float32"}}, {"config": 3}, 3], ids=str
)
def test_another_policy_is_refused(tmp_path, dtype):
    Sequential([layers.Input((4,)), layers.ReLU()]).save(tmp_path / "net.keras")
    path = changed(tmp_path / "net.keras", lambda config: config["config"]["layers"][1]["config"].update(dtype=dtype))
    with pytest.raises(saving.FormatError, match="expected settings that fastconv has. Received: dtype="):
        fastconv.load_model(path)
