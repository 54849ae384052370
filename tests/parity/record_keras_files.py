"""Record files that real Keras wrote, and what its models make of them: tests/data/keras_files.

    pip install "tensorflow-cpu==2.21.*" "keras==3.15.*"
    python tests/parity/record_keras_files.py

Each model has taken two training steps when it is saved. Beside it lie its predictions for `samples(shape)`, and the
losses of two further steps on them, which depend on the optimizer's state.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_files
import numpy as np
from keras import layers

FOLDER = Path(__file__).parent.parent / "data" / "keras_files"


def sequential():
    return keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(4, 3, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Flatten(),
            layers.Dropout(0.0),
            layers.Dense(3, activation="softmax"),
        ],
        name="small",
    )


def residual():
    image = x = layers.Input((8, 8, 3), name="image")
    for filters, strides in ((4, 1), (6, 2)):
        y = layers.Conv2D(filters, 3, strides, "same", use_bias=False)(x)
        y = layers.BatchNormalization()(y)
        y = layers.LeakyReLU(0.1)(y)
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        y = layers.BatchNormalization()(y)
        x = layers.Add()([layers.Conv2D(filters, 1, strides, name=f"shortcut_{filters}")(x), y])
        x = layers.ReLU()(x)
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)), name="residual")


MODELS = {
    "sequential": (sequential, lambda: keras.optimizers.Adam(0.01)),
    "residual": (residual, lambda: keras.optimizers.SGD(0.05, momentum=0.9)),
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    results = {"keras": keras.__version__}
    for name, (build, optimizer) in MODELS.items():
        keras.utils.set_random_seed(1)
        keras.utils.clear_session()
        model = build()
        model.compile(optimizer(), "categorical_crossentropy", metrics=["accuracy"])
        x, y = keras_files.samples()
        for _ in range(2):
            model.train_on_batch(x, y)
        model.save(FOLDER / f"{name}.keras")
        if name == "sequential":  # the same content as in the other file: one is enough
            model.save_weights(FOLDER / f"{name}.weights.h5")
        predictions = model.predict(x, verbose=0)
        losses = [float(model.train_on_batch(x, y)[0]) for _ in range(2)]
        results[name] = {"predictions": predictions.astype(np.float64).tolist(), "losses": losses}
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
