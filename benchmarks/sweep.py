"""No cliffs: one convolution layer, forward and backward, at sizes from one pixel's neighbourhood to whole photographs.

    python benchmarks/sweep.py --python-torch OTHER/bin/python
    python benchmarks/sweep.py --quick

Batches of 1 to 8192, images of 8x8 to 512x512, 1 to 512 channels, strides 1 and 2, filters 1, 3 and 5, beside PyTorch
in the faster of its two memory layouts, pass by pass. README.md beside this file has the rules. The worst ratios come
first; the table is printed and written with the machine, the versions and the command to benchmarks/results.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import ops_report
import report
from ops_conv import measure_passes
from process import Ended, NotInstalled, Process

from fastconv import _core, geometry

HERE = Path(__file__).resolve().parent
LAYOUTS = ["channels_last", "contiguous_format"]
MAX_FLOATS = 96 << 20  # of input, output and weights; fastconv holds them twice, PyTorch four times with its layouts
MAX_MULTIPLICATIONS = 8e9  # of a pass
PASSES = ("conv2d_fprop", "conv2d_dgrad", "conv2d_wgrad")
FLOOR = 1 / 1.1  # slower than PyTorch by more than 10%

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
IMAGES = (8, 9, 13, 16, 28, 32, 33, 56, 64, 100, 128, 224, 256, 512)
CHANNELS = (1, 2, 3, 4, 7, 8, 10, 16, 20, 24, 32, 48, 64, 96, 100, 128, 192, 256, 384, 512)


def same(n: int, size: int, c: int, k: int, kernel: int = 3, stride: int = 1) -> geometry.Conv2DGeometry:
    return geometry.conv2d((n, size, size, c), k, kernel, stride, "same")


def fits(g: geometry.Conv2DGeometry) -> bool:
    floats = g.n * (g.h * g.w * g.c + g.p * g.q * g.k) + g.r * g.s * g.c * g.k
    return floats <= MAX_FLOATS and g.multiplications <= MAX_MULTIPLICATIONS


def points() -> list[geometry.Conv2DGeometry]:
    """Each axis on its own from a usual layer, its ends together, then points spread over the whole range."""
    chosen = [same(n, 8, 64, 64) for n in (1, 2, 8, 32, 128, 512, 2048)] + [same(8192, 8, 32, 32)]
    chosen += [same(n, 32, 3, 16) for n in (1, 32, 1024, 4096)]
    chosen += [same(n, 8, 1, 1, stride=2) for n in (1, 8192)]
    chosen += [same(1, size, 16, 16, stride=stride) for size in (8, 32, 100, 224, 512) for stride in (1, 2)]
    chosen += [same(8, 16, c, c) for c in (1, 2, 4, 10, 16, 24, 48, 96, 128, 256, 512)]
    chosen += [same(8, 16, c, k) for c, k in ((1, 512), (512, 1), (3, 64), (64, 3), (512, 10), (100, 200))]
    chosen += [same(32, 32, c, 32, kernel, stride) for c in (3, 32) for kernel in (1, 3, 5) for stride in (1, 2)]
    chosen += [same(32, 8, c, k, 1) for c, k in ((64, 256), (256, 64), (512, 512))]
    chosen += [same(1, 512, 3, 64), same(1, 512, 32, 64), same(1, 512, 64, 3, 5), same(4, 256, 1, 512, 1, 2)]
    spread = random.Random(0)
    while len(chosen) < 84:
        kernel, stride = spread.choice((1, 3, 5)), spread.choice((1, 2))
        n, size, c, k = (spread.choice(axis) for axis in (BATCHES, IMAGES, CHANNELS, CHANNELS))
        g = same(n, size, c, k, kernel, stride)
        if fits(g):
            chosen.append(g)
    return list(dict.fromkeys(chosen))


def name(g: geometry.Conv2DGeometry) -> str:
    return f"{g.n} x {g.h}x{g.w}, {g.c}>{g.k}, {g.r}x{g.s} s{g.stride_h}"


def start_torch(python: str, threads: int) -> tuple[Process, dict]:
    """PyTorch, and its versions."""
    process = Process(python, "torch_conv.py", threads)
    try:
        return process, process.ask("setup", threads=threads, isa=None)["versions"]
    except NotInstalled as error:
        process.close()
        raise SystemExit(f"{error}. Use --python-torch for a Python that has PyTorch") from None


def measure(chosen, python: str, threads: int, rounds: int, seconds: float) -> tuple[list[dict], dict]:
    """A row for each layer, and PyTorch's versions. PyTorch begins anew where a layer ended it."""
    rows = []
    torch, versions = start_torch(python, threads)
    try:
        for g in chosen:
            row = {"layer": name(g), **g._asdict()}
            try:
                rows.append(row | compare(measure_passes(g, torch, LAYOUTS, rounds, seconds, PASSES)))
            except Ended as error:
                print(f"{name(g)}: {error}", file=sys.stderr)
                rows.append(row | {"ended": str(error)})
                torch.close()
                torch, versions = start_torch(python, threads)
    finally:
        torch.close()
    return rows, versions


def compare(took: dict[str, dict]) -> dict:
    """Milliseconds and ratios (PyTorch by fastconv) of the layer and of its passes."""
    ours, theirs = (sum(of[key] for of in took.values()) for key in ("seconds", "torch"))
    return {
        "ms": 1e3 * ours,
        "torch_ms": 1e3 * theirs,
        "ratio": theirs / ours,
        **{f"{op}_ms": 1e3 * of["seconds"] for op, of in took.items()},
        **{f"{op}_ratio": of["torch"] / of["seconds"] for op, of in took.items()},
    }


def page(results: dict) -> list[str]:
    measured = sorted((row for row in results["rows"] if "ratio" in row), key=lambda row: row["ratio"])
    slower = sum(row["ratio"] < FLOOR for row in measured)
    lines = [
        f"# Convolutions from small to large, {results['date']}",
        "",
        f"{len(measured)} layers (batch x image, channels>filters, kernel, stride), forward and backward: time of",
        f"PyTorch by time of fastconv, the worst first. PyTorch is faster by more than 10% in {slower} of them.",
        "",
    ]
    lines += report.table(
        ["layer", "ms", "PyTorch ms", "ratio", *(ops_report.TITLES[op] for op in PASSES)],
        [
            [row["layer"], f"{row['ms']:.3f}", f"{row['torch_ms']:.3f}", f"{row['ratio']:.2f}"]
            + [f"{row[f'{op}_ratio']:.2f}" for op in PASSES]
            for row in measured
        ],
    )
    ended = [f"- {row['layer']}: {row['ended']}" for row in results["rows"] if "ended" in row]
    if ended:
        lines += ["", "Without a ratio, since PyTorch's process did not survive them:", "", *ended]
    return lines + ops_report.footer(results)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=_core.num_threads(), help="default: all cores")
    parser.add_argument("--quick", action="store_true", help="every eighth layer, few repetitions")
    parser.add_argument("--python-torch", default=sys.executable, metavar="PATH", help="a Python that has PyTorch")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    args = parser.parse_args(argv)
    if args.threads < 1:
        parser.error(f"--threads must be at least 1. Received: {args.threads}")
    return args


def main(argv: list[str]) -> None:
    args = parse(argv)
    _core.set_num_threads(args.threads)
    results = ops_report.header("sweep.py", argv)
    chosen = points()[::8] if args.quick else points()
    rounds, seconds = (1, 0.01) if args.quick else (3, 0.03)
    results["rows"], results["versions"] = measure(chosen, args.python_torch, args.threads, rounds, seconds)
    report.write(args.out, f"sweep_{results['date']}", results, page(results))


if __name__ == "__main__":
    main(sys.argv[1:])
