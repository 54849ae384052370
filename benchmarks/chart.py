"""Charts of the training times: a bar for each system, a panel for each network and batch size."""

from __future__ import annotations

from pathlib import Path

from report import note

OURS, PEER, TEXT = "#1f6fb2", "#c3c7cc", "#333333"
TITLES = {
    "step": "Milliseconds per training step, less is better",
    "fit": "Milliseconds per step of fit, less is better",
    "bare": "Milliseconds per step of the training plan alone, less is better",
    "predict": "Milliseconds per predict, from array to array, less is better",
    "call": "Milliseconds per call of the model, less is better",
    "kernels": "Milliseconds per prediction of the plan alone, less is better",
}


def draw(results: dict, folder: Path, name: str) -> list[str]:
    """Write a PNG for each thing that several systems were timed at; return their names (none without matplotlib)."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        note("left out: charts, which need matplotlib")
        return []
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for what in dict.fromkeys(row["what"] for row in results["rows"]):
        rows = [row for row in results["rows"] if row["what"] == what]
        if len({(row["system"], row["threads"]) for row in rows}) == 1:
            continue  # nothing beside it
        files.append(f"{name}_{results['date']}_{what}.png")
        figure = Figure(facecolor="white", layout="constrained")
        _panels(figure, rows)
        host = results["machine"]
        threads = " and ".join(map(str, sorted({row["threads"] for row in rows})))
        about = f"{host['cpu']}, {threads} threads, float32, {results['date']}"
        figure.suptitle(TITLES[what], fontsize=13, color=TEXT)
        figure.supxlabel(about, fontsize=9, color=TEXT)
        figure.get_layout_engine().set(h_pad=0.1)
        figure.savefig(folder / files[-1], dpi=140)
    return files


def _panels(figure, rows: list[dict]) -> None:
    networks = list(dict.fromkeys(row["network"] for row in rows))
    batches = sorted({row["batch_size"] for row in rows})
    bars = list(dict.fromkeys(_label(row, rows) for row in rows))
    figure.set_size_inches(2 + 2.4 * len(batches), 0.9 + len(networks) * (0.5 + 0.23 * len(bars)))
    panels = figure.subplots(len(networks), len(batches), squeeze=False)
    for network, line in zip(networks, panels, strict=True):
        for batch_size, axes in zip(batches, line, strict=True):
            chosen = [row for row in rows if (row["network"], row["batch_size"]) == (network, batch_size)]
            draw_bars(axes, {_label(row, rows): row["ms_per_step"] for row in chosen}, bars)
            axes.set_title(f"{network}, batch {batch_size}", fontsize=10, color=TEXT, loc="left")
            if axes is not line[0]:
                axes.set_yticklabels([])


def _label(row: dict, rows: list[dict]) -> str:
    one = len({other["threads"] for other in rows}) == 1
    return row["system"] if one else f"{row['system']}, threads {row['threads']}"


def draw_bars(axes, times: dict[str, list[float]], bars: list[str], others: str = PEER) -> None:
    """Bars of the medians with a line from minimum to maximum, and the median in figures behind it.

    Those of fastconv beside its peers have a colour of their own; `others` is that of all else.
    """
    widest = max(high for _, _, high in times.values())
    for place, bar in enumerate(bars):
        if bar in times:
            median, low, high = times[bar]
            axes.barh(place, median, height=0.7, color=OURS if bar.startswith("fastconv") else others)
            axes.plot([low, high], [place, place], color=TEXT, linewidth=0.8)
            text = f"{median:.3g}" if median < 1000 else f"{median:.0f}"
            axes.text(high + 0.03 * widest, place, text, va="center", fontsize=8, color=TEXT)
    axes.set_xlim(0, 1.25 * widest)
    axes.set_yticks(range(len(bars)), bars, fontsize=8.5, color=TEXT)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
