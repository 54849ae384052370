"""Speed of the kernels at the example networks' layers: GFLOP/s of the convolutions, GB/s of what memory bounds.

    python benchmarks/ops.py                                  # cnn at batch 32, every instruction set, all threads
    python benchmarks/ops.py --network conv --batch-size 256 --isa avx2 --threads 1

The shapes are those of the tests (tests/shapes.py). Times are medians of repeated calls after a warm-up. GFLOP/s count
two for every product, those with padding zeros included; GB/s count every array that is read or written, once.
Prints a table and writes it with the machine, the versions and the command to benchmarks/results.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import fastconv
from fastconv import _core
from fastconv.ops import get_ops

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import shapes  # noqa: E402  (found through the line above)
from train import machine  # noqa: E402

MIN_SECONDS = 0.3
OPS = get_ops("cpu")


def median_seconds(call) -> float:
    """Median time of a call, over at least MIN_SECONDS and 5 calls."""
    call()
    times, end = [], time.perf_counter() + MIN_SECONDS
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def workspace(op: str, x_shape, attrs) -> np.ndarray | None:
    size = OPS.workspace_bytes(op, {"x": x_shape}, attrs)
    return np.empty(size // 4, np.float32) if size else None


def conv2d_rows(shape, rng):
    """(op, what it works on, call, GFLOP, None) of the three passes."""
    g = shape.geometry()
    x, w, dy = (rng.random(s, np.float32) for s in (g.x_shape, g.w_shape, g.y_shape))
    b, y, dx, dw, db = np.zeros(g.k, np.float32), dy.copy(), x.copy(), w.copy(), np.empty(g.k, np.float32)
    work = {op: workspace(op, g.x_shape, {"geometry": g}) for op in ("conv2d_fprop", "conv2d_dgrad", "conv2d_wgrad")}
    gflop = 2e-9 * g.multiplications
    yield "conv2d_fprop", lambda: OPS.conv2d_fprop(g, x, w, b, y, work["conv2d_fprop"]), gflop, None
    yield "conv2d_dgrad", lambda: OPS.conv2d_dgrad(g, dy, w, dx, work["conv2d_dgrad"]), gflop, None
    yield "conv2d_wgrad", lambda: OPS.conv2d_wgrad(g, x, dy, dw, db, work["conv2d_wgrad"]), gflop, None


def batchnorm_rows(shape, rng):
    """The passes of BN + LeakyReLU on the convolution's output."""
    y_shape = shape.geometry().y_shape
    x, dy, out = (rng.random(y_shape, np.float32) for _ in range(3))
    gamma, beta, mean, rstd, moving, variance = (np.ones(y_shape[-1], np.float32) for _ in range(6))
    work = {op: workspace(op, y_shape, {}) for op in ("batchnorm_forward", "batchnorm_backward")}
    gigabytes = x.nbytes / 1e9
    forward = lambda: OPS.batchnorm_forward(  # noqa: E731
        x, gamma, beta, out, mean, rstd, moving, variance, 0.99, 1e-3, 0.3, work["batchnorm_forward"]
    )
    backward = lambda: OPS.batchnorm_backward(  # noqa: E731
        dy, x, gamma, beta, mean, rstd, out, mean, rstd, coefficients, 0.3, work["batchnorm_backward"]
    )
    yield "batchnorm_forward", forward, None, 2 * gigabytes
    yield "batchnorm_backward", backward, None, 3 * gigabytes


def measure(network: str, batch: int, isa: str) -> list[dict]:
    rng, rows = np.random.default_rng(0), []
    for shape in shapes.network_layers(network, batch):
        calls = list(conv2d_rows(shape, rng))
        if shape.h > 1:
            calls += batchnorm_rows(shape, rng)
        for op, call, gflop, gigabytes in calls:
            seconds = median_seconds(call)
            rows.append(
                {
                    "op": op,
                    "shape": str(shape),
                    "isa": isa,
                    "ms": round(1e3 * seconds, 4),
                    "gflop_per_s": round(gflop / seconds, 1) if gflop else None,
                    "gb_per_s": round(gigabytes / seconds, 1) if gigabytes else None,
                }
            )
    return rows


def markdown(results: dict) -> str:
    lines = [
        f"# Kernels, {results['date']}",
        "",
        "| op | shape | instruction set | ms | GFLOP/s | GB/s |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for row in results["rows"]:
        rates = f"{row['gflop_per_s'] or ''} | {row['gb_per_s'] or ''}"
        lines.append(f"| {row['op']} | {row['shape']} | {row['isa']} | {row['ms']:.3f} | {rates} |")
    host = results["machine"]
    lines += ["", f"{host['cpu']}, {results['threads']} of {host['cores']} cores, fastconv {results['fastconv']}."]
    return "\n".join([*lines, f"Command: `{results['command']}`"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="cnn", choices=("cnn", "conv", "mlp", "64x64x1"))
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--isa", action="append", choices=_core.supported_isas(), help="default: all; repeatable")
    parser.add_argument("--threads", type=int, default=_core.num_threads(), help="default: all cores")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    options = parser.parse_args()
    _core.set_num_threads(options.threads)
    results = {
        "date": datetime.date.today().isoformat(),
        "command": " ".join(["python benchmarks/ops.py", *sys.argv[1:]]),
        "machine": machine(),
        "threads": options.threads,
        "fastconv": fastconv.__version__,
        "rows": [],
    }
    for isa in options.isa or _core.supported_isas()[::-1]:
        _core.set_isa(isa)
        results["rows"] += measure(options.network, options.batch_size, isa)
    name = f"ops_{options.network}_{options.batch_size}_{results['date']}"
    page = markdown(results)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (options.out / f"{name}.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
