"""Training time of the example networks: fastconv beside Keras on TensorFlow and PyTorch, in one interleaved run.

    python benchmarks/train.py                                  # fit of "cnn" at batch 32, every system installed
    python benchmarks/train.py --network mlp --network conv --batch-size 32 --batch-size 256 --what fit --what step
    python benchmarks/train.py --python-tensorflow OTHER/bin/python --python-torch OTHER/bin/python

Each system runs in a process of its own. For every network and batch size the losses of the first steps are compared
before anything is timed; then the systems take turns, round by round. README.md beside this file has the rules.
The table is printed and written with the machine, the versions and the command to benchmarks/results.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SCRIPTS = {
    "fastconv": "fastconv_worker.py",
    "tensorflow": "tensorflow_peer.py",
    "torch": "torch_peer.py",
}
NETWORKS = ("cnn", "conv", "mlp")
WHATS = ("fit", "step")
PATH_OPTIONS = ("--python-", "--out")
LOSS_TOLERANCE = 1e-3
# One `fit` of a round: the epoch of CIFAR-10 where that takes seconds, since starting `fit` costs Keras some 0.2 s,
# which a short one would count as training; a third of it for the network that takes ten times as long.
IMAGES_PER_ROUND = {"cnn": 16_000, "conv": 50_000, "mlp": 50_000}
MIN_STEPS, MAX_STEPS = 8, 2000


class NotInstalled(Exception):
    """A system cannot be imported by its Python."""


class Worker:
    """The process of one system: a line of JSON out, a line of JSON back."""

    def __init__(self, name: str, python: str, threads: int):
        self.name = name
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "-1",
        }
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in close)
        self.process = subprocess.Popen(
            [python, str(HERE / "peers" / SCRIPTS[name])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment,
        )

    def ask(self, command: str, **arguments) -> dict:
        try:
            self.process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": f"the worker ended with status {self.process.wait()}"}
        if "error" not in answer:
            return answer
        if answer["error"].startswith("ModuleNotFoundError"):
            raise NotInstalled(f"{self.name}: {answer['error']}")
        self.log.seek(0)
        raise RuntimeError(f"{self.name} failed at {command!r}: {answer['error']}\n{self.log.read()[-2000:]}")

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


def load_golden():
    """tests/parity/golden.py: the weights and their shapes are those of the recorded losses."""
    path = HERE.parent / "tests" / "parity" / "golden.py"
    spec = importlib.util.spec_from_file_location("golden", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_data(folder: str, network: str, images: int) -> tuple[str, float]:
    """Write the images, labels and first weights that all systems get; return the file and the learning rate."""
    import fastconv

    golden = load_golden()
    recorded = golden.load("golden_losses")
    run = recorded["runs"][network]
    weights = golden.golden_weights(run["weight_shapes"], recorded["seed"], run["gain"])
    (x, y), _ = fastconv.datasets.load_sample()
    chosen = np.arange(images) % len(x)
    path = os.path.join(folder, f"{network}_{images}.npz")
    arrays = {f"w{i}": w for i, w in enumerate(weights)}
    np.savez(path, images=x[chosen], labels=y[chosen], **arrays)
    return path, run["learning_rate"]


def start_workers(args, network: str, batch_size: int, data: str, learning_rate: float):
    """Start and set up every system; return the workers and their versions and modes. Missing ones are told of."""
    workers, about = [], {}
    for name in args.systems or SCRIPTS:
        worker = Worker(name, getattr(args, f"python_{name}"), args.threads)
        try:
            about[name] = worker.ask(
                "setup",
                network=network,
                batch_size=batch_size,
                threads=args.threads,
                data=data,
                learning_rate=learning_rate,
            )
        except NotInstalled as error:
            worker.close()
            if args.systems:
                raise SystemExit(f"{error}. Use --python-{name} for a Python that has it") from None
            note(f"left out: {error}")
        else:
            workers.append(worker)
    return workers, about


def check_losses(workers: list[Worker], steps: int) -> dict:
    """Train the first steps without dropout everywhere; stop the benchmark where the losses are not the same."""
    losses = {worker.name: worker.ask("losses", steps=steps)["losses"] for worker in workers}
    first = np.array(next(iter(losses.values())))
    deviation = max(float(np.max(np.abs(np.array(other) / first - 1))) for other in losses.values())
    if not deviation < LOSS_TOLERANCE:
        rows = "\n".join(f"  {name}: {values}" for name, values in losses.items())
        raise SystemExit(f"the systems do not train the same network (losses differ by {deviation:.1e}):\n{rows}")
    return {"losses": losses, "largest_relative_difference": deviation}


def measure(workers: list[Worker], what: str, rounds: int) -> dict[str, list[float]]:
    """Seconds per step of each system in each round, A B C A B C, after a round that does not count."""
    for worker in workers:
        worker.ask("warm_up", what=what)
    seconds = {worker.name: [] for worker in workers}
    for _ in range(rounds):
        for worker in workers:
            seconds[worker.name].append(worker.ask("round", what=what)["seconds_per_step"])
    return seconds


def benchmark(args, folder: str, network: str, batch_size: int) -> tuple[list[dict], dict, dict]:
    steps = args.steps or min(MAX_STEPS, max(MIN_STEPS, IMAGES_PER_ROUND[network] // batch_size))
    data, learning_rate = write_data(folder, network, steps * batch_size)
    workers, about = start_workers(args, network, batch_size, data, learning_rate)
    try:
        if not workers:
            raise SystemExit("no system is installed")
        check = check_losses(workers, min(steps, args.check_steps))
        rows = []
        for what in args.what or ["fit"]:
            note(f"{network}, batch {batch_size}, {what}: {args.rounds} rounds of {steps} steps")
            seconds = measure(workers, what, args.rounds)
            ours = statistics.median(seconds[workers[0].name])
            for name, values in seconds.items():
                median = statistics.median(values)
                rows.append(
                    {
                        "network": network,
                        "batch_size": batch_size,
                        "what": what,
                        "system": name,
                        "steps": steps,
                        "ms_per_step": [round(1e3 * v, 4) for v in (median, min(values), max(values))],
                        "ms_per_step_of_rounds": [round(1e3 * v, 4) for v in values],
                        "images_per_s": round(batch_size / median),
                        "times_as_long": round(median / ours, 3),
                    }
                )
        return rows, {"network": network, "batch_size": batch_size, **check}, about
    finally:
        for worker in workers:
            worker.close()


def machine() -> dict:
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    return {"cpu": model, "cores": usable_cores(), "system": f"{platform.system()} {platform.machine()}"}


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def markdown(results: dict) -> str:
    """The results as a page: the table first, then what it was measured on."""
    first = results["rows"][0]["system"]
    lines = [
        f"# Training time, {results['date']}",
        "",
        f"| network | batch | what | system | ms per step: median (min to max) | images/s | time, {first} = 1 |",
        "| --- | ---: | --- | --- | ---: | ---: | ---: |",
    ]
    for row in results["rows"]:
        median, low, high = row["ms_per_step"]
        lines.append(
            f"| {row['network']} | {row['batch_size']} | {row['what']} | {row['system']} "
            f"| {median:.3f} ({low:.3f} to {high:.3f}) | {row['images_per_s']:,} | {row['times_as_long']:.2f} |"
        )
    host = results["machine"]
    lines += ["", f"{host['cpu']}, {results['threads']} of {host['cores']} cores, {host['system']}.", ""]
    for name, about in results["systems"].items():
        versions = ", ".join(f"{key} {value}" for key, value in about["versions"].items())
        lines.append(f"- {name}: {versions} ({about['mode']})")
    worst = max(check["largest_relative_difference"] for check in results["checks"])
    lines += ["", f"Losses of the first steps: equal within {worst:.1e}. Command: `{results['command']}`"]
    return "\n".join(lines) + "\n"


def command_line(argv: list[str]) -> str:
    """The command as another machine would give it: without the paths of this one."""
    words = ["python benchmarks/train.py"]
    for before, word in zip(["", *argv], argv, strict=False):
        option, equals, _ = word.partition("=")
        if equals and option.startswith(PATH_OPTIONS):
            word = f"{option}=PATH"
        elif "=" not in before and before.startswith(PATH_OPTIONS):
            word = "PATH"
        words.append(word)
    return " ".join(words)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", choices=NETWORKS, help="default: cnn; repeatable")
    parser.add_argument("--batch-size", action="append", type=int, help="default: 32; repeatable")
    parser.add_argument("--what", action="append", choices=WHATS, help="default: fit; repeatable")
    parser.add_argument(
        "--systems",
        type=lambda text: text.split(","),
        help=f"comma-separated, out of {','.join(SCRIPTS)}; default: all",
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, help="steps a round; default: by network and batch size")
    parser.add_argument("--check-steps", type=int, default=5, help="steps whose losses are compared first")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of each system; default: all cores")
    for name in SCRIPTS:
        parser.add_argument(f"--python-{name}", default=sys.executable, metavar="PATH", help="its Python")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    args = parser.parse_args(argv)
    unknown = set(args.systems or ()) - set(SCRIPTS)
    if unknown:
        parser.error(f"--systems must be out of {', '.join(SCRIPTS)}. Received: {', '.join(sorted(unknown))}")
    for name in ("rounds", "check_steps", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1. Received: {getattr(args, name)}")
    return args


def main(argv: list[str]) -> None:
    args = parse(argv)
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        note(f"warning: the machine is busy (load {os.getloadavg()[0]:.1f}); the times will not be worth much")
    date = datetime.date.today().isoformat()
    results = {
        "date": date,
        "command": command_line(argv),
        "machine": machine(),
        "threads": args.threads,
        "rounds": args.rounds,
        "systems": {},
        "checks": [],
        "rows": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        for network in args.network or ["cnn"]:
            for batch_size in args.batch_size or [32]:
                rows, check, about = benchmark(args, folder, network, batch_size)
                results["rows"] += rows
                results["checks"].append(check)
                results["systems"].update(about)
    args.out.mkdir(parents=True, exist_ok=True)
    page = markdown(results)
    (args.out / f"train_{date}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (args.out / f"train_{date}.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main(sys.argv[1:])
