"""fastconv, PyTorch and JAX on a GPU: limits of the machine, training steps and epochs of `cnn`, kernels, the schedule.

    python benchmarks/gpu.py                            # everything: some ten minutes
    python benchmarks/gpu.py --quick                    # everything, fewer rounds: some four minutes
    python benchmarks/gpu.py --what limits --what ops   # parts, repeatable
    python benchmarks/gpu.py --device cpu --quick --batch-size 32 --images 320 --what steps   # does the script run?

Each system runs in a process of its own; what fails is told of, and the rest goes on. README.md beside this file has
the rules. Results are written after each part, as JSON, Markdown and a chart, to benchmarks/results/gpu_<date>.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import gpu_ops
import gpu_report
import gpu_training
import systems
from process import Process
from report import RESULTS, header, note, spread, warn_if_busy

PARTS = ("limits", "steps", "epochs", "ops", "schedule")
BATCH_SIZES = (32, 256, 1024)
SCHEDULE = ((10, 32), (5, 256), (5, 1024))  # (epochs, batch size), as in the notebook
EPOCH_IMAGES, SAMPLE_IMAGES = 50_000, 5000
PRODUCTS, NODES = ("bf16", "tf32", "fp32"), (1, 12, 64)


class Failures(dict):
    """{part: reason} of what could not be done; the rest of the benchmark goes on."""

    @contextlib.contextmanager
    def of(self, name: str):
        try:
            yield
        except Exception as error:  # whatever a framework throws in its own process arrives as one of these
            self[name] = f"{type(error).__name__}: {error}"
            note(f"failed: {name}: {self[name][:500]}")


@contextlib.contextmanager
def peer(args, framework: str, script: str):
    process = Process(systems.python_of(args, framework), script, args.threads, args.device)
    with contextlib.closing(process):
        yield process


def limits(args, results: dict, failed: Failures) -> None:
    """Copy bandwidth, rates of matrix products, launches."""
    found, rounds = results["limits"], args.rounds
    with peer(args, "torch", "gpu_limits.py") as process:
        about = process.ask("setup")
        results["gpu"] = about["gpu"]
        results["systems"]["limits"] = {"versions": about["versions"], "mode": "CuPy and torch.matmul"}
        questions = {"copy_gb_per_s": ("gb_per_s", "copy", {})}
        questions |= {f"{dtype}_tflop_per_s": ("tflop_per_s", "product", {"dtype": dtype}) for dtype in PRODUCTS}
        questions["launch_us"] = ("us", "launches", {})
        questions |= {f"graph_{nodes}_us": ("us", "graph", {"nodes": nodes}) for nodes in NODES}
        for name, (unit, command, arguments) in questions.items():
            with failed.of(f"limits: {name}"):
                found[name] = spread(process.ask(command, rounds=rounds, **arguments)[unit])
    if {"graph_1_us", "graph_64_us"} <= found.keys():
        found["gap_us"] = round((found["graph_64_us"][0] - found["graph_1_us"][0]) / (64 - 1), 4)


def training(args, results: dict, failed: Failures, save: Callable[[], None]) -> None:
    """Steps and epochs of every system, a batch size after the other."""
    whats = [what.removesuffix("s") for what in args.what if what in ("steps", "epochs")]
    with contextlib.ExitStack() as stack:
        data = systems.write_data(stack.enter_context(tempfile.TemporaryDirectory()), "cnn")
        data["epoch_images"] = args.images
        workers = [
            stack.enter_context(
                contextlib.closing(
                    systems.Worker(name, systems.python_of(args, name), args.threads, args.device),
                )
            )
            for name in args.systems
        ]
        oracle = systems.Worker("fastconv", systems.python_of(args, "fastconv"), args.threads)
        stack.enter_context(contextlib.closing(oracle))
        for batch_size in args.batch_size:
            note(f"cnn, batch {batch_size}: {', '.join(whats)}")
            with failed.of(f"training at batch {batch_size}"):
                gpu_training.measure(args, workers, oracle, batch_size, whats, data, results, failed)
            save()


def schedule(args, results: dict, failed: Failures) -> None:
    """The notebook's epochs, timed on as many images as CIFAR-10 has; the bundled sample alone on both devices."""
    phases = [(1, size) for _, size in SCHEDULE] if args.images < EPOCH_IMAGES else SCHEDULE
    runs = [(args.device, precision, max(1, args.images // SAMPLE_IMAGES)) for precision in gpu_ops.PRECISIONS]
    if "FASTCONV_DATA" not in os.environ and not args.quick:
        runs += [(args.device, "highest", 1), ("cpu", "highest", 1)]
    for device, precision, repeats in runs:
        with failed.of(f"schedule on {device}, {precision}, {repeats} x"):
            process = Process(systems.python_of(args, "fastconv"), "fastconv_gpu.py", args.threads, device)
            with contextlib.closing(process):
                process.ask("setup", device=device, precision=precision)
                answer = process.ask("schedule", phases=phases, repeats=repeats)
            results["schedule"].append({"device": device, "precision": precision, **answer})


def counts(args, results: dict) -> None:
    """Memory passes and calls of a step, counted from the plan of each batch size."""
    with peer(args, "fastconv", "fastconv_gpu.py") as process:
        process.ask("setup", device=args.device, precision="highest")
        for batch_size in args.batch_size:
            results["counts"].append({"batch_size": batch_size, **process.ask("counts", batch_size=batch_size)})


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", action="append", choices=PARTS, help="repeatable; default: all")
    parser.add_argument("--batch-size", action="append", type=int, help="repeatable; default: 32, 256, 1024")
    names = ",".join(gpu_training.SYSTEMS)
    parser.add_argument("--systems", type=lambda text: text.split(","), help=f"out of {names}; default: all")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to try the script out")
    parser.add_argument("--images", type=int, default=EPOCH_IMAGES, help="of an epoch")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and systems")
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 3")
    parser.add_argument("--seconds-per-round", type=float, help="of each system; default: 0.5, with --quick 0.15")
    parser.add_argument("--name", default="gpu", help="of the result's files, before the date")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    systems.add_pythons(parser)
    args = parser.parse_args(argv)
    unknown = set(args.systems or ()) - set(gpu_training.SYSTEMS)
    if unknown:
        parser.error(f"--systems must be out of {names}. Received: {', '.join(sorted(unknown))}")
    args.systems = args.systems or list(gpu_training.QUICK_SYSTEMS if args.quick else gpu_training.SYSTEMS)
    args.what, args.batch_size = args.what or list(PARTS), args.batch_size or list(BATCH_SIZES)
    args.rounds = args.rounds or (3 if args.quick else 5)
    args.seconds_per_round = args.seconds_per_round or (0.15 if args.quick else 0.5)
    args.threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if min(args.rounds, args.images, *args.batch_size) < 1:
        parser.error("rounds, images and batch sizes must be at least 1")
    if args.images <= max(args.batch_size):
        parser.error(f"--images must be more than a batch has. Received: {args.images}")
    return args


def main(argv: list[str]) -> int:
    args, failed = parse(argv), Failures()
    warn_if_busy()
    results = {**header("gpu.py", argv), "rounds": args.rounds, "images": args.images, "gpu": None, "systems": {}}
    results |= {"limits": {}, "counts": [], "checks": [], "rows": [], "kernels": [], "schedule": [], "failed": failed}

    def save(show: bool = False) -> None:
        gpu_report.save(args.out, args.name, results, show)

    if "limits" in args.what and args.device == "cuda":
        with failed.of("limits"):
            limits(args, results, failed)
        save()
    with failed.of("memory passes"):
        counts(args, results)
    if "steps" in args.what or "epochs" in args.what:
        with failed.of("training"):
            training(args, results, failed, save)
    if "schedule" in args.what:
        schedule(args, results, failed)
        save()
    if "ops" in args.what:
        for batch_size in args.batch_size:
            with failed.of(f"kernels at batch {batch_size}"):
                gpu_ops.measure(args, batch_size, peer, results, failed)
            save()
    save(show=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
