"""Small models with a loss and metrics, built alike by Keras and by fastconv (`source` is either)."""

from __future__ import annotations


def autoencoder(source):
    model = source.Sequential(
        [
            source.Input((6, 6, 2)),
            source.layers.Conv2D(4, 3, padding="same", activation="tanh"),
            source.layers.Conv2D(2, 3, padding="same"),
        ]
    )
    metrics = ["mae", source.metrics.RootMeanSquaredError(name="rmse")]
    model.compile(source.optimizers.SGD(0.25), "mse", metrics=metrics)
    return model


def classifier(source):
    model = source.Sequential(
        [
            source.Input((6,)),
            source.layers.Dense(5, activation="tanh"),
            source.layers.Dense(1, activation="sigmoid"),
        ]
    )
    metrics = ["accuracy", source.metrics.AUC(name="auc"), source.metrics.Recall(name="recall")]
    model.compile(source.optimizers.SGD(0.5), "binary_crossentropy", metrics=metrics)
    return model


def segmenter(source):
    model = source.Sequential(
        [
            source.Input((4, 4, 2)),
            source.layers.Conv2D(3, 3, padding="same", activation="softmax"),
        ]
    )
    loss = source.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(source.optimizers.SGD(0.5), loss, metrics=["accuracy", source.metrics.AUC(name="auc")])
    return model


MODELS = {"autoencoder": autoencoder, "classifier": classifier, "segmenter": segmenter}
