"""Runs the cells of a notebook or a script in this process, one after the other, as Jupyter's "Run All" does."""

from __future__ import annotations

import ast
import base64
import contextlib
import copy
import io
import json
import linecache
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any, NamedTuple

import fastconv
from fastconv.keras_stand_in.cells import Prepared
from fastconv.keras_stand_in.document import Cell, Document

_PACKAGE = str(Path(fastconv.__file__).parent) + os.sep


class Failure(NamedTuple):
    """What ended a run early.

    Args:
        cell: the cell that was running.
        line: in it, from 1; 0 where none is known.
        source: the text of that line.
        error: the exception.
        traceback: its text, without frames of fastconv and of this program.
    """

    cell: Cell
    line: int
    source: str
    error: BaseException
    traceback: str


class Outcome(NamedTuple):
    """How many cells ran to their end, what ended the run early, and (with `keep`) the outputs of each cell run."""

    ran: int
    failure: Failure | None
    outputs: list[list[dict[str, Any]]]
    figures: int


def execute(document: Document, cells: Sequence[Prepared], arguments: Sequence[str], keep: bool) -> Outcome:
    """Runs cells in a new `__main__`, with the file's folder first on `sys.path`.

    The value of a notebook cell's last expression is printed, as in Jupyter. Its figures of matplotlib are drawn into
    memory and no window opens, unless $MPLBACKEND asks for one.

    Args:
        document: what the cells are of.
        cells: from `cells.prepare`.
        arguments: `sys.argv` behind the file's name.
        keep: whether to keep outputs, in the form that a notebook holds them.
    """
    outputs: list[list[dict[str, Any]]] = []
    figures = 0
    with _main_module(document, arguments) as namespace:
        for cell in cells:
            linecache.cache[cell.cell.filename] = (
                len(cell.cell.source), None, cell.cell.source.splitlines(True), cell.cell.filename
            )  # fmt: skip
            record = _Record(keep)
            outputs.append(record.outputs)
            try:
                with record.recording(namespace):
                    for code in _compiled(cell):
                        exec(code, namespace)
            except BaseException as error:  # SystemExit and Ctrl-C end the run, too
                failure = _failure(cell.cell, error)
                record.error(failure)
                return Outcome(len(outputs) - 1, failure, outputs, figures)
            if cell.cell.number:
                figures += record.figures()
    return Outcome(len(cells), None, outputs, figures)


def write(document: Document, outputs: list[list[dict[str, Any]]], path: Path) -> None:
    """Writes a notebook with the outputs of the cells that ran; the others have none.

    Raises:
        OSError: the file cannot be written.
    """
    from fastconv.saving import atomic_write

    content = copy.deepcopy(document.content)
    assert content is not None
    for i, cell in enumerate(cell for cell in content["cells"] if cell["cell_type"] == "code"):
        cell["outputs"] = outputs[i] if i < len(outputs) else []
        cell["execution_count"] = i + 1 if i < len(outputs) else None
        for output in cell["outputs"]:
            if output["output_type"] == "execute_result":
                output["execution_count"] = i + 1
    with atomic_write(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _compiled(cell: Prepared) -> Iterator[CodeType]:
    """The cell's code; a last expression without a semicolon behind it is compiled so that its value is displayed."""
    if isinstance(cell.tree, SyntaxError):
        raise cell.tree
    body, name = cell.tree.body, cell.cell.filename
    shown = cell.cell.number and body and isinstance(body[-1], ast.Expr) and not _ends_quietly(cell.cell.source)
    if shown:
        body, last = body[:-1], body[-1]
    # Without dont_inherit this file's `from __future__` would hold for the user's code.
    yield compile(ast.Module(body, type_ignores=[]), name, "exec", dont_inherit=True)
    if shown:
        yield compile(ast.Interactive([last]), name, "single", dont_inherit=True)


def _ends_quietly(source: str) -> bool:
    return source.rstrip().endswith(";")


@contextlib.contextmanager
def _main_module(document: Document, arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    main = ModuleType("__main__")
    if document.content is None:
        main.__file__ = str(document.path)
    else:
        os.environ.setdefault("MPLBACKEND", "agg")
        vars(main)["display"] = _display
    before = sys.modules["__main__"], sys.argv, sys.path[:]
    sys.modules["__main__"], sys.argv = main, [str(document.path), *arguments]
    sys.path.insert(0, str(document.path.resolve().parent))
    try:
        with warnings.catch_warnings():
            # plt.show() where figures are drawn into memory
            warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive", UserWarning)
            yield vars(main)
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = before


def _display(*values: Any) -> None:
    """IPython's `display`, as far as text goes."""
    for value in values:
        print(repr(value))


class _Record:
    """The outputs of one cell."""

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self.outputs: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def recording(self, namespace: dict[str, Any]) -> Iterator[None]:
        hook = sys.displayhook

        def show(value: Any) -> None:
            if value is None:
                return
            namespace["_"] = value
            text = repr(value)
            with contextlib.redirect_stdout(screen):
                print(text)
            if self._keep:
                data = {"text/plain": text}
                self.outputs.append({"output_type": "execute_result", "metadata": {}, "data": data})

        screen, sys.displayhook = sys.stdout, show
        try:
            with contextlib.ExitStack() as stack:
                if self._keep:
                    stack.enter_context(contextlib.redirect_stdout(_Tee(sys.stdout, "stdout", self.outputs)))
                    stack.enter_context(contextlib.redirect_stderr(_Tee(sys.stderr, "stderr", self.outputs)))
                yield
        finally:
            sys.displayhook = hook

    def figures(self) -> int:
        """Keeps and closes the figures that pyplot has open; returns their number."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        numbers = pyplot.get_fignums() if pyplot is not None else []
        for number in numbers:
            if self._keep:
                image = io.BytesIO()
                pyplot.figure(number).savefig(image, format="png", bbox_inches="tight")
                data = {"image/png": base64.b64encode(image.getvalue()).decode(), "text/plain": f"<Figure {number}>"}
                self.outputs.append({"output_type": "display_data", "metadata": {}, "data": data})
        if numbers:
            pyplot.close("all")
        return len(numbers)

    def error(self, failure: Failure) -> None:
        if self._keep:
            name, value = type(failure.error).__name__, str(failure.error)
            lines = failure.traceback.splitlines()
            self.outputs.append({"output_type": "error", "ename": name, "evalue": value, "traceback": lines})


class _Tee(io.TextIOBase):
    """Writes through to a stream, and into a cell's outputs; no terminal, so that no bar is drawn into them."""

    def __init__(self, stream: Any, name: str, outputs: list[dict[str, Any]]) -> None:
        self._stream, self._name, self._outputs = stream, name, outputs

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not self._outputs or self._outputs[-1].get("name") != self._name:
            self._outputs.append({"output_type": "stream", "name": self._name, "text": ""})
        self._outputs[-1]["text"] += text
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


def _failure(cell: Cell, error: BaseException) -> Failure:
    line = 0
    if isinstance(error, SyntaxError) and error.filename == cell.filename:
        line = error.lineno or 0
    else:
        for frame, number in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename == cell.filename:
                line = number
                break
    lines = cell.source.splitlines()
    source = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    _leave_out_our_frames(error)
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
    return Failure(cell, line, source, error, text)


def _leave_out_our_frames(error: BaseException | None) -> None:
    """Takes frames of fastconv and of the import system out of an exception's traceback and of those before it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = _without_ours(error.__traceback__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _without_ours(frames: TracebackType | None) -> TracebackType | None:
    kept = [
        (tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
        for tb in _each(frames)
        if not tb.tb_frame.f_code.co_filename.startswith((_PACKAGE, "<frozen importlib"))
    ]
    result = None
    for frame, lasti, number in reversed(kept):
        result = TracebackType(result, frame, lasti, number)
    return result


def _each(tb: TracebackType | None) -> Iterator[TracebackType]:
    while tb is not None:
        yield tb
        tb = tb.tb_next
