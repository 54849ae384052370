"""Plans on a device: one graph a plan, the state of training beside it, weights that move between memories."""

import copy
import functools
import pickle

import numpy as np
import pytest
from fake_device import FakeMemory, FakeOps

from fastconv import layers, models, optimizers, utils
from fastconv.models.objective import Objective
from fastconv.ops import get_ops
from fastconv.plan.executor import Executor


def small_model():
    x = image = layers.Input((8, 8, 3))
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same")(x)))
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return models.Model(image, layers.Dense(4, activation="softmax")(x))


def executor_of(model, ops, optimizer=None, **more):
    return Executor(model, ops, Objective("categorical_crossentropy"), optimizer or optimizers.Adam(0.01), **more)


def train(executor, steps=1, batch=4, seed=0):
    """The totals of a few steps on random batches."""
    rng, totals = np.random.default_rng(seed), []
    for _ in range(steps):
        plan = executor.plan("train", batch)
        executor.memory.upload(plan.inputs[0], rng.normal(size=plan.inputs[0].shape))
        executor.memory.upload(plan.targets[0], np.eye(4)[rng.integers(4, size=batch)])
        executor.train_step(plan)
        totals.append(executor.memory.download(plan.totals).tolist())
    return totals


def seeded(ops, **more):
    utils.set_random_seed(0)
    model = small_model()
    return model, executor_of(model, ops, **more)


@pytest.fixture
def device():
    return FakeOps()


def test_steps_have_the_values_of_the_host(device):
    (host_model, host), (model, executor) = seeded(get_ops("cpu")), seeded(device)
    assert train(executor, 4) == train(host, 4)
    for a, b in zip(model.get_weights(), host_model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_plan_is_captured_once_and_launched_every_step(device):
    _, executor = seeded(device)
    train(executor, 5)
    assert device.memory.captures == 1 and device.memory.launches == 5
    train(executor, 2, batch=3)
    assert device.memory.captures == 2 and device.memory.launches == 7


def test_a_captured_step_takes_no_transfer_of_its_own(device):
    _, executor = seeded(device)
    train(executor, 2)
    plan = executor.plan("train", 4)
    device.memory.uploads.clear()
    device.memory.downloads.clear()
    executor.train_step(plan)
    assert device.memory.uploads == device.memory.downloads == []


def test_a_new_learning_rate_reaches_the_captured_step(device):
    model, executor = seeded(device, optimizer=optimizers.SGD(0.0))
    before = model.get_weights()
    train(executor)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    executor.optimizer.learning_rate = 0.1
    train(executor)
    assert (model.get_weights()[0] != before[0]).any()
    assert device.memory.captures == 1


def test_a_schedule_takes_no_transfer(device):
    schedule = optimizers.schedules.ExponentialDecay(0.5, 2, 0.5)
    _, host = seeded(get_ops("cpu"), optimizer=optimizers.SGD(schedule))
    _, executor = seeded(device, optimizer=optimizers.SGD(schedule))
    expected = train(host, 4)
    assert train(executor, 1) == expected[:1]
    plan = executor.plan("train", 4)
    device.memory.uploads.clear()
    executor.train_step(plan)
    assert device.memory.uploads == [] and device.memory.captures == 1
    assert device.memory.download(executor._learning_rate) == np.float32(schedule(1))


@pytest.mark.parametrize("kind", ["host", "device"])
def test_weights_and_their_average_change_places(device, kind):
    adam = optimizers.Adam(0.01, use_ema=True, global_clipnorm=1.0, weight_decay=0.1)
    model, executor = seeded(device if kind == "device" else get_ops("cpu"), optimizer=adam)
    executor.swap_average(True)  # nothing yet
    train(executor, 3)
    before, average = model.get_weights(), executor.state()["ema"]
    for wanted in (True, True):
        executor.swap_average(wanted)
        np.testing.assert_array_equal(executor.memory.download(executor.store.trainable), average)
    executor.swap_average(False)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_both_sides_count_the_steps(device):
    _, executor = seeded(device)
    train(executor, 3)
    assert executor.iterations == 3 and executor.state()["step"] == [3]
    assert device.memory.download(executor.next_step) == [4]


@pytest.mark.parametrize("first, second", [("device", "host"), ("host", "device")])
def test_training_goes_on_after_a_move_as_if_there_was_none(device, first, second):
    ops = {"device": device, "host": get_ops("cpu")}
    stayed, expected = seeded(ops["host"])
    losses_seen = train(expected, 2, seed=1) + train(expected, 2, seed=2)
    moved, executor = seeded(ops[first])
    part = train(executor, 2, seed=1)
    executor = executor_of(moved, ops[second], state=executor.state())
    assert part + train(executor, 2, seed=2) == losses_seen
    for a, b in zip(moved.get_weights(), stayed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_weight_on_a_device_is_read_and_assigned(device):
    model, executor = seeded(device)
    kernel = model.weights[0]
    kernel.assign(np.full(kernel.shape, 2.0))
    assert (kernel.array == 2).all() and (model.get_weights()[0] == 2).all()
    kernel.array = kernel.array + 1
    assert (device.memory.download(executor.store.views[kernel]) == 3).all()


def test_a_change_of_what_was_read_is_refused(device):
    model, _ = seeded(device)
    with pytest.raises(ValueError, match="read-only"):
        model.weights[0].array[...] = 0
    assert model.get_weights()[0].flags.writeable


def test_weights_are_saved_from_and_loaded_to_a_device(device, tmp_path):
    model, executor = seeded(device)
    train(executor)
    model.save_weights(tmp_path / "w.safetensors")
    expected = model.get_weights()
    train(executor)
    model.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(device.memory.download(executor.store.views[model.weights[0]]), expected[0])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_a_model_on_a_device_lives_on_the_host(device, copied):
    model, executor = seeded(device)
    train(executor)
    other = copied(model)
    assert all(isinstance(w.storage, np.ndarray) for w in other.weights)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


def test_models_that_share_a_layer_take_it_over_across_devices(device):
    image = layers.Input((8, 8, 3))
    shared = layers.Dense(5)
    made = [layers.Dense(4, activation="softmax")(shared(layers.Flatten()(image))) for _ in range(2)]
    first, second = (models.Model(image, y) for y in made)
    executors = [executor_of(first, device), executor_of(second, get_ops("cpu"))]
    for executor in (*executors, *executors):
        before = shared.kernel.numpy()
        train(executor)
        assert (shared.kernel.array != before).any()


def test_a_batch_that_does_not_fit_names_the_largest_that_does():
    small = seeded(FakeOps())[1]
    needs = functools.cache(lambda batch: small._unbound_plan("train", batch).layout.size_bytes)
    device = FakeOps(FakeMemory())
    _, executor = seeded(device)
    device.memory.capacity = device.memory.used + needs(10) + 8192  # Adam's slots
    with pytest.raises(MemoryError, match=r"needs 0\.\d GiB.*Of a batch, (\d+) samples fit") as error:
        executor.plan("train", 1000)
    fit = int(str(error.value).split("Of a batch, ")[1].split()[0])
    free = device.memory.free_bytes()
    assert needs(fit) <= free < needs(fit + 1)
    train(executor, batch=4)
    assert executor.iterations == 1


def test_buffers_start_where_the_memory_wants_them(device):
    plan = seeded(device)[1].plan("train", 3)
    assert {offset % device.memory.alignment for offset in plan.layout.offsets.values()} == {0}
