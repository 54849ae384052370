"""What `fit`, `evaluate` and `predict` show while they run: a live bar, or one line an epoch.

The bar is drawn with a carriage return and without rich's Live, which takes over sys.stdout and the cursor and would
leave both so when a run ends with an error.
"""

from __future__ import annotations

import io
import math
import os
import sys
import time
from typing import Any

from fastconv.callbacks import Callback, Logs

_REDRAW_S = 0.1
_NEVER = math.inf
_GAP = "  "
_MIN_BAR, _MAX_BAR = 6, 24
_NOTEBOOK_COLUMNS = 115  # what rich takes in a notebook
# Outputs of a cell for the epochs of one run: JupyterLab hides all after the first 50, with the bar among them
# (https://github.com/jupyterlab/jupyterlab/issues/11797).
_NOTEBOOK_OUTPUTS = 25
_ERASE_LINE = "\r\x1b[2K"


def verbosity(verbose: int | str | bool) -> int:
    """0 (silent), 1 (bar or lines) or 2 (Keras' lines) from what a user may pass; "auto" is 1."""
    if verbose == "auto":
        return 1
    if verbose in (0, 1, 2):
        return int(verbose)
    raise ValueError(f'verbose must be "auto", 0, 1 or 2. Received: verbose={verbose!r}')


class ProgressCallback(Callback):
    """Shows the progress of `fit`, `evaluate` and `predict`; added to every run by its `verbose`.

    With 1, on a terminal and in a notebook: a bar with steps, samples/s, time left, loss and accuracy, redrawn at most
    10 times a second; a finished epoch leaves one line. In a notebook a line is an output of the cell, and of a run of
    many epochs some lines share one. With 1 elsewhere, as in a log file: that line alone. Its time and rate are those
    of the training steps, without the validation. With 2: Keras' line, whose time is the whole epoch's. A terminal that
    goes away in mid-run ends the output, not the training.

    Args:
        verbose: "auto" (1), 0, 1 or 2.
    """

    def __init__(self, verbose: int | str = "auto") -> None:
        super().__init__()
        self.verbose = verbosity(verbose)
        self._in_fit = False
        self._screen: _Lines = _Silent()
        self._next_draw = _NEVER
        self._open = False

    # --- fit ---------------------------------------------------------------------------------------------------------

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._in_fit = True
        self._screen = _Silent()  # not that of another run

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        epochs = self.params["epochs"]
        self._begin(f"Epoch {epoch + 1:{len(str(epochs))}d}/{epochs}")
        if self.verbose == 2 and epochs > 1:
            self._screen.line(f"Epoch {epoch + 1}/{epochs}")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._step(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        if not self._in_fit:
            self._begin("Evaluate")
        elif self._next_draw != _NEVER:
            self._draw("validating")

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if not self._in_fit:
            self._step(batch, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        if self._in_fit:
            self._erase()
        else:
            self._end(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._end(logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._open:
            self._end(self._logs, "stopped")
        self._in_fit = False

    def logs_due(self, hook: str) -> bool:
        """See `CallbackList.logs_due`."""
        return time.perf_counter() >= self._next_draw and not (self._in_fit and hook == "test")

    # --- predict -----------------------------------------------------------------------------------------------------

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._begin("Predict")

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._step(batch, logs)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._end({})

    # --- the state of one epoch, evaluation or prediction ------------------------------------------------------------

    def _begin(self, title: str) -> None:
        self._title = title
        self._steps = self.params.get("steps")
        self._done = self._samples = 0
        self._logs: Logs = {}
        self._open = True
        if not (self._in_fit and self._screen.lines_left):
            self._screen = _screen(self.verbose, -(-self.params.get("epochs", 1) // _NOTEBOOK_OUTPUTS))
        self._next_draw = 0.0 if self._screen.live else _NEVER
        self._start = self._now = time.perf_counter()

    def _step(self, batch: int, logs: Logs | None) -> None:
        self._done = batch + 1
        self._now = now = time.perf_counter()
        if logs:
            self._samples += logs.get("size", 0)
            if logs.keys() != {"size"}:  # without the means between two drawings
                self._logs = logs
        if now >= self._next_draw:
            self._draw()
            self._next_draw = time.perf_counter() + _REDRAW_S
        if self._done == self._steps:
            # What other callbacks print at the end of the epoch then starts on a clean line.
            self._erase()

    def _draw(self, note: str = "") -> None:
        seconds = self._now - self._start
        if not note and self._steps and self._done:
            note = f"{_clock(seconds / self._done * (self._steps - self._done))} left"
        rate = self._rate(seconds)
        text = _join(self._count(), note, rate, _metrics(self._logs))
        short = _join(self._count(), note, rate.replace(" samples", ""), _short_metrics(self._logs))
        self._screen.draw(self._title, self._done / self._steps if self._steps else 0.0, text, short)

    def _erase(self) -> None:
        if self._next_draw != _NEVER:
            self._screen.erase()

    def _end(self, logs: Logs | None, note: str = "") -> None:
        self._open = False
        if self.verbose == 2:
            self._screen.line(_join(self._keras_line(logs or {}), note))
            return
        seconds = self._now - self._start
        self._erase()
        self._screen.line(
            _join(self._title, self._count(), _seconds(seconds), self._rate(seconds), _metrics(logs or {}), note)
        )

    def _count(self) -> str:
        return f"{self._done:{len(str(self._steps))}d}/{self._steps}" if self._steps else f"{self._done}"

    def _rate(self, seconds: float) -> str:
        return f"{self._samples / seconds:.0f} samples/s" if self._samples and seconds > 0 else ""

    def _keras_line(self, logs: Logs) -> str:
        now = time.perf_counter()
        step = (now - self._start) / max(self._done, 1)
        if step >= 1 or step == 0:
            per_step = f"{step:.0f}s"
        else:
            per_step = f"{step * 1e3:.0f}ms" if step >= 1e-3 else f"{step * 1e6:.0f}us"
        parts = [self._count(), f"{now - self._start:.0f}s", f"{per_step}/step", _metrics(logs)]
        return " - ".join(part for part in parts if part)


def _join(*parts: str) -> str:
    return _GAP.join(part for part in parts if part)


def _metrics(logs: Logs) -> str:
    """ "accuracy: 0.5512 - loss: 1.2663", in Keras' order and number format."""
    return " - ".join(f"{key}: {_number(logs[key])}" for key in sorted(logs) if key != "size")


def _short_metrics(logs: Logs) -> str:
    return _join(*(f"{key} {logs[key]:.3f}" for key in sorted(logs) if key != "size"))


def _number(value: Any) -> str:
    if not isinstance(value, (int, float)):  # what a user's callback added to the logs
        return str(value)
    return f"{value:.4e}" if abs(value) <= 1e-3 else f"{value:.4f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.9995 else f"{seconds * 1e3:.0f} ms"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"


# --- where it is shown -----------------------------------------------------------------------------------------------


def _screen(verbose: int, lines: int) -> _Lines:
    """Where output goes now; `lines` is how many of them share an output of a notebook."""
    if not verbose:
        return _Silent()
    if verbose == 1 and type(sys.stdout).__module__.startswith("ipykernel."):
        return _Notebook(lines)
    if verbose == 1 and _is_terminal():
        return _Terminal()
    return _Lines()


def _is_terminal() -> bool:
    try:
        return sys.stdout.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
    except (AttributeError, OSError, ValueError):  # no stdout at all (pythonw), or a closed one
        return False


class _Lines:
    """Any stream: whole lines, no control characters. The live screens below can also draw and erase a bar."""

    live = False
    lines_left = 0  # how many more belong here, before the next one asks anew where output goes

    def line(self, text: str) -> None:
        self._write(text + "\n")

    def draw(self, title: str, fraction: float, text: str, short: str) -> None:
        """Shows the bar; `short` where `text` leaves no room for it."""

    def erase(self) -> None:
        """Takes the bar away."""

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except (AttributeError, OSError, ValueError):
            # Nobody reads any more (closed pipe, closed stream): that must not end the training.
            self.live = False


class _Silent(_Lines):
    def line(self, text: str) -> None:
        """Shows nothing."""


class _Terminal(_Lines):
    """One line at the cursor, drawn over itself."""

    def __init__(self) -> None:
        from rich.console import Console

        self.live = True
        # rich draws into memory: it would end the program (SystemExit) where the terminal itself is gone.
        self._paper = _Paper()
        self._paper.encoding = sys.stdout.encoding
        self._console = Console(file=self._paper, force_terminal=True, highlight=False, legacy_windows=False)

    def draw(self, title: str, fraction: float, text: str, short: str) -> None:
        if self.live:
            # One column less than the terminal has: a full row would wrap, and \r comes back to the last row only.
            columns = max(self._console.width - 1, 1)
            self._console.print(_bar_row(title, fraction, text, short, columns), width=columns, end="")
            self._write(_ERASE_LINE + self._paper.getvalue().split("\n")[0])
            self._paper.seek(0)
            self._paper.truncate()

    def erase(self) -> None:
        if self.live:
            self._write(_ERASE_LINE)


class _Paper(io.StringIO):
    encoding = "utf-8"  # of the terminal; decides which characters the bar is made of


class _Notebook(_Lines):
    """An output of the notebook's cell that is replaced, so that a saved notebook holds the last state only."""

    def __init__(self, lines: int) -> None:
        self.live = True
        self.lines_left = lines
        self._text = ""  # the lines so far
        self._handle: Any = None

    def line(self, text: str) -> None:
        self.lines_left -= 1
        self._text += f"{text}\n" if self.lines_left else text
        self._show({"text/plain": self._text}, raw=True)

    def draw(self, title: str, fraction: float, text: str, short: str) -> None:
        from rich.table import Table
        from rich.text import Text

        rows = Table.grid()
        if self._text:
            rows.add_row(Text(self._text.rstrip("\n")))
        rows.add_row(_bar_row(title, fraction, text, short, _NOTEBOOK_COLUMNS))
        self._show(rows)

    def _show(self, content: Any, raw: bool = False) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(content, display_id=True, raw=raw)
        else:
            self._handle.update(content, raw=raw)


def _bar_row(title: str, fraction: float, text: str, short: str, columns: int) -> Any:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    used = len(title) + len(text) + 2 * len(_GAP)
    if columns - used < _MIN_BAR:
        text = short
        used = len(title) + len(text) + 2 * len(_GAP)
    if columns - used < _MIN_BAR:
        return Text(f"{title}{_GAP}{text}", no_wrap=True, overflow="crop")
    row = Table.grid(padding=(0, len(_GAP), 0, 0))
    bar = ProgressBar(total=1.0, completed=fraction, width=min(columns - used, _MAX_BAR))
    row.add_row(Text(title, style="bold"), bar, Text(text))
    return row
