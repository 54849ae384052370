"""The command line, a file for each command. Heavy imports stay inside the functions, so that `--help` comes at once.

Exit codes: 0 done, 1 failed, 2 wrong use or input, 130 interrupted.
"""

from __future__ import annotations

from typing import Annotated

import typer

import fastconv
from fastconv import config
from fastconv.cli.bench import bench
from fastconv.cli.console import AsJson, say, say_json, settle_stdout
from fastconv.cli.convert import convert
from fastconv.cli.doctor import doctor
from fastconv.cli.evaluate import evaluate
from fastconv.cli.inspect import inspect
from fastconv.cli.predict import predict
from fastconv.cli.run import run
from fastconv.cli.train import train

app = typer.Typer(
    name="fastconv",
    help="Train small convolutional networks fast.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong use or input, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Runs the program on sys.argv and exits."""
    try:
        app(prog_name="fastconv")
    finally:
        settle_stdout()


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"fastconv {fastconv.__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


for command in (train, evaluate, predict, run, inspect, convert, bench, doctor):
    app.command()(command)


@app.command("config")
def _config(as_json: AsJson = False) -> None:
    """Print what this installation runs on: version, instruction set, threads, CUDA."""
    if as_json:
        say_json(config.show_config(mode="dicts"))
    else:
        config.show_config()
