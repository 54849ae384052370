"""Makes the notebooks in examples/ from the scripts beside them.

    python tools/make_notebooks.py           # writes examples/*.ipynb
    python tools/make_notebooks.py --check   # writes nothing; exit status 1 if a notebook is not up to date

A script is a row of cells. A line `# %%` starts a code cell, `# %% [markdown]` one of text, whose lines are comments.
The same script always gives the same bytes: no outputs, and a cell's id is a hash of its text, so that an edit changes
that cell only.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import nbformat

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
CELL_TYPES = {"# %%": "code", "# %% [markdown]": "markdown"}


def parse(script: str) -> list[tuple[str, str]]:
    """Returns (type, text) of the cells of a script; the type is "code" or "markdown".

    Args:
        script: the text of the script.

    Raises:
        ValueError: it does not start with a cell, has a marker of another form, or code in a markdown cell.
    """
    cells: list[tuple[str, list[str]]] = []
    for number, line in enumerate(script.splitlines(), 1):
        if line.startswith("# %%") or not cells:
            if line not in CELL_TYPES:
                raise ValueError(f"line {number}: expected one of {', '.join(CELL_TYPES)}. Received: {line!r}")
            cells.append((CELL_TYPES[line], []))
            continue
        cell_type, lines = cells[-1]
        if cell_type == "markdown":
            if line and line != "#" and not line.startswith("# "):
                raise ValueError(f"line {number}: expected a comment in a markdown cell. Received: {line!r}")
            line = line[2:]
        lines.append(line)
    return [(cell_type, "\n".join(lines).strip("\n")) for cell_type, lines in cells]


def notebook(script: str) -> str:
    """Returns the text of the notebook for a script.

    Args:
        script: the text of the script.

    Raises:
        ValueError: see `parse`.
    """
    new_cell = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    cells, seen = [], []
    for cell in parse(script):
        seen.append(cell)
        name = f"{seen.count(cell)} {cell}"  # ids have to differ where texts do not
        cells.append(new_cell[cell[0]](cell[1], id=hashlib.sha256(name.encode()).hexdigest()[:12]))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    result = nbformat.v4.new_notebook(cells=cells, metadata=metadata, nbformat=4, nbformat_minor=5)
    nbformat.validate(result)
    return nbformat.writes(result) + "\n"


def main(folder: Path, check: bool) -> int:
    """Writes or checks the notebooks of a folder's scripts; returns the exit status.

    Args:
        folder: where the scripts are.
        check: whether to compare only.
    """
    status = 0
    for script in sorted(folder.glob("*.py")):
        try:
            text = notebook(script.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SystemExit(f"{script}: {error}") from None
        path = script.with_suffix(".ipynb")
        if path.exists() and path.read_text(encoding="utf-8") == text:
            print(f"{path.name}: up to date")
        elif check:
            print(f"{path.name}: not up to date with {script.name}; run python tools/make_notebooks.py")
            status = 1
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"{path.name}: written")
    return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if one is not up to date")
    sys.exit(main(EXAMPLES, parser.parse_args().check))
