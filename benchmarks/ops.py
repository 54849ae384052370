"""Speed of every kernel beside what the machine can do and, for the convolutions, beside oneDNN through PyTorch.

    python benchmarks/ops.py --python-torch OTHER/bin/python       # every instruction set; some minutes
    python benchmarks/ops.py --quick --isa avx2 --threads 1
    python benchmarks/ops.py --network cnn --conv-algorithm direct # to ops_direct_<date>

The layers are those of the example networks (tests/shapes.py), of ResNet and of VGG. README.md beside this file has the
rules. Prints a table and writes it as JSON, Markdown and a chart for each instruction set, with the machine, the
versions and the command, to benchmarks/results.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

import numpy as np
import ops_layers
import ops_memory
import ops_report
import report
from ops_conv import PASSES, measure_passes, median_seconds
from process import NotInstalled, Process

from fastconv import _core, bench, config

HERE = Path(__file__).resolve().parent
ROUNDS, SECONDS, LIMIT_SECONDS = 3, 0.03, 1.0
QUICK_ROUNDS, QUICK_SECONDS, QUICK_LIMIT_SECONDS = 1, 0.01, 0.2
QUICK_NETWORKS = ("cnn",)


def row_of(op: str, layer: str, isa: str, seconds: float, limits: dict, flop: int, size: int, torch=None) -> dict:
    """A result: time, rates, and their shares of what the machine can do. flop 0: bound by memory."""
    flops, rate = flop / seconds / 1e9, size / seconds / 1e9
    return {
        "op": op,
        "layer": layer,
        "isa": isa,
        "ms": 1e3 * seconds,
        "gflop_per_s": flops or None,
        "share_of_peak": flops / limits["fma_gflop_per_s"] or None,
        "gb_per_s": rate,
        "share_of_bandwidth": rate / limits["bandwidth_gb_per_s"],
        "torch_ms": torch and 1e3 * torch,
        "torch_share_of_peak": torch and flop / torch / 1e9 / limits["fma_gflop_per_s"],
        "torch_by_fastconv": torch and torch / seconds,
    }


def convolutions(networks, batch: int, isa: str, limits: dict, torch, rounds: int, seconds: float):
    for network in networks:
        for shape in ops_layers.layers(network, batch):
            g = shape.geometry()
            size = 4 * sum(int(np.prod(of)) for of in (g.x_shape, g.w_shape, g.y_shape))
            for op, took in measure_passes(g, torch, ["channels_last"], rounds, seconds).items():
                yield row_of(
                    op,
                    ops_layers.label(shape),
                    isa,
                    took["seconds"],
                    limits,
                    2 * g.multiplications * PASSES[op],
                    size,
                    took["torch"],
                )


def others(batch: int, isa: str, limits: dict, rounds: int, seconds: float):
    rng = np.random.default_rng(0)
    for make, shape in ops_memory.cases(batch):
        for kernel in make(shape, rng):
            took = min(median_seconds(kernel.call, seconds) for _ in range(rounds))
            yield row_of(kernel.op, "x".join(map(str, shape)), isa, took, limits, 0, kernel.bytes)


def torch_process(python: str, threads: int, isa: str, stack: contextlib.ExitStack) -> tuple[Process | None, dict]:
    """PyTorch held to what corresponds to `isa`, and its versions; None where it is not installed."""
    process = stack.enter_context(contextlib.closing(Process(python, "torch_conv.py", threads)))
    try:
        return process, process.ask("setup", threads=threads, isa=isa)["versions"]
    except NotInstalled as error:
        print(f"left out: torch ({error})", file=sys.stderr)
        return None, {}


def page(results: dict) -> list[str]:
    def number(value, form):
        return "" if value is None else format(value, form)

    about = f"Batch {results['batch_size']}, {results['threads']} threads, convolutions: {results['conv_algorithm']}."
    lines = [f"# Kernels, {results['date']}", "", about, ""]
    limits = [
        [isa, f"{of['fma_gflop_per_s']:.0f}", f"{of['bandwidth_gb_per_s']:.1f}"]
        for isa, of in results["limits"].items()
    ]
    lines += report.table(["limits", "FMA peak, GFLOP/s", "bandwidth, GB/s"], limits)
    head = ["kernel", "layer", "ms", "GFLOP/s", "of peak", "GB/s", "of bandwidth", "oneDNN ms", "oneDNN / fastconv"]
    for isa in results["limits"]:
        rows = [
            [
                row["op"],
                row["layer"],
                f"{row['ms']:.4f}",
                number(row["gflop_per_s"], ".0f"),
                number(row["share_of_peak"], ".0%"),
                f"{row['gb_per_s']:.1f}",
                f"{row['share_of_bandwidth']:.0%}",
                number(row["torch_ms"], ".4f"),
                number(row["torch_by_fastconv"], ".2f"),
            ]
            for row in results["rows"]
            if row["isa"] == isa
        ]
        lines += ["", f"## {isa}", "", *report.table(head, rows)]
    return lines + ops_report.footer(results)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    networks = ops_layers.NETWORKS
    parser.add_argument("--network", action="append", choices=networks, help="default: all; repeatable")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--isa", action="append", choices=_core.supported_isas(), help="default: all; repeatable")
    parser.add_argument("--threads", type=int, default=_core.num_threads(), help="default: all cores")
    parser.add_argument("--conv-algorithm", choices=("auto", "direct"), default="auto", help="default: auto")
    parser.add_argument("--quick", action="store_true", help="few repetitions; cnn alone unless --network says more")
    parser.add_argument("--python-torch", default=sys.executable, metavar="PATH", help="a Python that has PyTorch")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    args = parser.parse_args(argv)
    for name in ("batch_size", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1. Received: {getattr(args, name)}")
    return args


def main(argv: list[str]) -> None:
    args = parse(argv)
    rounds, seconds, limit_seconds = (
        (QUICK_ROUNDS, QUICK_SECONDS, QUICK_LIMIT_SECONDS) if args.quick else (ROUNDS, SECONDS, LIMIT_SECONDS)
    )
    networks = args.network or (QUICK_NETWORKS if args.quick else ops_layers.NETWORKS)
    _core.set_num_threads(args.threads)
    config.set_conv_algorithm(args.conv_algorithm)
    results = ops_report.header("ops.py", argv) | {"batch_size": args.batch_size, "limits": {}, "rows": []}
    results["conv_algorithm"] = args.conv_algorithm
    for isa in args.isa or _core.supported_isas()[::-1]:
        _core.set_isa(isa)
        limits = results["limits"][isa] = bench.limits(limit_seconds)
        with contextlib.ExitStack() as stack:
            torch, results["versions"] = torch_process(args.python_torch, args.threads, isa, stack)
            results["rows"] += convolutions(networks, args.batch_size, isa, limits, torch, rounds, seconds)
        results["rows"] += others(args.batch_size, isa, limits, rounds, seconds)
    name = f"ops_{results['date']}" if args.conv_algorithm == "auto" else f"ops_direct_{results['date']}"
    report.write(args.out, name, results, page(results))
    for isa in results["limits"]:
        ops_report.chart(results, isa, args.out / f"{name}_{isa}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
