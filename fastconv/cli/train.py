"""`fastconv train`."""

from __future__ import annotations

import csv
import math
import tempfile
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

import fastconv
from fastconv import config
from fastconv.cli.console import (
    FAILED,
    INTERRUPTED,
    USAGE,
    Device,
    Threads,
    choose_device,
    fail,
    say,
    say_json,
    stdout_kept,
)
from fastconv.models.networks import NETWORKS

_EVALUATE_BATCH = 1000
_WEIGHTS, _HISTORY, _CURVES = "weights.safetensors", "history.csv", "history.png"
_METRICS = ("accuracy", "loss", "val_accuracy", "val_loss")

NetworkName = Enum("NetworkName", {name: name for name in NETWORKS}, type=str)
_DEFAULT_NETWORK = NetworkName("cnn")


def train(
    model: Annotated[NetworkName, typer.Option(metavar="NAME", help=f"{'|'.join(NETWORKS)}")] = _DEFAULT_NETWORK,
    data: Annotated[
        str,
        typer.Option(
            metavar="sample|cifar10|PATH",
            help="The bundled sample, all of CIFAR-10 (found or downloaded), or a CIFAR-10 folder or archive.",
        ),
    ] = "sample",
    epochs: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Epochs. Give it again, paired with --batch-size, to go on training.",
            show_default="10",
        ),
    ] = None,
    batch_size: Annotated[
        list[int] | None,
        typer.Option(min=1, metavar="N", help="Images in a step; repeatable like --epochs.", show_default="32"),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="RATE", help="Adam's step size.", show_default="0.005 for mlp, else 0.0005")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**32 - 1, metavar="N", help="Makes the run repeatable to the bit.", show_default=False
        ),
    ] = None,
    threads: Threads = None,
    device: Device = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder for weights, history and curves.", show_default="./fastconv-MODEL"),
    ] = None,
    verbose: Annotated[
        int,
        typer.Option(
            min=0, max=2, metavar="0|1|2", help="0 nothing, 1 a bar (in a log file a line an epoch), 2 Keras' lines."
        ),
    ] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON; all else goes to stderr.")
    ] = False,
) -> None:
    """Train a network on CIFAR-10, test it, and save it.

    The schedule "10 epochs at batch 32, then 5 at 256" is: --epochs 10 --batch-size 32 --epochs 5 --batch-size 256.
    Ctrl-C ends training early and saves what there is.
    """
    network = NETWORKS[model.value]
    phases = _pair(epochs or [10], batch_size or [32])
    if learning_rate is None:
        learning_rate = network.learning_rate
    elif not 0 < learning_rate < math.inf:
        raise typer.BadParameter(f"expected a number above 0. Received: {learning_rate}", param_hint="--learning-rate")
    folder = _writable_folder(out or Path(f"fastconv-{model.value}"))

    choose_device(device)
    if threads is not None:
        config.set_num_threads(threads)
    if seed is not None:
        fastconv.utils.set_random_seed(seed)
    x_train, y_train, x_test, y_test = _load(data)

    net = network.factory()
    net.compile(fastconv.optimizers.Adam(learning_rate=learning_rate), "categorical_crossentropy", metrics=["accuracy"])
    parameters, trainable = net.count_params(), sum(math.prod(weight.shape) for weight in net.trainable_weights)
    with stdout_kept(as_json):
        say(_device_line())
        say(f"{model.value}: {parameters:,} parameters ({trainable:,} trainable), learning rate {learning_rate:g}")
        say(f"{data}: {len(x_train):,} training and {len(x_test):,} test images")

        histories, interrupted = _fit(net, phases, (x_train, y_train), (x_test, y_test), verbose)
        try:
            saved = _save(net, folder, phases, histories)
        except OSError as error:
            fail(f"cannot save the results: {error}", FAILED)
        try:
            loss, accuracy = net.evaluate(x_test, y_test, batch_size=_EVALUATE_BATCH, verbose=0)
            how = " (training interrupted)" if interrupted else ""
            say(f"Test loss {loss:.4f}, test accuracy {accuracy:.4f}{how}")
            test = {"loss": loss, "accuracy": accuracy}
        except KeyboardInterrupt:
            interrupted, test = True, None
        for line in saved:
            say(line)
    if as_json:
        report = {"model": model.value, "data": data, "parameters": parameters, "out": str(folder)}
        runs = [{"batch_size": phases[i][1], **history.history} for i, history in enumerate(histories)]
        say_json({**report, "history": runs, "test": test, "interrupted": interrupted})
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _pair(epochs: list[int], batch_sizes: list[int]) -> list[tuple[int, int]]:
    """(epochs, batch size) of each call of fit; one value of either goes with all of the other."""
    if len(epochs) == 1:
        epochs = epochs * len(batch_sizes)
    elif len(batch_sizes) == 1:
        batch_sizes = batch_sizes * len(epochs)
    if len(epochs) != len(batch_sizes):
        raise typer.BadParameter(
            f"expected as many as --batch-size, or one of either. Received: {len(epochs)} of --epochs and "
            f"{len(batch_sizes)} of --batch-size",
            param_hint="--epochs",
        )
    return list(zip(epochs, batch_sizes, strict=True))


def _writable_folder(folder: Path) -> Path:
    """Makes the folder and tries to write into it, so that no training ends with nowhere to save."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fail(f"--out must be a folder to write into. Received: {folder} ({error.strerror or error})", USAGE)
    for name in (_WEIGHTS, _HISTORY, _CURVES):
        if (folder / name).is_dir():
            fail(f"--out must have room for a file {name}. Received: {folder / name}, which is a folder", USAGE)
    return folder


def _load(data: str) -> tuple[Any, Any, Any, Any]:
    import numpy as np

    from fastconv import datasets
    from fastconv.utils import to_categorical

    try:
        (x_train, y_train), (x_test, y_test) = datasets.load(data)
    except (datasets.DataError, OSError) as error:
        fail(str(error), USAGE)
    images = []
    for x in (x_train, x_test):
        scaled = x.astype(np.float32)
        scaled /= 255
        images.append(scaled)
    classes = len(datasets.cifar10.LABELS)
    return images[0], to_categorical(y_train, classes), images[1], to_categorical(y_test, classes)


def _device_line() -> str:
    if fastconv.get_device() == "cuda":
        from fastconv import device

        gpu = next(finding.found for finding in device.cuda_findings() if finding.name == "device")
        return f"fastconv {fastconv.__version__} on the GPU ({gpu})"
    threads = config.get_num_threads()
    return f"fastconv {fastconv.__version__} on the CPU ({config.isa()}, {threads} thread{'' if threads == 1 else 's'})"


def _fit(net: Any, phases: list[tuple[int, int]], train: Any, test: Any, verbose: int) -> tuple[list[Any], bool]:
    histories: list[Any] = []
    try:
        for i, (epochs, batch_size) in enumerate(phases):
            if len(phases) > 1:
                say(f"Phase {i + 1} of {len(phases)}: {epochs} epoch{'' if epochs == 1 else 's'} at batch {batch_size}")
            history = net.fit(*train, batch_size=batch_size, epochs=epochs, validation_data=test, verbose=verbose)
            histories.append(history)
            if history.interrupted:
                return histories, True
    except KeyboardInterrupt:  # a second Ctrl-C, which fit lets through, or one between two calls of it
        if net.history is not None and net.history not in histories:
            histories.append(net.history)
        return histories, True
    except MemoryError as error:
        fail(f"not enough memory for a batch of {batch_size} images; try a smaller --batch-size. {error}", FAILED)
    except fastconv.NonFiniteError as error:
        fail(str(error), FAILED)
    return histories, False


def _save(net: Any, folder: Path, phases: list[tuple[int, int]], histories: list[Any]) -> list[str]:
    """Writes the three files and returns what to tell about them."""
    net.save_weights(folder / _WEIGHTS)
    _write_history(folder / _HISTORY, phases, histories)
    lines = [f"Saved {folder / _WEIGHTS}", f"Saved {folder / _HISTORY}"]
    if any(history.epoch for history in histories):
        from fastconv.plot import plot_history

        try:
            plot_history(histories, folder / _CURVES)
            lines.append(f"Saved {folder / _CURVES}")
        except ImportError as error:
            lines.append(f"Not saved: {folder / _CURVES}. {error}")
    return lines


def _write_history(path: Path, phases: list[tuple[int, int]], histories: list[Any]) -> None:
    from fastconv.saving import atomic_write

    with atomic_write(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["phase", "batch_size", "epoch", *_METRICS])
        epoch = 0
        for i, history in enumerate(histories):
            for values in zip(*(history.history.get(name, []) for name in _METRICS), strict=True):
                epoch += 1
                writer.writerow([i + 1, phases[i][1], epoch, *values])
