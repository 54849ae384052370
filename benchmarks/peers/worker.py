"""The worker's side of the benchmark: one system in one process, driven by JSON lines on stdin and stdout.

A system is a class with the methods named by the commands below. `serve` answers each line with one line:

| command | arguments | answer |
| --- | --- | --- |
| setup | variant, network, batch_size, threads, data (an .npz file), learning_rate, device | versions, mode, whats |
| losses | steps | losses: of the first steps, without dropout, each before its update |
| prepare | what | |
| warm_up | what, seconds | steps: how many a round of about so many seconds takes |
| round | what, steps | seconds_per_step |
| memory | what, steps | before, peak: bytes of the process' memory |

`setup` may come again, with other arguments but for the variant and the threads. An exception becomes {"error": ...}.
Whatever a framework prints goes to stderr, never between the answers.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import sys
import time
import traceback

import numpy as np

MIN_STEPS = 3
MAX_STEPS = 5000
EPOCH_IMAGES = 50_000  # CIFAR-10's
MAX_IMAGES = 20_000  # of one fit: 250 MB in each of the processes
MAX_BATCHES = 200  # made beforehand, then taken in turn


class Unavailable(Exception):
    """The system cannot run on this machine; the message says what is missing."""


class System:
    """Base of the benchmarked systems: timing and data; a subclass says how to build, train and predict.

    `modes` describes each variant. `begin(threads)` imports the framework, limits it and returns its versions;
    `build(dropout)` returns a model with the recorded weights; `losses(steps)` trains one. For each thing it can be
    timed at, a subclass has a method `prepare_<what>()`, which returns a function `run(steps)` that comes back when
    so many steps are done; whatever a user would do once beforehand belongs into `prepare_<what>`. "epoch" counts whole
    epochs of `epoch_images` images in place of steps, and its `run` returns the seconds that each took.
    """

    modes: dict[str, str]
    versions: dict[str, str] | None = None
    device = "cpu"

    def setup(
        self, variant, network, batch_size, threads, data, learning_rate, device="cpu", epoch_images=EPOCH_IMAGES
    ):
        self.variant, self.network, self.device = variant, network, device
        self.batch_size, self.learning_rate, self.epoch_images = batch_size, learning_rate, epoch_images
        with np.load(data) as arrays:
            self.x = self.layout(arrays["images"].astype(np.float32) / np.float32(255))
            self.y = np.eye(10, dtype=np.float32)[arrays["labels"].reshape(-1)]
            self.weights = [arrays[f"w{i}"] for i in range(len(arrays.files) - 2)]
        if self.versions is None:
            self.versions = self.begin(threads)
        self.images, self.runs = len(self.x), {}
        whats = [name.removeprefix("prepare_") for name in dir(self) if name.startswith("prepare_")]
        return {"versions": self.versions, "mode": self.modes[variant], "whats": whats}

    def layout(self, x):
        """The images (N, H, W, C) as this system stores a data set."""
        return x

    def data(self, steps):
        """x and y of so many steps: the images in order, repeated."""
        count = steps * self.batch_size
        if count > len(self.x):
            chosen = np.arange(count) % self.images
            self.x, self.y = self.x[chosen], self.y[chosen]
        return self.x[:count], self.y[:count]

    def batches(self, steps=None):
        """Pairs (x, y) of the first steps; of as many as there are different images if `steps` is None."""
        steps = steps or min(MAX_BATCHES, max(1, self.images // self.batch_size))
        x, y = self.data(steps)
        return list(zip(np.split(x, steps), np.split(y, steps), strict=True))

    def epoch_data(self):
        """x and y of an epoch: the images in order, repeated."""
        chosen = np.arange(self.epoch_images) % self.images
        return self.x[chosen], self.y[chosen]

    def prepare(self, what):
        """Builds and compiles; systems may do so side by side, before one is timed."""
        run = self.runs[what] = getattr(self, f"prepare_{what}")()
        run(1)
        return {}

    def warm_up(self, what, seconds):
        if what not in self.runs:
            self.prepare(what)
        run, least, most = self.runs[what], 1 if what == "epoch" else MIN_STEPS, MAX_STEPS
        if what == "fit":
            most = max(MIN_STEPS, min(MAX_STEPS, MAX_IMAGES // self.batch_size))
            self.data(most)  # makes the images, so that no round does
        steps, taken = 1, timed(run, 1)
        while taken < seconds / 3 and steps < most:
            steps = min(2 * steps, most)
            taken = timed(run, steps)
        return {"steps": min(most, max(least, round(seconds * steps / taken)))}

    def round(self, what, steps):
        run = self.runs[what]
        if what == "epoch":
            return {"seconds_per_step": statistics.median(run(steps))}
        if what != "fit":
            return {"seconds_per_step": timed(run, steps) / steps}
        # An epoch of CIFAR-10 is longer than a round: what starting and ending a `fit` takes would weigh too much.
        start = timed(run, 1)
        return {"seconds_per_step": (timed(run, steps) - start) / (steps - 1)}

    def memory(self, what, steps):
        """Memory of the process before a model is built, and the most it takes while one trains (Linux)."""
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # the peak starts from here, not from what loading the data took
        before = resident("VmRSS")
        getattr(self, f"prepare_{what}")()(steps)
        return {"before": before, "peak": resident("VmHWM")}


def timed(run, steps: int) -> float:
    start = time.perf_counter()
    run(steps)
    return time.perf_counter() - start


def repeat(call):
    """A `run` that calls this function."""

    def run(steps):
        for _ in range(steps):
            call()

    return run


def each(epoch):
    """A `run` of whole epochs, each a call of this function."""
    return lambda epochs: [timed(repeat(epoch), 1) for _ in range(epochs)]


def in_turn(batches, steps: int):
    """`steps` of the batches, from the first one again after the last."""
    return itertools.islice(itertools.cycle(batches), steps)


def resident(field: str) -> int:
    """A size in bytes from /proc/self/status."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def pin_to_cores(threads: int) -> None:
    """Keep this process on `threads` cores, so that no pool of a framework can use more than the others have."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def serve(system) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        command = request.pop("command")
        try:
            if command == "setup" and "threads" in request:
                pin_to_cores(request["threads"])
            answer = getattr(system, command)(**request)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
