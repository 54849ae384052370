"""Tables as text, for terminals and files."""

from __future__ import annotations

import io
import shutil
from collections.abc import Collection, Iterable
from typing import Any

Table = tuple[str, list[str], list[list[str]], Collection[int]]  # title, head, rows, which columns are words


def render(lines: Iterable[str], tables: Iterable[Table], width: int | None = None) -> str:
    """Lines, then tables, of so many columns; None: as many as the terminal has, or 120 where there is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    screen = Console(file=io.StringIO(), width=width or shutil.get_terminal_size((120, 24)).columns, markup=False)
    for line in lines:
        screen.print(line, highlight=False)
    for title, head, rows, words in tables:
        shown = RichTable(box=box.SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1, 0, 0))
        for i, name in enumerate(head):
            shown.add_column(name, justify="left" if i in words else "right", overflow="fold")
        for row in rows:
            shown.add_row(*map(_plain, row))
        screen.print(shown)
    return "\n".join(line.rstrip() for line in screen.file.getvalue().splitlines())


def _plain(words: str) -> Any:
    from rich.text import Text

    return Text(words)  # no markup in the names of layers
