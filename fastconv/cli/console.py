"""What all commands share: exit codes, what they say and where, options that several have."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

FAILED, USAGE, INTERRUPTED = 1, 2, 130  # 128 + SIGINT, as shells report it

Threads = Annotated[int | None, typer.Option(min=1, metavar="N", help="CPU threads.", show_default="all cores")]
Device = Annotated[
    str | None,
    typer.Option(metavar="auto|cpu|cuda", help="What to compute on.", show_default="FASTCONV_DEVICE, else auto"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


def say(text: str) -> None:
    """Prints to stdout. A reader that went away (`fastconv train | head`) must not cost the run its results."""
    with contextlib.suppress(OSError, ValueError):
        typer.echo(text)


def say_json(report: Any) -> None:
    """Prints a report for machines: one JSON value, null in place of NaN and infinity, which JSON does not have."""
    say(json.dumps(_finite(report), indent=1))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def stdout_kept(kept: bool) -> contextlib.AbstractContextManager[Any]:
    """A context in which stdout stays free for `say_json` where it is `kept`: what is printed goes to stderr."""
    return contextlib.redirect_stdout(sys.stderr) if kept else contextlib.nullcontext()


def note(text: str) -> None:
    """Prints to stderr what is about the run and not its result."""
    with contextlib.suppress(OSError, ValueError):
        typer.echo(f"fastconv: {text}", err=True)


def fail(message: str, code: int) -> NoReturn:
    """Ends the program with one line on stderr."""
    typer.echo(f"fastconv: error: {message}", err=True)
    raise typer.Exit(code)


def choose_device(device: str | None) -> None:
    """Sets the device, or ends the program with the reason why it cannot be used."""
    import fastconv

    try:
        if device is not None:
            fastconv.set_device(device)
        fastconv.get_device()
    except (RuntimeError, ValueError) as error:
        fail(str(error), USAGE)


def settle_stdout() -> None:
    """Drops what a reader that went away left in the buffer, which Python would complain about at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
