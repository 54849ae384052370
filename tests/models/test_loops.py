"""fit, evaluate and predict on a device: the CPU's numbers, few transfers, and what happens where memory ends."""

import contextlib
import gc
import os
import signal
import weakref

import numpy as np
import pytest
from fake_device import FakeGraph, FakeMemory, FakeOps
from small_training import BATCH, COUNT, STEPS, data, fit, network, same_weights

from fastconv.callbacks import Callback, LambdaCallback
from fastconv.ops import get_ops


@pytest.fixture
def gpu(use):
    ops = FakeOps()
    use(ops)
    return ops


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint8, np.int32, ">f4", bool])
def test_fit_has_the_numbers_of_the_cpu(gpu, on_cpu, dtype):
    def train():
        model = network()
        return model, fit(model, *data(dtype), validation_split=0.3)

    (expected, history), (model, found) = on_cpu(train), train()
    assert found == history and same_weights(model, expected)


def test_sparse_labels_on_a_device(gpu, on_cpu):
    x, y = data()
    train = lambda: fit(network("sparse_categorical_crossentropy"), x, y.argmax(1))  # noqa: E731
    assert train() == on_cpu(train)


def test_without_shuffling(gpu, on_cpu):
    train = lambda: fit(network(), *data(), shuffle=False)  # noqa: E731
    assert train() == on_cpu(train)


def test_images_in_bytes_stay_bytes(gpu):
    x, y = data(np.uint8)
    fit(network(), x, y)
    assert x.nbytes in gpu.memory.uploads and 4 * x.nbytes not in gpu.memory.uploads


def test_views_are_uploaded(gpu, on_cpu):
    x, y = data()
    train = lambda: fit(network(), x[::-1, :, ::-1], y[::-1])  # noqa: E731
    assert train() == on_cpu(train)


def test_a_graph_is_captured_for_each_size_of_a_batch_and_launched_for_each_batch(gpu):
    fit(network(), *data(), epochs=3)
    assert gpu.memory.captures == 2 and gpu.memory.launches == 3 * STEPS


def test_an_epoch_is_read_once(gpu):
    model, (x, y) = network(), data()
    fit(model, x, y, epochs=1)
    gpu.memory.downloads.clear()
    gpu.memory.uploads.clear()
    fit(model, x, y, epochs=3)
    place, sums = 8, 16  # bytes: an int64, two float64
    assert gpu.memory.downloads == [sums] * 3
    assert gpu.memory.uploads == [x.nbytes, 4 * y.size] + 3 * [8 * COUNT, place, sums]


def test_a_callback_for_batches_gets_the_means_of_each(gpu, on_cpu):
    def train():
        logs = []
        fit(network(), *data(), callbacks=[LambdaCallback(on_train_batch_end=lambda batch, seen: logs.append(seen))])
        return logs

    assert train() == on_cpu(train) and len(train()) == 2 * STEPS


def test_a_bar_reads_the_means_when_it_draws(gpu, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr("fastconv.progress.time.perf_counter", lambda: next(clock) * 5e-3)
    monkeypatch.setenv("FORCE_COLOR", "1")
    model = network()
    fit(model, *data(), batch_size=1, epochs=1, verbose=1)
    silent = len(gpu.memory.downloads)
    monkeypatch.setattr("fastconv.progress._screen", lambda verbose, epochs: Live())
    fit(model, *data(), batch_size=1, epochs=1, verbose=1)
    assert silent == 1 and 2 <= len(gpu.memory.downloads) - silent <= COUNT / 4
    fit(model, *data(), epochs=1, verbose=1, validation_data=data(), validation_batch_size=1)
    assert gpu.memory.captures == 5 and len(gpu.memory.downloads) - silent <= COUNT / 2  # the bar shows no validation


class Live:
    live = True

    def draw(self, title, share, text, short):
        pass

    def erase(self):
        pass

    def line(self, text):
        pass


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_a_sample_that_is_not_finite_is_named_before_the_first_step(gpu, bad):
    x, y = data(np.float64)
    x[37, 2, 3, 1] = bad
    model = network()
    with pytest.raises(ValueError, match=rf"expected finite numbers. Received: {np.float32(bad)} in sample 37"):
        fit(model, x, y)
    assert model.optimizer.iterations == 0 and gpu.memory.launches == 0
    with pytest.raises(ValueError, match="in sample 37"):
        fit(model, *data(), validation_data=(x, y))
    assert gpu.memory.launches == 0


def test_evaluate_and_predict_have_the_numbers_of_the_cpu(gpu, on_cpu):
    def work():
        model, (x, y) = network(), data()
        fit(model, x, y, epochs=1)
        return model.evaluate(x, y, batch_size=BATCH, verbose=0), model.predict(x, batch_size=BATCH, verbose=0).tolist()

    assert work() == on_cpu(work)


def test_single_batches_have_the_numbers_of_the_cpu(gpu, on_cpu):
    x, y = data()

    def work():
        model = network()
        return [model.train_on_batch(x, y) for _ in range(3)] + [model.test_on_batch(x, y)]

    assert work() == on_cpu(work)
    assert gpu.memory.captures == 2  # a training step and an evaluation


def test_a_learning_rate_that_a_callback_sets_counts_from_the_next_step(gpu, on_cpu):
    class Schedule(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = 0.01 / (batch + 1)

    train = lambda: fit(network(), *data(), callbacks=[Schedule()])  # noqa: E731
    assert train() == on_cpu(train)


def test_evaluating_within_an_epoch_leaves_its_means_alone(gpu, on_cpu):
    class Evaluate(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.evaluate(*data(seed=1), batch_size=BATCH, verbose=0)

    train = lambda: fit(network(), *data(), callbacks=[Evaluate()])  # noqa: E731
    assert train() == on_cpu(train)


def test_a_validation_that_needs_more_memory_than_training(gpu, on_cpu):
    train = lambda: fit(network(), *data(), batch_size=2, validation_data=data(seed=1), validation_batch_size=COUNT)  # noqa: E731
    assert train() == on_cpu(train)
    assert gpu.memory.captures == 2


def test_a_graph_goes_with_its_plan(gpu):
    class Grow(Callback):
        def on_epoch_end(self, epoch, logs=None):
            plan = weakref.ref(self.model._executor.plan("train", BATCH))
            self.model.predict(np.zeros((1000, 6, 6, 3)), batch_size=1000, verbose=0)
            self.left = plan()

    grow = Grow()
    fit(network(), *data(), epochs=1, callbacks=[grow])
    assert grow.left is None
    fit(network(), *data(), callbacks=[grow])


def test_a_batch_beyond_the_memory_names_one_that_fits_and_leaves_a_usable_model(use):
    use(FakeOps(FakeMemory(capacity=300_000)))
    model, (x, y) = network(), data()
    fit(model, x, y, batch_size=4, epochs=1)
    before = model.get_weights()
    many = np.concatenate([x] * 20), np.concatenate([y] * 20)
    with pytest.raises(MemoryError, match=r"smaller batch_size. Of a batch, \d+ samples fit"):
        fit(model, *many, batch_size=1000)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(fit(model, x, y, batch_size=4)["loss"]).all()


def test_memory_that_ends_in_the_middle_of_fit_leaves_a_usable_model(use, on_cpu):
    class Ask(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.predict(np.zeros((2000, 6, 6, 3)), batch_size=2000, verbose=0)

    def train(first):
        model = network()
        first(model)
        return model, fit(model, *data())

    def out_of_memory(model):
        with pytest.raises(MemoryError, match=r"smaller batch_size. Of a batch, \d+ samples fit"):
            fit(model, *data(), epochs=9, callbacks=[Ask()])
        assert model.optimizer.iterations == STEPS

    expected, history = on_cpu(lambda: train(lambda model: fit(model, *data(), epochs=1)))
    use(FakeOps(FakeMemory(capacity=300_000)))
    model, found = train(out_of_memory)
    assert found == history and same_weights(model, expected)


def press(times=1):
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_during_a_replay_lets_it_end_and_leaves_a_usable_model(gpu, on_cpu, monkeypatch, presses):
    def train(**interrupted):
        model = network()
        with pytest.raises(KeyboardInterrupt) if presses == 2 else contextlib.nullcontext():
            fit(model, *data(), **interrupted)
        assert model.optimizer.iterations == 3 and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        return model, fit(model, *data())

    at_step_3 = LambdaCallback(on_train_batch_end=lambda batch, logs: batch == 2 and press(presses))
    expected, history = on_cpu(lambda: train(callbacks=[at_step_3]))
    launch = FakeGraph.launch

    def launch_and_press(graph):
        launch(graph)
        if gpu.memory.launches == 3:
            press(presses)

    monkeypatch.setattr(FakeGraph, "launch", launch_and_press)
    model, found = train()
    assert found == history and same_weights(model, expected)


def test_the_first_ctrl_c_ends_the_epoch_after_the_running_step(gpu):
    class Press(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == STEPS + 2:
                press()

    model = network()
    history = model.fit(*data(), batch_size=BATCH, epochs=9, verbose=0, callbacks=[Press()])
    assert history.interrupted and history.epoch == [0] and gpu.memory.launches == STEPS + 2
    fit(model, *data())
    assert model.optimizer.iterations == 3 * STEPS + 2


@pytest.mark.parametrize("order", [("cpu", "gpu", "cpu"), ("gpu", "cpu", "gpu")])
def test_a_model_goes_on_where_it_was_on_another_device(gpu, use, on_cpu, order):
    x, y = data()

    def train(switch):
        model, histories = network(), []
        for name in order:
            switch(name)
            histories.append(fit(model, x, y))
        return model, histories, model.optimizer.iterations

    expected, *histories = on_cpu(lambda: train(lambda name: None))
    model, *found = train(lambda name: use(get_ops("cpu") if name == "cpu" else gpu))
    assert found == histories and same_weights(model, expected)


def test_samples_leave_the_device_with_the_end_of_fit(gpu):
    model = network()
    fit(model, *data(), epochs=1)
    after = gpu.memory.used
    fit(model, *data(), epochs=1)
    assert gpu.memory.used == after < 4 * data()[0].nbytes
    x, _ = data()
    model.evaluate(*data(), batch_size=BATCH, verbose=0)
    del model
    gc.collect()
    assert gpu.memory.used == 0
