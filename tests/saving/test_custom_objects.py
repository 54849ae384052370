"""Whole models with classes of users: files name them, and only what the caller gives is made of such a name."""

import json
import zipfile

import numpy as np
import pytest
from users_layers import Centered, Gate, Linear, Scale

import fastconv
from fastconv import Sequential, layers, models, optimizers, regularizers, saving

CLASSES = {"Centered": Centered, "Gate": Gate, "Linear": Linear, "Scale": Scale}


def network():
    """Shared, nested and frozen layers, one with several inputs, one with settings that are objects."""
    image, inner = layers.Input((6,)), layers.Input((6,))
    scale = Scale(name="shared")
    both = models.Model(inner, Linear(6, regularizers.L2(0.1), name="of_mine")(Scale()(inner)), name="inside")
    x = Gate(name="gate")([scale(both(image)), scale(Centered(trainable=False)(image))])
    model = models.Model(image, layers.Dense(5, activation="softmax")(x))
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(20, 6)).astype(np.float32), rng.integers(5, size=20)


def test_a_loaded_model_trains_on_with_the_same_bits(tmp_path):
    model, (x, y) = network(), data()
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "net.keras")
    other = fastconv.load_model(tmp_path / "net.keras", custom_objects=CLASSES)
    assert [(type(a), a.name, a.trainable) for a in model.layers] == [
        (type(a), a.name, a.trainable) for a in other.layers
    ]
    linear = other.get_layer("inside").get_layer("of_mine")
    assert linear.units == 6 and linear.regularizer.l2 == 0.1
    assert other.optimizer.iterations == 1
    for net in (model, other):
        net.fit(x, y, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_class_that_is_not_given_is_refused(tmp_path):
    network().save(tmp_path / "net.keras")
    fastconv.load_model(tmp_path / "net.keras", CLASSES)  # which counts for this call alone
    for known in (None, {name: CLASSES[name] for name in CLASSES if name != "Gate"}):
        with pytest.raises(saving.FormatError, match=r"Received: users_layers\.\w+. .*custom_objects=\{name: class\}"):
            fastconv.load_model(tmp_path / "net.keras", known)


def test_a_class_of_a_user_does_not_stand_for_one_of_fastconv(tmp_path):
    Sequential([layers.Input((4,)), layers.ReLU()]).save(tmp_path / "net.keras")
    loaded = fastconv.load_model(tmp_path / "net.keras", {"ReLU": Scale})
    assert type(loaded.layers[0]) is layers.ReLU


def test_what_is_given_is_a_class_of_fastconvs_kind(tmp_path):
    network().save(tmp_path / "net.keras")
    for other in (dict, print, Scale()):
        with pytest.raises(TypeError, match="custom_objects: expected names of classes.*Received: 'Scale': "):
            fastconv.load_model(tmp_path / "net.keras", {**CLASSES, "Scale": other})


class Named(layers.Layer):
    """Takes no name, and has settings that are no attributes."""

    def __init__(self, factor):
        super().__init__()
        self._factor = factor

    def get_config(self):
        return {"factor": [self._factor]}

    @classmethod
    def from_config(cls, config):
        return cls(*config.pop("factor"), **config)

    def forward(self, x):
        return self._factor * x


def test_get_config_and_from_config_of_a_class_count(tmp_path):
    layer = Named(3)
    layer.name = "triple"
    Sequential([layers.Input((4,)), layer]).save(tmp_path / "net.keras")
    loaded = fastconv.load_model(tmp_path / "net.keras", {"Named": Named})
    assert loaded.layers[0].name == "triple"
    np.testing.assert_array_equal(loaded.predict(np.ones((1, 4)), verbose=0), np.full((1, 4), 3))


def test_settings_that_are_no_attributes_are_refused(tmp_path):
    class Silent(layers.Layer):
        def __init__(self, factor, **options):
            super().__init__(**options)
            self._factor = factor

        def forward(self, x):
            return self._factor * x

    with pytest.raises(AttributeError, match=r"Silent: expected every argument .*Received: none for \['factor'\]"):
        Sequential([layers.Input((4,)), Silent(2)]).save(tmp_path / "net.keras")
    assert not list(tmp_path.iterdir())


def test_settings_of_a_file_that_a_class_does_not_take_are_refused(tmp_path):
    network().save(tmp_path / "net.keras")
    source = zipfile.ZipFile(tmp_path / "net.keras")
    config = json.loads(source.read("config.json"))
    scale = next(layer for layer in config["config"]["layers"] if layer["name"] == "shared")
    scale["config"]["secret"] = 1
    with zipfile.ZipFile(tmp_path / "changed.keras", "w") as archive:
        for name in source.namelist():
            archive.writestr(name, json.dumps(config) if name == "config.json" else source.read(name))
    with pytest.raises(saving.FormatError, match="Scale: .*unexpected keyword argument 'secret'"):
        fastconv.load_model(tmp_path / "changed.keras", CLASSES)
