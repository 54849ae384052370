"""Plans: cached, sharing memory and parameters, never reading what no step wrote."""

import weakref

import numpy as np
import pytest

from fastconv import _core, layers, models, optimizers, utils
from fastconv.models import networks
from fastconv.models.objective import Objective
from fastconv.ops import get_ops
from fastconv.plan.executor import Executor


def small_model():
    x = image = layers.Input((8, 8, 3))
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same")(x)))
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return models.Model(image, layers.Dense(4, activation="softmax")(x))


def executor_of(model, optimizer=None):
    return Executor(model, get_ops("cpu"), Objective("categorical_crossentropy"), optimizer or optimizers.Adam(0.01))


def load(plan, seed=0):
    rng = np.random.default_rng(seed)
    x, labels = plan.slots
    x[...] = rng.normal(size=x.shape)
    labels[...] = np.eye(labels.shape[1])[rng.integers(labels.shape[1], size=len(labels))]


def test_a_plan_is_made_once_per_mode_and_batch_size():
    executor = executor_of(small_model())
    executor.plan("train", 16)  # the largest first: a growing arena drops the others
    plans = {(m, n): executor.plan(m, n) for m in ("train", "evaluate", "predict") for n in (4, 8)}
    assert len(set(plans.values())) == 6
    assert all(executor.plan(*key) is plan for key, plan in plans.items())


def test_the_plans_used_last_are_kept_and_no_others():
    executor = executor_of(small_model())
    plan, others = executor.plan("train", 200), []
    for batch in range(1, 101):
        others.append(weakref.ref(executor.plan("predict", batch)))
        assert executor.plan("train", 200) is plan
    assert [other() is not None for other in others] == [False] * 37 + [True] * 63


def test_plans_share_the_arena():
    executor = executor_of(small_model())
    large = executor.plan("train", 16).layout.size_bytes
    executor.plan("train", 5)
    assert executor.arena.size_bytes == large


def test_a_larger_batch_later_leaves_no_plan_on_old_memory():
    executor = executor_of(small_model())
    small = executor.plan("predict", 2)
    executor.plan("train", 32)
    assert executor.plan("predict", 2) is not small


def test_a_batch_that_does_not_fit_leaves_a_usable_model():
    executor = executor_of(small_model())
    with pytest.raises(MemoryError, match="smaller batch_size"):
        executor.plan("predict", 2**45)
    plan = executor.plan("train", 4)
    load(plan)
    executor.train_step(plan)
    assert np.isfinite(plan.totals).all()


@pytest.mark.parametrize("name", ["mlp", "conv", "cnn", "cnn-first-bn"])
def test_no_step_reads_what_none_wrote(name):
    utils.set_random_seed(0)
    executor = executor_of(networks.NETWORKS[name][0]())
    for mode in ("train", "evaluate"):
        plan = executor.plan(mode, 3)
        executor.arena.fill_with_nan()
        executor.store.gradient.fill(np.nan)
        executor.store.gradient[executor.store.trainable == 0] = 0  # padding between the weights, and fresh biases
        load(plan)
        if mode == "train":
            executor.train_step(plan)
        else:
            plan.run()
        assert np.isfinite(plan.totals).all()
    assert np.isfinite(executor.store.trainable).all() and np.isfinite(executor.store.state).all()


def test_the_batch_size_is_a_plans_not_the_models():
    utils.set_random_seed(0)
    model = small_model()
    executor = executor_of(model)
    whole, part = executor.plan("predict", 6), executor.plan("predict", 2)
    x = np.random.default_rng(1).normal(size=(6, 8, 8, 3))
    whole.inputs[0][...] = x
    whole.run()
    expected = whole.outputs[0].copy()
    part.inputs[0][...] = x[2:4]
    part.run()
    np.testing.assert_array_equal(part.outputs[0], expected[2:4])


def test_steps_have_the_same_bits_for_any_number_of_threads():
    results = []
    before = _core.num_threads()
    try:
        for threads in (1, 2, 3):
            _core.set_num_threads(threads)
            utils.set_random_seed(5)
            utils.clear_session()
            executor = executor_of(networks.cnn())
            plan = executor.plan("train", 9)
            for seed in range(2):
                load(plan, seed)
                executor.train_step(plan)
            results.append(executor.store.trainable.tobytes())
    finally:
        _core.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_learning_rate_is_read_at_every_step():
    optimizer = optimizers.SGD(0.0)
    executor = executor_of(small_model(), optimizer)
    plan = executor.plan("train", 4)
    load(plan)
    before = executor.store.trainable.copy()
    executor.train_step(plan)
    np.testing.assert_array_equal(executor.store.trainable, before)
    optimizer.learning_rate = 0.1
    load(plan)
    executor.train_step(plan)
    assert (executor.store.trainable != before).any()


def test_dropout_draws_a_new_mask_every_step():
    executor = executor_of(small_model(), optimizers.SGD(0.0))
    plan = executor.plan("train", 4)
    losses_seen = set()
    for _ in range(3):
        load(plan)
        executor.train_step(plan)
        losses_seen.add(float(plan.totals[0]))
    assert len(losses_seen) == 3


def test_two_models_that_share_a_layer_train_the_same_weights():
    image = layers.Input((6,))
    shared = layers.Dense(5)
    first = models.Model(image, layers.Activation("softmax")(shared(image)))
    second = models.Model(image, layers.Dense(3, activation="softmax")(layers.ReLU()(shared(image))))
    executors = [executor_of(first), executor_of(second)]
    for executor in (*executors, *executors):
        before = shared.kernel.array.copy()
        plan = executor.plan("train", 4)
        load(plan)
        executor.train_step(plan)
        assert (shared.kernel.array != before).any()
