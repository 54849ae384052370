"""SwapEMAWeights: where the moving average is while callbacks, evaluations and predictions look."""

import numpy as np
import pytest

from fastconv import Sequential, callbacks, layers, optimizers, utils

X, Y = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32), np.arange(12) % 3


class Watch(callbacks.Callback):
    """The first weight of the model at each hook, by the hook's name."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def _look(self, hook):
        self.seen.setdefault(hook, []).append(self.model.get_weights()[0])

    def on_train_batch_end(self, batch, logs=None):
        self._look("batch")

    def on_epoch_end(self, epoch, logs=None):
        self._look("epoch")

    def on_test_batch_end(self, batch, logs=None):
        self._look("test")

    def on_predict_batch_end(self, batch, logs=None):
        self._look("predict")


def trained(*given, **settings):
    utils.set_random_seed(3)
    model = Sequential([layers.Input((6,)), layers.Dense(3, activation="softmax")])
    sgd = optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
    model.compile(sgd, "sparse_categorical_crossentropy")
    model.fit(X, Y, batch_size=6, epochs=2, verbose=0, shuffle=False, callbacks=[*given], **settings)
    return model


def averages(batches):
    """The moving average after each step."""
    found = [batches[0]]
    for weights in batches[1:]:
        found.append(0.5 * found[-1] + 0.5 * weights)
    return found


def same(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_validation_sees_the_average_and_training_the_weights(swap_on_epoch):
    watch, plain = Watch(), Watch()
    model = trained(callbacks.SwapEMAWeights(swap_on_epoch), watch, validation_data=(X, Y), validation_batch_size=12)
    trained(plain)
    expected = averages(plain.seen["batch"])
    for found, right in zip(watch.seen["batch"], plain.seen["batch"], strict=True):
        np.testing.assert_array_equal(found, right)
    same(watch.seen["test"], [expected[1], expected[3]])
    at_epochs = [expected[1], expected[3]] if swap_on_epoch else plain.seen["batch"][1::2]
    same(watch.seen["epoch"], at_epochs)
    same(model.get_weights()[0], expected[3])


def test_an_end_within_an_epoch_leaves_the_average_too():
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    watch = Watch()
    model = trained(watch, callbacks.SwapEMAWeights(swap_on_epoch=True), Stop())
    same(model.get_weights()[0], averages(watch.seen["batch"])[1])


def test_evaluate_and_predict():
    model, watch = trained(), Watch()
    average = model.get_weights()[0]
    model.train_on_batch(X, Y)
    now = model.get_weights()[0]
    for call in (model.evaluate, lambda x, y, **more: model.predict(x, **more)):
        call(X, Y, verbose=0, callbacks=[callbacks.SwapEMAWeights(), watch])
        np.testing.assert_array_equal(model.get_weights()[0], now)
    same(watch.seen["test"] + watch.seen["predict"], [0.5 * average + 0.5 * now] * 2)


def test_an_optimizer_without_an_average_is_refused():
    model = Sequential([layers.Input((6,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="expected an optimizer with use_ema=True"):
        model.evaluate(X, Y, verbose=0, callbacks=callbacks.SwapEMAWeights())
