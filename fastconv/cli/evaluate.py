"""`fastconv evaluate`."""

from __future__ import annotations

import zipfile
from typing import Annotated, Any

import typer

from fastconv.cli.console import FAILED, USAGE, AsJson, Device, Threads, choose_device, fail, say, say_json
from fastconv.cli.model_file import Like, ModelFile, open_model
from fastconv.cli.pixels import Pixels, Range, range_for, scaled

_NAMES = (("x_test", "y_test"), ("x", "y"))  # of arrays in an .npz file; Keras' files have the first


def evaluate(
    file: ModelFile,
    data: Annotated[
        str,
        typer.Option(
            metavar="sample|cifar10|PATH",
            help="Test images: of the bundled sample, of CIFAR-10 (found or downloaded, or a folder or archive), or an "
            ".npz file of x_test and y_test (or x and y).",
        ),
    ] = "sample",
    like: Like = None,
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="Images in a step.")] = 1000,
    pixels: Pixels = None,
    threads: Threads = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Measure loss and metrics of a saved model on test images.

    With the loss and metrics that the model was compiled with; without such, with categorical cross-entropy and
    accuracy. Pixels of bytes are scaled as --pixels says; other numbers in an .npz file are left as they are.
    """
    from fastconv import config

    model = open_model(file, like, compiled=True).model
    if model.compile_arguments is None:
        outputs = [tensor.shape for tensor in model.outputs]
        if len(outputs) != 1 or len(outputs[0]) != 2 or outputs[0][1] < 2:
            fail(f"expected a model that was compiled, or one of one output (classes). Received: {outputs}", USAGE)
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    x, y = _load_npz(data) if data.endswith(".npz") else _load(data)
    wanted = range_for(model, pixels)
    x = scaled(x, wanted) if x.dtype == "uint8" else x
    choose_device(device)
    if threads is not None:
        config.set_num_threads(threads)
    try:
        results = model.evaluate(x, _labels(model, y), batch_size=batch_size, verbose=0, return_dict=True)
    except ValueError as error:
        fail(f"{data} does not fit {file}: {error}", USAGE)
    except MemoryError as error:
        fail(f"not enough memory for a batch of {batch_size} images; try a smaller --batch-size. {error}", FAILED)
    if as_json:
        say_json({"file": str(file), "data": data, "images": len(x), "results": results})
        return
    say(f"{data}: {len(x):,} test images" + (f", pixels {wanted.value}" if wanted is Range.BYTES else ""))
    say(", ".join(f"{'test ' + name.replace('_', ' ')} {value:.4f}" for name, value in results.items()).capitalize())


def _load(data: str) -> tuple[Any, Any]:
    from fastconv import datasets

    try:
        return datasets.load(data)[1]
    except (datasets.DataError, OSError) as error:
        fail(str(error), USAGE)


def _load_npz(path: str) -> tuple[Any, Any]:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            for names in _NAMES:
                if all(name in file.files for name in names):
                    return file[names[0]], file[names[1]]
            fail(f"{path}: expected arrays x_test and y_test, or x and y. Received: {', '.join(file.files)}", USAGE)
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        fail(f"--data: expected an .npz file of arrays. Received: {path} ({error})", USAGE)


def _labels(model: Any, y: Any) -> Any:
    """Numbers of classes as the rows that some losses expect, and rows as the numbers that others do."""
    from fastconv import losses, utils

    loss, outputs = model.compile_arguments["loss"], model.outputs
    if len(outputs) != 1 or not isinstance(loss, (str, losses.Loss)):
        return y
    loss, classes = losses.get(loss), outputs[0].shape[-1]
    numbers = y.ndim < 2 or y.shape[-1] == 1
    if isinstance(loss, losses.SparseCategoricalCrossentropy):
        return y if numbers or len(outputs[0].shape) != 2 else y.argmax(axis=-1)
    return utils.to_categorical(y, classes) if numbers and classes > 1 else y
