"""fastconv's files opened by a live Keras, where one is installed.

pip install "tensorflow-cpu==2.21.*" "keras==3.15.*" && pytest -m tensorflow
"""

import os

import numpy as np
import pytest

import fastconv
from fastconv import layers, utils
from fastconv.models import Model, Sequential

pytestmark = pytest.mark.tensorflow

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras", reason="Keras is not installed (pip install tensorflow-cpu)")


def samples(count=8, classes=3):
    x = np.sin(np.arange(count * 8 * 8 * 3, dtype=np.float64) * 0.7).reshape(count, 8, 8, 3).astype(np.float32)
    return x, np.eye(classes, dtype=np.float32)[np.arange(count) % classes]


def sequential():
    return Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(4, 3, 2, "same", activation="relu"),
            layers.BatchNormalization(momentum=0.9),
            layers.LeakyReLU(),
            layers.Flatten(),
            layers.Dropout(0.0),
            layers.Dense(3, activation="softmax"),
        ]
    )


def residual():
    image = x = layers.Input((8, 8, 3), name="image")
    for filters, strides in ((4, 1), (6, 2)):
        y = layers.Conv2D(filters, 3, strides, "same", use_bias=False)(x)
        y = layers.LeakyReLU(0.1)(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
        x = layers.ReLU()(layers.Add()([layers.Conv2D(filters, 1, strides)(x), y]))
    return Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


def nested():
    encoder = Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.ReLU(), layers.Flatten()], name="encoder"
    )
    image, shared = layers.Input((8, 8, 3), name="image"), layers.Dense(4, activation="gelu", name="shared")
    halves = [shared(encoder(image)), shared(encoder(layers.MaxPooling2D(2, 1, "same")(image)))]
    return Model(image, layers.Dense(3, activation="softmax")(layers.Concatenate()(halves)), name="nested")


def transferred():
    """A base that does what it does in prediction, whatever is trained; Keras writes and reads it, but trains it."""
    image = layers.Input((8, 8, 3))
    x = layers.Dropout(0.5)(layers.BatchNormalization()(layers.Conv2D(4, 3)(image)))
    base, image = Model(image, x, name="base"), layers.Input((8, 8, 3), name="image")
    return Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(base(image, training=False))))


NETWORKS = {"sequential": sequential, "residual": residual, "nested": nested}


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: fastconv.optimizers.Adam(0.01),
        lambda: fastconv.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        lambda: fastconv.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
        lambda: fastconv.optimizers.AdamW(0.01, amsgrad=True, global_clipnorm=1.0),
        lambda: fastconv.optimizers.Adam(fastconv.optimizers.schedules.CosineDecay(0.01, 10)),
    ],
    ids=["adam", "sgd", "rmsprop", "adamw", "schedule"],
)
@pytest.mark.parametrize("network", NETWORKS)
def test_keras_opens_a_model_and_trains_on(tmp_path, network, optimizer):
    utils.set_random_seed(5)
    x, y = samples()
    model = NETWORKS[network]()
    model.compile(optimizer(), "categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(other.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    losses = [(model.train_on_batch(x, y)[0], float(other.train_on_batch(x, y)[0])) for _ in range(3)]
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=1e-5)


@pytest.mark.parametrize("network", [*NETWORKS.values(), transferred])
def test_keras_reads_weights_and_they_come_back(tmp_path, network):
    x, _ = samples()
    model = network()
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    other.set_weights([w + 0.1 for w in other.get_weights()])
    other.save_weights(tmp_path / "w.weights.h5")
    model.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_allclose(model.predict(x, verbose=0), other.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
