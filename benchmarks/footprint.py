"""What fastconv takes beside TensorFlow, PyTorch and JAX: time to import, room on disk, memory of training.

    python benchmarks/footprint.py                    # all three, of every framework that is installed
    python benchmarks/footprint.py --what import --rounds 11
    python benchmarks/footprint.py --python-tensorflow OTHER/bin/python --python-torch OTHER/bin/python

Each figure is of fresh processes, in turn. The tables are printed and written to benchmarks/results.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import systems
from process import PEERS, NotInstalled
from report import RESULTS, about_systems, header, note, spread, table, warn_if_busy, write

from fastconv import bench

WHATS = ("import", "size", "memory")
# What is imported -> the system whose Python has it. fastconv loads its parts when they are first named.
IMPORTS = {
    "import fastconv": "fastconv",
    "from fastconv import layers, models, optimizers": "fastconv",
    "import tensorflow": "tensorflow",
    "import keras": "tensorflow",
    "import torch": "torch",
    "import jax": "jax",
}
DISTRIBUTIONS = {
    "fastconv": ("fastconv",),
    "tensorflow": ("tensorflow-cpu", "tensorflow"),
    "torch": ("torch",),
    "jax": ("jax",),
}
NETWORK, BATCH_SIZE, STEPS = "cnn", 1024, 4
CLOCK = """
import time
import numpy
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""


def seconds_to_import(python: str, statement: str) -> float | None:
    """In a fresh process that has NumPy already; None where it cannot be imported."""
    with tempfile.TemporaryDirectory() as folder:  # not the folder of the source
        command = [python, "-c", CLOCK.format(statement=statement)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return float(done.stdout) if done.returncode == 0 else None


def measure_imports(args) -> list[dict]:
    chosen = {s: systems.python_of(args, name) for s, name in IMPORTS.items() if name in args.systems}
    # The first round fills the file cache and Python's, and says what is installed.
    chosen = {s: python for s, python in chosen.items() if seconds_to_import(python, s) is not None}
    seconds = {statement: [] for statement in chosen}
    for _ in range(args.rounds):
        for statement, python in chosen.items():
            seconds[statement].append(seconds_to_import(python, statement))
    return [
        {"system": IMPORTS[statement], "statement": statement, "ms": spread(values, 1e3, 2)}
        for statement, values in seconds.items()
    ]


def measure_sizes(args) -> list[dict]:
    rows = []
    for system in [name for name in DISTRIBUTIONS if name in args.systems]:
        python = systems.python_of(args, system)
        found = [sizes for name in DISTRIBUTIONS[system] if (sizes := installed_sizes(python, name))]
        if found:
            rows.append({"system": system, "mb": round(sum(found[0].values()) / 1e6, 1), "bytes": found[0]})
        else:
            note(f"left out: the size of {system}, which is not installed")
    return rows


def installed_sizes(python: str, distribution: str) -> dict[str, int] | None:
    command = [python, str(PEERS / "installed.py"), distribution]
    done = subprocess.run(command, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def measure_memory(args, about: dict) -> list[dict]:
    """Each system's peak while it trains, over what it holds with the framework imported and the data loaded."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = systems.write_data(folder, NETWORK, images=BATCH_SIZE)
        for system in args.systems:
            python = systems.python_of(args, system)
            with contextlib.closing(systems.Worker(system, python, args.threads)) as worker:
                try:
                    about[system] = worker.set_up(batch_size=BATCH_SIZE, **data)
                    answer = worker.ask("memory", what="step", steps=STEPS)
                except NotInstalled as error:
                    note(f"left out: {system}: {error}")
                    continue
            growth, peak = ((answer["peak"] - before) / 1e6 for before in (answer["before"], 0))
            rows.append({"system": system, "growth_mb": round(growth, 1), "peak_mb": round(peak, 1)})
    return rows


def page(results: dict) -> list[str]:
    lines = [f"# Import, installed size, memory, {results['date']}"]
    if "import" in results:
        rows = [(row["statement"], *row["ms"]) for row in results["import"]]
        times = [[f"`{statement}`", f"{median:.1f} ({low:.1f} to {high:.1f})"] for statement, median, low, high in rows]
        lines += ["", *table(["import, NumPy being there", "ms: median (min to max)"], times)]
    if "size" in results:
        rows = [[row["system"], largest(row["bytes"]), f"{row['mb']:.0f}"] for row in results["size"]]
        lines += ["", *table(["installed, with all it needs but NumPy", "the largest parts, MB", "MB"], rows, left=2)]
    if "memory" in results:
        rows = [[row["system"], f"{row['growth_mb']:.0f}", f"{row['peak_mb']:.0f}"] for row in results["memory"]]
        title = f"training {NETWORK} at batch {BATCH_SIZE}"
        lines += ["", *table([title, "MB beyond imports and data", "peak MB of the process"], rows)]
    return [*lines, *about_systems(results)]


def largest(sizes: dict[str, int]) -> str:
    parts = sorted(sizes.items(), key=lambda item: -item[1])[:4]
    return ", ".join(f"{name} {size / 1e6:.1f}" for name, size in parts)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", action="append", choices=WHATS, help="repeatable; default: all")
    parser.add_argument("--rounds", type=int, default=7, help="imports that are timed")
    parser.add_argument("--threads", type=int, default=bench.machine()["cores"], help="that train; default: all cores")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    systems.add_options(parser)
    args = parser.parse_args(argv)
    systems.check_options(parser, args)
    args.systems = args.systems or list(systems.SYSTEMS)
    if min(args.rounds, args.threads) < 1:
        parser.error(f"rounds and threads must be at least 1. Received: {args.rounds}, {args.threads}")
    return args


def main(argv: list[str]) -> None:
    args = parse(argv)
    whats = args.what or WHATS
    results = {**header("footprint.py", argv), "systems": {}}
    if "import" in whats:
        warn_if_busy()
        results["import"] = measure_imports(args)
    if "size" in whats:
        results["size"] = measure_sizes(args)
    if "memory" in whats:
        results["memory"] = measure_memory(args, results["systems"])
    write(args.out, f"footprint_{results['date']}", results, page(results))


if __name__ == "__main__":
    main(sys.argv[1:])
