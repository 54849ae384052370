"""`fastconv predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fastconv.cli.console import FAILED, USAGE, AsJson, Device, choose_device, fail, say, say_json
from fastconv.cli.model_file import Like, ModelFile, open_model
from fastconv.cli.pixels import Pixels, range_for, scaled

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # Pillow's, by channels
_CIFAR10 = "cifar10"


def predict(
    file: ModelFile,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Files that Pillow reads: PNG, JPEG, ...")],
    like: Like = None,
    top: Annotated[int, typer.Option(min=1, metavar="K", help="How many classes to show.")] = 3,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="cifar10|FILE", help="Names of the classes: a name a line.", show_default="cifar10 for its networks"
        ),
    ] = None,
    pixels: Pixels = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Name what is on images: the likeliest classes, with probabilities.

    An image is cropped to the middle in the model's aspect ratio, resized (bilinear) and, for a model of one channel,
    turned grey.
    """
    opened = open_model(file, like)
    shape, classes = _sizes(opened.model)
    names = _names(labels or (_CIFAR10 if opened.network else None), classes)
    wanted = range_for(opened.model, pixels)
    batch = scaled(_read(images, shape), wanted)
    choose_device(device)
    scores = opened.model.predict(batch, verbose=0)
    kind = _kind(scores)
    results = [
        {"image": str(image), "classes": _best(row, names, min(top, classes), kind)}
        for image, row in zip(images, scores, strict=True)
    ]
    prepared = f"cropped to the middle, resized to {shape[1]}x{shape[0]}, {_MODES[shape[2]]}, pixels {wanted.value}"
    if as_json:
        say_json({"file": str(file), "prepared": prepared, "predictions": results})
        return
    say(f"Images {prepared}")
    width = max(len(str(image)) for image in images)
    for result in results:
        say(f"{result['image']:{width}}  " + "  ".join(_text(one, kind) for one in result["classes"]))


def _sizes(model: Any) -> tuple[tuple[int, int, int], int]:
    """Height, width and channels of an image, and the number of classes."""
    inputs, outputs = ([tensor.shape for tensor in tensors] for tensors in (model.inputs, model.outputs))
    if len(inputs) != 1 or len(inputs[0]) != 4 or inputs[0][3] not in _MODES:
        fail(f"expected a model of one input (height, width, 1, 3 or 4 channels). Received: inputs {inputs}", USAGE)
    if len(outputs) != 1 or len(outputs[0]) != 2:
        fail(f"expected a model of one output (classes). Received: outputs {outputs}", USAGE)
    return inputs[0][1:], outputs[0][1]


def _names(labels: str | None, classes: int) -> list[str] | None:
    if labels is None:
        return None
    if labels == _CIFAR10:
        from fastconv.datasets import cifar10

        names = list(cifar10.LABELS)
    else:
        try:
            names = Path(labels).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            fail(f"--labels: expected cifar10, or a text file with a name a line. Received: {labels} ({error})", USAGE)
    if len(names) != classes:
        fail(f"--labels: expected {classes} names, as the model has classes. Received: {len(names)}", USAGE)
    return names


def _read(images: list[Path], shape: tuple[int, int, int]) -> Any:
    """uint8 (N, height, width, channels)."""
    import numpy as np

    try:
        from PIL import Image, ImageOps
    except ImportError:
        fail("images are read with Pillow: pip install pillow", FAILED)
    batch = np.empty((len(images), *shape), np.uint8)
    for pixels, path in zip(batch, images, strict=True):
        try:
            with Image.open(path) as image:
                if image.mode[0] in "IF":
                    raise ValueError(f"expected 8 bits a channel. Received: mode {image.mode}")
                upright = ImageOps.exif_transpose(image).convert(_MODES[shape[2]])
            fitted = ImageOps.fit(upright, (shape[1], shape[0]), Image.Resampling.BILINEAR)
        except Exception as error:  # Pillow's, of many kinds on damaged files
            fail(f"cannot read the image {path}: {getattr(error, 'strerror', None) or error}", USAGE)
        pixels[:] = np.asarray(fitted).reshape(shape)
    return batch


def _kind(scores: Any) -> str:
    """ "probability" where each row adds up to 1, else "score"."""
    import numpy as np

    probable = scores.shape[1] > 1 and (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3)
    return "probability" if probable else "score"


def _best(row: Any, names: list[str] | None, count: int, kind: str) -> list[dict[str, Any]]:
    best = (-row).argsort(kind="stable")[:count]
    return [{"class": int(i), **({"label": names[i]} if names is not None else {}), kind: float(row[i])} for i in best]


def _text(one: dict[str, Any], kind: str) -> str:
    value = f"{one[kind]:.1%}" if kind == "probability" else f"{one[kind]:.4g}"
    return f"{one.get('label', 'class ' + str(one['class']))} {value}"
