"""Training steps and epochs of `cnn` on a GPU: systems that agree about the losses take turns."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from process import Ended, NotInstalled
from report import note, spread

QUICK_SYSTEMS = (
    "fastconv-highest",
    "fastconv-high",
    "fastconv-bf16",
    "torch",
    "torch-tf32",
    "torch-bf16",
    "torch-graph-tf32",
    "torch-graph-bf16",
    "torch-compile-bf16",
    "jax",
    "jax-bf16",
)
SYSTEMS = (*QUICK_SYSTEMS, "torch-compile-tf32", "tensorflow")
OURS = "fastconv"
# Largest relative difference from the CPU's losses: of float32, of products in TF32 (10 bits) and in bfloat16 (7 bits).
FLOAT32_TOLERANCE, TF32_TOLERANCE, BF16_TOLERANCE = 1e-3, 1e-2, 6e-2
CHECK_STEPS, CHECK_IMAGES = 5, 2048
PAUSE = 0.02  # before a round, in seconds


def tolerance(system: str) -> float:
    """What the losses of a system may differ by; frameworks use TF32 for convolutions unless told otherwise."""
    if "bf16" in system:
        return BF16_TOLERANCE
    return FLOAT32_TOLERANCE if system == "fastconv-highest" else TF32_TOLERANCE


def get_ready(worker, whats, steps: int, arguments: dict) -> tuple[dict, list[float]]:
    """Everything that is not timed: set up, the first losses, compilation."""
    about = worker.set_up(**arguments)
    losses = worker.ask("losses", steps=steps)["losses"]
    for what in whats:
        if what in about["whats"]:
            worker.ask("prepare", what=what)
    return about, losses


def measure(args, workers: list, oracle, batch_size: int, whats, data: dict, results: dict, failed: dict) -> None:
    """Appends the rows of a batch size. A worker that cannot run is dropped; one that fails misses this batch size."""
    steps = max(2, min(CHECK_STEPS, CHECK_IMAGES // batch_size))
    arguments = {**data, "batch_size": batch_size}
    oracle.set_up(**arguments)
    expected = np.array(oracle.ask("losses", steps=steps)["losses"])
    with ThreadPoolExecutor(len(workers) or 1) as pool:
        jobs = {worker: pool.submit(get_ready, worker, whats, steps, arguments) for worker in workers}
    differences, about = {}, {}
    for worker, job in jobs.items():
        with failed.of(f"{worker.system} at batch {batch_size}"):
            try:
                found, losses = job.result()
            except (NotInstalled, Ended) as error:
                workers.remove(worker)
                if isinstance(error, NotInstalled) and worker.system != "fastconv-highest":
                    results["systems"][worker.system] = {"versions": {}, "mode": f"left out: {error}"}
                    note(f"left out: {worker.system}: {error}")
                    continue
                raise
            results["systems"][worker.system] = found
            difference = differences[worker.system] = float(np.max(np.abs(np.array(losses) / expected - 1)))
            if not difference < tolerance(worker.system):
                raise ValueError(f"its losses are not the CPU's {expected.tolist()}. Received: {losses}")
            about[worker] = found
    results["checks"].append({"batch_size": batch_size, "steps": steps, "largest_relative_difference": differences})
    for what in whats:
        times = in_turns(args, [w for w in about if what in about[w]["whats"]], what, batch_size, failed)
        results["rows"] += rows_of(batch_size, what, times, args.images)


def in_turns(args, workers: list, what: str, batch_size: int, failed) -> dict[str, list[float]]:
    """{system: seconds per step or epoch in each round}; a system that fails keeps the rounds before."""
    steps, seconds = {}, {}
    for worker in workers:
        with failed.of(f"{worker.system}, {what} at batch {batch_size}"):
            steps[worker] = worker.ask("warm_up", what=what, seconds=args.seconds_per_round)["steps"]
    for _ in range(args.rounds):
        for worker in list(steps):
            time.sleep(PAUSE)
            before = len(failed)
            with failed.of(f"{worker.system}, round of {what} at batch {batch_size}"):
                answer = worker.ask("round", what=what, steps=steps[worker])
                seconds.setdefault(worker.system, []).append(answer["seconds_per_step"])
            if len(failed) > before:
                del steps[worker]
    return seconds


def rows_of(batch_size: int, what: str, times: dict[str, list[float]], images: int) -> list[dict]:
    """Rows of a batch size; `speed` is the time of the fastest peer over a system's own."""
    medians = {system: statistics.median(seconds) for system, seconds in times.items()}
    peers = [median for system, median in medians.items() if not system.startswith(OURS)]
    of_row = images if what == "epoch" else batch_size
    return [
        {
            "network": "cnn",
            "batch_size": batch_size,
            "what": what,
            "system": system,
            "ms": spread(seconds, 1e3),
            "ms_of_rounds": [round(1e3 * s, 4) for s in seconds],
            "images_per_s": round(of_row / medians[system]),
            "speed": round(min(peers) / medians[system], 3) if peers else None,
        }
        for system, seconds in times.items()
    ]
