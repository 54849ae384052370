"""The worker's side: which images a system gets, how many steps a round has, and what is timed."""

import numpy as np
import pytest


@pytest.fixture
def worker(load):
    return load("worker")


@pytest.fixture
def system(worker):
    """Ten images in batches of 4."""
    made = worker.System()
    made.batch_size, made.images, made.runs = 4, 10, {}
    made.x, made.y = np.arange(10), np.arange(10)
    made.prepare_fit = made.prepare_step = lambda: lambda steps: None
    return made


def test_images_come_in_order_and_begin_again(system):
    x, y = system.data(3)
    assert x.tolist() == y.tolist() == [*range(10), 0, 1]


def test_batches_are_as_many_as_there_are_different_images(system):
    assert [x.tolist() for x, _ in system.batches()] == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize(("seconds_per_step", "steps"), ((0.01, 100), (0.5, 3), (1e-9, 5000)))
def test_a_round_has_steps_for_its_seconds_and_at_least_three(worker, system, monkeypatch, seconds_per_step, steps):
    monkeypatch.setattr(worker, "timed", lambda run, steps: steps * seconds_per_step)
    assert system.warm_up("step", seconds=1.0) == {"steps": steps}


def test_a_fit_ends_with_its_images(worker, system, monkeypatch):
    monkeypatch.setattr(worker, "timed", lambda run, steps: steps * 1e-9)
    monkeypatch.setattr(worker, "MAX_IMAGES", 400)
    assert system.warm_up("fit", seconds=1.0) == {"steps": 100}


def test_what_a_fit_takes_to_start_does_not_count(worker, system, monkeypatch):
    monkeypatch.setattr(worker, "timed", lambda run, steps: 7 + 2 * steps)
    system.runs["fit"] = None
    assert system.round("fit", steps=5) == {"seconds_per_step": 2}


def test_a_step_counts_whole(worker, system, monkeypatch):
    monkeypatch.setattr(worker, "timed", lambda run, steps: 3 * steps)
    system.runs["step"] = None
    assert system.round("step", steps=5) == {"seconds_per_step": 3}
