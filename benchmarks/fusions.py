"""What each optimisation of a training step brings: the network cnn unfused, with one fusion after the other, and with
Winograd's convolutions.

    python benchmarks/fusions.py                                  # batch 32, 256, 1024: about two minutes on 2 cores
    python benchmarks/fusions.py --batch-size 32 --rounds 9

Each stage adds one fusion of fastconv.plan.fuse to those before it, in the order in which plans apply them.
Convolutions are direct in all stages but the last, which lets fastconv choose the algorithm. For each stage: the
milliseconds of a bare step (the plan alone, on a batch that is in its place), the calls of a step, its passes over
memory (fastconv.plan.traffic) and the memory of its activations. The stages take turns, round by round, each time with
a new executor, so that one block of memory is alive at a time. Table and chart go to benchmarks/results;
docs/performance.md shows them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import NamedTuple

import chart
import numpy as np
from report import RESULTS, about_systems, header, note, spread, table, warn_if_busy, write

import fastconv
from fastconv import config, optimizers
from fastconv.models import networks
from fastconv.models.objective import Objective
from fastconv.ops import get_ops
from fastconv.plan import fuse
from fastconv.plan.executor import Executor
from fastconv.plan.traffic import memory_passes

BATCH_SIZES = (32, 256, 1024)
LEAST_STEPS = 3


class Stage(NamedTuple):
    name: str
    fusions: tuple[str, ...]
    algorithm: str  # of config.set_conv_algorithm


STAGES = (
    Stage("unfused", (), "direct"),
    *(Stage(name, fuse.ALL[: i + 1], "direct") for i, name in enumerate(fuse.ALL)),
    Stage("winograd", fuse.ALL, "auto"),
)


def bare_step(stage: Stage, batch_size: int):
    """The plan of a stage, and a function that takes one step with it."""
    config.set_conv_algorithm(stage.algorithm)
    loss, adam = Objective("categorical_crossentropy"), optimizers.Adam()
    executor = Executor(networks.cnn(), get_ops("cpu"), loss, adam, fuse=stage.fusions)
    plan = executor.plan("train", batch_size)
    rng = np.random.default_rng(0)
    x, target = plan.slots
    x[...] = rng.random(x.shape, np.float32)
    labels = np.eye(target.shape[-1], dtype=np.float32)[rng.integers(target.shape[-1], size=batch_size)]

    def step() -> None:
        target[...] = labels  # the step before may have written over them
        executor.train_step(plan)

    return plan, step


def seconds_per_step(step, seconds: float) -> float:
    """The mean of so many steps as `seconds` hold, after one that does not count."""
    step()
    steps, begin = 0, time.perf_counter()
    while steps < LEAST_STEPS or time.perf_counter() - begin < seconds:
        step()
        steps += 1
    return (time.perf_counter() - begin) / steps


def measure(batch_size: int, rounds: int, seconds: float) -> list[dict]:
    """A row for each stage."""
    times: dict[Stage, list[float]] = {stage: [] for stage in STAGES}
    counts = {}
    for _ in range(rounds):
        for stage in STAGES:
            plan, step = bare_step(stage, batch_size)
            times[stage].append(seconds_per_step(step, seconds))
            counts[stage] = {
                "calls": len(plan.calls),
                "memory_passes": round(memory_passes(plan), 2),
                "arena_mb": round(plan.layout.size_bytes / 1e6, 2),
            }
    return [
        {
            "batch_size": batch_size,
            "stage": stage.name,
            "algorithm": stage.algorithm,
            **counts[stage],
            "ms_per_step": spread(values, 1e3),
            "ms_per_step_of_rounds": [round(1e3 * v, 4) for v in values],
        }
        for stage, values in times.items()
    ]


def label(row: dict) -> str:
    return row["stage"] if row["stage"] == "unfused" else f"+ {row['stage']}"


def page(results: dict, charts: list[str]) -> list[str]:
    """The chart, the table, then what it was measured on."""
    unfused = {row["batch_size"]: row["ms_per_step"][0] for row in results["rows"] if row["stage"] == "unfused"}
    cells = []
    for row in results["rows"]:
        median, low, high = row["ms_per_step"]
        cells.append(
            [
                *(str(row["batch_size"]), label(row), row["algorithm"]),
                *(f"{median:.3f} ({low:.3f} to {high:.3f})", f"{unfused[row['batch_size']] / median:.2f}"),
                *(f"{row['memory_passes']:.2f}", str(row["calls"]), f"{row['arena_mb']:.1f}"),
            ]
        )
    head = ["batch", "fusions", "convolutions", "ms per bare step: median (min to max)", "speed, unfused = 1"]
    return [
        *(f"# What each optimisation brings to a training step of cnn, {results['date']}", ""),
        *(f"![{Path(name).stem}]({name})\n" for name in charts),
        *table([*head, "memory passes", "calls", "MB of activations"], cells, left=3),
        *("", f"{results['rounds']} rounds in turns, {results['threads']} threads."),
        *about_systems(results),
    ]


def draw(results: dict, folder: Path) -> list[str]:
    """Writes a panel of memory passes and one of step times for each batch size as PNG; returns its name."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        note("left out: the chart, which needs matplotlib")
        return []
    rows = results["rows"]
    batches = list(dict.fromkeys(row["batch_size"] for row in rows))
    bars = list(dict.fromkeys(map(label, rows)))
    passes = {label(row): [row["memory_passes"]] * 3 for row in rows if row["batch_size"] == batches[-1]}
    panels = {"passes over memory": passes}
    for size in batches:
        panels[f"ms, batch {size}"] = {label(row): row["ms_per_step"] for row in rows if row["batch_size"] == size}
    figure = Figure(figsize=(2 + 2.2 * len(panels), 0.9 + 0.28 * len(bars)), facecolor="white", layout="constrained")
    line = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, values) in zip(line, panels.items(), strict=True):
        chart.draw_bars(axes, values, bars, chart.PEER if values is passes else chart.OURS)
        axes.set_title(title, fontsize=10, color=chart.TEXT, loc="left")
        if axes is not line[0]:
            axes.set_yticklabels([])
    about = f"{results['machine']['cpu']}, {results['threads']} threads, float32, {results['date']}"
    figure.suptitle("A training step of cnn, one optimisation after the other", fontsize=13, color=chart.TEXT)
    figure.supxlabel(about, fontsize=9, color=chart.TEXT)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"fusions_{results['date']}.png"
    figure.savefig(folder / name, dpi=140)
    return [name]


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", action="append", type=int, help="repeatable; default: 32, 256, 1024")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds-per-round", type=float, default=0.3, help="of each stage; at least 3 steps")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    args = parser.parse_args(argv)
    args.batch_size = args.batch_size or list(BATCH_SIZES)
    if min(args.rounds, *args.batch_size) < 1:
        parser.error("rounds and batch sizes must be at least 1")
    return args


def main(argv: list[str]) -> None:
    args = parse(argv)
    warn_if_busy()
    versions = {"fastconv": fastconv.__version__, "isa": config.isa(), "numpy": np.__version__}
    results = {
        **header("fusions.py", argv),
        "rounds": args.rounds,
        "threads": config.get_num_threads(),
        "systems": {"fastconv": {"versions": versions, "mode": "the training plan alone"}},
        "rows": [],
    }
    for batch_size in args.batch_size:
        note(f"cnn, batch {batch_size}")
        results["rows"] += measure(batch_size, args.rounds, args.seconds_per_round)
    charts = draw(results, args.out)
    write(args.out, f"fusions_{results['date']}", results, page(results, charts))


if __name__ == "__main__":
    main(sys.argv[1:])
