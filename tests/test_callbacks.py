import numpy as np
import pytest

from fastconv.callbacks import Callback, CallbackList, CSVLogger, History, LambdaCallback
from fastconv.progress import ProgressCallback

PARAMS = {"verbose": 0, "epochs": 2, "steps": 3, "samples": 90}


class Model:
    """Something that callbacks can refer to."""


def run(*callbacks, epochs=2, logs=None, model=None, verbose=0):
    """The calls `fit` makes, without any training."""
    model = model or Model()
    hooks = CallbackList(list(callbacks), model=model, params=PARAMS, verbose=verbose)
    hooks.on_train_begin()
    for epoch in range(epochs):
        hooks.on_epoch_begin(epoch)
        for step in range(3):
            hooks.on_train_batch_begin(step)
            hooks.on_train_batch_end(step, {"accuracy": 0.5, "loss": 1.0, "size": 30})
        hooks.on_epoch_end(epoch, logs or {"loss": 1.0 - epoch / 4, "accuracy": 0.5})
    hooks.on_train_end({"loss": 0.75, "accuracy": 0.5})
    return hooks.history


def test_history_has_the_keys_in_keras_order():
    history = run(logs={"loss": 1, "val_loss": 2, "accuracy": 3, "val_accuracy": 4})
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]


def test_history_has_one_value_an_epoch():
    assert run().history == {"accuracy": [0.5, 0.5], "loss": [1.0, 0.75]}


def test_history_has_python_floats():
    assert type(run(logs={"loss": np.float32(1)}).history["loss"][0]) is float


def test_history_numbers_the_epochs_from_0():
    assert run().epoch == [0, 1]


def test_history_has_the_parameters_of_the_run():
    assert run().params == PARAMS


def test_history_is_the_model_s():
    model = Model()
    assert run(model=model) is model.history


def test_evaluate_leaves_the_model_s_history():
    model = Model()
    model.history = "of fit"
    hooks = CallbackList(model=model, params=PARAMS)
    hooks.on_test_begin()
    hooks.on_test_end({"loss": 1.0})
    assert model.history == "of fit"


def test_history_has_what_an_earlier_callback_adds_to_the_logs():
    history = run(LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(learning_rate=0.1)))
    assert history.history["learning_rate"] == [0.1, 0.1]


def test_a_given_history_is_used():
    history = History()
    assert run(history) is history


def test_history_shows_its_last_values():
    assert repr(run()) == "<History: 2 epochs, accuracy=0.5000, loss=0.7500>"


def test_history_shows_an_interruption():
    history = run(epochs=1)
    history.interrupted = True
    assert repr(history) == "<History: 1 epoch, interrupted, accuracy=0.5000, loss=1.0000>"


def test_history_shows_what_is_no_number():
    assert repr(run(epochs=1, logs={"phase": "warm up"})) == "<History: 1 epoch, phase=warm up>"


def test_hooks_come_in_keras_order():
    called = []
    hooks = [name for name in vars(Callback) if name.startswith("on_")]
    run(LambdaCallback(**{hook: lambda *args, hook=hook: called.append(hook) for hook in hooks}), epochs=1)
    steps = ["on_train_batch_begin", "on_train_batch_end"] * 3
    assert called == ["on_train_begin", "on_epoch_begin", *steps, "on_epoch_end", "on_train_end"]


def test_callbacks_have_the_model():
    callback, model = Callback(), Model()
    run(callback, model=model)
    assert callback.model is model


def test_a_hook_that_is_not_overridden_is_not_called_each_batch(monkeypatch):
    def fail(*args):
        raise AssertionError("called")

    monkeypatch.setattr(Callback, "on_train_batch_end", fail)
    run(Callback())


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"])
def test_an_overridden_batch_hook_is_called(hook):
    batches = []
    callback = type("Counter", (Callback,), {hook: lambda self, batch, logs=None: batches.append(batch)})()
    run(callback, epochs=1)
    assert batches == [0, 1, 2]


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"])
def test_lambda_callback_calls_its_batch_function(hook):
    batches = []
    run(LambdaCallback(**{hook: lambda batch, logs: batches.append(batch)}), epochs=1)
    assert batches == [0, 1, 2]


def test_lambda_callback_refuses_an_unknown_hook():
    with pytest.raises(ValueError, match="on_epoch_begin.*Received: 'on_epoch'"):
        LambdaCallback(on_epoch=print)


def test_a_single_callback_needs_no_list():
    callback = Callback()
    assert CallbackList(callback, params=PARAMS).callbacks[0] is callback


@pytest.mark.parametrize(
    "wrong, message", [(Callback, "the class Callback itself"), (print, "built-in function print")]
)
def test_something_that_is_no_callback_is_refused(wrong, message):
    with pytest.raises(TypeError, match=f"instances of fastconv.callbacks.Callback.*Received: .*{message}"):
        CallbackList([wrong])


@pytest.mark.parametrize("verbose, bars", [(0, 0), (1, 1), (2, 1), ("auto", 1)])
def test_progress_is_added_by_verbose(verbose, bars):
    callbacks = CallbackList(params=PARAMS, verbose=verbose).callbacks
    assert sum(isinstance(callback, ProgressCallback) for callback in callbacks) == bars


def test_a_given_progress_callback_is_not_added_again():
    callbacks = CallbackList(ProgressCallback(2), params=PARAMS, verbose=1).callbacks
    assert sum(isinstance(callback, ProgressCallback) for callback in callbacks) == 1


def test_csv_logger_writes_a_row_an_epoch(tmp_path):
    run(CSVLogger(tmp_path / "log.csv"), logs={"val_loss": 2.0, "loss": 1.5})
    assert (tmp_path / "log.csv").read_bytes() == b"epoch,loss,val_loss\r\n0,1.5,2.0\r\n1,1.5,2.0\r\n"


def test_csv_logger_uses_the_separator(tmp_path):
    run(CSVLogger(tmp_path / "log.csv", separator=";"), epochs=1, logs={"val_loss": 2.0, "loss": 1.5})
    assert (tmp_path / "log.csv").read_text().splitlines() == ["epoch;loss;val_loss", "0;1.5;2.0"]


def test_csv_logger_appends_without_a_second_header(tmp_path):
    for _ in range(2):
        run(CSVLogger(tmp_path / "log.csv", append=True), epochs=1, logs={"val_loss": 2.0, "loss": 1.5})
    assert (tmp_path / "log.csv").read_text().splitlines() == ["epoch,loss,val_loss", "0,1.5,2.0", "0,1.5,2.0"]


def test_csv_logger_replaces_an_old_file(tmp_path):
    (tmp_path / "log.csv").write_text("old")
    run(CSVLogger(tmp_path / "log.csv"), epochs=1, logs={"val_loss": 2.0})
    assert (tmp_path / "log.csv").read_text().splitlines() == ["epoch,val_loss", "0,2.0"]


def test_csv_logger_keeps_columns_for_a_later_validation(tmp_path):
    run(CSVLogger(tmp_path / "log.csv"), epochs=1, logs={"loss": 1.5})
    assert (tmp_path / "log.csv").read_text().splitlines() == ["epoch,loss,val_loss", "0,1.5,NA"]


def test_csv_logger_has_a_row_on_disk_when_its_epoch_ends(tmp_path):
    seen = []
    run(
        CSVLogger(tmp_path / "log.csv"),
        LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((tmp_path / "log.csv").read_text().count("\n"))),
    )
    assert seen == [2, 3]
