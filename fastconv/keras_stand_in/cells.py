"""Code cells as Python: what only IPython understands is left out."""

from __future__ import annotations

import ast
import re
import warnings
from typing import NamedTuple

from fastconv.keras_stand_in.document import Cell

_RUN_THEIR_CODE = ("time", "timeit", "prun", "capture", "memit")  # magics whose argument or body is Python
_COMMAND = re.compile(r"(?P<indent>\s*)(?:[\w.,\s]+=\s*)?(?:!|%(?P<magic>\w*)|\?)(?P<rest>.*)")
_HELP = re.compile(r"\s*[\w.*]+\?{1,2}\s*")


class Prepared(NamedTuple):
    """A cell, its syntax tree or the error that it is instead, and (line, text) of what was left out."""

    cell: Cell
    tree: ast.Module | SyntaxError
    skipped: list[tuple[int, str]]


def prepare(cell: Cell) -> Prepared:
    """Parses a cell. IPython's commands (`%magic`, `!shell`, `name?`) are left out of notebooks' cells.

    A line counts as a command only where Python's parser stops at it, so that `%` in an expression or a string stays.
    `%time` and others that run Python go, and what they run stays.
    """
    lines = cell.source.split("\n")
    skipped: list[tuple[int, str]] = []
    if cell.number and lines[0].startswith("%%"):
        first, lines[0] = lines[0], ""
        skipped.append((1, first))
        if first[2:].split(" ")[0] not in _RUN_THEIR_CODE:
            return Prepared(cell, ast.Module(body=[], type_ignores=[]), [(1, first + " (and its cell)")])
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # they come when the cell is compiled
                return Prepared(cell, ast.parse("\n".join(lines), cell.filename), sorted(skipped))
        except (SyntaxError, ValueError) as error:  # ValueError: a null byte
            if not isinstance(error, SyntaxError):
                error = SyntaxError(str(error), (cell.filename, 1, 1, ""))
            line = (error.lineno or 1) - 1
            if not cell.number or line >= len(lines) or not _leave_out(lines, line, skipped):
                return Prepared(cell, error, sorted(skipped))


def _leave_out(lines: list[str], line: int, skipped: list[tuple[int, str]]) -> bool:
    """Replaces the command in a line by what is left of it; False if there is none."""
    text = lines[line]
    command = _COMMAND.fullmatch(text)
    if command is None and not _HELP.fullmatch(text):
        return False
    indent = text[: len(text) - len(text.lstrip())]
    rest = ""
    if command is not None and command["magic"] in _RUN_THEIR_CODE:
        rest = re.sub(r"^(\s+-\S+(\s+\d+)?)*\s*", "", command["rest"])
    skipped.append((line + 1, text.strip().removesuffix(rest).rstrip()))
    last = line
    while not rest and lines[last].endswith("\\") and last + 1 < len(lines):
        last += 1
    lines[line : last + 1] = [indent + (rest or "pass"), *[""] * (last - line)]
    return True
