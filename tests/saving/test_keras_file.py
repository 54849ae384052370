"""Whole models in .keras files: ours come back as they were, Keras' open and go on, hostile ones end in an error."""

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import layers, saving, utils
from fastconv.models import Model, Sequential

sys.path.append(str(Path(__file__).parents[1] / "parity"))
import keras_files  # noqa: E402

h5py = pytest.importorskip("h5py")
FILES = Path(__file__).parents[1] / "data" / "keras_files"
RESULTS = json.loads((FILES / "results.json").read_text())
NAMES = ["sequential", "residual"]


def trained(optimizer="adam"):
    utils.set_random_seed(4)
    utils.clear_session()
    image = layers.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, 2, "same", name="first")(image)
    x = layers.LeakyReLU(0.1)(layers.BatchNormalization()(x))
    x = layers.Add()([x, layers.Conv2D(4, 1, activation="relu")(x)])
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    model = Model(image, layers.Dense(3, activation="softmax")(x), name="net")
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    model.fit(*keras_files.samples(), batch_size=3, verbose=0)
    return model


# --- files of Keras --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_keras_predicts_the_same(name):
    model = fastconv.load_model(FILES / f"{name}.keras")
    np.testing.assert_allclose(
        model.predict(keras_files.samples()[0], verbose=0), RESULTS[name]["predictions"], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on_with_keras_optimizer_state(name):
    model = fastconv.load_model(FILES / f"{name}.keras")
    assert model.optimizer.iterations == 2
    losses = [model.train_on_batch(*keras_files.samples())[0] for _ in range(2)]
    np.testing.assert_allclose(losses, RESULTS[name]["losses"], rtol=1e-5)


def test_weights_of_keras_are_read(tmp_path):
    model = fastconv.load_model(FILES / "sequential.keras", compile=False)
    expected = model.get_weights()
    model.set_weights([np.zeros_like(w) for w in expected])
    model.load_weights(FILES / "sequential.weights.h5")
    for array, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(array, wanted)


# --- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "sgd", fastconv.optimizers.SGD(0.1, momentum=0.9)])
def test_a_loaded_model_trains_on_with_the_same_bits(tmp_path, optimizer):
    model = trained(optimizer)
    model.get_layer("dropout").rate = 0.0  # the seed of dropout is in no file of Keras
    model.save(tmp_path / "net.keras")
    other = fastconv.load_model(tmp_path / "net.keras")
    assert other.optimizer.iterations == model.optimizer.iterations
    np.testing.assert_array_equal(
        other.predict(keras_files.samples()[0], verbose=0), model.predict(keras_files.samples()[0], verbose=0)
    )
    for a, b in zip(model.optimizer_slots().values(), other.optimizer_slots().values(), strict=True):
        for mine, theirs in zip(a, b, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_a_loaded_model_has_the_settings_of_the_saved_one(tmp_path):
    model = trained()
    model.save(tmp_path / "net.keras")
    other = fastconv.load_model(tmp_path / "net.keras")
    assert other.name == "net"
    assert [(type(a), a.get_config()) for a in other.layers[1:]] == [
        (type(a), a.get_config()) for a in model.layers[1:]
    ]
    assert other.compile_arguments["loss"] == "categorical_crossentropy"


def test_a_sequential_model_stays_one(tmp_path):
    model = Sequential([layers.Input((4,)), layers.Dense(3), layers.ReLU(), layers.Dense(2)], name="chain")
    model.save(tmp_path / "chain.keras")
    other = fastconv.load_model(tmp_path / "chain.keras")
    assert isinstance(other, Sequential) and [type(layer) for layer in other.layers] == [
        type(layer) for layer in model.layers
    ]
    assert other.optimizer is None


def test_loading_draws_no_random_numbers(tmp_path):
    trained().save(tmp_path / "net.keras")
    utils.set_random_seed(7)
    expected = fastconv.rng.generator().random()
    utils.set_random_seed(7)
    fastconv.load_model(tmp_path / "net.keras", compile=False)
    assert fastconv.rng.generator().random() == expected


def test_compile_false_leaves_the_optimizer_out(tmp_path):
    trained().save(tmp_path / "net.keras")
    assert fastconv.load_model(tmp_path / "net.keras", compile=False).optimizer is None


def test_a_function_of_the_users_own_is_refused(tmp_path):
    model = Sequential([layers.Input((4,)), layers.Dense(3, kernel_initializer=np.zeros)])
    with pytest.raises(ValueError, match="Received: <built-in function zeros>"):
        model.save(tmp_path / "own.keras")
    assert not (tmp_path / "own.keras").exists()


@pytest.mark.parametrize("name", ["m.h5", "m", "m.safetensors"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r'filepath: expected a name that ends in ".keras". Received: .*' + name):
        trained().save(tmp_path / name)


def test_a_model_that_is_not_built_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a built model"):
        Sequential([layers.Dense(3)]).save(tmp_path / "m.keras")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no model file .*none.keras"):
        fastconv.load_model(tmp_path / "none.keras")


def two_ends():
    encoder = Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.ReLU(), layers.Flatten()], name="encoder"
    )
    shared = layers.Dense(4, name="shared")
    left, right = layers.Input((8, 8, 3), name="left"), layers.Input((8, 8, 3), name="right")
    parts = [shared(encoder(left)), shared(encoder(right))]
    both = layers.Concatenate()(parts)
    outputs = {
        "label": layers.Dense(3, activation="softmax", name="label")(both),
        "difference": layers.Subtract()(parts),
    }
    return Model([left, right], outputs, name="two_ends")


def test_shared_layers_models_inside_and_several_ends(tmp_path):
    model, (x, _) = two_ends(), keras_files.samples()
    model.save(tmp_path / "m.keras")
    other = fastconv.load_model(tmp_path / "m.keras")
    assert len(other.weights) == len(model.weights)
    expected, found = model.predict([x, x[::-1]], verbose=0), other.predict([x, x[::-1]], verbose=0)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def sharing():
    """A layer within a model and beside it, and a model within two others."""
    image, *inner = (layers.Input((8, 8, 3)) for _ in range(3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    part = Sequential([layers.Input((8, 8, 3)), shared, layers.ReLU()], name="part")
    both = [Model(x, layers.BatchNormalization()(part(x)), name=f"model_{i}") for i, x in enumerate(inner)]
    x = layers.Flatten()(shared(both[1](both[0](image))))
    return Model(image, layers.Dense(3, activation="softmax")(x))


def test_a_layer_that_several_models_share_stays_one(tmp_path):
    model, (x, y) = sharing(), keras_files.samples()
    model.compile("sgd", "categorical_crossentropy")
    model.save(tmp_path / "m.keras")
    other = fastconv.load_model(tmp_path / "m.keras")
    first, second = (other.get_layer(f"model_{i}") for i in range(2))
    assert first.get_layer("part") is second.get_layer("part")
    assert other.get_layer("shared") is first.get_layer("part").layers[0]
    for net in (model, other):
        net.fit(x, y, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_frozen_layer_stays_frozen(tmp_path):
    model = trained()
    model.get_layer("first").trainable = False
    model.compile("adam", "categorical_crossentropy")
    model.fit(*keras_files.samples(), verbose=0)
    model.save(tmp_path / "m.keras")
    other = fastconv.load_model(tmp_path / "m.keras")
    assert [layer.trainable for layer in other.layers[1:3]] == [False, True]
    assert other.optimizer.iterations == model.optimizer.iterations == 1


def test_an_optimizers_state_of_other_weights_starts_afresh(tmp_path):
    model = trained()
    model.get_layer("first").trainable = False  # which counts from the next compile on
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="starts afresh: expected 12 arrays .* Received: 16"):
        other = fastconv.load_model(tmp_path / "m.keras")
    assert other.optimizer.iterations == 0


# --- hostile files ---------------------------------------------------------------------------------------------------


def rewritten(tmp_path, change=None, weights=None, **options):
    """The sequential model's file with its config changed."""
    source = zipfile.ZipFile(FILES / "sequential.keras")
    config = json.loads(source.read("config.json"))
    if change is not None:
        change(config)
    path = tmp_path / "changed.keras"
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", source.read("model.weights.h5") if weights is None else weights)
    return path


def layer(config, number):
    return config["config"]["layers"][number]


def lambda_layer(config):
    layer(config, 3).update(module="keras.layers", class_name="Lambda")


def any_function(config):
    layer(config, 1)["config"]["kernel_initializer"] = {"module": "os", "class_name": "system", "config": {"x": "true"}}


def any_module(config):
    layer(config, 3).update(module="subprocess", class_name="Popen", config={"args": "true"})


def imported(config):
    layer(config, 1)["config"]["kernel_initializer"] = {
        "module": "keras.initializers",
        "class_name": "Callable",  # which fastconv.initializers imports
        "config": {},
    }


def no_name(config):
    layer(config, 3).update(module=["keras.layers"], class_name=["ReLU"])


def registered(config):
    layer(config, 3).update(module=None, class_name="Mine", registered_name="package>Mine")


def shape_bomb(config):
    layer(config, 6)["config"]["units"] = 10**9


def enormous_image(config):
    layer(config, 0)["config"]["batch_shape"] = [None, 10**9, 10**9, 3]


def constraint(config):
    layer(config, 1)["config"]["kernel_constraint"] = {
        "module": "keras.constraints",
        "class_name": "NonNeg",
        "config": {},
    }


def channels_first(config):
    layer(config, 1)["config"]["data_format"] = "channels_first"


def half(config):
    layer(config, 1)["config"]["dtype"] = "float16"


def no_layers(config):
    del config["config"]["layers"]


def subclassed(config):
    config["class_name"] = "MyModel"


def nested(config):
    inner = json.loads(json.dumps(config))
    for _ in range(100):
        inner = {"class_name": "Sequential", "config": {"name": "n", "layers": [inner]}}
    config.update(inner)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda_layer, "Received: keras.layers.Lambda"),
        (any_function, "Received: os.system"),
        (any_module, "Received: subprocess.Popen"),
        (imported, "Received: keras.initializers.Callable"),
        (no_name, "expected layers and settings that fastconv has"),
        (registered, "Received: None.Mine"),
        (shape_bomb, "no larger than the file"),
        (enormous_image, "expected sizes of the input that fit in memory"),
        (constraint, "Conv2D: expected .* that fastconv has. Received: .*NonNeg"),
        (channels_first, "Received: data_format='channels_first'"),
        (half, "Received: dtype='float16'"),
        (no_layers, "expected 'layers' in a config, a list"),
        (subclassed, "expected a Sequential or Functional model. Received: 'MyModel'"),
        (nested, "models within models to a depth of 16"),
    ],
)
def test_a_config_that_asks_for_more_is_refused(tmp_path, change, message):
    with pytest.raises(saving.FormatError, match=message):
        fastconv.load_model(rewritten(tmp_path, change))


def test_a_layer_of_another_name_than_its_own_is_refused(tmp_path):
    trained().save(tmp_path / "net.keras")
    source = zipfile.ZipFile(tmp_path / "net.keras")
    config = json.loads(source.read("config.json"))
    config["config"]["layers"].append(dict(config["config"]["layers"][1], inbound_nodes=[]))
    with zipfile.ZipFile(tmp_path / "changed.keras", "w") as archive:
        for name in source.namelist():
            archive.writestr(name, json.dumps(config) if name == "config.json" else source.read(name))
    with pytest.raises(saving.FormatError, match="expected a name of its own for every layer"):
        fastconv.load_model(tmp_path / "changed.keras")


def test_a_zip_bomb_is_refused(tmp_path):
    path = rewritten(tmp_path, weights=bytes(10**7), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(saving.FormatError, match="expected model.weights.h5 of reasonable size. Received: 10000000"):
        fastconv.load_model(path)


def test_a_file_without_weights_is_refused(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("../../metadata.json", "{}")
    with pytest.raises(saving.FormatError, match="expected metadata.json in it"):
        fastconv.load_model(path)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_config_nested_too_deep_for_json_is_refused(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", "[" * 10**6)
        archive.writestr("model.weights.h5", "")
    with pytest.raises(saving.FormatError, match="expected a config.json that can be read"):
        fastconv.load_model(path)


def test_weights_of_another_model_are_refused(tmp_path):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros(1000, np.float32)
    with pytest.raises(saving.FormatError, match="expected 8 arrays. Received: 1; it lacks layers/batch_normalization"):
        fastconv.load_model(rewritten(tmp_path, lambda config: None, content.getvalue()))


def test_damaged_files_end_in_an_error_of_one_kind():
    """Prefixes, and bytes changed at random: tools/fuzz_files.py does it 10,000 times."""
    content = (FILES / "sequential.keras").read_bytes()
    rng = np.random.default_rng(1)
    path = FILES / "sequential.keras"
    for number in range(150):
        damaged = bytearray(content if number % 3 else content[: rng.integers(len(content))])
        for place in rng.integers(0, len(damaged), rng.choice([1, 8, 64])) if damaged else ():
            damaged[place] = rng.integers(256)
        try:
            saving.keras_file.load(bytes(damaged), str(path))
        except saving.FormatError:
            continue
