"""`fastconv run`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastconv.cli.console import FAILED, INTERRUPTED, USAGE, fail, note, say, say_json, stdout_kept

if TYPE_CHECKING:
    from fastconv.keras_stand_in.document import Document
    from fastconv.keras_stand_in.execute import Failure, Outcome
    from fastconv.keras_stand_in.modules import NotServed


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A notebook (.ipynb) or a script (.py).")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[ARGS]...", help="What the file finds in sys.argv, after --.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only list what fastconv lacks; run nothing.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.ipynb", help="Write the notebook with its outputs here.", show_default=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a report as JSON; what the file prints goes to stderr.")
    ] = False,
) -> None:
    """Run a notebook or a script written for Keras, unchanged, on fastconv.

    `keras` and `tensorflow.keras` are fastconv in this process only; what fastconv does not have is listed before and
    after. The current folder stays, as with `python FILE`. IPython's %commands and !commands are left out. Exit code
    1: a cell failed, or --check found something missing.
    """
    from fastconv.keras_stand_in import cells, document, modules
    from fastconv.keras_stand_in.check import not_served
    from fastconv.keras_stand_in.execute import execute, write

    try:
        source = document.read(file)
    except (OSError, document.DocumentError) as error:
        fail(f"cannot run {file}: {getattr(error, 'strerror', None) or error}", USAGE)
    _check_out(out, source, check)
    prepared = [cells.prepare(cell) for cell in source.cells]
    report = _Report(source)
    report.skipped = [(cell.cell.place(line), text) for cell in prepared for line, text in cell.skipped]
    report.not_served = not_served(prepared)
    if check:
        report.show(as_json)
        raise typer.Exit(FAILED if report.not_served else 0)

    report.note_skipped()
    report.note_not_served()
    with modules.StandIn() as stand_in, stdout_kept(as_json):
        outcome = execute(source, prepared, arguments or [], keep=out is not None)
    report.not_served = list(dict.fromkeys((*report.not_served, *stand_in.not_served)))
    report.outcome = outcome
    code = report.exit_code()
    if outcome.failure is not None and not isinstance(outcome.failure.error, SystemExit):
        report.note_failure(outcome.failure)
    report.note_not_served()
    if out is not None:
        try:
            write(source, outcome.outputs, out)
        except OSError as error:
            fail(f"--out must be a file to write. Received: {out} ({error.strerror or error})", FAILED)
        note(f"saved {out}")
    elif outcome.figures:
        note(f"{outcome.figures} figure{'s' * (outcome.figures > 1)} not shown; --out FILE.ipynb keeps them")
    if as_json:
        say_json(report.as_json())
    if code:
        raise typer.Exit(code)


def _check_out(out: Path | None, source: Document, check: bool) -> None:
    """Tries whether --out can be written, so that no training ends with nowhere to save."""
    if out is None:
        return
    if check:
        raise typer.BadParameter("expected without --check, which runs nothing", param_hint="--out")
    if source.content is None:
        raise typer.BadParameter("expected with a notebook; a script has no outputs to keep", param_hint="--out")
    if out.suffix != ".ipynb":
        raise typer.BadParameter(f"expected a name that ends in .ipynb. Received: {out}", param_hint="--out")
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        fail(f"--out must be a file to write. Received: {out}", USAGE)


class _Report:
    """What is said about a run."""

    def __init__(self, source: Document) -> None:
        self._source = source
        self._cells = {cell.filename: cell for cell in source.cells}
        self.skipped: Sequence[tuple[str, str]] = ()
        self.not_served: list[NotServed] = []
        self.outcome: Outcome | None = None

    def exit_code(self) -> int:
        error = self.outcome.failure and self.outcome.failure.error
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(error, SystemExit):
            return error.code if isinstance(error.code, int) else FAILED if error.code else 0
        return FAILED if error else 0

    def show(self, as_json: bool) -> None:
        """The result of --check."""
        if as_json:
            say_json(self.as_json())
            return
        for line in self._lines(self.not_served):
            say(line)
        if not self.not_served:
            say("all that is asked of Keras by name is served")
        self.note_skipped()

    def note_skipped(self) -> None:
        for place, text in self.skipped:
            note(f"left out, for IPython alone: {text} ({place})")

    def note_not_served(self) -> None:
        for line in self._lines(self.not_served):
            note(line)

    def note_failure(self, failure: Failure) -> None:
        at = f"{failure.cell.place(failure.line)}: {failure.source}" if failure.line else f"cell {failure.cell.number}"
        if isinstance(failure.error, KeyboardInterrupt):
            note(f"interrupted at {at}")
            return
        typer.echo(failure.traceback, err=True)
        note(f"error: stopped at {at}")

    def _lines(self, missing: Iterable[NotServed]) -> list[str]:
        return [f"not served: {one.name} ({self._place(one)})" for one in missing]

    def _place(self, one: NotServed) -> str:
        cell = self._cells.get(one.file)
        return cell.place(one.line) if cell is not None else f"{one.file}, line {one.line}"

    def as_json(self) -> dict[str, Any]:
        report: dict[str, Any] = {
            "file": str(self._source.path),
            "cells": len(self._source.cells),
            "not_served": [{"name": one.name, "where": self._place(one)} for one in self.not_served],
            "left_out": [{"text": text, "where": place} for place, text in self.skipped],
        }
        if self.outcome is not None:
            failure = self.outcome.failure
            report["ran"] = self.outcome.ran
            report["error"] = failure and {
                "type": type(failure.error).__name__,
                "message": str(failure.error),
                "where": failure.cell.place(failure.line),
                "source": failure.source,
            }
        return report
