"""Runs the cells of a notebook or a script in this process, one after the other, as Jupyter's "Run All" does."""

from __future__ import annotations

import ast
import contextlib
import copy
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
from fastconv.keras_stand_in.outputs import Recorder

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
    recorder = Recorder(keep)
    with _main_module(document, arguments) as namespace:
        if document.content is not None:
            namespace["display"] = recorder.display
        for cell in cells:
            linecache.cache[cell.cell.filename] = (
                len(cell.cell.source), None, cell.cell.source.splitlines(True), cell.cell.filename
            )  # fmt: skip
            try:
                with recorder.cell(namespace):
                    for code in _compiled(cell):
                        exec(code, namespace)
                    if cell.cell.number:
                        recorder.take_figures()
            except BaseException as error:  # SystemExit and Ctrl-C end the run, too
                failure = _failure(cell.cell, error)
                recorder.error(error, failure.traceback)
                return Outcome(len(recorder.cells) - 1, failure, recorder.cells, recorder.figures)
    return Outcome(len(cells), None, recorder.cells, recorder.figures)


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
    # Half of a surrogate pair in what a cell printed has no UTF-8, but JSON has that very escape for it.
    with atomic_write(path, "w", encoding="utf-8", errors="backslashreplace") as file:
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
