"""The module finder, in this process."""

import importlib
import sys
import types

import pytest

import fastconv
from fastconv.keras_stand_in.modules import StandIn


@pytest.fixture
def stand_in():
    with StandIn() as stand_in:
        yield stand_in


@pytest.mark.parametrize(
    "code",
    [
        "import keras; Dense = keras.layers.Dense",
        "import keras.layers; Dense = keras.layers.Dense",
        "import keras.layers as L; Dense = L.Dense",
        "from keras import layers; Dense = layers.Dense",
        "from keras.layers import Dense",
        "from keras.layers import *",
        "import tensorflow as tf; Dense = tf.keras.layers.Dense",
        "from tensorflow import keras; Dense = keras.layers.Dense",
        "import tensorflow.keras as k; Dense = k.layers.Dense",
        "from tensorflow.keras import layers; Dense = layers.Dense",
        "from tensorflow.keras.layers import Dense",
        "import tensorflow.keras.layers; Dense = tensorflow.keras.layers.Dense",
    ],
)
def test_every_form_of_import_gives_fastconvs_class(stand_in, code):
    names = {}
    exec(code, names)
    assert names["Dense"] is fastconv.layers.Dense
    assert stand_in.not_served == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("keras.Model", fastconv.Model),
        ("keras.models.Sequential", fastconv.Sequential),
        ("keras.models.load_model", fastconv.load_model),
        ("keras.saving.load_model", fastconv.load_model),
        ("keras.utils.to_categorical", fastconv.utils.to_categorical),
        ("keras.layers.convolutional.Conv2D", fastconv.layers.Conv2D),
        ("keras.optimizers.legacy.Adam", fastconv.optimizers.Adam),
        ("keras.utils.np_utils.to_categorical", fastconv.utils.to_categorical),
        ("keras.optimizers.schedules.CosineDecay", fastconv.optimizers.schedules.CosineDecay),
        ("keras.datasets.cifar10.load_data", fastconv.datasets.cifar10.load_data),
        ("keras.regularizers.L2", fastconv.regularizers.L2),
        ("keras.initializers.HeNormal", fastconv.initializers.HeNormal),
        ("keras.backend.clear_session", fastconv.utils.clear_session),
        ("tensorflow.random.set_seed", fastconv.utils.set_random_seed),
    ],
)
def test_names_are_fastconvs(stand_in, name, expected):
    module, _, last = name.rpartition(".")
    assert getattr(importlib.import_module(module), last) is expected


@pytest.mark.parametrize("code", ["import keras; v = keras.__version__", "import tensorflow as tf; v = tf.__version__"])
def test_versions_can_be_compared_and_are_marked(stand_in, code):
    names = {}
    exec(code, names)
    assert int(names["v"].split(".")[0]) >= 2
    assert names["v"].endswith(f"+fastconv.{fastconv.__version__}")


@pytest.mark.parametrize(
    ("code", "name", "error"),
    [
        ("from keras.layers import LSTM", "keras.layers.LSTM", ImportError),
        ("from tensorflow.keras.layers import LSTM", "tensorflow.keras.layers.LSTM", ImportError),
        ("import keras\nkeras.layers.LSTM", "keras.layers.LSTM", AttributeError),
        ("from keras.applications.vgg16 import VGG16", "keras.applications", ImportError),
        ("from keras import applications", "keras.applications", ImportError),
        ("import tensorflow as tf\ntf.data.Dataset", "tensorflow.data", AttributeError),
        ("import keras\nkeras.ops.conv2d", "keras.ops", AttributeError),
        ("import keras\nkeras.config.floatx()", "keras.config", AttributeError),
    ],
)
def test_what_is_not_there_is_an_error_that_names_it_and_is_remembered(stand_in, code, name, error):
    with pytest.raises(error, match=f"fastconv, which stands in for Keras here, has no {name}$"):
        exec(compile(code, "the cell", "exec"), {})
    assert [tuple(one) for one in stand_in.not_served] == [(name, "the cell", 1 + code.count("\n"))]


def test_what_tools_look_for_in_any_object_is_not_remembered(stand_in):
    import keras

    assert not hasattr(keras, "_repr_html_")
    assert stand_in.not_served == []


def test_what_an_installed_library_looks_for_is_not_remembered(stand_in):
    path = importlib.util.find_spec("pytest").origin
    with pytest.raises(AttributeError):
        exec(compile("import tensorflow\ntensorflow.is_tensor", path, "exec"), {})
    assert stand_in.not_served == []


def test_activations_are_functions_of_keras_and_of_tensorflow(stand_in):
    import tensorflow as tf
    from keras.activations import gelu

    assert tf.nn.relu is tf.keras.activations.relu is fastconv.activations.relu and gelu is fastconv.activations.gelu
    with pytest.raises(AttributeError, match="tensorflow.nn.conv2d"):
        _ = tf.nn.conv2d


def test_a_directory_is_of_what_is_served(stand_in):
    import keras

    assert {"Model", "layers", "saving"} <= set(dir(keras)) and "ops" not in dir(keras)


def test_afterwards_keras_is_what_it_was_before(monkeypatch):
    real = types.ModuleType("keras")
    monkeypatch.setitem(sys.modules, "keras", real)
    finders = sys.meta_path[:]
    with StandIn():
        import keras.layers  # noqa: F401

        assert sys.modules["keras"] is not real
    assert sys.modules["keras"] is real and "keras.layers" not in sys.modules
    assert sys.meta_path == finders


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("cuda", 1)])
def test_tensorflow_lists_what_fastconv_runs_on(stand_in, monkeypatch, device, gpus):
    import tensorflow as tf

    monkeypatch.setattr(fastconv, "get_device", lambda: device, raising=False)
    assert len(tf.config.list_physical_devices("GPU")) == gpus
    assert [found.device_type for found in tf.config.list_physical_devices("CPU")] == ["CPU"]
    assert len(tf.config.list_physical_devices()) == 1 + gpus


def test_other_modules_are_left_alone(stand_in):
    assert stand_in.find_spec("keras_tuner") is None and stand_in.find_spec("tensorflow_datasets") is None
