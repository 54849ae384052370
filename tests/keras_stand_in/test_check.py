import pytest

from fastconv.keras_stand_in.cells import prepare
from fastconv.keras_stand_in.check import not_served
from fastconv.keras_stand_in.document import Cell


def missing(*sources):
    """(name, cell, line) of what is not served."""
    cells = [prepare(Cell(i, str(i), source)) for i, source in enumerate(sources, 1)]
    return [(one.name, int(one.file), one.line) for one in not_served(cells)]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("from keras.layers import LSTM", "keras.layers.LSTM"),
        ("from keras.layers import (Dense,\n LSTM)", "keras.layers.LSTM"),
        ("import keras.applications.vgg16 as vgg", "keras.applications"),
        ("from keras.applications import VGG16", "keras.applications"),
        ("import keras; keras.layers.LSTM(3)", "keras.layers.LSTM"),
        ("import keras.layers; keras.layers.LSTM(3)", "keras.layers.LSTM"),
        ("import tensorflow as tf; tf.data.Dataset.range(3)", "tensorflow.data"),
        ("import tensorflow as tf; L = tf.keras.layers; L.LSTM(3)", "tensorflow.keras.layers.LSTM"),
        ("from keras import layers as L; [L.LSTM(n) for n in range(3)]", "keras.layers.LSTM"),
        ("from keras import layers; layers.Dense(3, foo=1)", "keras.layers.Dense(foo=)"),
        ("from keras.layers import Dense as D; D(3, foo=1)", "keras.layers.Dense(foo=)"),
        ("from keras.layers import *; Dense(3, foo=1)", "keras.layers.Dense(foo=)"),
        ("import keras\ndef f(x=keras.ops.abs): pass", "keras.ops"),
        ("import keras\nclass A(keras.layers.RNN): pass", "keras.layers.RNN"),
        ("import keras\n@keras.utils.get_file()\ndef f(): pass", "keras.utils.get_file"),
        ("import keras; keras.layers.Activation('foo')", 'keras.layers.Activation(activation="foo")'),
        ("from keras.layers import Dense; Dense(3, 'foo')", 'keras.layers.Dense(activation="foo")'),
        ("import keras; keras.layers.Dense(3, bias_initializer='a')", 'keras.layers.Dense(bias_initializer="a")'),
        ("model.compile(optimizer='nadam', loss='mse', metrics=['acc'])", 'compile(optimizer="nadam")'),
        ("model.compile(loss='kl_divergence')", 'compile(loss="kl_divergence")'),
        ("model.compile(metrics=['accuracy', 'f1'])", 'compile(metrics="f1")'),
        ("def f():\n from keras.layers import LSTM", "keras.layers.LSTM"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(code, name):
    assert [one[0] for one in missing(code)] == [name]


@pytest.mark.parametrize(
    "code",
    [
        "from keras import layers\nlayers = []\nlayers.append(1)",
        "from keras import layers\nfor layers in (): layers.foo",
        "from keras import layers\ndef f(layers): layers.foo",
        "from keras import layers\ndef f():\n layers = []\n layers.append(1)",
        "from keras import layers\n[layers.foo for layers in ()]",
        "from keras import layers\nlambda layers: layers.foo",
        "from keras import layers\nimport numpy as layers\nlayers.foo",
        "from keras import layers\nfrom numpy import array as layers\nlayers.foo",
        "try:\n from keras.layers import LSTM\nexcept ImportError:\n pass",
        "from keras.layers import Dense\nDense(3).foo\nDense.foo",
        "from keras.layers import Dense\nDense(3, **{'foo': 1})",
        "from .keras import LSTM",
        "import re; re.compile('nadam', 0); model.compile(loss={'a': 'foo'}, optimizer=opt, metrics=[m])",
        "from keras.layers import Dense\nDense(3, activation='relu', kernel_initializer='he_normal', name='foo')",
        "import keras_tuner, numpy.keras",
        "x = = 1",
    ],
)
def test_other_names_are_not_missing(code):
    assert missing(code) == []


def test_names_are_followed_from_cell_to_cell():
    assert missing("import keras as k", "", "\nk.ops") == [("keras.ops", 3, 2)]


def test_a_function_leaves_the_names_outside_alone():
    assert missing("import keras as k\ndef f(k): pass\nk.ops") == [("keras.ops", 1, 3)]
