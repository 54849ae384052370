"""`fastconv bench`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from fastconv import config
from fastconv.cli.console import FAILED, Threads, fail, say, say_json


def bench(
    threads: Threads = None,
    seconds: Annotated[float, typer.Option(metavar="S", help="Time for all measurements together.")] = 15.0,
    json_path: Annotated[
        Path | None,
        typer.Option("--json", metavar="PATH", help="File to write the results to; - for stdout.", show_default=False),
    ] = None,
) -> None:
    """Measure this machine and how fast the example networks train and predict on it."""
    import json

    from fastconv import bench
    from fastconv.saving import atomic_write

    if not 0 < seconds < math.inf:
        raise typer.BadParameter(f"expected a finite number above 0. Received: {seconds}", param_hint="--seconds")
    if threads is not None:
        config.set_num_threads(threads)
    results = bench.run(seconds)
    if json_path == Path("-"):
        say_json(results)
        return
    say(bench.render(results))
    if json_path is not None:
        try:
            with atomic_write(json_path, "w", encoding="utf-8") as file:
                file.write(json.dumps(results, indent=1) + "\n")
        except OSError as error:
            fail(f"--json must be a file to write. Received: {json_path} ({error.strerror or error})", FAILED)
