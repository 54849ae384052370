"""compile, fit, evaluate, predict: results, refusals, and what an error leaves behind."""

import copy
import os
import pickle
import signal
import threading

import numpy as np
import pytest

from fastconv import AdviceWarning, Sequential, layers, losses, models, optimizers, utils
from fastconv.callbacks import Callback


def blobs(count=60, classes=3, size=6, seed=0):
    """Images whose brightest channel is their class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=count)
    x = rng.random((count, size, size, classes)).astype(np.float32)
    x[np.arange(count), :, :, y] += 1
    return x, y


def network(classes=3):
    return Sequential(
        [
            layers.Input((6, 6, classes)),
            layers.Conv2D(8, 3, padding="same"),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ]
    )


@pytest.fixture
def data():
    x, y = blobs()
    return x, utils.to_categorical(y)


@pytest.fixture
def model():
    utils.set_random_seed(0)
    model = network()
    model.compile(optimizers.Adam(0.01), "categorical_crossentropy", metrics=["accuracy"])
    return model


def test_fit_learns(model, data):
    history = model.fit(*data, epochs=10, batch_size=16, verbose=0)
    assert list(history.history) == ["accuracy", "loss"]
    assert history.history["accuracy"][-1] == 1.0 > history.history["accuracy"][0]
    assert history.epoch == list(range(10)) and model.history is history


def test_evaluate_returns_loss_and_accuracy(model, data):
    model.fit(*data, epochs=20, batch_size=16, verbose=0)
    loss, accuracy = model.evaluate(*data, batch_size=7, verbose=0)
    assert isinstance(loss, float) and 0 <= accuracy <= 1
    probabilities = model.predict(data[0], verbose=0)
    assert accuracy == pytest.approx((probabilities.argmax(1) == data[1].argmax(1)).mean())
    assert loss == pytest.approx(-np.log((probabilities * data[1]).sum(1)).mean(), rel=1e-5, abs=1e-6)
    assert model.evaluate(*data, verbose=0, return_dict=True) == pytest.approx({"accuracy": accuracy, "loss": loss})


def test_the_loss_alone_without_metrics(data):
    model = network()
    model.compile("sgd", losses.CategoricalCrossentropy())
    assert isinstance(model.evaluate(*data, verbose=0), float)
    assert list(model.fit(*data, verbose=0).history) == ["loss"]


def test_sparse_labels_give_the_same_training(data):
    x, y = data
    results = []
    for loss, labels in (("categorical_crossentropy", y), ("sparse_categorical_crossentropy", y.argmax(1))):
        utils.set_random_seed(1)
        model = network()
        model.compile("adam", loss, metrics=["acc"])
        results.append(model.fit(x, labels, verbose=0, epochs=2).history)
    assert results[0] == results[1] and list(results[0]) == ["acc", "loss"]


def test_the_last_partial_batch_is_trained(model, data):
    model.fit(data[0][:5], data[1][:5], batch_size=2, verbose=0)
    assert model.optimizer.iterations == 3


def test_a_second_fit_goes_on(model, data):
    model.fit(*data, batch_size=30, verbose=0)
    history = model.fit(*data, batch_size=20, verbose=0, epochs=2)
    assert model.optimizer.iterations == 2 + 2 * 3
    assert history.epoch == [0, 1]


def test_a_seed_repeats_a_run_to_the_bit(data):
    def run():
        utils.set_random_seed(7)
        model = network()
        model.compile("adam", "categorical_crossentropy")
        model.fit(*data, batch_size=16, epochs=2, verbose=0)
        return b"".join(w.tobytes() for w in model.get_weights())

    assert run() == run()


def test_shuffle_draws_a_new_order_every_epoch(data):
    x, y = data
    seen = []

    class Order(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model._executor.plan("train", 20).inputs[0][:, 0, 0, 0].copy())

    model = network()
    model.compile(optimizers.SGD(0.0), "categorical_crossentropy")
    model.fit(x, y, batch_size=20, epochs=2, verbose=0, callbacks=[Order()])
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first), np.sort(second))
    seen.clear()
    model.fit(x, y, batch_size=20, epochs=1, verbose=0, callbacks=[Order()], shuffle=False)
    np.testing.assert_array_equal(np.concatenate(seen), x[:, 0, 0, 0])


def test_validation_data_and_split(model, data):
    history = model.fit(*data, epochs=2, verbose=0, validation_data=blobs_pair(1))
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    history = model.fit(*data, epochs=2, verbose=0, validation_split=0.25, batch_size=15)
    assert history.params["steps"] == 3  # 45 of 60 samples remain
    assert history.history["val_loss"][-1] == pytest.approx(
        model.evaluate(data[0][45:], data[1][45:], verbose=0)[0], rel=1e-6
    )


def blobs_pair(seed):
    x, y = blobs(20, seed=seed)
    return x, utils.to_categorical(y, 3)


def test_validation_freq_and_initial_epoch(model, data):
    history = model.fit(*data, epochs=5, initial_epoch=1, validation_data=blobs_pair(1), validation_freq=2, verbose=0)
    assert history.epoch == [1, 2, 3, 4] and len(history.history["val_loss"]) == 2


def test_stop_training_ends_after_the_step(model, data):
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    model.fit(*data, batch_size=10, epochs=5, verbose=0, callbacks=[Stop()])
    assert model.optimizer.iterations == 2


@pytest.mark.skipif(os.name == "nt", reason="no POSIX signals")
def test_ctrl_c_ends_fit_between_steps_with_a_usable_model(model, data):
    class Press(Callback):
        ended = False

        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 5:
                os.kill(os.getpid(), signal.SIGINT)

        def on_epoch_end(self, epoch, logs=None):
            self.last = dict(logs)

        def on_train_end(self, logs=None):
            self.ended = logs == self.last

    press, handler = Press(), signal.getsignal(signal.SIGINT)
    history = model.fit(*data, batch_size=20, epochs=50, verbose=0, callbacks=[press])
    assert history.interrupted and history.epoch == [0] and press.ended
    assert model.optimizer.iterations == 5
    assert signal.getsignal(signal.SIGINT) is handler
    assert np.isfinite(model.predict(data[0], verbose=0)).all()


def test_fit_in_another_thread_leaves_signals_alone(model, data):
    result = []
    thread = threading.Thread(target=lambda: result.append(model.fit(*data, verbose=0)))
    thread.start()
    thread.join()
    assert result and not result[0].interrupted


def test_train_on_batch_returns_what_was_before_the_update(model, data):
    loss, accuracy = model.train_on_batch(*data)
    assert model.optimizer.iterations == 1 and loss > 0 and 0 <= accuracy <= 1
    assert model.train_on_batch(*data, return_dict=True)["loss"] < loss
    assert len(model.test_on_batch(*data)) == 2
    assert model.predict_on_batch(data[0][:2]).shape == (2, 3)


def test_an_optimizer_given_to_a_second_compile_starts_afresh(data):
    adam = optimizers.Adam(0.01)
    first, second = network(), network()
    first.compile(adam, "categorical_crossentropy")
    first.fit(*data, batch_size=30, verbose=0)
    assert adam.iterations == 2
    with pytest.warns(UserWarning, match="starts afresh"):
        second.compile(adam, "categorical_crossentropy")
    second.fit(*data, batch_size=20, verbose=0)
    assert adam.iterations == 3
    first.fit(*data, batch_size=30, verbose=0)
    assert first._executor.iterations == 4


def test_from_logits(data):
    results = []
    for activation, loss in (
        ("softmax", losses.CategoricalCrossentropy()),
        (None, losses.CategoricalCrossentropy(from_logits=True)),
    ):
        utils.set_random_seed(2)
        model = Sequential([layers.Flatten(), layers.Dense(3, activation=activation)])
        model.compile("sgd", loss)
        results.append(model.fit(*data, verbose=0).history["loss"])
    assert results[0] == results[1]


def test_from_logits_on_a_softmax_warns(data):
    model = network()
    with pytest.warns(AdviceWarning, match="ends in softmax"):
        model.compile("sgd", losses.CategoricalCrossentropy(from_logits=True))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.uint8, np.int64, ">f4", ">f8", bool])
def test_dtypes_of_x_are_converted(model, data, dtype):
    x = (data[0] * 2).astype(np.uint8).astype(dtype)
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.predict(x.astype(np.float32), verbose=0))


def test_views_of_x_are_converted(model, data):
    x = data[0]
    readonly = x.copy()
    readonly.flags.writeable = False
    expected = model.predict(np.ascontiguousarray(x[::-2, :, ::-1]), verbose=0)
    np.testing.assert_array_equal(model.predict(x[::-2, :, ::-1], verbose=0), expected)
    model.fit(np.asfortranarray(x), data[1], verbose=0)
    model.fit(readonly, data[1], verbose=0)


def test_a_grey_image_may_lack_its_channel_axis():
    model = Sequential([layers.Input((5, 5, 1)), layers.Flatten(), layers.Dense(2)])
    assert model.predict(np.zeros((3, 5, 5)), verbose=0).shape == (3, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:, :5], y), r"expected shape \(N, 6, 6, 3\).*\(60, 5, 6, 3\)"),
        (lambda x, y: (x[0], y), r"expected shape \(N, 6, 6, 3\)"),
        (lambda x, y: (x[:0], y[:0]), r"at least one sample"),
        (lambda x, y: (x[:10], y), r"as many labels as samples.*10 in x, 60 in y"),
        (lambda x, y: (x.astype(complex), y), r"real numbers.*complex128"),
        (lambda x, y: (x.astype(object), y), r"real numbers.*object"),
        (lambda x, y: (x, None), r"expected labels.*None"),
        (lambda x, y: (x, y.argmax(1)), r"sparse_categorical_crossentropy"),
    ],
)
def test_data_that_do_not_fit_are_refused_and_change_nothing(model, data, change, message):
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(*change(*data), verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_sample_that_is_not_finite_is_named_and_not_trained(model, data, bad):
    x, y = data
    x[37, 2, 3, 1] = bad
    with pytest.raises(ValueError, match=rf"expected finite.*{bad} in sample 37"):
        model.fit(x, y, batch_size=60, verbose=0)
    assert model.optimizer.iterations == 0
    with pytest.raises(ValueError, match="in sample 37"):
        model.evaluate(x, y, verbose=0)
    output = model.predict(x, verbose=0)
    assert not np.isfinite(output[37]).all() and np.isfinite(np.delete(output, 37, axis=0)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"epochs": -1}, "epochs=-1"),
        ({"validation_split": 1.0}, "validation_split=1.0"),
        ({"validation_split": 0.999}, "leaves samples on both sides"),
        ({"validation_data": 3}, "pair"),
        ({"verbose": 5}, "verbose"),
    ],
)
def test_arguments_out_of_range_are_refused(model, data, arguments, message):
    with pytest.raises(ValueError, match=message):
        model.fit(*data, **{"verbose": 0, **arguments})


@pytest.mark.parametrize(
    "argument", [{"run_eagerly": True}, {"steps_per_execution": 2}, {"jit_compile": True}, {"auto_scale_loss": False}]
)
def test_arguments_of_keras_without_effect_are_noted(argument):
    with pytest.warns(UserWarning, match=f"{next(iter(argument))} has no effect"):
        network().compile("adam", "categorical_crossentropy", **argument)


def test_a_model_compiled_without_a_loss_predicts_and_does_not_train(data):
    model = network()
    model.compile("adam")
    assert model.predict(data[0], verbose=0).shape == (60, 3)
    with pytest.raises(RuntimeError, match="fit: expected a compiled model"):
        model.fit(*data)


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch"])
def test_before_compile(data, method):
    with pytest.raises(RuntimeError, match=f"{method}: expected a compiled model"):
        getattr(network(), method)(*data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adamm"}, r"optimizer.*\['adam', 'adamw', 'rmsprop', 'sgd'\].*adamm"),
        ({"loss": "crossentropy"}, r"loss.*categorical_crossentropy.*'crossentropy'"),
        ({"metrics": ["accurracy"]}, r"metrics.*accuracy.*accurracy"),
    ],
)
def test_unknown_names_list_the_known(arguments, message):
    with pytest.raises(ValueError, match=message):
        network().compile(**{"optimizer": "adam", "loss": "categorical_crossentropy", **arguments})


def test_a_model_without_softmax_is_told_so(data):
    model = Sequential([layers.Flatten(), layers.Dense(3)])
    model.compile("adam", "categorical_crossentropy")
    with pytest.warns(AdviceWarning, match="end the model in softmax, or pass from_logits=True"):
        model.fit(*data, verbose=0)


def test_an_image_output_has_labels_for_each_pixel(data):
    model = models.Sequential([layers.Input((6, 6, 3)), layers.Conv2D(3, 3, activation="softmax")])
    model.compile("adam", "categorical_crossentropy")
    with pytest.raises(ValueError, match=r"expected y of shape \(N, 4, 4, 3\)"):
        model.fit(*data, verbose=0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_a_trained_model_trains_alone(model, data, copied):
    model.fit(*data, verbose=0)
    before, other = model.get_weights()[0], copied(model)
    np.testing.assert_array_equal(other.get_weights()[0], before)
    other.fit(*data, verbose=0)
    assert (other.get_weights()[0] != before).any()
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_repeated_predict_of_one_sample_builds_one_plan(model, data):
    for _ in range(5):
        model.predict(data[0][:1], verbose=0)
    assert sum(key[:2] == ("predict", 1) for key in model._executor._plans) == 1


def dropout_model():
    utils.set_random_seed(2)
    model = Sequential([*network().layers, layers.Dropout(0.3), layers.Dense(3, activation="softmax")])
    model.compile("adam", "categorical_crossentropy")
    return model


def test_a_restored_state_of_training_goes_on_with_the_same_bits(data):
    model, other = dropout_model(), dropout_model()
    model.fit(*data, shuffle=False, verbose=0)
    weights, state = model.get_weights(), model.training_state()
    model.fit(*data, shuffle=False, verbose=0)
    other.build(data[0].shape)
    other.set_weights(weights)
    other.restore_training_state(state)
    other.fit(*data, shuffle=False, verbose=0)
    assert other.optimizer.iterations == model.optimizer.iterations
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_leaves_a_state_taken_before_as_it_was(model, data):
    model.fit(*data, verbose=0)
    state = model.training_state()
    step = state["step"].copy()
    model.restore_training_state(state)
    model.fit(*data, verbose=0)
    np.testing.assert_array_equal(state["step"], step)
