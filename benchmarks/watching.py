"""What looking for non-finite values costs a training in which all is well.

    python benchmarks/watching.py

Epochs of the bundled sample (5,000 images, batch 32), by turns with and without `fastconv.models.watched`: `epochs` is
the median of the ratios of two in a row, with quartiles. On a machine with other work that says little about a percent,
so the parts are timed by themselves, too: what is noted of a step, a look at all weights and slots, and a copy of them.
`share` is their sum over a step: each step's note, a copy and a look every 500 steps or half a second, if that is more,
and a look at the end of an epoch.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import report

import fastconv
from fastconv import datasets, utils
from fastconv.callbacks import CallbackList
from fastconv.models import data, loops
from fastconv.models.networks import NETWORKS
from fastconv.models.watched import _SECONDS, _STEPS, Watched
from fastconv.plan.snapshot import Snapshot

BATCH, PARTS = 32, 300  # repetitions of each part


class Nothing:
    """A feeder whose steps do nothing."""

    totals = np.ones(2)

    def begin(self, *arguments) -> None: ...

    def step(self, *batch) -> None: ...


def seconds(function: Callable[[], object], repetitions: int = 1) -> float:
    begin = time.perf_counter()
    for _ in range(repetitions):
        function()
    return (time.perf_counter() - begin) / repetitions


def measure(name: str, pairs: int) -> dict:
    (x, y), _ = datasets.load_sample()
    x, y = x.astype(np.float32) / 255, utils.to_categorical(y, 10)
    utils.set_random_seed(0)
    model = NETWORKS[name].factory()
    optimizer = fastconv.optimizers.Adam(NETWORKS[name].learning_rate)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    executor, samples, callbacks = model._ready(), data.samples_of(model, x, y), CallbackList([], model)
    plain = loops.Direct(executor, "train", samples)
    feeders = plain, Watched(loops.Direct(executor, "train", samples), executor, samples)

    def epoch(feeder) -> float:
        return seconds(lambda: loops.run(feeder, "train", loops.spans(len(x), BATCH), callbacks))

    for feeder in feeders:
        epoch(feeder)
    times = []
    for i in range(pairs):
        turn = 1 if i % 2 else -1  # who begins
        times.append([epoch(feeder) for feeder in feeders[::turn]][::turn])
    ratios = [with_it / without for without, with_it in times]

    noting = Watched(Nothing(), executor, samples)
    noting.begin(np.arange(len(x)))
    note = statistics.median(seconds(lambda: noting.step(0, BATCH), _STEPS - 1) for _ in range(20))
    snapshot, looks, copies = Snapshot(executor), [], []
    snapshot.take()
    for _ in range(PARTS):
        plain.step(0, BATCH)  # so that they find the caches as they would
        looks.append(seconds(executor.is_finite))
        copies.append(seconds(snapshot.take))
    look, copy = statistics.median(looks), statistics.median(copies)
    steps = -(-len(x) // BATCH)
    step = statistics.median(without for without, _ in times) / steps
    return {
        "network": name,
        "step_ms": round(1e3 * step, 3),
        "note_us": round(1e6 * note, 2),
        "look_us": round(1e6 * look, 1),
        "copy_us": round(1e6 * copy, 1),
        "share_percent": round(100 * (note + (look + copy) / max(_STEPS, _SECONDS / step) + look / steps) / step, 3),
        "epochs": [round(float(q), 4) for q in np.percentile(ratios, (25, 50, 75))],
    }


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", action="append", choices=NETWORKS, help="all but cnn-first-bn if left out")
    parser.add_argument("--pairs", type=int, default=20, help="epochs with and without")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args(argv)
    report.warn_if_busy()
    rows = [measure(name, args.pairs) for name in args.network or ("cnn", "mlp", "conv")]
    results = {**report.header("watching.py", argv), "pairs": args.pairs, "rows": rows}
    host = results["machine"]
    about = "Other work of the machine is in the ratios of epochs, and hardly in the shares."
    head = ["network", "step, ms", "note, us", "look, us", "copy, us", "share", "epochs with / without (quartiles)"]
    lines = [
        [row["network"], *(str(row[key]) for key in ("step_ms", "note_us", "look_us", "copy_us"))]
        + [f"{row['share_percent']:.2f} %", "{1:.3f} ({0:.3f} to {2:.3f})".format(*row["epochs"])]
        for row in rows
    ]
    page = [
        "# The cost of looking for non-finite values",
        "",
        *report.table(head, lines),
        "",
        about,
        "",
        f"{host['cpu']}, {host['cores']} cores, {host['system']}, {results['date']}. Command: `{results['command']}`",
    ]
    report.write(args.out, f"watching_{results['date']}", results, page)


if __name__ == "__main__":
    main(sys.argv[1:])
