"""Twelve mistakes that learners make, each planted into a small training: what is said has to name it."""

import warnings

import numpy as np
import pytest

from fastconv import AdviceWarning, NonFiniteError, Sequential, datasets, layers, optimizers, saving, utils
from fastconv.models import networks


@pytest.fixture(autouse=True)
def seeded():
    utils.set_random_seed(1)
    utils.clear_session()


def photographs(count=320, scale=1 / 255):
    (x, y), _ = datasets.load_sample()
    return x[:count].astype(np.float32) * np.float32(scale), utils.to_categorical(y[:count], 10)


def classifier(*chain, last="softmax", optimizer="sgd", loss="categorical_crossentropy"):
    model = Sequential([layers.Input((32, 32, 3)), *chain, layers.Flatten(), layers.Dense(10, last, name="scores")])
    model.compile(optimizer, loss)
    return model


def small(**options):
    return classifier(layers.Conv2D(4, 3, strides=4, name="first"), **options)


def unscaled_input():
    small(optimizer=optimizers.SGD(1e-6)).fit(*photographs(scale=1), verbose=0)


def nan_in_one_sample():
    x, y = photographs()
    x[123, 4, 5, 0] = np.nan
    small().fit(x, y, verbose=0)


def huge_learning_rate():
    small(optimizer=optimizers.Adam(100.0)).fit(*photographs(), verbose=0)


def label_out_of_range():
    x, y = photographs()
    y = y.argmax(axis=1)
    y[7] = 10
    small(loss="sparse_categorical_crossentropy").fit(x, y, verbose=0)


def zero_variance():
    dark = layers.Conv2D(4, 3, strides=4, kernel_initializer="zeros", trainable=False)
    classifier(dark, layers.BatchNormalization(name="norm")).fit(*photographs(), epochs=7, verbose=0)


def batch_normalization_of_batches_of_one():
    model = classifier(layers.Flatten(), layers.Dense(8), layers.BatchNormalization(name="norm"))
    model.fit(*photographs(4), batch_size=1, verbose=0)


def double_softmax():
    Sequential([layers.Input((4,)), layers.Dense(3, "softmax", name="scores"), layers.Softmax(name="again")]).compile(
        "sgd", "categorical_crossentropy"
    )


def dead_relus():
    below = layers.Conv2D(4, 3, strides=4, bias_initializer=lambda shape: np.full(shape, -9.0), activation="relu")
    classifier(below).fit(*photographs(), epochs=7, verbose=0)  # each is looked for after 2,048 samples


def padding_of_another_framework(tmp_path):
    model = classifier(layers.Conv2D(4, 3, strides=2, padding="same", name="halved"))
    saving.save_torch(model, tmp_path / "weights.safetensors")
    saving.load_torch(model, tmp_path / "weights.safetensors")


def one_hot_and_sparse_mixed_up():
    small(loss="sparse_categorical_crossentropy").fit(*photographs(), verbose=0)


def exploding_without_batch_normalization():
    model = networks.cnn(batch_norm="first")
    for layer in model.layers[1:]:
        layer.set_weights([w * (30 if w.ndim > 1 else 1) for w in layer.get_weights()])
    model.compile(optimizers.SGD(0.1), "categorical_crossentropy")
    model.fit(*photographs(), verbose=0)


def frozen_by_mistake():
    model = small()
    model.trainable = False
    model.compile("sgd", "categorical_crossentropy")
    model.fit(*photographs(), verbose=0)


FAULTS = [
    (unscaled_input, AdviceWarning, "x goes up to 255 .* reaches 'first' as it is"),
    (nan_in_one_sample, ValueError, "sample 123"),
    (huge_learning_rate, AdviceWarning, "changed scores/kernel by .* Lower the learning rate, 100 now"),
    (label_out_of_range, ValueError, "expected whole labels from 0 to 9.*10 at sample 7"),
    (
        zero_variance,
        AdviceWarning,
        "batch normalization gets one value of .*: 100% of 'norm'. Divided by",
    ),
    (batch_normalization_of_batches_of_one, AdviceWarning, "batch_size is 1, so that the batches of 'norm'"),
    (double_softmax, AdviceWarning, "'scores' ends in a softmax and 'again' takes a softmax of that"),
    (dead_relus, AdviceWarning, "dead ReLU units after .*: 100% of 'conv2d'"),
    (padding_of_another_framework, AdviceWarning, "load_torch: 'halved': padding=\"same\" .* PyTorch's `padding`"),
    (one_hot_and_sparse_mixed_up, ValueError, 'looks one-hot: use loss="categorical_crossentropy"'),
    (exploding_without_batch_normalization, NonFiniteError, "(?i)no normalization"),
    (frozen_by_mistake, AdviceWarning, "no weight of .* learns: `trainable` was False of 'first', 'scores'"),
]


@pytest.mark.parametrize("fault, kind, words", FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_fault_is_named(fault, kind, words, request):
    arguments = [request.getfixturevalue("tmp_path")] if fault.__code__.co_argcount else []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore" if kind is NonFiniteError else "error", category=AdviceWarning)
        with pytest.raises(kind, match=f"(?s){words}"):
            fault(*arguments)
