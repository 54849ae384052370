"""Settings of the optimizers; their arithmetic is tested in ops/test_optimizer.py, test_keras_semantics.py and
test_golden_optimizers.py."""

import inspect

import numpy as np
import pytest

from fastconv import callbacks, layers, models, optimizers, utils


@pytest.mark.parametrize("rate", [1, True, "0.1", -0.1, float("nan"), float("inf"), None])
def test_learning_rate_must_be_a_float(rate):
    with pytest.raises(ValueError, match="learning_rate"):
        optimizers.Adam(rate)


def test_learning_rate_is_settable_and_checked():
    adam = optimizers.Adam()
    adam.learning_rate = np.float32(0.25)
    assert adam.learning_rate == 0.25
    with pytest.raises(ValueError, match="learning_rate=-1.0"):
        adam.learning_rate = -1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.Adam(beta_1=1.0), "beta_1=1.0"),
        (lambda: optimizers.Adam(beta_2=-0.1), "beta_2=-0.1"),
        (lambda: optimizers.Adam(epsilon=0.0), "epsilon=0.0"),
        (lambda: optimizers.SGD(momentum=2), "momentum=2"),
        (lambda: optimizers.RMSprop(rho=1.0), "rho=1.0"),
        (lambda: optimizers.AdamW(weight_decay=None), "weight_decay: expected a number.*weight_decay=None"),
        (lambda: optimizers.SGD(weight_decay=-0.1), "weight_decay=-0.1"),
        (lambda: optimizers.SGD(clipnorm=0.0), "clipnorm=0.0"),
        (lambda: optimizers.SGD(clipvalue=float("inf")), "clipvalue=inf"),
        (lambda: optimizers.SGD(clipnorm=1.0, global_clipnorm=2.0), "expected one at most.*'global_clipnorm': 2.0"),
        (lambda: optimizers.SGD(ema_momentum=1.5), r"in \[0, 1\].*ema_momentum=1.5"),
        (lambda: optimizers.SGD(ema_overwrite_frequency=0), "ema_overwrite_frequency=0"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=4), "not supported.*gradient_accumulation_steps=4"),
        (lambda: optimizers.SGD(loss_scale_factor=2.0), "not supported.*loss_scale_factor=2.0"),
        (lambda: optimizers.get("adamx"), r"\['adam', 'adamw', 'rmsprop', 'sgd'\].*adamx"),
        (lambda: optimizers.get(None), "Received: None"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_get_by_name_and_by_object():
    assert isinstance(optimizers.get("Adam"), optimizers.Adam)
    sgd = optimizers.SGD()
    assert optimizers.get(sgd) is sgd


# ---- what is kept of the arguments, by Keras' names and defaults


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "SGD"])
def test_every_argument_is_an_attribute(name):
    made = getattr(optimizers, name)()
    for argument, parameter in inspect.signature(type(made)).parameters.items():
        assert getattr(made, argument) == (parameter.default if argument != "name" else name.lower())


# ---- schedules


def test_a_schedule_is_asked_with_the_steps_taken():
    sgd = optimizers.SGD(optimizers.schedules.PiecewiseConstantDecay([2, 4], [0.5, 0.25, 0.125]))
    assert [sgd.rate_at(step) for step in range(6)] == [0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert sgd.learning_rate == 0.5


def test_a_schedule_cannot_be_set_to_a_number_but_to_another():
    sgd = optimizers.SGD(optimizers.schedules.CosineDecay(0.5, 10))
    with pytest.raises(TypeError, match="follows 'CosineDecay'. Received: learning_rate=0.25"):
        sgd.learning_rate = 0.25
    sgd.learning_rate = optimizers.schedules.CosineDecay(0.75, 10)
    assert sgd.learning_rate == 0.75


def test_a_callable_is_asked_each_time():
    rates = iter([0.5, 0.25])
    sgd = optimizers.SGD(lambda: next(rates))
    assert (sgd.learning_rate, sgd.learning_rate) == (0.5, 0.25)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_a_rate_out_of_range_is_refused_when_it_comes(bad):
    with pytest.raises(ValueError, match="expected a finite number >= 0"):
        optimizers.SGD(lambda: bad).rate_at(0)


def test_one_cycle():
    cycle = optimizers.schedules.OneCycle(1.0, total_steps=11, warmup_fraction=0.5, initial_factor=4, final_factor=10)
    rates = [cycle(step) for step in range(12)]
    assert rates[0] == pytest.approx(0.25) and rates[10] == rates[11] == pytest.approx(0.025)
    assert max(rates) == pytest.approx(max(rates[4:6])) and cycle(4.5) == 1.0
    assert rates[:5] == sorted(rates[:5]) and rates[5:] == sorted(rates[5:], reverse=True)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("ExponentialDecay", (0.1, 0, 0.5), "decay_steps=0"),
        ("CosineDecay", (0.1, -1), "decay_steps=-1"),
        ("CosineDecayRestarts", (0.1, 10, 0.5), "t_mul=0.5"),
        ("PiecewiseConstantDecay", ([1, 2], [0.1, 0.2]), "one more than boundaries, 3. Received: 2 values"),
        ("PiecewiseConstantDecay", ([2, 1], [0.1, 0.2, 0.3]), "ascending"),
        ("OneCycle", (0.1, 10, 1.5), "warmup_fraction=1.5"),
    ],
)
def test_schedules_refuse_what_has_no_meaning(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(optimizers.schedules, name)(*arguments)


# ---- in training


def small_model(optimizer):
    utils.set_random_seed(3)
    image = layers.Input((6,))
    output = layers.Dense(3, activation="softmax")(layers.Dense(5, activation="relu")(image))
    model = models.Model(image, output)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


X, Y = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32), np.arange(12) % 3


def test_a_schedule_gives_the_weights_of_rates_set_by_hand():
    schedule = optimizers.schedules.ExponentialDecay(0.5, 2, 0.5)
    scheduled, by_hand = small_model(optimizers.SGD(schedule)), small_model(optimizers.SGD(0.0))
    scheduled.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for step in range(6):
        by_hand.optimizer.learning_rate = schedule(step)
        batch = slice(4 * (step % 3), 4 * (step % 3) + 4)
        by_hand.train_on_batch(X[batch], Y[batch])
    for a, b in zip(scheduled.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert scheduled.optimizer.learning_rate == schedule(6)


def test_clipped_by_norm_each_weight_moves_at_most_so_far():
    model = small_model(optimizers.SGD(1.0, clipnorm=0.01))
    before = model.get_weights()
    model.train_on_batch(100 * X, Y)
    moved = [np.linalg.norm(a - b) for a, b in zip(model.get_weights(), before, strict=True)]
    assert moved[0] == pytest.approx(0.01, rel=1e-4) and max(moved) < 0.0101


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_what_a_nan_did_to_the_gradients_is_gone_with_it(clip):
    model = small_model(optimizers.SGD(0.5, **{clip: 1.0}))
    start = model.get_weights()
    model.set_weights([np.full(w.shape, np.nan) for w in start])
    model.train_on_batch(X, Y)
    model.set_weights(start)
    model.train_on_batch(X, Y)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_fit_ends_with_the_moving_average():
    kept = []

    class Keep(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kept.append(self.model.get_weights())

    model = small_model(optimizers.SGD(0.5, use_ema=True, ema_momentum=0.75))
    model.fit(X, Y, batch_size=4, epochs=1, shuffle=False, verbose=0, callbacks=[Keep()])
    for i, received in enumerate(model.get_weights()):
        expected = 0.75 * (0.75 * kept[0][i] + 0.25 * kept[1][i]) + 0.25 * kept[2][i]
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def test_what_is_excluded_does_not_decay():
    optimizer = optimizers.SGD(0.5, weight_decay=0.5)
    model = small_model(optimizer)
    model.set_weights([np.ones(w.shape) for w in model.weights])
    optimizer.exclude_from_weight_decay(var_list=[model.weights[2]], var_names=["bia"])
    model.train_on_batch(np.zeros((1, 6)), [0])  # the first kernel has no gradient
    kernel, bias, second, _ = model.get_weights()
    assert (kernel == 0.75).all() and (bias != 0.75).all() and (second != 0.75).any()
    with pytest.raises(ValueError, match="expected before the first step"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


def test_compile_without_an_optimizer_takes_rmsprop():
    model = small_model("sgd")
    model.compile(loss="sparse_categorical_crossentropy")
    assert isinstance(model.optimizer, optimizers.RMSprop)
