"""Notebooks and scripts as rows of cells."""

from __future__ import annotations

import json
import os
import tokenize
from pathlib import Path
from typing import Any, NamedTuple


class DocumentError(ValueError):
    """A file that is neither a notebook of Python nor a script."""


class Cell(NamedTuple):
    """Code that is compiled as one.

    Args:
        number: of the code cell in its notebook, from 1, as Jupyter counts when all are run; 0 for a script.
        filename: what tracebacks call it.
        source: the code.
    """

    number: int
    filename: str
    source: str

    def place(self, line: int) -> str:
        """ "cell 3, line 5", or "line 5" of a script."""
        return f"cell {self.number}, line {line}" if self.number else f"line {line}"


class Document(NamedTuple):
    """A notebook (with its JSON `content`) or a script (None), and its code cells."""

    path: Path
    cells: list[Cell]
    content: dict[str, Any] | None


def read(path: str | os.PathLike[str]) -> Document:
    """Reads a notebook (.ipynb, format 4) or a script (.py).

    Raises:
        OSError: it cannot be read.
        DocumentError: it is something else, or damaged.
    """
    path = Path(path)
    if path.suffix == ".ipynb":
        return _read_notebook(path)
    if path.suffix == ".py":
        try:
            with tokenize.open(path) as file:
                return Document(path, [Cell(0, str(path), file.read())], None)
        except (SyntaxError, UnicodeDecodeError) as error:
            raise DocumentError(f"expected a script in the encoding that it declares, or UTF-8: {error}") from None
    raise DocumentError("expected a notebook (.ipynb) or a script (.py)")


def _read_notebook(path: Path) -> Document:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        major, listed = content["nbformat"], content.get("cells", [])
        if major != 4:
            raise DocumentError(f"expected a notebook of format 4, as Jupyter saves them. Received: format {major}")
        about = content.get("metadata", {})
        language = about.get("language_info", {}).get("name") or about.get("kernelspec", {}).get("language", "python")
        code = [_text(cell["source"]) for cell in listed if cell["cell_type"] == "code"]
    except DocumentError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"expected a notebook, which is JSON with cells ({error!r})") from None
    if language != "python":
        raise DocumentError(f"expected a notebook of Python. Received: one of {language!r}")
    return Document(path, [Cell(i, f"{path} cell {i}", source) for i, source in enumerate(code, 1)], content)


def _text(source: Any) -> str:
    text = source if isinstance(source, str) else "".join(source)
    if not isinstance(text, str):
        raise TypeError(f"source {source!r}")
    return text
