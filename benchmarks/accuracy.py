"""Trains the example networks on full CIFAR-10 as their notebooks do, and records test loss and accuracy per phase.

    FASTCONV_DATA=/path/to/cifar python benchmarks/accuracy.py cnn cnn-first-bn mlp conv --seed 1
    FASTCONV_DATA=/path/to/cifar python benchmarks/accuracy.py cnn --seed 1 --conv-algorithm direct

Writes benchmarks/results/fastconv_accuracy.json, in the form of keras_reference.json beside it, which holds Keras' own
runs of mlp and conv. Runs of other networks and seeds that the file has stay.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

import fastconv
from fastconv import datasets, optimizers, utils
from fastconv.models.networks import NETWORKS

RESULT = Path(__file__).resolve().parent / "results" / "fastconv_accuracy.json"

# (epochs, batch size), one after the other with one optimizer.
SCHEDULES = {
    "mlp": ((10, 32), (5, 256), (5, 2048)),
    "conv": ((10, 32),),
    "cnn": ((10, 32), (5, 256), (5, 1024)),
    "cnn-first-bn": ((10, 32),),
}


def load():
    (x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data()
    scaled = [x.astype(np.float32) / 255 for x in (x_train, x_test)]
    return (scaled[0], utils.to_categorical(y_train, 10)), (scaled[1], utils.to_categorical(y_test, 10))


def run(name: str, train, test, seed: int) -> dict:
    utils.set_random_seed(seed)
    network = NETWORKS[name]
    model = network.factory()
    model.compile(optimizers.Adam(network.learning_rate), "categorical_crossentropy", metrics=["accuracy"])
    phases = []
    for epochs, batch_size in SCHEDULES[name]:
        start = time.perf_counter()
        history = model.fit(*train, batch_size=batch_size, epochs=epochs, verbose=2).history
        phases.append(
            {
                "epochs": epochs,
                "batch_size": batch_size,
                "test": model.evaluate(*test, batch_size=1000, verbose=0),
                "train": [history["loss"][-1], history["accuracy"][-1]],
                "seconds": round(time.perf_counter() - start),
            }
        )
        print(name, json.dumps(phases[-1]), flush=True)
    return {
        "versions": {"fastconv": fastconv.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "isa": fastconv.config.isa(),
        "conv_algorithm": fastconv.config.conv_algorithm(),
        "seed": seed,
        "threads": fastconv.config.get_num_threads(),
        "date": datetime.date.today().isoformat(),
        "learning_rate": network.learning_rate,
        "phases": phases,
        "command": f"python benchmarks/accuracy.py {name} --seed {seed}"
        f" --conv-algorithm {fastconv.config.conv_algorithm()}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", choices=SCHEDULES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--conv-algorithm", choices=("auto", "direct"), default="auto")
    options = parser.parse_args()
    fastconv.config.set_conv_algorithm(options.conv_algorithm)
    if "FASTCONV_DATA" not in os.environ:
        print("FASTCONV_DATA is not set: looking for CIFAR-10 in the caches", file=sys.stderr)
    train, test = load()
    for name in options.networks:
        result = run(name, train, test, options.seed)
        about = "fastconv on full CIFAR-10 (x/255); test and train are [loss, accuracy] after the phase"
        record = json.loads(RESULT.read_text()) if RESULT.exists() else {"about": about, "runs": {}}
        runs = {(r["seed"], r["conv_algorithm"]): r for r in record["runs"].get(name, [])}
        runs[options.seed, options.conv_algorithm] = result
        record["runs"][name] = [runs[key] for key in sorted(runs)]
        RESULT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
