"""Advice: each kind comes where its cause was planted, and not where it was not."""

import warnings

import numpy as np
import pytest
from fake_device import FakeOps

import fastconv
from fastconv import AdviceWarning, Sequential, datasets, device, layers, losses, models, optimizers, utils
from fastconv.diagnosis import during_training
from fastconv.models import networks


@pytest.fixture(autouse=True)
def seeded():
    utils.set_random_seed(4)
    utils.clear_session()


def blobs(count=64, scale=1.0, shape=(4, 4, 2), classes=3):
    """Classes that lie apart."""
    rng = np.random.default_rng(0)
    y = rng.integers(classes, size=count)
    x = rng.normal(size=(count, *shape)) * 0.1 + y.reshape(-1, *[1] * len(shape)) / classes
    return (x * scale).astype(np.float32), y


def compiled(*chain, loss="sparse_categorical_crossentropy", optimizer="adam", inputs=(4, 4, 2)):
    model = Sequential([layers.Input(inputs), *chain])
    model.compile(optimizer, loss)
    return model


def dense(*before, **options):
    return compiled(*before, layers.Flatten(), layers.Dense(3, "softmax"), **options)


def advice(action):
    """The kinds of the advice that an action of a model gave, with the texts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = action()
    texts = [str(one.message) for one in caught if issubclass(one.category, AdviceWarning)]
    assert all(one.filename == __file__ for one in caught), "a warning that does not show the caller's line"
    return texts, result


def fit(model, x, y, **options):
    return advice(lambda: model.fit(x, y, **{"verbose": 0, **options}))[0]


# ---- layers and losses, at compile ----


@pytest.mark.parametrize(
    "chain, names",
    [
        ([layers.Dense(3, "softmax", name="a"), layers.Softmax(name="b")], ("softmax", "softmax")),
        ([layers.Dense(3, "softmax", name="a"), layers.Reshape((3,)), layers.Softmax(name="b")], ("softmax",) * 2),
        ([layers.Dense(3, "sigmoid", name="a"), layers.Dense(3, name="b"), layers.Softmax()], None),
        ([layers.Dense(3, "sigmoid", name="a"), layers.Activation("sigmoid", name="b")], ("sigmoid", "sigmoid")),
        ([layers.Dense(3, "softmax", name="a"), layers.Dense(3, "softmax", name="b")], None),
    ],
)  # fmt: skip
def test_two_softmax_functions_in_a_row(chain, names):
    loss = "binary_crossentropy" if names == ("sigmoid", "sigmoid") else "sparse_categorical_crossentropy"
    texts, model = advice(lambda: compiled(layers.Flatten(), *chain, loss=loss))
    expected = [] if names is None else [f"compile: 'a' ends in a {names[0]} and 'b' takes a {names[1]} of that."]
    assert [text[: len(want)] for text, want in zip(texts, expected, strict=True)] == expected
    assert model.advised == ({"double_softmax"} if names else set())


def test_a_softmax_of_one_unit():
    texts, _ = advice(lambda: compiled(layers.Dense(1, "softmax", name="one"), loss="mse", inputs=(4,)))
    assert len(texts) == 1 and "'one' is a softmax over a single unit, which is 1 for any input" in texts[0]
    assert advice(lambda: compiled(layers.Dense(1, "sigmoid"), loss="mse", inputs=(4,)))[0] == []


@pytest.mark.parametrize("last, from_logits, kind", [
    ("softmax", True, "from_logits"), ("softmax", False, None), (None, True, None), (None, False, "no_probabilities"),
])  # fmt: skip
def test_from_logits_has_to_fit_the_last_layer(last, from_logits, kind):
    loss = losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    _, model = advice(lambda: compiled(layers.Flatten(), layers.Dense(3, last), loss=loss))
    assert model.advised == ({kind} if kind else set())


def test_a_model_that_compile_could_not_know_is_looked_at_by_fit():
    model = Sequential([layers.Flatten(), layers.Dense(3, "softmax"), layers.Softmax()])
    assert advice(lambda: model.compile("adam", "sparse_categorical_crossentropy"))[0] == []
    (text,) = fit(model, *blobs())
    assert "takes a softmax of that" in text


def test_outputs_are_looked_at_each():
    image = layers.Input((4,))
    model = models.Model(image, [layers.Dense(3, "softmax")(image), layers.Dense(3, name="bare")(image)])
    texts, _ = advice(lambda: model.compile("adam", ["categorical_crossentropy", "categorical_crossentropy"]))
    assert len(texts) == 1 and "'bare' makes none" in texts[0]


# ---- samples, at the beginning of fit ----


@pytest.mark.parametrize("scale, divisor", [(255, "255"), (60, "90"), (30000, "50000")])
def test_inputs_that_are_not_scaled(scale, divisor):
    x, y = blobs(scale=scale)
    texts = fit(dense(layers.Conv2D(2, 3, name="first"), optimizer=optimizers.SGD(1e-9)), x, y)
    largest = np.abs(x).max()
    assert len(texts) == 1 and f"x goes up to {largest:g} (float32, 64 samples looked at)" in texts[0]
    assert "reaches 'first' as it is" in texts[0] and "layers.Rescaling(1 / " in texts[0]


def test_images_of_bytes_are_divided_by_255():
    x, y = np.full((8, 4, 4, 2), 255, np.uint8), np.zeros(8, int)
    (text,) = fit(dense(), x, y)
    assert "x goes up to 255 (uint8" in text and "Give x / 255, to `evaluate` and `predict` as well" in text


@pytest.mark.parametrize(
    "first",
    [layers.Rescaling(1 / 255), layers.BatchNormalization(), layers.Normalization(mean=100.0, variance=900.0)],
    ids=lambda layer: type(layer).__name__,
)
def test_inputs_that_a_layer_scales_are_right(first):
    x, y = blobs(scale=200)
    assert fit(dense(layers.RandomFlip(), layers.ZeroPadding2D(), type(first)(**first.get_config())), x, y) == []


def test_inputs_around_1_are_right():
    x, y = blobs()
    assert fit(dense(), (x - x.mean()) / x.std(), y) == []


def test_the_input_that_is_not_scaled_is_named():
    a, b = layers.Input((3,), name="a"), layers.Input((3,), name="b")
    joined = layers.Concatenate()([a, layers.Rescaling(0.01)(b)])
    model = models.Model([a, b], layers.Dense(3, "softmax")(joined))
    model.compile(optimizers.SGD(1e-9), "sparse_categorical_crossentropy")
    large = np.full((8, 3), 99.0)
    assert fit(model, [large / 99, large], np.zeros(8)) == []
    (text,) = fit(model, [large, large], np.zeros(8))
    assert "x['a'] goes up to 99" in text


def test_batches_are_looked_at_too():
    x, y = blobs(scale=255)
    texts = fit(dense(optimizer=optimizers.SGD(1e-9)), iter([(x[:32], y[:32]), (x[32:], y[32:])]), None)
    assert len(texts) == 1 and "32 samples looked at" in texts[0]


@pytest.mark.parametrize("trained, evaluated, seen", [(1, 255, True), (255, 1, True), (1, 5, False), (20, 60, False)])
def test_evaluation_on_another_scale(trained, evaluated, seen):
    x, y = blobs()
    model = dense(layers.Rescaling(0.001))
    assert fit(model, x * trained, y) == []
    texts, _ = advice(lambda: model.evaluate(x * evaluated, y, verbose=0))
    assert len(texts) == seen and all("evaluate: x goes up to " in text for text in texts)
    texts = fit(dense(layers.Rescaling(0.001)), x * trained, y, validation_data=(x * evaluated, y))
    assert len(texts) == seen and all("fit: validation x goes up to " in text for text in texts)
    assert advice(lambda: dense().evaluate(x * evaluated, y, verbose=0))[0] == []  # of a model that was not trained


def flat_norm():
    return compiled(layers.Flatten(), layers.Dense(4), layers.BatchNormalization(name="bn"), layers.Dense(3, "softmax"))


@pytest.mark.parametrize("count, batch_size, seen", [
    (8, 1, "batch_size is 1, so that the batches of 'bn' (BatchNormalization) have one value per channel"),
    (33, 32, "the last of the batches has 1 of 33 samples (batch_size=32). For 'bn' (BatchNormalization)"),
    (34, 32, None),
    (1, 32, "the last of the batches has 1 of 1 samples"),
])  # fmt: skip
def test_batch_normalization_of_a_batch_of_one(count, batch_size, seen):
    x, y = blobs(count)
    texts = fit(flat_norm(), x, y, batch_size=batch_size)
    assert len(texts) == (seen is not None) and (seen is None or seen in texts[0])


def test_batch_normalization_of_one_image():
    x, y = blobs(4)
    images = dense(layers.BatchNormalization(name="bn"))
    (text,) = fit(images, x, y, batch_size=1)
    assert "the batches of 'bn' (BatchNormalization) are single images" in text
    assert fit(dense(layers.BatchNormalization()), x[:3], y[:3], batch_size=2) == []  # a last image has 16 values
    assert fit(dense(layers.BatchNormalization(trainable=False)), x, y, batch_size=1) == []
    assert fit(dense(), x, y, batch_size=1) == []


def test_a_model_of_which_nothing_learns():
    model = dense()
    model.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    (text,) = fit(model, *blobs())
    assert "no weight of 'sequential' learns: `trainable` was False of 'dense' when it was compiled" in text
    part = dense(layers.Conv2D(2, 3, trainable=False))
    assert fit(part, *blobs()) == []


# ---- what training does ----


@pytest.mark.parametrize(
    "optimizer, rate",
    [(optimizers.Adam, 1.0), (optimizers.SGD, 1e4), (optimizers.Adam, 0.01), (optimizers.SGD, 0.1)],
)
def test_updates_larger_than_the_weights(optimizer, rate):
    model = dense(layers.Conv2D(8, 3, name="conv"), optimizer=optimizer(rate))
    texts = fit(model, *blobs())
    assert model.advised == ({"large_updates"} if rate >= 1 else set())
    assert all("fit: step 1 changed " in text and f"the learning rate, {rate:g} now" in text for text in texts)


def test_updates_that_are_infinite_are_left_to_the_error_about_them():
    model = dense(optimizer=optimizers.SGD(3.4e38))
    with pytest.raises(fastconv.NonFiniteError), warnings.catch_warnings():
        warnings.simplefilter("error", AdviceWarning)
        model.fit(*blobs(scale=9), verbose=0)


def test_weights_that_begin_at_0_may_change():
    zeros = layers.Dense(3, "softmax", kernel_initializer="zeros")
    assert fit(compiled(layers.Flatten(), zeros, optimizer=optimizers.Adam(0.01)), *blobs()) == []


def test_a_rate_that_becomes_too_large_is_found_in_a_later_epoch():
    model = dense()
    schedule = fastconv.callbacks.LearningRateScheduler(lambda epoch, rate: 1e-4 if epoch < 2 else 30.0)
    (text,) = fit(model, *blobs(), epochs=3, callbacks=[schedule])
    assert "fit: step 5 changed dense/kernel" in text


def relu_model(bias=0.0, units=6):
    model = compiled(layers.Flatten(), layers.Dense(units, "relu", name="hidden"), layers.Dense(3, "softmax"))
    model.get_layer("hidden").bias.assign(np.full(units, bias))
    return model


def test_a_layer_of_dead_units():
    x, y = blobs(512)
    (text,) = fit(relu_model(-100.0), x, y, epochs=4)
    assert "dead ReLU units after 64 steps: 100% of 'hidden': 0 for all of 64 samples" in text
    assert fit(relu_model(), x, y, epochs=8) == []


def test_a_layer_of_nearly_dead_units():
    x, y = blobs(512)
    model = relu_model(units=100)
    model.get_layer("hidden").bias.assign([-100.0] * 96 + [1.0] * 4)
    (text,) = fit(model, x, y, epochs=4)
    assert "96% of 'hidden': 0 for all of 64 samples" in text and "learns from the others alone" in text


def test_some_dead_units_are_no_fault():
    x, y = blobs(512)
    model = relu_model()
    model.get_layer("hidden").bias.assign([-100.0] * 5 + [0.0])
    assert fit(model, x, y, epochs=4) == []


def test_a_dead_convolution_and_the_constant_channels_behind_it():
    x, y = blobs(512)
    dead = layers.Conv2D(4, 3, bias_initializer=lambda shape: np.full(shape, -100.0), name="conv")
    texts = fit(dense(dead, layers.ReLU(name="relu"), layers.BatchNormalization(name="bn")), x, y, epochs=4)
    assert len(texts) == 2 and "100% of 'relu'" in texts[0] and "for all of 64 samples: 100% of 'bn'" in texts[1]


def test_a_constant_channel_among_many_is_no_fault():
    x, y = blobs(512)
    one = layers.Conv2D(4, 3, activation="relu", bias_initializer=lambda shape: np.array([-100.0, 1.0, 1.0, 1.0]))
    assert fit(dense(one, layers.BatchNormalization()), x, y, epochs=4) == []


def test_devices_are_looked_at(monkeypatch):
    ops = FakeOps()
    monkeypatch.setattr(device, "ops", lambda: ops)
    x, y = blobs(512)
    (text,) = fit(relu_model(-100.0), x, y, epochs=4)
    assert "100% of 'hidden'" in text
    (text,) = fit(normalized(0.99), *blobs(scale=9), epochs=10, validation_data=blobs(scale=9))
    assert "with the moving statistics of 'bn'" in text


def test_memory_that_is_missing_for_a_look_does_not_stop_training(monkeypatch):
    def fails(*arguments):
        raise MemoryError

    monkeypatch.setattr(during_training, "Probe", fails)
    x, y = blobs(512)
    model = relu_model(-100.0)
    assert fit(model, x, y, epochs=4) == [] and model.looked_at["activations"] == 2048
    assert fit(normalized(0.99), *blobs(scale=9), epochs=10, validation_data=blobs(scale=9)) == []


def test_early_epochs_are_not_looked_at():
    x, y = blobs(512)
    assert fit(relu_model(-100.0), x, y, epochs=3) == []  # of 1,536 samples trained on, fewer than 64


def normalized(momentum):
    norm = layers.BatchNormalization(momentum=momentum, name="bn")
    return dense(layers.Conv2D(8, 3), norm, layers.LeakyReLU(), optimizer=optimizers.Adam(0.03))


def test_moving_statistics_that_are_young():
    x, y = blobs(scale=9)
    model = normalized(0.99)
    assert fit(model, x, y, epochs=10) == []
    texts, _ = advice(lambda: model.evaluate(x, y, verbose=0))
    assert len(texts) == 1 and texts[0].startswith("evaluate: the loss of 32 samples is ")
    assert "with the moving statistics of 'bn' (BatchNormalization)" in texts[0]
    assert "After 20 steps with momentum 0.99, 82% of the moving ones is still" in texts[0]
    assert "BatchNormalization(momentum=0.86)" in texts[0]


def test_validation_at_the_end_of_fit_is_looked_at():
    x, y = blobs(scale=9)
    texts = fit(normalized(0.99), x, y, epochs=10, validation_data=(x, y))
    assert len(texts) == 1 and texts[0].startswith("fit: the loss of 32 samples is ")


def test_the_momentum_it_advises_is_enough():
    x, y = blobs(scale=9)
    model = normalized(0.86)
    assert fit(model, x, y, epochs=10, validation_data=(x, y)) == []


def test_overfitting_is_not_taken_for_young_statistics():
    x, y = blobs()
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(48, 4, 4, 2)).astype(np.float32), rng.integers(3, size=48)
    model = normalized(0.5)
    assert fit(model, *noise, epochs=60) == []
    texts, loss = advice(lambda: model.evaluate(x, y, verbose=0))
    assert texts == [] and loss > 2 * model.history.history["loss"][-1]


# ---- the warnings themselves ----


def test_each_kind_comes_once_for_a_model():
    x, y = blobs(scale=255)
    model = dense(optimizer=optimizers.SGD(1e-9))
    assert len(fit(model, x, y)) == 1 and fit(model, x, y, epochs=2) == []
    assert len(fit(dense(optimizer=optimizers.SGD(1e-9)), x, y)) == 1


def test_it_can_be_silenced_by_class_and_by_kind():
    x, y = blobs(scale=255)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=fastconv.AdviceWarning)
        dense(optimizer=optimizers.SGD(1e-9)).fit(x, y, verbose=0)
    model = dense(optimizer=optimizers.SGD(1e-9))
    model.advised.add("inputs_not_scaled")
    assert fit(model, x, y) == []


def test_it_can_be_made_an_error():
    x, y = blobs(scale=255)
    with warnings.catch_warnings():
        warnings.simplefilter("error", AdviceWarning)
        with pytest.raises(AdviceWarning, match="x goes up to"):
            dense().fit(x, y, verbose=0)


def test_looking_changes_no_bit(monkeypatch):
    def trained(looks):
        utils.set_random_seed(4)
        model = dense(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.3))
        if not looks:
            model.advised |= {"large_updates", "young_statistics"}
        monkeypatch.setattr(during_training, "_LEAST", 2 if looks else 10**9)
        seen = []
        monkeypatch.setattr(during_training, "_is_relu", lambda step: seen.append(step))
        x, y = blobs(200)
        for _ in range(2):
            model.fit(x, y, epochs=3, verbose=0, validation_split=0.2)
            model.evaluate(x, y, verbose=0)
        assert bool(seen) == looks
        return fastconv.fingerprint(model, include_optimizer=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AdviceWarning)
        assert trained(True) == trained(False)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_the_courses_networks_get_no_advice_on_their_data_but_of_dead_units(name):
    """Real images, the published learning rates, 500 steps (an epoch of all CIFAR-10 has 1,563). That of `mlp` kills
    nearly all of its first layer; with a tenth of it the test accuracy after its schedule is 0.52, not 0.33 to 0.42."""
    (x, y), (x_test, y_test) = datasets.load_sample()
    network = networks.NETWORKS[name]
    model = network.factory()
    model.compile(optimizers.Adam(network.learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, x_test = x.astype(np.float32) / 255, x_test[:200].astype(np.float32) / 255
    with warnings.catch_warnings():
        warnings.simplefilter("error", AdviceWarning)
        if name == "mlp":
            warnings.filterwarnings("ignore", "fit: dead ReLU units", AdviceWarning)
        model.fit(x, y, batch_size=10, verbose=0, validation_data=(x_test, y_test[:200]))
        model.evaluate(x_test, y_test[:200], verbose=0)
    assert model.advised <= ({"dead_units"} if name == "mlp" else set()) and model.looked_at["activations"] == len(x)
