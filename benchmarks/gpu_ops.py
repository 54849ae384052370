"""The kernels of a training step of `cnn`, one by one, beside cuDNN and cuBLAS through PyTorch, and their floors."""

from __future__ import annotations

import contextlib
import statistics

from process import NotInstalled
from report import note

PRECISIONS = ("highest", "high")  # beside PyTorch in float32 and with TF32 allowed
PRODUCTS_OF_3XTF32 = 3
SECONDS, QUICK_SECONDS = 0.02, 0.005


def rate(limits: dict, precision: str) -> float | None:
    """FLOP/s that the machine can reach at most for products of a precision; None where it was not measured."""
    median = {
        name: limits[f"{name}_tflop_per_s"][0] * 1e12 for name in ("tf32", "fp32") if f"{name}_tflop_per_s" in limits
    }
    if precision == "high":
        return median.get("tf32")
    if len(median) < 2:
        return None
    return max(median["tf32"] / PRODUCTS_OF_3XTF32, median["fp32"])


def floor_seconds(limits: dict, precision: str, flop: float, moved: float) -> float | None:
    """The time below which no kernel can do so many operations and move so many bytes; None if no limit is known."""
    bounds = []
    if flop and (peak := rate(limits, precision)):
        bounds.append(flop / peak)
    if "copy_gb_per_s" in limits:
        bounds.append(1e-9 * moved / limits["copy_gb_per_s"][0])
    return max(bounds, default=None)


def measure(args, batch_size: int, peer, results: dict, failed) -> None:
    """Appends the kernels of the fused and of the unfused plan: fastconv and PyTorch take turns."""
    seconds = QUICK_SECONDS if args.quick else SECONDS
    note(f"kernels, batch {batch_size}")
    for precision in PRECISIONS:
        with contextlib.ExitStack() as stack:
            ours = stack.enter_context(peer(args, "fastconv", "fastconv_gpu.py"))
            ours.ask("setup", device=args.device, precision=precision)
            torch = stack.enter_context(peer(args, "torch", "torch_conv.py"))
            try:
                tf32 = precision == "high"
                about = torch.ask("setup", threads=args.threads, isa=None, device=args.device, tf32=tf32)
                results["systems"]["torch, kernels"] = {**about, "mode": "cuDNN, cuBLAS"}
            except NotInstalled as error:
                note(f"left out: torch: {error}")
                torch = None
            for fused in (True, False):
                kernels = ours.ask("kernels", batch_size=batch_size, fused=fused)["kernels"]
                rounds = [ours.ask("measure", seconds=seconds)["seconds"] for _ in range(args.rounds)]
                theirs = {} if torch is None else peer_seconds(torch, kernels, seconds, args.rounds, failed)
                for kernel, *times in zip(kernels, *rounds, strict=True):
                    key = key_of(kernel)
                    results["kernels"].append(
                        row_of(kernel, batch_size, precision, fused, times, theirs.get(key), results["limits"])
                    )


def key_of(kernel: dict) -> tuple:
    g = kernel["geometry"]
    return (op_of_peer(kernel), *(g.values() if g else kernel["shape"]))


def op_of_peer(kernel: dict) -> str:
    """What PyTorch does in place of a kernel: without the input's gradient, only that of the weights."""
    return "conv2d_wgrad" if "no input gradient" in kernel["layer"] else kernel["op"]


def peer_seconds(torch, kernels: list[dict], seconds: float, rounds: int, failed) -> dict[tuple, dict]:
    """{key: PyTorch's times and the way it took} for the kernels that have a counterpart."""
    found = {}
    for kernel in kernels:
        op, key = op_of_peer(kernel), key_of(kernel)
        is_norm = op in ("batchnorm_forward", "batchnorm_backward")
        if key in found or not (kernel["geometry"] or is_norm):
            continue
        with failed.of(f"torch: {op} {kernel['layer']}"):
            if is_norm:
                torch.ask("norm", shape=kernel["shape"])
            else:
                torch.ask("layer", geometry=kernel["geometry"], layouts=["channels_last"])
            answers = [torch.ask("measure", op=op, seconds=seconds) for _ in range(rounds)]
            found[key] = {"seconds": [a["seconds"] for a in answers], "way": answers[0]["way"]}
    return found


def row_of(kernel: dict, batch_size: int, precision: str, fused: bool, times, theirs, limits: dict) -> dict:
    median = statistics.median(times)
    floor = floor_seconds(limits, precision, kernel["flop"], kernel["bytes"])
    torch = theirs and statistics.median(theirs["seconds"])
    return {
        **{name: kernel[name] for name in ("op", "layer", "flop", "bytes")},
        "batch_size": batch_size,
        "precision": precision,
        "fused": fused,
        "us": [round(1e6 * s, 3) for s in (median, min(times), max(times))],
        "gflop_per_s": kernel["flop"] / median / 1e9,
        "gb_per_s": kernel["bytes"] / median / 1e9,
        "floor_us": floor and 1e6 * floor,
        "torch_us": torch and 1e6 * torch,
        "torch_way": theirs and theirs["way"],
        "torch_by_fastconv": torch and torch / median,
    }
