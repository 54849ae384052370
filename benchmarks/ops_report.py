"""What ops.py and sweep.py write: JSON, a Markdown page, a chart."""

from __future__ import annotations

from pathlib import Path

import report

import fastconv
from fastconv import _core

TITLES = {
    "conv2d_fprop": "forward",
    "conv2d_dgrad": "gradient of the input",
    "conv2d_wgrad": "gradient of the weights",
    "conv2d_backward": "both gradients at once",
}


def header(script: str, argv: list[str]) -> dict:
    return report.header(script, argv) | {"threads": _core.num_threads(), "fastconv": fastconv.__version__}


def footer(results: dict) -> list[str]:
    host, versions = results["machine"], {"fastconv": results["fastconv"], **results.get("versions", {})}
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return [
        "",
        f"{host['cpu']}, {results['threads']} of {host['cores']} cores, {host['system']}; {named}.",
        f"Command: `{results['command']}`",
    ]


def chart(results: dict, isa: str, path: Path) -> None:
    """Share of the FMA peak (convolutions) or of the bandwidth (other kernels) by kernel and layer."""
    from matplotlib.figure import Figure

    rows = [row for row in results["rows"] if row["isa"] == isa]
    panels = {title: [row for row in rows if row["op"] == op] for op, title in TITLES.items()}
    panels["other kernels"] = [row for row in rows if row["op"] not in TITLES]
    figure = Figure(figsize=(20, 1.5 + 0.3 * max(map(len, panels.values()))), layout="constrained")
    for ax, (title, bars) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        limit = "bandwidth" if title == "other kernels" else "peak"
        labels = [f"{row['op']} {row['layer']}" if limit == "bandwidth" else row["layer"] for row in bars]
        ours = [100 * row[f"share_of_{limit}"] for row in bars]
        ax.barh([i - 0.2 for i in range(len(bars))], ours, 0.4, label="fastconv", color="tab:blue")
        theirs = [(i, 100 * row["torch_share_of_peak"]) for i, row in enumerate(bars) if row["torch_share_of_peak"]]
        if theirs:
            ax.barh(
                [i + 0.2 for i, _ in theirs], [share for _, share in theirs], 0.4, label="oneDNN", color="tab:orange"
            )
        ax.set_yticks(range(len(bars)), labels, fontsize=8)
        ax.invert_yaxis()
        ax.axvline(100, color="0.4", linewidth=1)
        ax.set_title(title)
        ax.set_xlabel(f"% of {'FMA peak' if limit == 'peak' else 'memory bandwidth (more: in the caches)'}")
        ax.grid(axis="x", alpha=0.3)
        ax.legend()
    peak = results["limits"][isa]
    figure.suptitle(
        f"{results['machine']['cpu']}, {isa}, {results['threads']} threads, {results['date']}: "
        f"{peak['fma_gflop_per_s']:.0f} GFLOP/s, {peak['bandwidth_gb_per_s']:.0f} GB/s"
    )
    figure.savefig(path, dpi=100)
