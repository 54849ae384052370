"""Kills training (SIGKILL) at random instants and goes on: `python tools/check_resume.py [RUNS]`, 200 if not said.

Each run is a process of its own that is killed once, somewhere between the beginning and the end of `fit`; another
process then goes on with `fit(..., resume=True)`. What it leaves must have the bits of a run that was never killed.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time

TRAIN = """
import hashlib, sys
import numpy as np
from fastconv import Sequential, callbacks, layers, optimizers, rng, utils

folder, save_freq = sys.argv[1], sys.argv[2]
utils.set_random_seed(3)
x, y = np.random.rand(300, 8, 8, 3), np.eye(4)[np.random.randint(4, size=300)]
model = Sequential([
    layers.Input((8, 8, 3)), layers.Conv2D(16, 3, padding="same"), layers.BatchNormalization(), layers.LeakyReLU(),
    layers.Dropout(0.25), layers.Flatten(), layers.Dense(4, activation="softmax"),
])
model.compile(optimizers.Adam(0.01), "categorical_crossentropy", metrics=["accuracy"])
keep = callbacks.BackupAndRestore(f"{folder}/backup", save_freq if save_freq == "epoch" else int(save_freq))
others = [callbacks.EarlyStopping("val_loss", patience=6, restore_best_weights=True),
          callbacks.ReduceLROnPlateau("val_loss", patience=2), callbacks.CSVLogger(f"{folder}/log.csv")]
print("fit", flush=True)
history = model.fit(x, y, 16, 12, verbose=0, callbacks=[*others, keep], validation_split=0.2, resume=True)
left = [w.tobytes() for w in model.get_weights()] + [a.tobytes() for a in model.training_state().values()]
left += [repr((history.history, history.epoch, rng.get_state()["fastconv"])).encode()]
left += [open(f"{folder}/log.csv", "rb").read()]
print(hashlib.sha256(b"".join(left)).hexdigest())
"""
SAVE_FREQUENCIES = ("epoch", "1", "5", "40")


def start(folder: str, save_freq: str) -> subprocess.Popen:
    """A process that has begun to fit."""
    process = subprocess.Popen([sys.executable, "-c", TRAIN, folder, save_freq], stdout=subprocess.PIPE, text=True)
    if process.stdout.readline() != "fit\n":
        raise RuntimeError("the training did not start")
    return process


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    dice, equal, killed = random.Random(5), 0, 0
    expected, durations = set(), {}
    for save_freq in SAVE_FREQUENCIES:
        with tempfile.TemporaryDirectory() as folder:
            process, begin = start(folder, save_freq), time.perf_counter()
            expected.add(process.communicate()[0])
            durations[save_freq] = time.perf_counter() - begin
    for i in range(runs):
        save_freq = SAVE_FREQUENCIES[i % len(SAVE_FREQUENCIES)]
        with tempfile.TemporaryDirectory() as folder:
            process = start(folder, save_freq)
            time.sleep(dice.uniform(0, durations[save_freq]))
            process.kill()
            found = process.communicate()[0]
            if process.returncode != 0:
                killed += 1
                found = start(folder, save_freq).communicate()[0]
        equal += {found} == expected
        if {found} != expected:
            print(f"run {i}, save_freq={save_freq}: other bits")
    print(f"{equal} of {runs} runs have the bits of a run that was never killed; {killed} were killed before their end")
    return equal != runs


if __name__ == "__main__":
    sys.exit(main())
