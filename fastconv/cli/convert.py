"""`fastconv convert`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from fastconv.cli.console import FAILED, USAGE, AsJson, fail, say, say_json
from fastconv.cli.model_file import MODEL, WEIGHTS, Like, ModelFile, open_model

_SAFETENSORS, _ONNX = ".safetensors", ".onnx"


def convert(
    source: ModelFile,
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file to write: .keras, .weights.h5, .safetensors or .onnx.")
    ],
    like: Like = None,
    from_torch: Annotated[bool, typer.Option("--from-torch", help="FILE is a state_dict of PyTorch.")] = False,
    to_torch: Annotated[bool, typer.Option("--to-torch", help="Write OUT as a state_dict of PyTorch.")] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a model or weights file into one of another kind; the names' endings say which.

    Weights alone become a model (.keras, .onnx) with the layers of --model. PyTorch's files are .safetensors.
    """
    _check(source, target, from_torch, to_torch)
    again = str(source).endswith(MODEL) and str(target).endswith(MODEL)  # then compile's settings travel, too
    model = open_model(source, like, compiled=again, torch=from_torch).model
    try:
        _write(model, target, to_torch)
    except ValueError as error:
        fail(f"cannot write {target}: {error}", USAGE)
    except (ImportError, OSError) as error:
        fail(f"cannot write {target}: {error}", FAILED)
    report = {"file": str(source), "out": str(target), "bytes": os.path.getsize(target), "model": model.name}
    report["parameters"] = model.count_params()
    if as_json:
        say_json(report)
    else:
        say(f"Wrote {target}: {report['parameters']:,} parameters, {report['bytes']:,} bytes")


def _check(source: Path, target: Path, from_torch: bool, to_torch: bool) -> None:
    endings = (MODEL, *WEIGHTS, _ONNX)
    if not str(target).endswith(endings):
        fail(f"OUT: expected a name that ends in {', '.join(endings)}. Received: {target}", USAGE)
    for asked, option, file in ((from_torch, "--from-torch", source), (to_torch, "--to-torch", target)):
        if asked and not str(file).endswith(_SAFETENSORS):
            fail(f"{option}: expected a file that ends in {_SAFETENSORS}. Received: {file}", USAGE)


def _write(model: Any, target: Path, to_torch: bool) -> None:
    from fastconv import saving

    if str(target).endswith(MODEL):
        model.save(target)
    elif str(target).endswith(_ONNX):
        saving.save_onnx(model, target)
    elif to_torch:
        saving.save_torch(model, target)
    else:
        model.save_weights(target)
