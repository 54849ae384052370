"""How fast this installation is: what `fastconv bench` measures. benchmarks/ compares with other frameworks."""

from __future__ import annotations

import datetime
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import _core, config, device

STEPS = (("cnn", 32), ("cnn", 256), ("conv", 32), ("mlp", 32))  # network, batch size
PREDICTIONS = ("cnn", "conv", "mlp")
_LIMITS = 2
_MIN_SAMPLES = 3


def machine() -> dict[str, Any]:
    """The processor's name, the cores this process may use, the operating system."""
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": cpu, "cores": cores, "system": f"{platform.system()} {platform.machine()}"}


def limits(seconds: float) -> dict[str, float]:
    """What the machine can do at most: GFLOP/s of multiply-adds, GB/s of a copy (bytes read plus bytes written).

    Args:
        seconds: time to measure each of the two.
    """
    return {
        "fma_gflop_per_s": _core.measure_fma_peak(seconds),
        "bandwidth_gb_per_s": _core.measure_bandwidth(seconds),
    }


def run(seconds: float = 15.0) -> dict[str, Any]:
    """Measures the CPU's limits, training steps and predictions of the example networks on random images.

    Args:
        seconds: time for all measurements together; each is repeated for its part of it, and three times at least.

    Returns:
        A dictionary that JSON can hold: `machine`, `isa`, `threads`, `limits`, `steps`, `predict`,
        `memory_passes`.

    Raises:
        ValueError: `seconds` is not a finite number above 0.
    """
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds must be a finite number above 0. Received: seconds={seconds}")
    part = seconds / (_LIMITS + len(STEPS) + len(PREDICTIONS))
    peak = limits(part)
    with device.using("cpu"):
        steps = [_step(*case, part, peak["fma_gflop_per_s"]) for case in STEPS]
        predictions = [_predict(network, part) for network in PREDICTIONS]
    return {
        "date": datetime.date.today().isoformat(),
        "fastconv": _core.__version__,
        "machine": machine(),
        "isa": config.isa(),
        "threads": config.get_num_threads(),
        "limits": peak,
        "steps": steps,
        "predict": predictions,
        "memory_passes": _memory_passes(*STEPS[0]),
    }


def render(results: dict[str, Any]) -> str:
    """The results of `run` as text with a table."""
    import io

    from rich import box
    from rich.console import Console
    from rich.table import Table

    host, peak = results["machine"], results["limits"]
    threads = f"{results['threads']} thread{'' if results['threads'] == 1 else 's'}"
    steps = Table("network", box=box.SIMPLE_HEAD, title="Training steps", title_justify="left")
    for column in ("batch", "ms per step", "images/s", "GFLOP/s", "of peak"):
        steps.add_column(column, justify="right")
    for row in results["steps"]:
        steps.add_row(
            row["network"],
            str(row["batch_size"]),
            f"{row['ms_per_step']:.3f}",
            f"{row['images_per_s']:,.0f}",
            f"{row['gflop_per_s']:.0f}",
            f"{row['share_of_peak']:.0%}",
        )
    predict = ", ".join(f"{row['network']} {row['us']:.0f} us" for row in results["predict"])
    screen = Console(file=io.StringIO(), width=80)
    screen.print(f"fastconv {results['fastconv']}, {results['isa']}, {threads}; {host['cpu']}, {host['cores']} cores")
    screen.print(f"FMA peak {peak['fma_gflop_per_s']:.0f} GFLOP/s, bandwidth {peak['bandwidth_gb_per_s']:.1f} GB/s\n")
    screen.print(steps)
    screen.print(f"Prediction of one image: {predict}")
    passes = "Memory passes over the activations per step of {network}: {fused:.1f} (unfused {unfused:.1f})"
    screen.print(passes.format(**results["memory_passes"]))
    return "\n".join(line.rstrip() for line in screen.file.getvalue().splitlines())


def _step(network: str, batch_size: int, seconds: float, peak: float) -> dict[str, Any]:
    model = _model(network)
    rng = np.random.default_rng(0)
    x = rng.random((batch_size, *model.input_shape[1:]), np.float32)
    y = np.eye(model.output_shape[-1], dtype=np.float32)[rng.integers(model.output_shape[-1], size=batch_size)]
    median = _median_seconds(lambda: model.train_on_batch(x, y), seconds)
    rate = 2e-9 * batch_size * _multiplications(model) / median
    return {
        "network": network,
        "batch_size": batch_size,
        "ms_per_step": 1e3 * median,
        "images_per_s": batch_size / median,
        "gflop_per_s": rate,
        "share_of_peak": rate / peak,
    }


def _predict(network: str, seconds: float) -> dict[str, Any]:
    model = _model(network)
    x = np.random.default_rng(0).random((1, *model.input_shape[1:]), np.float32)
    return {"network": network, "us": 1e6 * _median_seconds(lambda: model.predict(x, verbose=0), seconds)}


def _memory_passes(network: str, batch_size: int) -> dict[str, Any]:
    from fastconv.ops import get_ops
    from fastconv.plan import fuse
    from fastconv.plan.executor import Executor
    from fastconv.plan.traffic import memory_passes

    def passes(fusions: tuple[str, ...]) -> float:
        model = _model(network)
        executor = Executor(model, get_ops("cpu"), model.objective, model.optimizer, fusions)
        return memory_passes(executor.plan("train", batch_size))

    return {"network": network, "batch_size": batch_size, "fused": passes(fuse.ALL), "unfused": passes(())}


def _model(network: str) -> Any:
    from fastconv.models.networks import NETWORKS

    model = NETWORKS[network].factory()
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def _multiplications(model: Any) -> int:
    """Products of a training step for one image, those with padding zeros included.

    A layer multiplies as often forward as for the gradient of its weights and for that of its input, which the first
    one does not need.
    """
    forward = [
        math.prod(weight.shape) * math.prod(node.outputs[0].shape[1:-1])
        for node in model.nodes
        for weight in node.layer.weights
        if weight.name == "kernel"
    ]
    return 3 * sum(forward) - forward[0]


def _median_seconds(call: Callable[[], object], seconds: float) -> float:
    call()
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while len(samples) < _MIN_SAMPLES or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)
