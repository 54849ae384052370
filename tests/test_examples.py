"""The examples run, as scripts and as notebooks, and so does code written for Keras."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from notebooks import execute

from fastconv import datasets

ROOT = Path(__file__).resolve().parents[1]
TOOL = ROOT / "tools" / "make_notebooks.py"
NAMES = (
    "cifar10_mlp_and_convolutions",
    "cifar10_batch_normalization",
    "cifar10_resnet20",
    "cifar10_autoencoder",
    "digits",
)
NEEDS = {"digits": "sklearn"}  # beside fastconv


@pytest.fixture
def short_run(monkeypatch, tmp_path):
    """An empty folder as the current one, and one epoch on 100 images for the examples started there."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("DATA", "sample"), ("EPOCHS", "1"), ("IMAGES", "100")):
        monkeypatch.setenv(f"FASTCONV_EXAMPLE_{name}", value)
    monkeypatch.delenv("FORCE_COLOR", raising=False)  # colours would stand between the words looked for
    return tmp_path


def run_script(name):
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert result.returncode == 0, result.stderr
    return result


# --- scripts ---------------------------------------------------------------------------------------------------------


def test_mlp_and_convolutions_script(short_run):
    output = run_script(NAMES[0]).stdout
    for parameters in ("646,260", "15,120", "205,210", "592,554"):
        assert f"Total params: {parameters} " in output


def test_batch_normalization_script(short_run):
    result = run_script(NAMES[1])
    assert result.stderr.count("was compiled before") == 1
    assert "Likely cause: learning rate" in result.stdout and "Also possible: no normalization" in result.stdout
    assert "the copy predicts the same: True" in result.stdout
    assert (short_run / "cifar10_cnn.safetensors").stat().st_size > 4 * 592_554


def test_resnet20_script(short_run):
    output = run_script(NAMES[2]).stdout
    assert "75 layers, 273,665 parameters" in output
    assert "trained in" in output


def test_scripts_fall_back_to_the_sample_without_the_full_set(short_run, monkeypatch):
    monkeypatch.setenv("FASTCONV_EXAMPLE_DATA", "cifar10")
    for name in ("FASTCONV_DATA", "KERAS_HOME", "FASTCONV_HOME"):
        monkeypatch.setenv(name, str(short_run / "none"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there: the download fails at once
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    output = run_script(NAMES[1]).stdout
    assert "Going on with the bundled sample" in output
    assert "100 training and 100 test images" in output


def test_autoencoder_script(short_run):
    output = run_script("cifar10_autoencoder").stdout
    errors = [float(error) for error in re.findall(r"^(?:smaller|PCA) +(0\.\d{5})$", output, re.M)]
    assert len(errors) == 6  # of the test images before and after training, and with noise
    assert all(pca < smaller for smaller, pca in zip(errors[::2], errors[1::2], strict=True))
    assert errors[:2] == errors[2:4]
    assert "Total params: 524,771 " in output
    assert "Non-trainable params: 225,408 " in output  # the encoder, frozen
    assert "the encoder is as it was: True" in output
    pictures = ["cifar10_autoencoder.png", "cifar10_denoised.png"]
    if importlib.util.find_spec("matplotlib"):
        assert [(short_run / name).read_bytes()[1:4] for name in pictures] == [b"PNG", b"PNG"]
    else:
        assert output.count("No pictures: they need matplotlib") == len(pictures)


def test_digits_script_is_right_where_other_models_are(short_run, monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: examples/digits.py is not run")
    for name in ("EPOCHS", "IMAGES"):  # all of it takes seconds
        monkeypatch.delenv(f"FASTCONV_EXAMPLE_{name}")
    output = run_script("digits").stdout
    accuracy = {name.strip(): float(value) for name, value in re.findall(r"^(\D{20})  +(\d\.\d{4})  ", output, re.M)}
    assert list(accuracy) == ["CNN", "logistic regression", "SVC (RBF kernel)"]
    assert accuracy["CNN"] >= 0.98
    assert ": early stopping" in output and "ReduceLROnPlateau reducing learning rate to 0.0005" in output
    confusion = np.array([line.split() for line in output.splitlines()[-10:]], int)[:, 1:]
    assert confusion.sum() == 450
    assert np.trace(confusion) / 450 == pytest.approx(accuracy["CNN"], abs=1e-4)


def test_digits_script_says_that_it_needs_scikit_learn(short_run):
    code = f"import runpy, sys; sys.modules['sklearn'] = None; runpy.run_path({str(ROOT / 'examples' / 'digits.py')!r})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.splitlines() == ["This example needs scikit-learn: pip install scikit-learn"]


# --- notebooks -------------------------------------------------------------------------------------------------------


@pytest.fixture
def tool():
    pytest.importorskip("nbformat", reason="nbformat is not installed: notebooks are not compared with their scripts")
    spec = importlib.util.spec_from_file_location("make_notebooks", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs(name, short_run, monkeypatch):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed: {name}.ipynb is not run")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: the notebooks are not run")
    notebook = nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4)
    execute(notebook, short_run, monkeypatch)
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"][-1] > 1


def test_notebooks_are_up_to_date(tool):
    result = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("up to date") == len(NAMES)


def test_make_notebooks_check_sees_missing_and_changed_notebooks(tool, tmp_path):
    script = tmp_path / "a.py"
    script.write_text("# %%\nx = 1\n", encoding="utf-8")
    assert tool.main(tmp_path, check=True) == 1
    assert tool.main(tmp_path, check=False) == 0
    assert tool.main(tmp_path, check=True) == 0
    script.write_text("# %%\nx = 2\n", encoding="utf-8")
    assert tool.main(tmp_path, check=True) == 1


def test_make_notebooks_parses_cells(tool):
    script = "# %% [markdown]\n# # Title\n#\n# Text\n\n# %%\n\n\ndef f():\n    # comment\n    pass\n\n\n# %%\nf()\n"
    assert tool.parse(script) == [
        ("markdown", "# Title\n\nText"),
        ("code", "def f():\n    # comment\n    pass"),
        ("code", "f()"),
    ]


def test_make_notebooks_gives_cells_ids_that_differ_and_stay(tool):
    def ids(script):
        return [cell["id"] for cell in tool.nbformat.reads(tool.notebook(script), as_version=4).cells]

    before, after = ids("# %%\nx\n# %%\nx\n"), ids("# %%\nnew\n# %%\nx\n# %%\nx\n")
    assert len(set(after)) == 3
    assert after[1:] == before


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import os\n", "line 1: expected one of # %%, # %% .markdown.. Received: 'import os'"),
        ("# %% [raw]\n", "line 1: expected one of"),
        ("# %% [markdown]\n# a\nb = 1\n", "line 3: expected a comment in a markdown cell. Received: 'b = 1'"),
    ],
    ids=["no cell", "unknown cell", "code in markdown"],
)
def test_make_notebooks_refuses(tool, script, message):
    with pytest.raises(ValueError, match=message):
        tool.parse(script)


# --- code written for Keras ------------------------------------------------------------------------------------------

NAMES_STYLE = """
import numpy as np

import keras.utils as kutils
from keras.callbacks import Callback
from keras.datasets import cifar10
from keras.layers import Input, Conv2D, Dense, Flatten, BatchNormalization, LeakyReLU, Dropout, Activation
from keras.losses import CategoricalCrossentropy
from keras.models import Model
from keras.optimizers import Adam

(x_train, y_train), (x_test, y_test) = cifar10.load_data()
x_train, x_test = x_train.astype(np.float32) / 255, x_test.astype(np.float32) / 255
y_train, y_test = kutils.to_categorical(y_train), kutils.to_categorical(y_test, num_classes=10)

image = Input(shape=(32, 32, 3))
h = Conv2D(filters=6, kernel_size=(4, 4), strides=2, padding='same')(image)
h = BatchNormalization()(h)
h = LeakyReLU()(h)
h = Conv2D(filters=5, kernel_size=(3, 3), strides=(2, 2))(h)
h = Flatten()(h)
h = Dropout(rate=0.5)(h)
scores = Dense(units=10)(h)
model = Model(image, Activation('softmax')(scores))
model.summary()

model.compile(optimizer=Adam(learning_rate=0.001), loss=CategoricalCrossentropy(), metrics=['accuracy'])
history = model.fit(x_train, y_train, validation_data=(x_test, y_test), batch_size=32, epochs=1, shuffle=True)
history = model.fit(x_train, y_train, validation_split=0.25, batch_size=64, epochs=2, verbose=2, callbacks=[Callback()])
results = model.evaluate(x_test, y_test, batch_size=1000)
predictions = model.predict(x_test)
model.set_weights(model.get_weights())
"""

MODULES_STYLE = """
from tensorflow.keras import datasets, utils
from tensorflow.keras import layers, models
from tensorflow.keras import optimizers

(x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data()
x_train = x_train.astype('float32') / 255.0
x_test = x_test.astype('float32') / 255.0
y_train = utils.to_categorical(y_train, 10)
y_test = utils.to_categorical(y_test, 10)

opt = optimizers.Adam(learning_rate=0.0005)
for filters in (4, 6):
    input_layer = layers.Input((32, 32, 3))
    x = layers.Conv2D(filters = filters, kernel_size = 3
        , strides = 2, padding = 'same')(input_layer)
    x = layers.BatchNormalization()(x)
    x = layers.LeakyReLU()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(16, activation = 'relu')(x)
    x = layers.Dropout(rate = 0.5)(x)
    output_layer = layers.Dense(10, activation = 'softmax')(x)
    model = models.Model(input_layer, output_layer)
    model.compile(loss='categorical_crossentropy', optimizer=opt, metrics=['accuracy'])
    history = model.fit(x_train, y_train, batch_size = 32, epochs = 2, shuffle = True)
    results = model.evaluate(x_test, y_test, batch_size=1000)
predictions = model.predict(x_test[:])
"""

SEQUENTIAL_STYLE = """
import keras

(x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
model = keras.Sequential([
    keras.Input(shape=(32, 32, 3)),
    keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
    keras.layers.Flatten(),
    keras.layers.Dense(10, activation="softmax"),
])
model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train / 255, y_train, epochs=2, verbose=0)
results = model.evaluate(x_test / 255, y_test, verbose=0)
predictions = model.predict(x_test / 255, verbose=0)
"""


@pytest.fixture
def few_images(monkeypatch):
    """72 training and 24 test images in place of all of CIFAR-10."""
    (x_train, y_train), (x_test, y_test) = datasets.load_sample()
    data = (x_train[:72], y_train[:72]), (x_test[:24], y_test[:24])
    monkeypatch.setattr(datasets.cifar10, "load_data", lambda: data)


@pytest.mark.filterwarnings("ignore:optimizer 'adam' was compiled before")
@pytest.mark.parametrize("code", [NAMES_STYLE, MODULES_STYLE, SEQUENTIAL_STYLE], ids=["names", "modules", "sequential"])
def test_code_for_keras_runs_with_another_import(code, few_images):
    code = code.replace("tensorflow.keras", "fastconv").replace("keras", "fastconv")
    results = {}
    exec(compile(code, "notebook", "exec"), results)
    assert len(results["history"].history["accuracy"]) == 2
    assert len(results["results"]) == 2
    assert results["predictions"].shape == (24, 10)
