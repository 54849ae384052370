"""Training on all of CIFAR-10, where FASTCONV_DATA names it. benchmarks/accuracy.py trains the networks to the end."""

import os

import numpy as np
import pytest

from fastconv import datasets, optimizers, utils
from fastconv.models import networks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("FASTCONV_DATA" not in os.environ, reason="FASTCONV_DATA does not name the full CIFAR-10"),
]


def test_two_epochs_of_cnn_learn_on_the_full_set():
    (x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data()
    utils.set_random_seed(1)
    model = networks.cnn()
    model.compile(optimizers.Adam(0.0005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x_train.astype(np.float32) / 255, y_train, batch_size=32, epochs=2, verbose=2)
    loss, accuracy = model.evaluate(x_test.astype(np.float32) / 255, y_test, batch_size=1000, verbose=0)
    # Measured with seeds 1 and 2, AVX-512 and AVX2: 0.45 to 0.46, then 0.58 to 0.59 in training. The test accuracy
    # swings (0.49 to 0.65, loss 1.0 to 1.5) while the moving statistics are young.
    assert history.history["accuracy"][0] > 0.40 and history.history["accuracy"][1] > 0.52
    assert accuracy > 0.42 and loss < 1.8
