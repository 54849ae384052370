"""`fastconv inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fastconv.cli.console import FAILED, USAGE, AsJson, fail, say, say_json

_TABLES = ("layers", "inputs", "outputs", "arrays")
_SHOWN_ARRAYS = 200


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .keras, .weights.h5, .safetensors or .onnx file.")],
    as_json: AsJson = False,
) -> None:
    """Show what a file holds: layers, shapes, parameters, types, optimizer, versions.

    Also of PyTorch's safetensors and of backups of training. Nothing of the file is run.
    """
    from fastconv.saving.describe import describe

    try:
        report = describe(file)
    except ImportError as error:
        fail(str(error), FAILED)
    except (OSError, ValueError) as error:
        fail(str(error), USAGE)
    if as_json:
        say_json(report)
        return
    for line in _rendered(report):
        say(line)


def _rendered(report: dict[str, Any]) -> list[str]:
    lines = [f"{report['file']}: {report['format']}, {report['bytes']:,} bytes"]
    facts = {name: value for name, value in report.items() if name not in ("file", "format", "bytes", *_TABLES)}
    width = max(len(name) for name in facts) + 2
    lines += [f"{name.replace('_', ' '):{width}}{_text(value)}" for name, value in facts.items() if value is not None]
    for name in _TABLES:
        rows = report.get(name)
        if rows and not (name == "arrays" and "layers" in report and "problem" not in report):
            lines += ["", *_table([dict(row) for row in rows[:_SHOWN_ARRAYS]])]
            if len(rows) > _SHOWN_ARRAYS:
                lines.append(f"and {len(rows) - _SHOWN_ARRAYS:,} more {name}; --json has all")
    return ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in lines]  # of a stranger's file


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Columns by the keys of the first row; numbers to the right."""
    names = list(rows[0])
    cells = [[name.replace("_", " ") for name in names], *([_text(row[name]) for name in names] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    right = [isinstance(rows[0][name], int) for name in names]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]


def _text(value: Any) -> str:
    if isinstance(value, dict) and "class" in value:
        return f"{value['class']}({', '.join(f'{key}={item}' for key, item in value.items() if key != 'class')})"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return f"({', '.join(str(item) for item in value)})"
    return f"{value:,}" if type(value) is int else str(value)
