import io
import re
import sys
import types
from types import SimpleNamespace

import pytest
from rich.console import Console

from fastconv import progress
from fastconv.progress import ProgressCallback

STEPS, BATCH = 40, 32


class Clock:
    """Stands for the module time: a step of `step_s` with each training step."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        return self.now


def use_stdout(monkeypatch, stream):
    """Makes `stream` the stdout that progress.py sees; pytest's own changes between a fixture and its test."""
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stdout=stream))
    return stream


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 100 columns instead of stdout."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    return use_stdout(monkeypatch, Terminal())


def started(verbose, epochs=1, steps=STEPS):
    callback = ProgressCallback(verbose)
    callback.set_params({"verbose": verbose, "epochs": epochs, "steps": steps, "samples": steps * BATCH})
    return callback


def take_steps(hook, clock, steps=STEPS, step_s=0.05, loss=1.25):
    for step in range(steps):
        clock.now += step_s
        hook(step, {"accuracy": step / 100, "loss": loss, "size": BATCH})


def fit(clock, verbose=1, epochs=1, steps=STEPS, logs=None, **kwargs):
    callback = started(verbose, epochs, steps)
    callback.on_train_begin()
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        take_steps(callback.on_train_batch_end, clock, steps, **kwargs)
        callback.on_test_begin()
        clock.now += 1  # the validation
        callback.on_test_batch_end(0, {"loss": 2.0, "size": 1000})
        callback.on_test_end({"loss": 2.0})
        callback.on_epoch_end(epoch, logs or {"loss": 1.26628, "accuracy": 0.55117, "val_loss": 0.0005})
    callback.on_train_end({})


def test_a_log_file_gets_one_line_an_epoch(clock, capsys):
    fit(clock, epochs=10)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == (
        "Epoch  3/10  40/40  2.0 s  640 samples/s  accuracy: 0.5512 - loss: 1.2663 - val_loss: 5.0000e-04"
    )


def test_a_log_file_gets_as_many_lines_as_epochs(clock, capsys):
    fit(clock, epochs=10)
    assert capsys.readouterr().out.count("\n") == 10


def test_a_log_file_gets_no_control_characters(clock, capsys):
    fit(clock, epochs=2)
    assert not re.search(r"[^\n\x20-\x7e]", capsys.readouterr().out)


def test_forced_colours_do_not_reach_a_log_file(clock, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    fit(clock)
    assert "\x1b" not in capsys.readouterr().out


def test_verbose_0_shows_nothing(clock, capsys):
    fit(clock, verbose=0)
    assert capsys.readouterr().out == ""


# Both times are Keras': of the epoch with its validation, 2 s + 1 s here.
def test_verbose_2_is_keras_line(clock, capsys):
    fit(clock, verbose=2)
    expected = "40/40 - 3s - 75ms/step - accuracy: 0.5512 - loss: 1.2663 - val_loss: 5.0000e-04\n"
    assert capsys.readouterr().out == expected


def test_verbose_2_numbers_several_epochs(clock, capsys):
    fit(clock, verbose=2, epochs=2)
    assert [line.split(" - ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "Epoch 1/2",
        "40/40",
        "Epoch 2/2",
        "40/40",
    ]


@pytest.mark.parametrize("step_s, expected", [(2.0, "2s/step"), (0.002, "2ms/step"), (0.00002, "20us/step")])
def test_verbose_2_has_the_time_of_a_step_in_keras_units(clock, capsys, step_s, expected):
    callback = started(2)
    callback.on_test_begin()
    take_steps(callback.on_test_batch_end, clock, step_s=step_s)
    callback.on_test_end({})
    assert capsys.readouterr().out.rstrip().endswith(expected)


@pytest.mark.parametrize(
    "value, expected",
    [(0.5, "0.5000"), (0.001, "1.0000e-03"), (-0.5, "-0.5000"), (0.0, "0.0000e+00"), (float("nan"), "nan")],
)
def test_numbers_are_formatted_as_in_keras(clock, capsys, value, expected):
    fit(clock, logs={"loss": value})
    assert capsys.readouterr().out.endswith(f"loss: {expected}\n")


def test_a_log_that_is_no_number_is_shown_as_it_is(clock, capsys):
    fit(clock, logs={"loss": 0.5, "phase": "warm up"})
    assert capsys.readouterr().out.endswith("loss: 0.5000 - phase: warm up\n")


def test_evaluate_leaves_one_line(clock, capsys):
    callback = started(1)
    callback.on_test_begin()
    take_steps(callback.on_test_batch_end, clock)
    callback.on_test_end({"loss": 1.25, "accuracy": 0.5})
    assert capsys.readouterr().out == "Evaluate  40/40  2.0 s  640 samples/s  accuracy: 0.5000 - loss: 1.2500\n"


def test_predict_leaves_one_line(clock, capsys):
    callback = started(1)
    callback.on_predict_begin()
    take_steps(lambda step, logs: callback.on_predict_batch_end(step, {"size": BATCH}), clock)
    callback.on_predict_end()
    assert capsys.readouterr().out == "Predict  40/40  2.0 s  640 samples/s\n"


def test_an_unfinished_epoch_is_shown_as_stopped(clock, capsys):
    callback = started(1)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    take_steps(callback.on_train_batch_end, clock, steps=20)
    callback.on_train_end({})
    expected = "Epoch 1/1  20/40  1.0 s  640 samples/s  accuracy: 0.1900 - loss: 1.2500  stopped\n"
    assert capsys.readouterr().out == expected


def drawn(stream):
    """What each redraw showed, without colours."""
    return [re.sub(r"\x1b\[[0-9;]*m", "", text) for text in stream.getvalue().split("\r\x1b[2K")[1:]]


def test_the_bar_shows_steps_rate_time_left_and_metrics(clock, terminal):
    fit(clock)
    assert re.fullmatch(
        r"Epoch 1/1  ━+[╸╺━]*━  21/40  1 s left  640 samples/s  accuracy: 0.2000 - loss: 1.2500", drawn(terminal)[10]
    )


def test_the_bar_of_a_narrow_terminal_is_shortened(clock, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    fit(clock)
    assert drawn(terminal)[10].endswith("21/40  1 s left  640/s  accuracy 0.200  loss 1.250")


@pytest.mark.parametrize("columns", [1, 20, 60, 80, 81, 90, 100, 200])
def test_the_bar_stays_within_its_row(clock, terminal, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    fit(clock)
    assert max(len(text) for text in drawn(terminal)[:-1]) < max(columns, 2)


def test_the_bar_of_a_terminal_without_unicode_is_ascii(clock, terminal):
    terminal.encoding = "ascii"
    fit(clock)
    assert terminal.getvalue().isascii()


def test_a_finished_epoch_leaves_one_line_on_the_terminal(clock, terminal):
    fit(clock, epochs=3)
    rows = [row.rsplit("\r\x1b[2K", 1)[-1] for row in terminal.getvalue().split("\n")]
    assert [row[:9] for row in rows] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3", ""]


def test_the_row_is_clean_when_other_callbacks_see_the_end_of_the_epoch(clock, terminal):
    callback = started(1)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    take_steps(callback.on_train_batch_end, clock)
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_the_validation_is_shown(clock, terminal):
    fit(clock)
    assert any("validating" in text for text in drawn(terminal))


def test_the_bar_is_redrawn_at_most_ten_times_a_second(clock, terminal):
    callback = started(1, steps=10_000)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    take_steps(callback.on_train_batch_end, clock, steps=2_000, step_s=0.001)
    assert len(drawn(terminal)) <= 21


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_without_cursor_gets_lines(clock, terminal, monkeypatch, term):
    monkeypatch.setenv("TERM", term)
    fit(clock)
    assert re.fullmatch(r"[\x20-\x7e]+\n", terminal.getvalue())


class Gone(Terminal):
    """A terminal or pipe whose other end is closed."""

    def flush(self):
        raise BrokenPipeError


@pytest.mark.parametrize("tty", [True, False])
def test_a_reader_that_goes_away_does_not_end_the_training(clock, monkeypatch, tty):
    stream = Gone()
    stream.isatty = lambda: tty
    use_stdout(monkeypatch, stream)
    fit(clock, epochs=2)


def test_a_closed_stdout_does_not_end_the_training(clock, monkeypatch):
    stream = io.StringIO()
    stream.close()
    use_stdout(monkeypatch, stream)
    fit(clock, epochs=2)


def test_no_stdout_at_all_does_not_end_the_training(clock, monkeypatch):
    use_stdout(monkeypatch, None)
    fit(clock, epochs=2)


@pytest.fixture
def notebook(monkeypatch):
    """The outputs of a notebook's cell: a list of [content, updates]."""
    outputs = []

    class Handle:
        def update(self, content, raw=False):
            outputs[-1] = [content, outputs[-1][1] + 1]

    def display(content, display_id, raw=False):
        outputs.append([content, 0])
        return Handle()

    shell = types.ModuleType("IPython.display")
    shell.display = display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", shell)
    use_stdout(monkeypatch, type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})())
    return outputs


def test_a_notebook_keeps_one_output_an_epoch(clock, notebook):
    fit(clock, epochs=3)
    assert [content["text/plain"][:9] for content, _ in notebook] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]


def test_a_notebook_shows_a_run_of_many_epochs_in_few_outputs(clock, notebook):
    fit(clock, epochs=120, steps=2)
    texts = [content["text/plain"] for content, _ in notebook]
    assert len(texts) == 24  # of the 50 that JupyterLab shows
    lines = "\n".join(texts).split("\n")
    assert [line[:13] for line in lines] == [f"Epoch {i + 1:3d}/120" for i in range(120)]


def test_a_notebook_shows_the_bar_below_the_lines_of_its_output(clock, notebook):
    callback = started(1, epochs=50)
    callback.on_train_begin()
    for epoch in range(2):
        callback.on_epoch_begin(epoch)
        take_steps(callback.on_train_batch_end, clock, steps=4)
        if not epoch:
            callback.on_epoch_end(epoch, {"loss": 1.0})
    console = Console(file=io.StringIO(), width=115)
    console.print(*(content for content, _ in notebook))
    first, second = console.file.getvalue().splitlines()
    assert first.startswith("Epoch  1/50   4/40") and first.rstrip().endswith("loss: 1.0000")
    assert second.startswith("Epoch  2/50  ━") and " 3/40 " in second


def test_another_run_does_not_go_on_in_the_output_of_the_one_before(clock, notebook):
    callback = started(1, epochs=50)
    for _ in range(2):
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        take_steps(callback.on_train_batch_end, clock, steps=4)
        callback.on_epoch_end(0, {"loss": 1.0})
        callback.on_train_end({})
    callback.on_test_begin()
    callback.on_test_end({"loss": 1.0})
    assert [content["text/plain"].split()[0] for content, _ in notebook] == ["Epoch", "Epoch", "Evaluate"]


def test_a_notebook_shows_a_bar_meanwhile(clock, notebook):
    fit(clock)
    assert notebook[0][1] > 10


@pytest.mark.parametrize("verbose", [3, -1, "loud", None])
def test_an_unknown_verbose_is_refused(verbose):
    with pytest.raises(ValueError, match=f'verbose must be "auto", 0, 1 or 2. Received: verbose={verbose!r}'):
        ProgressCallback(verbose)
