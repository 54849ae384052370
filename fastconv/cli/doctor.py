"""`fastconv doctor`."""

from __future__ import annotations

import typer

from fastconv.cli.console import FAILED, AsJson, say, say_json


def doctor(as_json: AsJson = False) -> None:
    """Examine this installation: versions, GPU, whether kernels give the right numbers, and what to do where not.

    The exit code is 1 if a kernel gives wrong numbers, or a GPU that is there or asked for cannot be used.
    """
    from fastconv import doctor

    report = doctor.examine()
    if as_json:
        say_json(report)
    else:
        say(doctor.render(report))
    if not report["healthy"]:
        raise typer.Exit(FAILED)
