"""fit and evaluate where the samples do not fit on the device: batches travel while it computes, and none too soon."""

import gc
import logging
import math
import os
import signal

import numpy as np
import pytest
from fake_device import FakeMemory, FakeOps
from fake_streams import FakeStream
from small_training import BATCH, COUNT, STEPS, data, fit, network, same_weights

from fastconv.callbacks import Callback, LambdaCallback
from fastconv.ops.slots import Slot


@pytest.fixture(params=["late copies", "early copies"])
def gpu(use, monkeypatch, request):
    """A device that never has the room for samples."""
    ops = FakeOps()
    monkeypatch.setattr(ops.memory, "free_bytes", lambda: 0)
    ops.memory.copies.eager = request.param == "early copies"
    use(ops)
    return ops


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
@pytest.mark.parametrize("shuffle", [True, False])
def test_fit_has_the_numbers_of_the_cpu(gpu, on_cpu, dtype, shuffle):
    def train():
        model = network()
        return model, fit(model, *data(dtype), shuffle=shuffle, epochs=3, validation_data=data(dtype, seed=1))

    (expected, history), (model, found) = on_cpu(train), train()
    assert found == history and same_weights(model, expected)


def test_evaluate_has_the_numbers_of_the_cpu(gpu, on_cpu):
    evaluate = lambda: network().evaluate(*data(), batch_size=BATCH, verbose=0)  # noqa: E731
    assert evaluate() == on_cpu(evaluate)


def test_a_learning_rate_that_a_callback_sets_counts_from_the_next_step(gpu, on_cpu):
    class Schedule(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = 0.01 / (batch + 1)

    train = lambda: fit(network(), *data(), callbacks=[Schedule()])  # noqa: E731
    assert train() == on_cpu(train)


def test_another_batch_between_two_steps_disturbs_neither(gpu, on_cpu):
    class Work(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.evaluate(*data(seed=1), batch_size=BATCH, verbose=0)
            self.model.predict(np.zeros((2 * COUNT, 6, 6, 3)), batch_size=2 * COUNT, verbose=0)

    train = lambda: fit(network(), *data(), callbacks=[Work()])  # noqa: E731
    assert train() == on_cpu(train)


def test_the_means_after_a_batch_are_at_hand_where_a_callback_looks(gpu, on_cpu):
    def train():
        logs = []
        fit(network(), *data(), callbacks=[LambdaCallback(on_train_batch_end=lambda batch, seen: logs.append(seen))])
        return logs

    assert train() == on_cpu(train) and len(train()) == 2 * STEPS


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_batch_travels_as_it_is_kept_and_an_epoch_is_read_once(gpu, dtype):
    model, (x, y) = network(), data(dtype)
    fit(model, x, y, epochs=1)
    memory = gpu.memory
    for log in (memory.uploads, memory.downloads, memory.copies.copied):
        log.clear()
    fit(model, x, y, epochs=2)
    order, sums = 8 * BATCH, 16  # bytes
    assert memory.uploads == [order, sums, sums] and memory.downloads == [sums] * 2
    sizes = 3 * [BATCH] + [COUNT % BATCH]
    assert memory.copies.copied == 2 * [a[:size].nbytes for size in sizes for a in (x, y.astype(np.float32))]


def test_the_host_runs_ahead_of_the_steps(gpu):
    class Watch(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            ahead.append(gpu.memory.launches - gpu.memory.runs)

    ahead = []
    fit(network(), *data(), epochs=1, callbacks=[Watch()])
    assert ahead[2] == 2


# ---- each wait is needed


def without_the_wait_of_the_host(monkeypatch):
    monkeypatch.setattr(Slot, "wait", lambda slot: None)


def without_the_wait_of_steps(monkeypatch):
    waiting = FakeStream.wait_event
    monkeypatch.setattr(FakeStream, "wait_event", lambda stream, event: stream._other or waiting(stream, event))


def without_the_wait_of_copies(monkeypatch):
    monkeypatch.setattr(Slot, "release", lambda slot: None)


def without_the_wait_of_the_end(monkeypatch):
    monkeypatch.setattr(Slot, "__del__", lambda slot: None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of slots that are dropped
@pytest.mark.parametrize(
    "gpu, remove",
    [
        ("late copies", without_the_wait_of_the_host),
        ("late copies", without_the_wait_of_steps),
        ("early copies", without_the_wait_of_copies),
    ],
    indirect=["gpu"],
)
def test_a_wait_that_is_left_out_is_noticed(gpu, on_cpu, monkeypatch, remove):
    train = lambda: fit(network(), *data())  # noqa: E731
    expected = on_cpu(train)
    assert train() == expected
    remove(monkeypatch)
    try:
        found = train()
    except AssertionError as error:
        assert "before the copy from it was over" in str(error)
    else:
        assert found != expected


@pytest.mark.parametrize("gpu", ["late copies"], indirect=True)
@pytest.mark.parametrize("remove", [None, without_the_wait_of_the_end])
def test_a_slot_that_is_dropped_waits_for_its_copy(gpu, monkeypatch, remove):
    slot = gpu.memory.slot(((4, 3), np.float32))
    slot.host[0].fill(1)
    slot.send(4)
    if remove is None:
        del slot
        gpu.memory.synchronize()
        return
    remove(monkeypatch)
    del slot
    with pytest.raises(AssertionError, match="memory was freed before the copy from it was over"):
        gpu.memory.synchronize()


# ---- what ends a run early


def test_a_batch_that_is_not_finite_is_not_trained(gpu, on_cpu):
    def train():
        x, y = data()
        model = network()
        fit(model, x, y, shuffle=False, epochs=1)
        x[37] = np.nan
        with pytest.raises(ValueError, match="in sample 37. The weights are as the step before left them"):
            fit(model, x, y, shuffle=False)
        assert model.optimizer.iterations == STEPS + 2
        return model, fit(model, *data())

    (expected, history), (model, found) = on_cpu(train), train()
    assert found == history and same_weights(model, expected)


def test_slots_that_do_not_fit_leave_a_usable_model(gpu, on_cpu):
    def train(between):
        model = network()
        fit(model, *data(), epochs=1)
        between(model)
        return model, fit(model, *data())

    def out_of_memory(model):
        gpu.memory.capacity = gpu.memory.used
        with pytest.raises(MemoryError):
            fit(model, *data())
        gpu.memory.capacity = math.inf

    (expected, history), (model, found) = on_cpu(lambda: train(lambda model: None)), train(out_of_memory)
    assert found == history and same_weights(model, expected)


def test_the_first_ctrl_c_ends_the_epoch_after_the_running_step(gpu, on_cpu):
    class Press(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    def train():
        model = network()
        history = model.fit(*data(), batch_size=BATCH, epochs=9, verbose=0, callbacks=[Press()])
        assert history.interrupted and history.epoch == [] and model.optimizer.iterations == 3
        return model, fit(model, *data())

    (expected, history), (model, found) = on_cpu(train), train()
    assert found == history and same_weights(model, expected)


def test_samples_that_do_not_fit_say_so(use, on_cpu, caplog):
    train = lambda: fit(network(), *data(), validation_split=0.3)  # noqa: E731
    expected, roomy = on_cpu(train), FakeOps()
    use(roomy)
    model = network()
    fit(model, *data(), validation_split=0.3)
    x, _ = data()
    gc.collect()
    tight = FakeOps(FakeMemory(roomy.memory.used + x.nbytes * 3 // 4))
    del model
    use(tight)
    with caplog.at_level(logging.INFO, "fastconv"):
        assert train() == expected
    assert "samples do not fit on the device" in caplog.text
    assert x[:BATCH].nbytes in tight.memory.copies.copied and x[:35].nbytes not in tight.memory.uploads
