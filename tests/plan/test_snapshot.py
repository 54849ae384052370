"""Copies of all that training changes."""

import numpy as np
import pytest
from small_training import data, network

from fastconv import optimizers
from fastconv.plan.snapshot import Snapshot


def trained(optimizer="adam", steps=0):
    """A model after so many steps, a function that takes one more, and its executor."""
    model, (x, y) = network(), data()
    model.compile(optimizer, "categorical_crossentropy")
    step = lambda: model.train_on_batch(x, y)  # noqa: E731
    for _ in range(steps):
        step()
    return model, step, model._ready()


@pytest.mark.parametrize("optimizer", [optimizers.Adam(0.01), optimizers.SGD(0.01, momentum=0.9, use_ema=True)])
def test_steps_repeat_bit_for_bit(optimizer):
    """Also from before the first, when the optimizer had no slots: they begin with zeros again."""
    model, step, executor = trained(optimizer)
    snapshot = Snapshot(executor)
    snapshot.take()

    def steps():
        losses = [step() for _ in range(3)]
        return losses, {name: array.copy() for name, array in executor.arrays.items()}

    losses, first = steps()
    assert executor.iterations == 3
    snapshot.restore()
    assert executor.iterations == model.optimizer.iterations == 0
    losses_again, again = steps()
    assert losses == losses_again
    assert first.keys() == again.keys() and all(np.array_equal(first[name], again[name]) for name in first)


def test_a_later_copy_goes_over_the_first():
    _, step, executor = trained()
    snapshot = Snapshot(executor)
    for _ in range(2):
        step()
        snapshot.take()
        kept = executor.store.trainable.copy()
    executor.store.trainable[:] = np.nan
    snapshot.restore()
    assert executor.iterations == 2 and np.array_equal(executor.store.trainable, kept)


def test_weights_by_their_paths():
    model, _, executor = trained()
    snapshot = Snapshot(executor)
    snapshot.take()
    expected = {weight.path: weight.numpy() for weight in model.trainable_weights}
    executor.store.trainable[:] = 0
    found = snapshot.weights()
    assert found.keys() == expected.keys() and all(np.array_equal(found[path], expected[path]) for path in found)


@pytest.mark.parametrize("name", ["w", "moving", "m"])
def test_what_is_not_finite_is_seen_wherever_it_is(name):
    _, _, executor = trained(steps=1)
    assert executor.is_finite()
    executor.arrays[name][-1] = np.inf
    assert not executor.is_finite()
