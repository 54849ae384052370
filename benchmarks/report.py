"""What the benchmarks write beside their figures: the machine, the date, the command; and how they write it."""

from __future__ import annotations

import datetime
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from fastconv import bench

RESULTS = Path(__file__).resolve().parent / "results"
PATH_OPTIONS = ("--python-", "--out")


def header(script: str, argv: list[str]) -> dict:
    """The first fields of every result."""
    date = datetime.date.today().isoformat()
    return {"date": date, "command": command_line(script, argv), "machine": bench.machine()}


def command_line(script: str, argv: list[str]) -> str:
    """The command as another machine would give it: without the paths of this one."""
    words = [f"python benchmarks/{script}"]
    for before, word in zip(["", *argv], argv, strict=False):
        option, equals, _ = word.partition("=")
        if equals and option.startswith(PATH_OPTIONS):
            word = f"{option}=PATH"
        elif "=" not in before and before.startswith(PATH_OPTIONS):
            word = "PATH"
        words.append(word)
    return " ".join(words)


def about_systems(results: dict) -> list[str]:
    """Lines of Markdown: the machine, the systems' versions, the command."""
    host = results["machine"]
    lines = ["", f"{host['cpu']}, {host['cores']} cores, {host['system']}, {results['date']}.", ""]
    for name, about in results["systems"].items():
        versions = ", ".join(f"{key} {value}" for key, value in about["versions"].items())
        lines.append(f"- {name}: {versions} ({about['mode']})")
    return [*lines, "", f"Command: `{results['command']}`"]


def spread(values: Sequence[float], factor: float = 1.0, digits: int = 4) -> list[float]:
    """Median, minimum and maximum, times a factor."""
    return [round(factor * v, digits) for v in (statistics.median(values), min(values), max(values))]


def table(head: list[str], rows: list[list[str]], left: int = 1) -> list[str]:
    """Lines of a Markdown table; the first columns read from the left, the figures after them from the right."""
    lines = [head, ["---"] * left + ["---:"] * (len(head) - left), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def write(out: Path, name: str, results: dict, page: list[str], show: bool = True) -> None:
    """Writes `results` as JSON and `page` as Markdown; prints the page unless told otherwise."""
    out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(page) + "\n"
    (out / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / f"{name}.md").write_text(text, encoding="utf-8")
    if show:
        print(text)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def warn_if_busy() -> None:
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        note(f"warning: the machine is busy (load {os.getloadavg()[0]:.1f}); the times will not be worth much")
