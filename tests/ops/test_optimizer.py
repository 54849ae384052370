"""The updates of every backend: Keras' formulas, and Keras' own figures (more of them: test_golden_optimizers.py)."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
import tolerances
from helpers import float32
from tolerances import Rounded

GRADIENTS = [[0.5, -2, 1e-8], [0.25, 1, -3e-8], [-1, 0.125, 0]]  # of three steps
START = np.array([1, -1, 1], np.float32)
# The weights after each step: keras.optimizers of Keras 3.15.1 in float64 (its hyperparameters are float32).
KERAS_ADAM = {  # (learning rate, beta_1, beta_2, epsilon)
    (0.1, 0.9, 0.999, 1e-7): [
        [0.9000013000212443, -0.9000008256865119, 0.9996847711860735],
        [0.806784484494016, -0.8733673367806798, 1.0001740405689479],
        [0.8274199931248775, -0.8563804061233351, 1.0005520599468838],
    ],
    (0.01, 0.5, 0.75, 1e-3): [
        [0.9900398406374502, -0.99000999000999, 0.99999995000025],
        [0.9812558057401574, -0.99000999000999, 1.000000060238167],
        [0.9872254841343109, -0.9906347659205204, 1.0000001145478123],
    ],
}
KERAS_SGD = {  # (momentum, nesterov), learning rate 0.1
    (0.0, False): [[0.95, -0.8, 0.999999999], [0.925, -0.9, 1.000000002], [1.025, -0.9125, 1.000000002]],
    (0.9, False): [
        [0.95, -0.8, 0.999999999],
        [0.8800000011920929, -0.7200000047683717, 1.0000000011],
        [0.9170000039339065, -0.6605000109672546, 1.00000000299],
    ],
    (0.9, True): [
        [0.9050000011920929, -0.6200000047683716, 0.9999999981000001],
        [0.8170000039339065, -0.6480000109672546, 1.00000000299],
        [0.95030000551939, -0.6069500179648396, 1.000000004691],
    ],
}


def adam(ops, w, dw, m, v, learning_rate=0.001, step=1, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    scalars = {"learning_rate": np.array([learning_rate], np.float32), "step": np.array([step], np.int64)}
    return ops.run("adam_update", w=w, dw=dw, m=m, v=v, **scalars, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)


def sgd(ops, w, dw, velocity, learning_rate=0.01, momentum=0.9, nesterov=False):
    rate = np.array([learning_rate], np.float32)
    return ops.run(
        "sgd_update", w=w, dw=dw, velocity=velocity, learning_rate=rate, momentum=momentum, nesterov=nesterov
    )


def rmsprop(ops, arrays, settings):
    arrays = {"average": None, "momentum_buffer": None} | arrays
    return ops.run("rmsprop_update", **arrays, **settings | {"learning_rate": np.array([0.03], np.float32)})


# ---- Adam


@pytest.mark.parametrize("step", [1, 2, 1000, 10**6])
@pytest.mark.parametrize("count", shapes.ELEMENTWISE)
def test_adam(ops, rng, count, step):
    w, dw, m, v = float32(rng, count), float32(rng, count), float32(rng, count), np.abs(float32(rng, count))
    learning_rate, beta_1, beta_2, epsilon = 0.003, 0.9, 0.999, 1e-7
    actual = adam(ops, w, dw, m, v, learning_rate, step, beta_1, beta_2, epsilon)

    new_m = Rounded(m) + (Rounded(dw) - m) * Rounded(1 - beta_1)
    new_v = Rounded(v) + (Rounded(dw) * dw - v) * Rounded(1 - beta_2)
    alpha = float(np.float32(learning_rate)) * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    new_w = Rounded(w) - Rounded(alpha) * new_m / (new_v.sqrt() + Rounded(epsilon))
    tolerances.assert_close(actual.m, new_m.value, new_m.error)
    tolerances.assert_close(actual.v, new_v.value, new_v.error)
    tolerances.assert_close(actual.w, new_w.value, new_w.error)


@pytest.mark.parametrize("step", [1, 1000])
def test_adam_agrees_with_the_reference(ops, reference, rng, step):
    arrays = (float32(rng, 37), float32(rng, 37), float32(rng, 37), np.abs(float32(rng, 37)))
    actual, expected = adam(ops, *arrays, step=step), adam(reference, *arrays, step=step)
    for name, array in vars(expected).items():
        np.testing.assert_allclose(getattr(actual, name), array, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("settings", KERAS_ADAM, ids=str)
def test_adam_takes_the_steps_of_keras(ops, settings):
    """Up to 1e-5 of a step: Keras rounds 0.999 to float32 before it takes 1 - 0.999**t, 1.3e-5 off at t = 1."""
    learning_rate, *rest = settings
    w, m, v = START, np.zeros(3, np.float32), np.zeros(3, np.float32)
    for step, (gradient, expected) in enumerate(zip(GRADIENTS, KERAS_ADAM[settings], strict=True), start=1):
        state = adam(ops, w, np.float32(gradient), m, v, learning_rate, step, *rest)
        w, m, v = state.w, state.m, state.v
        np.testing.assert_allclose(w, expected, rtol=0, atol=step * (2.0**-23 + 1e-5 * learning_rate))


def test_adam_does_not_correct_epsilon_for_the_bias(ops):
    """With a gradient far below epsilon the two forms differ: 0.99968 in Keras, 0.99091 in PyTorch."""
    zero = np.zeros(1, np.float32)
    w = adam(ops, np.ones(1, np.float32), np.full(1, 1e-8, np.float32), zero, zero, learning_rate=0.1).w
    np.testing.assert_allclose(w, 0.9996847711860735, rtol=2.0**-23)


def test_adam_without_gradient_keeps_the_weights(ops):
    w, zero = np.arange(1, 38, dtype=np.float32), np.zeros(37, np.float32)
    np.testing.assert_array_equal(adam(ops, w, zero, zero, zero).w, w)


@pytest.mark.parametrize("step", [0, -1])
def test_adam_refuses_a_step_below_1(ops, step):
    if ops.ops.name == "cuda":
        pytest.skip("the step is where the host cannot look without waiting; test_cuda_ops.py has what it leads to")
    with pytest.raises(ValueError, match=f"step >= 1.*[Rr]eceived: {step}"):
        adam(ops, START, START, START, START, step=step)


@pytest.mark.parametrize("name", ["beta_1", "beta_2"])
@pytest.mark.parametrize("value", [-0.1, 1.0, np.nan])
def test_adam_refuses_a_beta_outside_0_to_1(ops, name, value):
    with pytest.raises(ValueError, match=f"0 <= {name} < 1.*[Rr]eceived: {name}="):
        adam(ops, START, START, START, START, **{name: value})


@pytest.mark.parametrize("name", ["dw", "m", "v"])
def test_adam_refuses_arrays_of_another_size(ops, name):
    arrays = dict.fromkeys(("w", "dw", "m", "v"), START) | {name: np.zeros(4, np.float32)}
    with pytest.raises(ValueError, match=rf"{name}: expected 3 elements.*Received: shape \(4,\)"):
        adam(ops, **arrays)


def test_amsgrad_divides_by_the_largest_mean_of_squares(ops, rng):
    w, dw, m, v, v_hat = (np.abs(float32(rng, 37)) for _ in range(5))
    scalars = {"learning_rate": np.array([0.1], np.float32), "step": np.array([2]), "beta_1": 0.9, "beta_2": 0.5}
    actual = ops.run("adam_update", w=w, dw=dw, m=m, v=v, v_hat=v_hat, **scalars, epsilon=1e-3)
    plain = ops.run("adam_update", w=w, dw=dw, m=m, v=v, **scalars, epsilon=1e-3)
    np.testing.assert_array_equal(actual.v, plain.v)
    np.testing.assert_array_equal(actual.v_hat, np.maximum(v_hat, plain.v))
    larger = v_hat > plain.v
    assert larger.any() and not larger.all()
    np.testing.assert_array_equal(actual.w[~larger], plain.w[~larger])
    alpha = 0.1 * np.sqrt(1 - 0.5**2) / (1 - 0.9**2)
    expected = w - alpha * actual.m.astype(np.float64) / (np.sqrt(actual.v_hat.astype(np.float64)) + 1e-3)
    np.testing.assert_allclose(actual.w, expected, rtol=1e-6, atol=1e-6)


# ---- SGD


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.9, 0.0])
@pytest.mark.parametrize("count", shapes.ELEMENTWISE)
def test_sgd_with_momentum(ops, rng, count, momentum, nesterov):
    w, dw, velocity = float32(rng, count), float32(rng, count), float32(rng, count)
    actual = sgd(ops, w, dw, velocity, 0.03, momentum, nesterov)
    change = Rounded(dw) * -np.float32(0.03)
    new_velocity = Rounded(velocity) * Rounded(momentum) + change
    new_w = Rounded(w) + (new_velocity * Rounded(momentum) + change if nesterov else new_velocity)
    tolerances.assert_close(actual.velocity, new_velocity.value, new_velocity.error)
    tolerances.assert_close(actual.w, new_w.value, new_w.error)


@pytest.mark.parametrize("count", shapes.ELEMENTWISE)
def test_sgd_without_velocity(ops, rng, count):
    w, dw = float32(rng, count), float32(rng, count)
    new_w = Rounded(w) - Rounded(dw) * np.float32(0.03)
    tolerances.assert_close(sgd(ops, w, dw, None, 0.03, 0.0).w, new_w.value, new_w.error)


@pytest.mark.parametrize("settings", KERAS_SGD, ids=str)
def test_sgd_takes_the_steps_of_keras(ops, settings):
    momentum, nesterov = settings
    w, velocity = START, np.zeros(3, np.float32) if momentum else None
    for gradient, expected in zip(GRADIENTS, KERAS_SGD[settings], strict=True):
        state = sgd(ops, w, np.float32(gradient), velocity, 0.1, momentum, nesterov)
        w, velocity = state.w, getattr(state, "velocity", None)
        np.testing.assert_allclose(w, expected, rtol=3 * 2.0**-23)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_agrees_with_the_reference(ops, reference, rng, nesterov):
    arrays = (float32(rng, 37), float32(rng, 37), float32(rng, 37))
    actual, expected = sgd(ops, *arrays, nesterov=nesterov), sgd(reference, *arrays, nesterov=nesterov)
    for name, array in vars(expected).items():
        np.testing.assert_allclose(getattr(actual, name), array, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", ["dw", "velocity"])
def test_sgd_refuses_arrays_of_another_size(ops, name):
    arrays = dict.fromkeys(("w", "dw", "velocity"), START) | {name: np.zeros(4, np.float32)}
    with pytest.raises(ValueError, match=rf"{name}: expected 3 elements.*Received: shape \(4,\)"):
        sgd(ops, **arrays)


# ---- RMSprop


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("count", [1, 7, 33, 1000, 16385])
def test_rmsprop(ops, rng, count, momentum, centered):
    names = ["w", "dw"] + ["average"] * centered + ["momentum_buffer"] * bool(momentum)
    arrays = {name: float32(rng, count) for name in names} | {"velocity": np.abs(float32(rng, count)) + np.float32(20)}
    settings = {"rho": 0.875, "momentum": momentum, "epsilon": 1e-3}
    actual = rmsprop(ops, arrays, settings)

    given = {name: Rounded(array) for name, array in arrays.items()}
    share = Rounded(0.125)
    velocity = given["velocity"] * Rounded(0.875) + share * (given["dw"] * given["dw"])
    denominator = velocity + Rounded(1e-3)
    if centered:
        average = given["average"] * Rounded(0.875) + share * given["dw"]
        tolerances.assert_close(actual.average, average.value, average.error)
        denominator = velocity - average * average + Rounded(1e-3)
    change = given["dw"] * np.float32(0.03) / denominator.sqrt()
    if momentum:
        change = given["momentum_buffer"] * Rounded(momentum) + change
        tolerances.assert_close(actual.momentum_buffer, change.value, change.error)
    w = given["w"] - change
    tolerances.assert_close(actual.velocity, velocity.value, velocity.error)
    tolerances.assert_close(actual.w, w.value, w.error)


def test_rmsprop_agrees_with_the_reference(ops, reference, rng):
    arrays = {name: float32(rng, 37) for name in ("w", "dw", "average", "momentum_buffer")}
    arrays["velocity"] = np.abs(float32(rng, 37)) + np.float32(20)
    settings = {"rho": 0.9, "momentum": 0.5, "epsilon": 1e-7}
    actual, expected = rmsprop(ops, arrays, settings), rmsprop(reference, arrays, settings)
    for name, array in vars(expected).items():
        np.testing.assert_allclose(getattr(actual, name), array, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", ["dw", "velocity", "average", "momentum_buffer"])
def test_rmsprop_refuses_arrays_of_another_size(ops, name):
    arrays = dict.fromkeys(("w", "dw", "velocity", "average", "momentum_buffer"), START)
    with pytest.raises(ValueError, match=rf"{name}: expected 3 elements.*Received: shape \(4,\)"):
        rmsprop(ops, arrays | {name: np.zeros(4, np.float32)}, {"rho": 0.9, "momentum": 0.9, "epsilon": 1e-7})


# ---- beside the update


def test_weights_decay_in_their_ranges_alone(ops, rng):
    w, ranges = float32(rng, 20_000), np.array([[0, 3], [16, 17_000], [17_008, 17_009]])
    decayed = np.zeros(w.size, bool)
    for begin, end in ranges:
        decayed[begin:end] = True
    actual = ops.run("decay_weights", w=w, ranges=ranges, learning_rate=np.array([0.5], np.float32), rate=0.25).w
    np.testing.assert_array_equal(actual, np.where(decayed, (w.astype(np.float64) * 0.875).astype(np.float32), w))


def test_no_ranges_no_decay(ops):
    rate = np.array([0.5], np.float32)
    actual = ops.run("decay_weights", w=START, ranges=np.zeros((0, 2), np.int64), learning_rate=rate, rate=0.25).w
    np.testing.assert_array_equal(actual, START)


@pytest.mark.parametrize("step, overwrite_every", [(1, 0), (2, 0), (6, 3), (7, 3), (1, 1)])
@pytest.mark.parametrize("count", [1, 37, 16385])
def test_moving_average(ops, rng, count, step, overwrite_every):
    w, average = float32(rng, count), float32(rng, count)
    settings = {"step": np.array([step]), "momentum": 0.75, "overwrite_every": overwrite_every}
    actual = ops.run("ema_update", average=average, w=w, **settings)
    mean = Rounded(average) * 0.75 + Rounded(w) * 0.25
    expected = w if step == 1 else mean.value
    tolerances.assert_close(actual.average, expected, mean.error)
    np.testing.assert_array_equal(actual.w, actual.average if overwrite_every and step % overwrite_every == 0 else w)
