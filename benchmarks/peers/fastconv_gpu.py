"""fastconv's kernels one by one, and whole schedules: a peer of gpu.py.

| command | arguments | answer |
| --- | --- | --- |
| setup | device, precision | versions |
| counts | batch_size | memory_passes, traffic_bytes, calls: of a training step of `cnn`, counted from its plan |
| kernels | batch_size, fused | kernels: op, layer, geometry or shape, flop, bytes of each call of the plan |
| measure | seconds | seconds: of each of these kernels |
| schedule | phases, repeats | images, seconds, test (loss and accuracy), phases |

A kernel is timed as many copies of it in one graph, so its share of the gap between two nodes counts.
"""

from __future__ import annotations

import os
import time

import numpy as np
import timing
import worker

PRODUCTS = {"conv2d_fprop": 1, "conv2d_dgrad": 1, "conv2d_wgrad": 1}  # passes over the products of a convolution
# What they write, they read.
IN_PLACE = ("adam_update", "sgd_update", "rmsprop_update", "decay_weights", "clip_by_norm", "clip_by_value")
TEST_BATCH = 1000


class FastConvGpu:
    def setup(self, device, precision):
        import fastconv

        try:
            fastconv.set_device(device)
        except RuntimeError as error:
            raise worker.Unavailable(str(error)) from error
        fastconv.config.set_float32_matmul_precision(precision)
        self.fastconv = fastconv
        return {"versions": {"fastconv": fastconv.__version__, "numpy": np.__version__}}

    def model(self):
        from fastconv.models.networks import NETWORKS

        network = NETWORKS["cnn"]
        model = network.factory()
        adam = self.fastconv.optimizers.Adam(network.learning_rate)
        model.compile(adam, "categorical_crossentropy", metrics=["accuracy"])
        return model

    def plan(self, batch_size, fused):
        """The training plan after one step on real images."""
        from fastconv import device
        from fastconv.plan import fuse
        from fastconv.plan.executor import Executor

        model = self.model()
        fusions = fuse.ALL if fused else ()
        self.executor = Executor(model, device.ops(), model.objective, model.optimizer, fusions)
        self.model_kept = model  # the executor only borrows it
        plan = self.executor.plan("train", batch_size)
        (x, y), _ = self.fastconv.datasets.load_sample()
        chosen = np.arange(batch_size) % len(x)
        plan.host_slots[0][...] = x[chosen] / np.float32(255)
        plan.host_slots[1][...] = np.eye(10, dtype=np.float32)[y[chosen].reshape(-1)]
        plan.send()
        with self.executor.memory.at_work():
            self.executor.train_step(plan)
        self.executor.memory.synchronize()
        return plan

    def counts(self, batch_size):
        from fastconv.plan import traffic

        plan = self.plan(batch_size, fused=True)
        moved = sum(row.read + row.written for row in traffic.traffic(plan))
        return {
            "memory_passes": traffic.memory_passes(plan),
            "traffic_bytes": moved,
            "calls": [step.op for step in plan.steps],
        }

    def kernels(self, batch_size, fused):
        plan = self.plan(batch_size, fused)
        self.calls = plan.calls
        return {"kernels": [describe(plan, step) for step in plan.steps]}

    def measure(self, seconds):
        memory = self.executor.memory
        return {"seconds": [graph_seconds(memory, call, seconds) for call in self.calls]}

    def schedule(self, phases, repeats):
        fastconv = self.fastconv
        where = os.environ.get("FASTCONV_DATA", "sample")
        (x, y), (x_test, y_test) = fastconv.datasets.load(where)
        if where != "sample":
            repeats = 1
        x, y = (np.concatenate([a] * repeats) for a in (x, y))
        x, x_test = (a.astype(np.float32) / 255 for a in (x, x_test))
        y, y_test = (fastconv.utils.to_categorical(a, 10) for a in (y, y_test))
        fastconv.utils.set_random_seed(1)
        model, found = self.model(), []
        model.train_on_batch(x[:1], y[:1])  # what the first call of a process takes is no part of the schedule
        for epochs, batch_size in phases:
            start = time.perf_counter()
            history = model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0).history
            seconds = time.perf_counter() - start
            test = model.evaluate(x_test, y_test, batch_size=TEST_BATCH, verbose=0)
            train = [history["loss"][-1], history["accuracy"][-1]]
            found.append(
                {"epochs": epochs, "batch_size": batch_size, "seconds": seconds, "train": train, "test": list(test)}
            )
        return {
            "data": "the bundled sample" if where == "sample" else "CIFAR-10",
            "images": len(x),
            "seconds": sum(phase["seconds"] for phase in found),
            "test": found[-1]["test"],
            "phases": found,
        }


def describe(plan, step) -> dict:
    """What one call of a plan does and moves: every array that is read or written, once; workspaces are left out."""
    reads, writes = ({b.root: b for k, b in side.items() if k != "workspace"} for side in (step.reads, step.writes))

    def size(buffers):
        return sum(int(np.prod(b.shape)) * plan.dtype_of(b).itemsize for b in buffers)

    moved = size(reads) + size(writes) * (2 if step.op in IN_PLACE else 1)
    geometry = step.attrs.get("geometry")
    found = {"op": step.op, "flop": 0, "bytes": moved, "geometry": None}
    if geometry is None:
        main = step.reads.get("x") or step.reads.get("dy") or next(iter(step.writes.values()))
        return found | {"shape": list(main.shape), "layer": "x".join(map(str, main.shape))}
    passes = PRODUCTS.get(step.op) or 1 + ("dx" in step.writes)
    folded = [part for part, sign in (("norm on load", "x_mean"), ("statistics", "mean")) if sign in parts(step)]
    folded += ["gradient of its norm"] * ("y_mean" in parts(step))
    folded += ["no input gradient"] * (step.op == "conv2d_backward" and "dx" not in step.writes)
    layer = label(geometry) + (f" ({', '.join(folded)})" if folded else "")
    return found | {"flop": 2 * geometry.multiplications * passes, "geometry": geometry._asdict(), "layer": layer}


def parts(step) -> set[str]:
    return {*step.reads, *step.writes}


def label(g) -> str:
    if g.r == g.s == g.h == g.p == 1:
        return f"dense {g.c}>{g.k}"
    stride = f" s{g.stride_h}" if g.stride_h > 1 else ""
    return f"{g.r}x{g.s}{stride} {g.c}>{g.k} @{g.h}"


def graph_seconds(memory, call, seconds: float) -> float:
    """Median time of a call among many in one captured graph."""

    def launch(graph):
        graph.launch()
        memory.synchronize()

    def captured(repeats):
        return memory.capture([call] * repeats)

    return timing.graph_seconds(captured, launch, seconds)


if __name__ == "__main__":
    worker.serve(FastConvGpu())
