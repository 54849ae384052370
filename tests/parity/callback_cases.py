"""What callbacks decide: scripted epochs, played to Keras' callbacks by `record_tensorflow.py`, to ours by the tests.

Nothing here imports either library.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
from pathlib import Path
from typing import Any

LOSSES = [1.0, 0.8, 0.81, 0.7999, 0.82, 0.83, 0.5, 0.6, 0.6, 0.6, 0.6, 0.4]
ACCURACIES = [0.1, 0.3, 0.3, 0.2, 0.35, 0.35, 0.35, 0.9, 0.8, 0.7, 0.6, 0.5]
BATCHES = 3
RATE = 0.5  # the optimizer's first

STOP, REDUCE, SAVE = "EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint"
EPOCH_FILE, BEST_FILE = "{epoch:02d}-{val_loss:.2f}.keras", "best.keras"
# name: (callback, arguments); "schedule" is a name in SCHEDULES
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "stop": (STOP, {}),
    "stop-after-3": (STOP, {"patience": 3, "verbose": 1}),
    "stop-of-the-training-loss": (STOP, {"monitor": "loss", "patience": 1}),
    "stop-min-delta": (STOP, {"min_delta": 0.05, "patience": 2}),
    "stop-negative-min-delta": (STOP, {"min_delta": -0.05, "patience": 2}),
    "stop-accuracy": (STOP, {"monitor": "val_accuracy", "patience": 2}),
    "stop-max": (STOP, {"monitor": "val_loss", "mode": "max", "patience": 4}),
    "stop-min-of-accuracy": (STOP, {"monitor": "accuracy", "mode": "min", "patience": 2}),
    "stop-baseline": (STOP, {"baseline": 0.7, "patience": 3}),
    "stop-baseline-restored": (STOP, {"baseline": 0.1, "patience": 3, "restore_best_weights": True, "verbose": 1}),
    "stop-restored": (STOP, {"patience": 2, "restore_best_weights": True, "verbose": 1}),
    "stop-restored-at-the-end": (STOP, {"patience": 20, "restore_best_weights": True}),
    "stop-from-epoch-4": (STOP, {"patience": 1, "start_from_epoch": 4, "restore_best_weights": True}),
    "stop-missing": (STOP, {"monitor": "val_auc", "mode": "max"}),
    "stop-unknown-direction": (STOP, {"monitor": "val_auc"}),
    "stop-unknown-mode": (STOP, {"mode": "least"}),
    "reduce": (REDUCE, {"patience": 2}),
    "reduce-cooldown": (REDUCE, {"patience": 1, "cooldown": 2, "factor": 0.5, "verbose": 1}),
    "reduce-min-lr": (REDUCE, {"patience": 1, "factor": 0.1, "min_lr": 0.01, "verbose": 1}),
    "reduce-min-delta": (REDUCE, {"patience": 1, "min_delta": 0.1, "factor": 0.5}),
    "reduce-accuracy": (REDUCE, {"monitor": "accuracy", "patience": 1, "factor": 0.5}),
    "reduce-no-patience": (REDUCE, {"patience": 0, "factor": 0.5}),
    "reduce-missing": (REDUCE, {"monitor": "val_auc", "mode": "min"}),
    "reduce-factor-1": (REDUCE, {"factor": 1.0}),
    "schedule": ("LearningRateScheduler", {"schedule": "halve", "verbose": 1}),
    "schedule-of-the-epoch": ("LearningRateScheduler", {"schedule": "by_epoch"}),
    "schedule-of-no-float": ("LearningRateScheduler", {"schedule": "whole"}),
    "save": (SAVE, {"filepath": EPOCH_FILE}),
    "save-best": (SAVE, {"filepath": BEST_FILE, "save_best_only": True, "verbose": 1}),
    "save-best-accuracy": (SAVE, {"filepath": EPOCH_FILE, "monitor": "val_accuracy", "save_best_only": True}),
    "save-threshold": (SAVE, {"filepath": EPOCH_FILE, "save_best_only": True, "initial_value_threshold": 0.7}),
    "save-weights": (SAVE, {"filepath": "{epoch}.weights.h5", "save_weights_only": True, "verbose": 1}),
    "save-every-4-batches": (SAVE, {"filepath": "{epoch}-{batch}-{loss:.2f}.keras", "save_freq": 4}),
    "save-best-of-batches": (SAVE, {"filepath": "{epoch}.keras", "monitor": "loss", "save_freq": 2, "verbose": 1}),
    "save-into-folders": (SAVE, {"filepath": "deep/{epoch}/m.keras", "save_best_only": True}),
    "save-missing": (SAVE, {"filepath": "{epoch}.keras", "monitor": "val_auc", "mode": "max", "save_best_only": True}),
    "save-other-ending": (SAVE, {"filepath": "model.pt"}),
    "save-weights-other-ending": (SAVE, {"filepath": "model.keras", "save_weights_only": True}),
    "save-other-frequency": (SAVE, {"filepath": "model.keras", "save_freq": "batch"}),
    "table": ("CSVLogger", {"filename": "log.csv"}),
    "table-semicolons": ("CSVLogger", {"filename": "log.csv", "separator": ";"}),
    "table-appended": ("CSVLogger", {"filename": "log.csv", "append": True}),
    "nan": ("TerminateOnNaN", {}),
    "nan-error": ("TerminateOnNaN", {"raise_error": True}),
}
SCHEDULES = {
    "halve": lambda epoch, rate: rate / 2 if epoch % 3 == 2 else rate,
    "by_epoch": lambda epoch: 1.0 / (epoch + 1),
    "whole": lambda epoch, rate: 1,
}
NUMBER = re.compile(r"\d+\.\d+(e-?\d+)?")


def play(name: str, make: Any, model: Any) -> dict[str, Any]:
    """What the callback does in 12 epochs of 3 batches, in an empty current folder.

    Args:
        name: out of `CASES`.
        make: function of the callback's name and its arguments.
        model: a dense layer of one number, compiled with SGD(RATE) and the metric "accuracy", after a training step.
    """
    kind, arguments = CASES[name]
    if "schedule" in arguments:
        arguments = {**arguments, "schedule": SCHEDULES[arguments["schedule"]]}
    record: dict[str, Any] = {"learning_rates": [], "logged_rates": [], "new_files": []}  # by epoch
    text = io.StringIO()
    with contextlib.redirect_stdout(text), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            callback = make(kind, arguments)
            callback.set_params({"epochs": len(LOSSES), "steps": BATCHES, "verbose": 0})
            callback.set_model(model)
            _run(callback, model, record, kind == "TerminateOnNaN")
            record["weight"] = float(model.get_weights()[0][0, 0])
        except (KeyError, RuntimeError, ValueError) as error:
            record["error"] = type(error).__name__
    record["text"] = NUMBER.sub(lambda number: f"{float(number[0]):.5g}", text.getvalue())
    record["warnings"] = sum(warning.category is UserWarning for warning in warned)
    tables = sorted(Path().glob("*.csv"))
    record["tables"] = [table.read_bytes().decode() for table in tables]
    return record


def _run(callback, model, record: dict[str, Any], with_nan: bool) -> None:
    seen: set[str] = set()
    model.stop_training = False
    callback.on_train_begin({})
    for epoch, (loss, accuracy) in enumerate(zip(LOSSES, ACCURACIES, strict=True)):
        callback.on_epoch_begin(epoch, {})
        for batch in range(BATCHES):
            callback.on_train_batch_begin(batch, {})
            running = loss + (BATCHES - 1 - batch) / 4
            if with_nan and (epoch, batch) == (2, 1):
                running = float("nan")
            callback.on_train_batch_end(batch, {"loss": running, "accuracy": accuracy})
        model.set_weights([value * 0 + epoch + 1 for value in model.get_weights()])
        logs = {"accuracy": accuracy, "loss": loss, "val_accuracy": accuracy / 2, "val_loss": loss}
        callback.on_epoch_end(epoch, logs)
        files = {str(path).replace(os.sep, "/") for path in Path().rglob("*") if path.is_file()}
        record["learning_rates"].append(float(f"{float(model.optimizer.learning_rate):.6g}"))
        record["logged_rates"].append(float(f"{logs.get('learning_rate', -1):.6g}"))
        record["new_files"].append(sorted(file for file in files - seen if not file.endswith(".csv")))
        seen |= files
        if model.stop_training:
            break
    callback.on_train_end({})
