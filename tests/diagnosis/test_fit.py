"""`fit` on training that becomes non-finite: which tensor and samples it names, and what it leaves behind."""

import pickle

import numpy as np
import pytest
from failing_training import failure, names, numbers, stacked
from small_training import STEPS, fit, same_weights

import fastconv
from fastconv import callbacks, layers, optimizers, utils
from fastconv.models import Model

# --- which tensor ----------------------------------------------------------------------------------------------------


def test_a_gradient_that_overflows_while_the_loss_does_not():
    """Found as the epoch ends: the sum of many gradients is beyond float32, the loss is not."""
    utils.clear_session()
    image = layers.Input((1,))
    model = Model(image, layers.Dense(1)(image))
    model.set_weights([np.zeros((1, 1)), np.zeros(1)])
    model.compile(optimizers.SGD(1e-3), "mae", loss_weights=10)
    report = failure(model, np.full((2, 1), 3e38, np.float32), -np.ones((2, 1)), epochs=1)
    assert (report.tensor, report.layer, report.name) == ("gradient", "dense", "the gradient of dense/kernel")
    assert report.losses == [10]


def test_an_update_that_overflows():
    x, y = numbers()
    report = failure(stacked(depth=0, rate=3e38), x, y * 1e3, epochs=1)
    assert (report.tensor, report.layer, names(report)[-1]) == ("weight", "dense", "learning rate")
    assert report.op == "sgd_update"


def test_a_slot_of_the_optimizer_that_overflows():
    """Adam's v is the square of a gradient: what it belongs to would never be changed again."""
    x, y = numbers()
    model = stacked(depth=0)
    model.compile(optimizers.Adam(1e-3), "mse")
    report = failure(model, x * np.float32(1e15), y, epochs=1)
    assert (report.tensor, report.layer) == ("optimizer state", "dense") and report.name.startswith("v of dense/")


def test_metrics_may_be_what_they_are():
    class Infinite(fastconv.metrics.MeanSquaredError):
        def result(self, sums):
            return np.inf

    x, y = numbers()
    model = stacked()
    model.compile(optimizers.SGD(1e-3), "mae", metrics=[Infinite()])
    assert fit(model, x, y, epochs=1)["mean_squared_error"] == [np.inf]


def test_a_metric_that_overflows_is_not_what_failed():
    x, y = numbers()
    model = stacked(depth=0)
    model.compile(optimizers.SGD(3e38), "mae", loss_weights=100, metrics=["mse"])
    report = failure(model, x, np.full_like(y, 1e25), epochs=1)
    assert (report.tensor, report.step) == ("weight", 1) and np.isfinite(report.losses).all()


def test_keras_own_callback_counts_as_ours():
    class TerminateOnNaN:
        set_params = set_model = lambda self, given: None

        def __getattr__(self, hook):
            return lambda *arguments: None

    assert not np.isfinite(fit(stacked(rate=1e10), *numbers(), callbacks=[TerminateOnNaN()])["loss"][-1])


# --- the place -------------------------------------------------------------------------------------------------------


def test_the_sample_is_that_of_the_data_in_any_order_and_epoch():
    """Epochs of one batch: with this seed sample 41 is not in the first."""
    x, y = numbers(50)
    x[41] = 3e38
    report = failure(stacked(), x, y, batch_size=16, epochs=4, steps_per_epoch=1)
    assert report.samples.tolist() == [41] and 41 in report.batch_samples and len(report.batch_samples) in (16, 2)
    assert report.epoch > 0 and report.batch == 0 and report.step == report.epoch + 1


def test_batches_that_come_by_themselves():
    x, y = numbers(50)
    x[37] = 3e38
    model = stacked()

    def batches():
        for begin in range(0, 50, 16):
            yield x[begin : begin + 16], y[begin : begin + 16]

    with pytest.raises(fastconv.NonFiniteError) as caught:
        model.fit(batches(), verbose=0)
    report = caught.value.report
    assert (report.batch, report.samples.tolist()) == (2, [37 - 32])


def test_several_inputs_and_outputs():
    utils.clear_session()
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    x = layers.Add()([layers.Dense(4, name="left")(a), layers.Dense(4, kernel_initializer="ones", name="right")(b)])
    model = Model([a, b], [layers.Dense(1, name="one")(x), layers.Dense(1, name="two")(x)])
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(20, 4)).astype(np.float32) for _ in range(2)]
    inputs[1][13] = 3e38
    report = failure(model, inputs, [np.zeros((20, 1))] * 2, batch_size=4)
    assert report.layer == "right" and report.samples.tolist() == [13]


# --- what it leaves behind -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer",
    [lambda: optimizers.SGD(1e2, momentum=0.9), lambda: optimizers.SGD(1e2, use_ema=True)],
    ids=["momentum", "ema"],
)
def test_the_model_is_as_the_step_before_left_it(optimizer):
    """Weights, moving statistics, slots, step number and dropout masks: those of a model that took as many steps."""
    x, y = np.random.default_rng(0).random((50, 6, 6, 3)).astype(np.float32), np.full((50, 3), 1e3, np.float32)

    def model():
        utils.set_random_seed(0)
        utils.clear_session()
        image = layers.Input((6, 6, 3))
        hidden = layers.Dropout(0.25)(layers.BatchNormalization()(layers.Conv2D(4, 3)(image)))
        result = Model(image, layers.Dense(3)(layers.Flatten()(hidden)))
        result.compile(optimizer(), "mse")
        return result

    failed = model()
    report = failure(failed, x, y, shuffle=False)
    assert report.iterations > 1
    other = model()
    for begin in [16 * (i % STEPS) for i in range(report.iterations)]:
        other.train_on_batch(x[begin : begin + 16], y[begin : begin + 16])
    assert same_weights(failed, other)
    a, b = failed.training_state(), other.training_state()
    assert a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
    # it goes on alike, though a gradient that fusions leave out was computed: that of the convolution's bias
    for one in (failed, other):
        one.set_weights([np.full_like(weight, 0.01) for weight in one.get_weights()])
        one.train_on_batch(x[:16], y[:16])
    assert same_weights(failed, other) and np.isfinite(failed.get_weights()[0]).all()


def test_history_has_the_epochs_before_and_no_backup_is_lost(tmp_path):
    """The rate of the third epoch is out of all proportion; a second call of fit, without it, begins there."""
    x, y = numbers(50)
    model = stacked()
    backup = callbacks.BackupAndRestore(tmp_path / "backup")
    rates = callbacks.LearningRateScheduler(lambda epoch, rate: 1e20 if epoch == 2 else rate)
    report = failure(model, x, y, callbacks=[rates, backup], epochs=4)
    assert report.exact and report.epoch == 2 and report.learning_rate == pytest.approx(1e20)
    assert len(model.history.history["loss"]) == 2
    assert len(fit(model, x, y, callbacks=[backup], epochs=4)["loss"]) == 2


def test_without_memory_for_unfused_steps_the_fused_ones_are_looked_at(monkeypatch):
    def no_memory(executor, batch, weighted):
        raise MemoryError

    x, y = numbers()
    expected = failure(stacked(rate=1e4), x, y)
    monkeypatch.setattr("fastconv.plan.executor.Executor.unfused_plan", no_memory)
    report = failure(stacked(rate=1e4), x, y)
    assert report.exact and (report.layer, report.step) == (expected.layer, expected.step)


def test_rates_that_come_from_outside_are_repeated():
    rates = iter([1e-3, 1e-2, 1e-3, 1e20, 1e20])
    x, y = numbers(50)
    model = stacked()
    model.compile(optimizers.SGD(lambda: next(rates)), "mse")
    report = failure(model, x, y, epochs=3)
    assert report.exact and report.step == 5 and report.learning_rate == 1e20


def test_what_cannot_be_repeated_goes_back_to_the_copy():
    x, y = numbers(50)

    class Change(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.set_weights([weight * 3e38 for weight in self.model.get_weights()])

    model = stacked()
    with np.errstate(over="ignore"):
        start = model.get_weights()
        report = failure(model, x, y, callbacks=[Change()], batch_size=16)
    assert not report.exact and (report.step, report.iterations) == (3, 0)
    assert "did not show it again" in str(report)
    assert all(np.array_equal(a, b) for a, b in zip(start, model.get_weights(), strict=True))


def test_another_failure_than_that_of_fit_is_not_reported():
    """Without the new start that training got in between, it fails earlier: on repeating, not before."""
    x, y = numbers(50)
    model = stacked(rate=0.5)
    start, alone = model.get_weights(), failure(stacked(rate=0.5), x, y, batch_size=16, epochs=9)

    class Restart(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 2:
                self.model.set_weights([weight * 0.5 for weight in start])

    report = failure(model, x, y, callbacks=[Restart()], batch_size=16, epochs=9)
    assert report.step > alone.step > 2 and not report.exact and report.iterations == 0


def test_the_error_travels():
    report = failure(stacked(rate=1e4), *numbers())
    error = pickle.loads(pickle.dumps(fastconv.NonFiniteError(report)))
    assert str(error) == str(report) and isinstance(error, ArithmeticError)
    titles, *rows = (line.split() for line in report.table().splitlines())
    assert titles[:3] == ["layer", "weights", "activation"]
    assert [row[0] for row in rows] == [layer.layer for layer in report.ranges]


def test_a_model_that_shares_weights_and_was_used_in_between():
    """It takes the weights to an array of its own, where they get new values; `fit` takes them back from there."""
    x, y = numbers(50)

    def train(*others):
        model = stacked(rate=0.5)
        model.predict(x[:4], verbose=0)
        for other in others:
            Model(model.input, model.layers[other].output).predict(x[:4], verbose=0)
        model.set_weights([weight * 0.5 for weight in model.get_weights()])
        return model, failure(model, x, y, batch_size=16, epochs=9, shuffle=False)

    (alone, expected), (model, report) = train(), train(-2)
    assert report.exact and report.table() == expected.table() and same_weights(model, alone)


# --- Keras' own ------------------------------------------------------------------------------------------------------


def test_terminate_on_nan_ends_training_as_in_keras(capsys):
    model = stacked(rate=1e10)
    history = fit(model, *numbers(), callbacks=[callbacks.TerminateOnNaN()])
    assert "Invalid loss, terminating training" in capsys.readouterr().out
    assert not np.isfinite(history["loss"][-1])


def test_train_on_batch_returns_the_loss_as_it_is():
    model, (x, y) = stacked(rate=1e10), numbers()
    losses = [model.train_on_batch(x, y) for _ in range(5)]
    assert not np.isfinite(losses[-1])
