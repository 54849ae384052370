"""Models out of files, for the commands that use one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from fastconv.cli.console import USAGE, fail
from fastconv.models.networks import NETWORKS

MODEL, WEIGHTS = ".keras", (".weights.h5", ".safetensors")

ModelFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A model (.keras), or weights alone (.weights.h5, .safetensors).")
]
Like = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|FILE.keras",
        help=f"What weights alone are of: {'|'.join(NETWORKS)}, or a file of a model with the same layers.",
        show_default="the network that they fit",
    ),
]


class Opened(NamedTuple):
    """A model, and the name of the example network that it is; None for another."""

    model: Any
    network: str | None


def open_model(file: Path, like: str | None, compiled: bool = False, torch: bool = False) -> Opened:
    """The model in a file, or ends the program with the reason why there is none.

    Args:
        file: .keras, or weights.
        like: what weights alone are of, as of `Like`.
        compiled: whether to compile a .keras file's model as it was.
        torch: whether weights are a `state_dict` of PyTorch.
    """
    name = str(file)
    if not name.endswith((MODEL, *WEIGHTS)):
        written = " ONNX files are written alone" if name.endswith(".onnx") else ""
        fail(f"expected a file that ends in {', '.join((MODEL, *WEIGHTS))}. Received: {name}.{written}", USAGE)
    try:
        if name.endswith(MODEL):
            if like is not None:
                fail(f"--model: expected with weights alone; {name} has its layers. Received: {like}", USAGE)
            return Opened(_load(name, compiled), None)
        return _open_weights(file, like, torch)
    except (OSError, ValueError) as error:
        fail(str(error), USAGE)


def _open_weights(file: Path, like: str | None, torch: bool) -> Opened:
    from fastconv.utils import clear_session

    if like is not None and like not in NETWORKS and not like.endswith(MODEL):
        fail(f"--model: expected {', '.join(NETWORKS)} or a .keras file. Received: {like}", USAGE)
    if like is not None and like not in NETWORKS:
        opened = Opened(_load(like, compiled=False), None)
        _read_weights(opened.model, file, torch)
        return opened
    errors = []
    for name in NETWORKS if like is None else [like]:
        clear_session()  # the names of layers, which a file may keep, do not depend on what was tried before
        opened = Opened(NETWORKS[name].factory(), name)
        try:
            _read_weights(opened.model, file, torch)
            return opened
        except ValueError as error:
            errors.append(f"{name}: {error}")
    if like is not None:
        raise ValueError(errors[0])
    raise ValueError(
        f"{file}: expected the weights of {', '.join(NETWORKS)}, or --model FILE.keras with a model of the same "
        f"layers. Received: others; {errors[0]}"
    )


def _load(path: str, compiled: bool) -> Any:
    from fastconv.saving import load_model

    return load_model(path, compile=compiled)


def _read_weights(model: Any, file: Path, torch: bool) -> None:
    from fastconv.saving import load_torch

    if torch:
        load_torch(model, file)
    else:
        model.load_weights(file)
