"""The worker's side of the benchmark: one system in one process, driven by JSON lines on stdin and stdout.

A system is a class with the methods named by the commands below. `serve` answers each line with one line:

| command | arguments | answer |
| --- | --- | --- |
| setup | network, batch_size, threads, data (an .npz file), learning_rate | versions, mode |
| losses | steps | losses: of the first steps, without dropout, each before its update |
| warm_up | what ("fit" or "step") | seconds_per_step of the discarded round |
| round | what | seconds_per_step |
| quit | | |

An exception becomes {"error": ...}. Whatever a framework prints goes to stderr, never between the answers.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback

import numpy as np


class System:
    """Base of the benchmarked systems: timing and data; a subclass says how to build, fit and step.

    `begin` imports the framework and limits it to `threads`; `build(dropout)` returns a model that carries the
    recorded weights; `losses`, `fit` and `steps` run a model over the data. `fit` and `steps` return only when the
    work is done.
    """

    def setup(self, network, batch_size, threads, data, learning_rate):
        self.network, self.batch_size, self.learning_rate = network, batch_size, learning_rate
        with np.load(data) as arrays:
            self.x = arrays["images"].astype(np.float32) / np.float32(255)
            self.y = np.eye(10, dtype=np.float32)[arrays["labels"].reshape(-1)]
            self.weights = [arrays[f"w{i}"] for i in range(len(arrays.files) - 2)]
        versions = self.begin(threads)
        self.models = {}
        return {"versions": versions, "mode": self.mode}

    def batches(self, steps=None):
        count = len(self.x) // self.batch_size if steps is None else steps
        for start in range(0, count * self.batch_size, self.batch_size):
            yield self.x[start : start + self.batch_size], self.y[start : start + self.batch_size]

    def warm_up(self, what):
        return self.round(what)

    def round(self, what):
        if what not in self.models:
            model = self.build(dropout=0.5)
            self.models[what] = (model, self.prepare_steps(model) if what == "step" else None)
        model, prepared = self.models[what]
        start = time.perf_counter()
        if what == "step":
            self.steps(model, prepared)
        else:
            self.fit(model)
        return {"seconds_per_step": (time.perf_counter() - start) / (len(self.x) // self.batch_size)}

    def prepare_steps(self, model):
        """Return whatever `steps` needs that a training loop would have made once, beforehand."""
        return list(self.batches())


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
        if command == "quit":
            return
        try:
            if command == "setup":
                pin_to_cores(request["threads"])
            answer = getattr(system, command)(**request)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
