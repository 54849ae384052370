"""What gpu.py writes: JSON, a Markdown page, a chart of training steps and epochs."""

from __future__ import annotations

from pathlib import Path

import chart
import gpu_ops
import report
from report import table

LIMITS = {
    "copy_gb_per_s": "copy on the device, GB/s read and written",
    "bf16_tflop_per_s": "matrix product in bf16, TFLOP/s",
    "tf32_tflop_per_s": "matrix product in TF32, TFLOP/s",
    "fp32_tflop_per_s": "matrix product in float32, TFLOP/s",
    "launch_us": "launch of an empty kernel by the host, us",
    "graph_1_us": "graph of 1 empty kernel, us",
    "graph_12_us": "graph of 12 empty kernels, us",
    "graph_64_us": "graph of 64 empty kernels, us",
}
TITLES = {"step": "ms per step", "epoch": "ms per epoch"}


def save(out: Path, name: str, results: dict, show: bool) -> None:
    """Writes all that is there so far; the chart last, and only where there is something to draw."""
    stem = f"{name}_{results['date']}"
    charts = draw(results, out, stem) if show and results["rows"] else []
    report.write(out, stem, results, page(results, charts), show)


def page(results: dict, charts: list[str]) -> list[str]:
    lines = [f"# On a GPU, {results['date']}", "", *(f"![{Path(name).stem}]({name})\n" for name in charts)]
    for part in (failures, limits, training, schedule, kernels):
        lines += part(results)
    gpu = results["gpu"]
    if gpu:
        size = gpu["memory_bytes"] / 2**30
        lines += ["", f"{gpu['name']}, {gpu['multiprocessors']} multiprocessors, {size:.0f} GiB."]
    return lines + report.about_systems(results)


def failures(results: dict) -> list[str]:
    return [f"- **failed**: {name}: {' '.join(reason.split())[:300]}" for name, reason in results["failed"].items()]


def of_spread(values: list[float], digits: int = 3) -> str:
    median, low, high = values
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def limits(results: dict) -> list[str]:
    found = results["limits"]
    if not found:
        return []
    rows = [[title, of_spread(found[name], 2)] for name, title in LIMITS.items() if name in found]
    if "gap_us" in found:
        rows.append(["gap between two nodes of a graph, us", f"{found['gap_us']:.2f}"])
    return ["", "## Limits", "", *table(["limit", "median (min to max)"], rows)]


def training(results: dict) -> list[str]:
    lines = []
    for what, unit in TITLES.items():
        rows = [
            [
                *(str(row["batch_size"]), row["system"], of_spread(row["ms"]), f"{row['images_per_s']:,}"),
                f"{row['speed']:.2f}" if row["speed"] else "",
            ]
            for row in results["rows"]
            if row["what"] == what
        ]
        if rows:
            head = ["batch", "system", f"{unit}: median (min to max)", "images/s", "speed, fastest peer = 1"]
            lines += ["", f"## cnn, {what}", "", *table(head, rows, left=2)]
    for check in results["checks"]:
        differences = ", ".join(f"{name} {value:.1e}" for name, value in check["largest_relative_difference"].items())
        first = f"Losses of the first {check['steps']} steps at batch {check['batch_size']}"
        lines += ["", f"{first}, relative difference from the CPU's: {differences}."]
    if lines:
        lines += ["", f"An epoch has {results['images']:,} images. {results['rounds']} rounds.", *floors(results)]
    return lines


def floors(results: dict) -> list[str]:
    """A step's counted bytes at the measured bandwidth, and its products at the measured rate."""
    from train import flop_per_image

    limits, rows = results["limits"], []
    _, flop = flop_per_image("cnn")
    for count in results["counts"]:
        batch_size, moved = count["batch_size"], count["traffic_bytes"]
        parts = [gpu_ops.floor_seconds(limits, "high", 0, moved)]
        parts += [peak and batch_size * flop / peak for peak in (gpu_ops.rate(limits, p) for p in gpu_ops.PRECISIONS)]
        cells = ["" if part is None else f"{1e6 * part:.1f}" for part in parts]
        rows.append([str(batch_size), f"{count['memory_passes']:.2f}", str(len(count["calls"])), *cells])
    head = ["batch", "memory passes", "calls", "us for its bytes", 'us for its products, "highest"', '"high"']
    return ["", "Floors of fastconv's step, from the limits:", "", *table(head, rows)] if rows else []


def schedule(results: dict) -> list[str]:
    rows = [
        [
            *(row["device"], row["precision"], f"{row['data']}, {row['images']:,} images"),
            *(", ".join(f"{p['epochs']}@{p['batch_size']}: {p['seconds']:.2f}" for p in row["phases"]),),
            *(f"{row['seconds']:.2f}", f"{row['test'][1]:.3f}"),
        ]
        for row in results["schedule"]
    ]
    head = ["device", "precision", "data", "epochs@batch: seconds", "seconds", "test accuracy"]
    return ["", "## The notebook's schedule", "", *table(head, rows, left=4)] if rows else []


def kernels(results: dict) -> list[str]:
    def number(value, form):
        return "" if value is None else format(value, form)

    lines, rows = [], results["kernels"]
    head = [
        "kernel",
        "layer",
        "us: median (min to max)",
        "floor us",
        "GFLOP/s",
        "GB/s",
        "PyTorch us",
        "PyTorch / fastconv",
    ]
    for key in dict.fromkeys((row["batch_size"], row["precision"], row["fused"]) for row in rows):
        batch_size, precision, fused = key
        chosen = [row for row in rows if (row["batch_size"], row["precision"], row["fused"]) == key]
        cells = [
            [
                *(row["op"], row["layer"], of_spread(row["us"], 2), number(row["floor_us"], ".2f")),
                *(f"{row['gflop_per_s']:.0f}" if row["flop"] else "", f"{row['gb_per_s']:.0f}"),
                *(number(row["torch_us"], ".2f"), number(row["torch_by_fastconv"], ".2f")),
            ]
            for row in chosen
        ]
        total = sum(row["us"][0] for row in chosen)
        plan = "fused" if fused else "unfused"
        lines += ["", f'## Kernels at batch {batch_size}, "{precision}", {plan}: {total:.1f} us in all', ""]
        lines += table(head, cells, left=2)
    return lines


def draw(results: dict, folder: Path, stem: str) -> list[str]:
    """A row of panels for steps and one for epochs, a panel for each batch size; none without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        report.note("left out: the chart, which needs matplotlib")
        return []
    rows = results["rows"]
    whats = [what for what in TITLES if any(row["what"] == what for row in rows)]
    batches = sorted({row["batch_size"] for row in rows})
    bars = list(dict.fromkeys(row["system"] for row in rows))
    size = (2 + 2.6 * len(batches), 0.9 + len(whats) * (0.5 + 0.23 * len(bars)))
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    for what, line in zip(whats, figure.subplots(len(whats), len(batches), squeeze=False), strict=True):
        for batch_size, axes in zip(batches, line, strict=True):
            times = {r["system"]: r["ms"] for r in rows if (r["what"], r["batch_size"]) == (what, batch_size)}
            if times:
                chart.draw_bars(axes, times, bars)
            axes.set_title(f"{TITLES[what]}, batch {batch_size}", fontsize=10, color=chart.TEXT, loc="left")
            if axes is not line[0]:
                axes.set_yticklabels([])
    name = results["gpu"]["name"] if results["gpu"] else results["machine"]["cpu"]
    figure.suptitle("Training cnn, less is better", fontsize=13, color=chart.TEXT)
    figure.supxlabel(f"{name}, {results['date']}", fontsize=9, color=chart.TEXT)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{stem}.png", dpi=140)
    return [f"{stem}.png"]
