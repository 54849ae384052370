"""Training that is cut off, by an error or by kill -9 at any instant, and then goes on: the bits of a run never cut."""

import copy
import csv
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fake_device import FakeOps
from small_training import BATCH, COUNT, STEPS, data, network

from fastconv import callbacks, device, rng, utils
from fastconv.saving import backup

EPOCHS = 4


def run(folder, resume=False, seed=0, more=(), save_freq="epoch", epochs=EPOCHS, **change):
    """All that a run leaves behind."""
    model = network()
    utils.set_random_seed(seed)
    model.set_weights([w + 0.01 * seed for w in model.get_weights()])
    x, y = data()
    order = [
        callbacks.BackupAndRestore(folder, save_freq=save_freq),  # before those whose states it saves
        callbacks.EarlyStopping("loss", min_delta=0.08, patience=1, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.1),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        callbacks.CSVLogger(f"{folder}.csv"),
        *more,
    ]
    history = model.fit(x, y, BATCH, epochs, verbose=0, callbacks=order, validation_split=0.2, resume=resume, **change)
    return {
        "weights": [w.tobytes().hex() for w in model.get_weights()],
        "state": {name: a.tobytes().hex() for name, a in model.training_state().items()},
        "history": history.history,
        "epochs": history.epoch,
        "rate": model.optimizer.learning_rate,
        "next": int(rng.generator().integers(2**32)),
        "table": list(csv.reader(Path(f"{folder}.csv").open())),
    }


@pytest.fixture
def expected(tmp_path):
    result = run(tmp_path / "whole")
    assert result["epochs"] == [0, 1, 2]  # stopped early
    assert not (tmp_path / "whole").exists()
    return result


class Cut(callbacks.Callback):
    """An error after so many batches."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_train_batch_end(self, batch, logs=None):
        self.batches -= 1
        if self.batches == 0:
            raise InterruptedError


def cut_and_resumed(folder, batches, **arguments):
    with pytest.raises(InterruptedError):
        run(folder, more=[Cut(batches)], **arguments)
    found = Path(folder, "latest.safetensors").exists()
    return run(folder, resume=True, seed=7 if found else 0, **arguments)  # nothing of the second start may count


@pytest.mark.parametrize("save_freq", ["epoch", 1, 3])
@pytest.mark.parametrize("batches", [1, 3, 4, 6, 7, 9])
def test_a_run_that_was_cut_off_ends_with_the_same_bits(tmp_path, expected, save_freq, batches):
    assert cut_and_resumed(tmp_path / "cut", batches, save_freq=save_freq) == expected


@pytest.mark.parametrize("resident", [True, False])
def test_a_run_on_a_device_ends_with_the_same_bits(tmp_path, monkeypatch, resident):
    gpu = FakeOps()
    monkeypatch.setattr(device, "_ops", gpu)
    if not resident:
        monkeypatch.setattr(gpu.memory, "free_bytes", lambda: 0)
    expected = run(tmp_path / "whole")
    assert cut_and_resumed(tmp_path / "cut", 6, save_freq=2) == expected


def test_a_run_goes_on_after_several_cuts(tmp_path, expected):
    folder = tmp_path / "cut"
    for batches in (2, 3, 4):
        with pytest.raises(InterruptedError):
            run(folder, resume=True, more=[Cut(batches)], save_freq=1)
    assert run(folder, resume=True, save_freq=1, seed=7) == expected


# ---- kill -9


def in_child(work, kill_after=None):
    """Runs work() in a child process, killed after so many seconds if it still runs; its exit status."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork and SIGKILL")


def write_result(path, *arguments, **named):
    half = Path(f"{path}.half")
    half.write_text(json.dumps(run(*arguments, **named)))
    half.rename(path)


@needs_fork
@pytest.mark.parametrize("trial", range(6))
def test_a_run_that_was_killed_at_any_instant_ends_with_the_same_bits(tmp_path, expected, trial):
    folder, result = tmp_path / "killed", tmp_path / "result.json"
    dice, longest = random.Random(trial), 0.1
    while not result.exists():
        status = in_child(lambda: write_result(result, folder, resume=True, save_freq=2), dice.uniform(0, longest))
        longest *= 1.1  # a slow machine gets there, too
        assert status in (0, -signal.SIGKILL)
    assert json.loads(result.read_text()) == expected


@needs_fork
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("call", ["open", "fsync", "replace", "remove", "rmdir"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_run_that_was_killed_within_a_write_ends_with_the_same_bits(tmp_path, expected, call, after, count):
    folder, result = tmp_path / "killed", tmp_path / "result.json"

    def doomed():
        calls, function = [], getattr(os, call)

        def deadly(*arguments, **named):
            calls.append(call)
            if len(calls) == count and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return function(*arguments, **named)
            finally:
                if len(calls) == count:
                    os.kill(os.getpid(), signal.SIGKILL)

        setattr(os, call, deadly)
        write_result(result, folder, resume=True, save_freq=3)

    status = in_child(doomed)
    if status == 0:
        assert (call, count) in (("remove", 3), ("rmdir", 3))  # there are not as many
    else:
        assert status == -signal.SIGKILL
        assert in_child(lambda: write_result(result, folder, resume=True, save_freq=3)) == 0
    assert json.loads(result.read_text()) == expected
    assert not folder.exists()


# ---- what a backup is


@pytest.fixture
def cut(tmp_path):
    """The folder of a run that was cut off in its second epoch."""
    with pytest.raises(InterruptedError):
        run(tmp_path / "cut", more=[Cut(5)], save_freq=4)
    return tmp_path / "cut"


def test_without_resume_it_takes_what_keras_takes(tmp_path):
    with pytest.raises(InterruptedError):
        run(tmp_path / "cut", more=[Cut(5)])
    found = run(tmp_path / "cut")
    assert found["epochs"] == [1, 2, 3]  # Keras' history has the epochs of the second call alone, too
    assert len(found["history"]["loss"]) == 3 and np.frombuffer(bytes.fromhex(found["state"]["step"]), np.int64) == 12


def test_a_run_that_ctrl_c_ended_keeps_its_backup(tmp_path, expected):
    press = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batch == 1 and os.kill(os.getpid(), signal.SIGINT)
    )
    assert run(tmp_path / "cut", more=[press], save_freq=1)["epochs"] == []
    assert run(tmp_path / "cut", resume=True, save_freq=1, seed=7) == expected


def test_a_backup_stays_where_it_is_wanted(tmp_path):
    model = network()
    model.fit(*data(), verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)])
    assert [path.name for path in tmp_path.iterdir()] == ["latest.safetensors"]


def test_only_its_own_files_are_deleted(tmp_path):
    (tmp_path / "notes").write_text("keep")
    network().fit(*data(), verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)])
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_write_that_was_cut_off_leaves_nothing(cut):
    (cut / ".latest.safetensors.0123abcd.tmp").write_text("half")
    run(cut, resume=True, save_freq=4)
    assert not cut.exists()


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"x" * 99), lambda path: os.truncate(path, 200)])
def test_a_damaged_backup_is_refused_or_the_one_before_is_taken(tmp_path, damage):
    def train(double, more=(), **change):
        model = network()
        keep = callbacks.BackupAndRestore(tmp_path / "b", save_freq=1, double_checkpoint=double)
        return model, lambda: model.fit(*data(), BATCH, 2, verbose=0, callbacks=[keep, *more], **change).history

    for double in (True, False):
        with pytest.raises(InterruptedError):
            train(double, [Cut(6)])[1]()
        damage(tmp_path / "b" / "latest.safetensors")
        if double:
            expected = train(False)
            (tmp_path / "b").rename(tmp_path / "away")
            whole = expected[1]()
            (tmp_path / "away").rename(tmp_path / "b")
            assert train(True, resume=True)[1]() == whole
        else:
            model, fit = train(False, resume=True)
            before = copy.deepcopy(model.get_weights())
            with pytest.raises(ValueError, match=r"latest\.safetensors is (damaged|cut short)"):
                fit()
            np.testing.assert_equal(model.get_weights(), before)


def test_resume_needs_the_callback():
    with pytest.raises(ValueError, match="resume: expected a BackupAndRestore among the callbacks. Received: none"):
        network().fit(*data(), verbose=0, resume=True)


def test_resume_with_other_callbacks_is_refused(cut):
    with pytest.raises(ValueError, match="expected the callbacks of the run.*ReduceLROnPlateau.*Received: .'History'"):
        network().fit(*data(), BATCH, verbose=0, callbacks=[callbacks.BackupAndRestore(cut)], resume=True)


def test_resume_in_mid_epoch_with_other_batches_is_refused(tmp_path):
    keep = callbacks.BackupAndRestore(tmp_path / "b", save_freq=1)
    with pytest.raises(InterruptedError):
        network().fit(*data(), BATCH, verbose=0, callbacks=[keep, Cut(2)])
    with pytest.raises(ValueError, match=f"resume: expected {STEPS} steps an epoch. Received: {COUNT // 5}"):
        network().fit(*data(), 5, verbose=0, callbacks=[keep], resume=True)


def test_a_backup_of_another_model_is_refused(cut):
    from fastconv import Sequential, layers

    model = Sequential([layers.Input((6, 6, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    model.compile("adam", "categorical_crossentropy")
    before = model.get_weights()
    with pytest.raises(ValueError, match="expected weights of the shapes .*Received"):
        model.fit(*data(), verbose=0, callbacks=[callbacks.BackupAndRestore(cut)])
    np.testing.assert_equal(model.get_weights(), before)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"backup_dir": ""}, "backup_dir: expected a path"),
        ({"backup_dir": "b", "save_freq": 0}, "save_freq: expected"),
        ({"backup_dir": "b", "save_freq": "batch"}, "save_freq: expected"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        callbacks.BackupAndRestore(**arguments)


def test_a_file_holds_what_was_put_in(tmp_path):
    state = {"a": [1, 2.5, None, "x", {"b": np.arange(3)}], "c": np.float64(0.1), "d": 2**100, "e": float("inf")}
    backup.write(tmp_path / "f", state)
    found = backup.read(tmp_path / "f")
    np.testing.assert_array_equal(found["a"][4].pop("b"), np.arange(3))
    assert found == {"a": [1, 2.5, None, "x", {}], "c": 0.1, "d": 2**100, "e": float("inf")}
