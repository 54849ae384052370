"""Training time of the example networks: fastconv beside TensorFlow, PyTorch and JAX, in one interleaved run.

    python benchmarks/train.py                                  # the whole table, every system installed
    python benchmarks/train.py --network cnn --batch-size 32 --what step --systems fastconv,torch-channels-last
    python benchmarks/train.py --network cnn --batch-size 32 --what step --threads 1 --threads 2 --name threads
    python benchmarks/train.py --network cnn --batch-size 1 --what predict --what call --what kernels --name predict
    python benchmarks/train.py --network cnn --batch-size 32 --what fit --what bare --systems fastconv --name fit
    python benchmarks/train.py --python-tensorflow OTHER/bin/python --python-torch OTHER/bin/python

Each system runs in a process of its own. For every network and batch size the losses of the first steps are compared
before anything is timed; then the systems take turns, round by round. README.md beside this file has the rules.
The table is printed and written with the machine, the versions, the command and charts to benchmarks/results.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

import chart
import numpy as np
import systems
from process import NotInstalled
from report import RESULTS, about_systems, header, note, spread, table, warn_if_busy, write

from fastconv import bench, config

NETWORKS = ("cnn", "conv", "mlp")  # unless others are asked for
BATCH_SIZES = (1, 32, 256, 1024)
TRAINING = ("step", "fit", "bare")
WHATS = (*TRAINING, "predict", "call", "kernels")
LOSS_TOLERANCE = 1e-3
CHECK_STEPS, CHECK_IMAGES = 5, 2048  # whose losses are compared; fewer steps of large batches
PAUSE = 0.02  # before a round, in seconds: the threads of the system before stop spinning
PROBE_SECONDS = 0.05


def start(args, stack: contextlib.ExitStack) -> list[systems.Worker]:
    """A process for each system and number of threads; those that cannot run are told of and left out."""
    workers = []
    for system in args.systems or systems.SYSTEMS:
        for threads in args.threads:
            worker = systems.Worker(system, systems.python_of(args, system), threads)
            workers.append(stack.enter_context(contextlib.closing(worker)))
    return workers


def set_up(args, workers: list[systems.Worker], **arguments) -> dict[str, dict]:
    """Set every worker up for a network and batch size; return about[system], and drop those that cannot run."""
    about = {}
    for worker in workers[:]:
        try:
            about[worker.system] = worker.set_up(**arguments)
        except NotInstalled as error:
            if args.systems:
                framework = worker.system.partition("-")[0]
                advice = f"--python-{framework} names a Python that has it"
                raise SystemExit(f"{worker.system}: {error}. {advice}") from None
            note(f"left out: {worker.system}: {error}")
            workers.remove(worker)
    if not workers:
        raise SystemExit("no system is installed")
    return about


def check_losses(workers: list[systems.Worker], steps: int) -> dict:
    """Train the first steps without dropout everywhere; stop the benchmark where the losses are not the same."""
    losses = {f"{w.system}, threads {w.threads}": w.ask("losses", steps=steps)["losses"] for w in workers}
    first = np.array(next(iter(losses.values())))
    deviation = max(float(np.max(np.abs(np.array(other) / first - 1))) for other in losses.values())
    if not deviation < LOSS_TOLERANCE:
        rows = "\n".join(f"  {name}: {values}" for name, values in losses.items())
        raise SystemExit(f"the systems do not train the same network (losses differ by {deviation:.1e}):\n{rows}")
    return {"losses": losses, "largest_relative_difference": deviation}


class Machine:
    """The FMA peak and the memory bandwidth of this machine, measured between the rounds."""

    def __init__(self, threads: list[int]):
        self.peaks = {count: ([], []) for count in threads}

    def measure(self) -> None:
        for threads, (fma, bandwidth) in self.peaks.items():
            config.set_num_threads(threads)
            limits = bench.limits(PROBE_SECONDS)
            fma.append(limits["fma_gflop_per_s"])
            bandwidth.append(limits["bandwidth_gb_per_s"])

    def rows(self) -> list[dict]:
        return [
            {"threads": threads, "fma_gflop_per_s": spread(fma, digits=1), "gb_per_s": spread(bandwidth, digits=1)}
            for threads, (fma, bandwidth) in self.peaks.items()
        ]


def measure(args, workers: list[systems.Worker], about: dict, peaks: Machine) -> dict:
    """{(worker, what): (steps of a round, seconds per step in each round)}, A B C A B C, after a warm-up."""
    jobs = [(worker, what) for what in args.what for worker in workers if what in about[worker.system]["whats"]]
    seconds_per_round = args.seconds_per_round
    steps = {(w, what): w.ask("warm_up", what=what, seconds=seconds_per_round)["steps"] for w, what in jobs}
    seconds = {job: [] for job in jobs}
    for _ in range(args.rounds):
        for worker, what in jobs:
            time.sleep(PAUSE)
            answer = worker.ask("round", what=what, steps=steps[worker, what])
            seconds[worker, what].append(answer["seconds_per_step"])
        peaks.measure()
    return {job: (steps[job], seconds[job]) for job in jobs}


def flop_per_image(network: str) -> tuple[int, int]:
    """Floating-point operations of one prediction and of one training step, 2 for each product of its convolutions.

    Training takes each product three times: for the output, the weights' and the input's gradient. The first layer's
    input has none. Dense layers are convolutions; products with padding zeros count.
    """
    from fastconv.models import networks
    from fastconv.ops import get_ops
    from fastconv.plan.executor import Executor

    plan = Executor(networks.NETWORKS[network].factory(), get_ops("cpu")).plan("predict", 1)
    products = [step.attrs["geometry"].multiplications for step in plan.steps if "geometry" in step.attrs]
    return 2 * sum(products), 2 * (3 * sum(products) - products[0])


def rows_of(network: str, batch_size: int, times: dict, peaks: Machine) -> list[dict]:
    predict, train = flop_per_image(network)
    medians = {job: statistics.median(seconds) for job, (_, seconds) in times.items()}
    rows = []
    for (worker, what), (steps, seconds) in times.items():
        median = medians[worker, what]
        peers = [
            medians[other, its]
            for other, its in times
            if its == what and other.threads == worker.threads and other.system != "fastconv"
        ]
        gflop_per_s = 1e-9 * batch_size * (train if what in TRAINING else predict) / median
        rows.append(
            {
                "network": network,
                "batch_size": batch_size,
                "what": what,
                "threads": worker.threads,
                "system": worker.system,
                "steps": steps,
                "ms_per_step": spread(seconds, 1e3),
                "ms_per_step_of_rounds": [round(1e3 * v, 4) for v in seconds],
                "images_per_s": round(batch_size / median),
                "speed": round(min(peers) / median, 3) if peers else None,
                "gflop_per_s": round(gflop_per_s, 1),
                "share_of_fma_peak": round(gflop_per_s / statistics.median(peaks.peaks[worker.threads][0]), 4),
            }
        )
    return rows


def page(results: dict, charts: list[str]) -> list[str]:
    """The charts, the table, then what it was measured on."""
    subject = "Training" if any(row["what"] in TRAINING for row in results["rows"]) else "Prediction"
    worst = max(check["largest_relative_difference"] for check in results["checks"])
    head = ["network", "batch", "what", "system", "threads", "ms per step: median (min to max)", "images/s"]
    lines = [
        *(f"# {subject} time, {results['date']}", ""),
        *(f"![{Path(name).stem}]({name})\n" for name in charts),
        *table([*head, "speed, fastest peer = 1", "of FMA peak"], [cells(row) for row in results["rows"]], left=4),
        *("", f"Losses of the first steps: equal within {worst:.1e}. {results['rounds']} rounds.", ""),
    ]
    for row in results["peaks"]:
        fma, bandwidth = (f"{v[0]:.0f} ({v[1]:.0f} to {v[2]:.0f})" for v in (row["fma_gflop_per_s"], row["gb_per_s"]))
        lines.append(f"Measured between the rounds, threads {row['threads']}: {fma} GFLOP/s, {bandwidth} GB/s.")
    return [*lines, *about_systems(results)]


def cells(row: dict) -> list[str]:
    median, low, high = row["ms_per_step"]
    return [
        *(row["network"], str(row["batch_size"]), row["what"], row["system"], str(row["threads"])),
        *(f"{median:.3f} ({low:.3f} to {high:.3f})", f"{row['images_per_s']:,}"),
        *(f"{row['speed']:.2f}" if row["speed"] else "", f"{row['share_of_fma_peak']:.1%}"),
    ]


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*NETWORKS, "resnet20"]
    parser.add_argument("--network", action="append", choices=known, help=f"repeatable; default: {', '.join(NETWORKS)}")
    parser.add_argument("--batch-size", action="append", type=int, help="repeatable; default: 1, 32, 256, 1024")
    parser.add_argument("--what", action="append", choices=WHATS, help="repeatable; default: step and fit")
    parser.add_argument("--threads", action="append", type=int, help="of each system; repeatable; default: all cores")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds-per-round", type=float, default=0.6, help="of each system; at least 3 steps")
    parser.add_argument("--name", default="train", help="of the result's files, before the date")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    systems.add_options(parser)
    args = parser.parse_args(argv)
    systems.check_options(parser, args)
    args.network = args.network or list(NETWORKS)
    args.batch_size = args.batch_size or list(BATCH_SIZES)
    args.what = args.what or ["step", "fit"]
    args.threads = args.threads or [bench.machine()["cores"]]
    if min(args.rounds, *args.threads, *args.batch_size) < 1:
        parser.error("rounds, threads and batch sizes must be at least 1")
    return args


def main(argv: list[str]) -> None:
    args = parse(argv)
    warn_if_busy()
    results = {**header("train.py", argv), "rounds": args.rounds}
    results |= {"systems": {}, "peaks": [], "checks": [], "rows": []}
    peaks = Machine(args.threads)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        workers = start(args, stack)
        for network in args.network:
            data = systems.write_data(folder, network)
            for batch_size in args.batch_size:
                about = set_up(args, workers, batch_size=batch_size, **data)
                check = check_losses(workers, max(2, min(CHECK_STEPS, CHECK_IMAGES // batch_size)))
                note(f"{network}, batch {batch_size}: {', '.join(args.what)}")
                times = measure(args, workers, about, peaks)
                results["rows"] += rows_of(network, batch_size, times, peaks)
                results["checks"].append({"network": network, "batch_size": batch_size, **check})
                results["systems"].update(about)
    results["peaks"] = peaks.rows()
    charts = chart.draw(results, args.out, args.name)
    write(args.out, f"{args.name}_{results['date']}", results, page(results, charts))


if __name__ == "__main__":
    main(sys.argv[1:])
