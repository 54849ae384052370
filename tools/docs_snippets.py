"""The snippets of documentation pages: finds them, runs them, compares what they print; makes the pages' pictures.

    python tools/docs_snippets.py     # runs the pages that show pictures, and puts what they drew into docs/pictures

tests/test_docs.py runs all pages with it.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_OUTPUT = re.compile(r"output(?:, numbers within (?P<percent>[\d.]+)%)?$")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


class Snippet(NamedTuple):
    """A block of Python and what it is to print."""

    line: int
    code: str
    not_run: str = ""  # the reason
    output: str | None = None
    tolerance: float = 0.0  # relative, of every number of the output


def snippets(markdown: str) -> list[Snippet]:
    """The blocks of a page.

    A comment stands on the line before a block: `<!-- not run: reason -->` leaves it out; `<!-- output -->` says
    that the block is what the one before it prints, `<!-- output, numbers within 5% -->` that it is about that.
    """
    found = []
    for block in _BLOCK.finditer(markdown):
        mark = block["mark"] or ""
        if block["language"] == "python":
            reason = mark.removeprefix("not run: ") if mark.startswith("not run: ") else ""
            line = markdown.count("\n", 0, block.start("text")) + 1
            found.append(Snippet(line, block["text"], reason))
        elif output := _OUTPUT.match(mark):
            found[-1] = found[-1]._replace(output=block["text"], tolerance=float(output["percent"] or 0) / 100)
    return found


def _near(received: list[float], expected: list[float], tolerance: float) -> bool:
    return len(received) == len(expected) and all(
        abs(a - b) <= tolerance * abs(b) for a, b in zip(received, expected, strict=True)
    )


def require_alike(printed: str, expected: str, tolerance: float) -> None:
    """Raises AssertionError unless the texts are the same, but for spaces at the ends of lines and for numbers within
    the tolerance, where there is one."""
    printed, expected = ("\n".join(map(str.rstrip, text.strip().splitlines())) for text in (printed, expected))
    if tolerance:
        numbers = [[float(number) for number in _NUMBER.findall(text)] for text in (printed, expected)]
        if _near(*numbers, tolerance):
            printed, expected = (re.sub(r" +", " ", _NUMBER.sub("0", text)) for text in (printed, expected))
    if printed != expected:
        raise AssertionError(f"expected:\n{expected}\nprinted:\n{printed}")


def run_page(path: Path) -> None:
    """Runs the blocks of a page in one namespace and the current folder, with fresh names and seeds."""
    from fastconv import utils

    utils.clear_session()
    utils.set_random_seed(0)
    namespace = {"__name__": "__main__"}
    for snippet in snippets(path.read_text(encoding="utf-8")):
        if snippet.not_run:
            continue
        code = compile("\n" * (snippet.line - 1) + snippet.code, str(path), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, namespace)
        if snippet.output is not None:
            require_alike(printed.getvalue(), snippet.output, snippet.tolerance)


def pictures(path: Path) -> set[str]:
    """The names of the pictures of docs/pictures that a page shows; its own code has to draw them."""
    return set(re.findall(r"\]\((?:\.\./)?pictures/([^)]+)\)", path.read_text(encoding="utf-8")))


def main() -> None:
    os.environ |= {"MPLBACKEND": "agg", "FASTCONV_DEVICE": "cpu"}
    PICTURES.mkdir(exist_ok=True)
    for page in sorted((ROOT / "docs").rglob("*.md")):
        if names := pictures(page):
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                run_page(page)
                for name in sorted(names):
                    shutil.copy(name, PICTURES / name)
                    print(PICTURES / name)
                os.chdir(ROOT)


if __name__ == "__main__":
    main()
