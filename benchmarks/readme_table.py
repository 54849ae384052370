"""Writes the speed tables of /README.md, between its two marks, from the newest results.

    python benchmarks/readme_table.py            # rewrites the block
    python benchmarks/readme_table.py --check    # says, by status 1, whether it is stale

Reads train_<date>.json and, where there are any, resnet20_<date>.json, predict_<date>.json and footprint_<date>.json of
benchmarks/results. The README has room for the rows of SHOWN; a sentence names the least gain of all.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from report import RESULTS, table

README = RESULTS.parents[1] / "README.md"
BEGIN, END = "<!-- speed: written by benchmarks/readme_table.py -->", "<!-- end of speed -->"
FRAMEWORKS = {"fastconv": "fastconv", "tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
COLUMNS = [("step", name) for name in FRAMEWORKS] + [("fit", name) for name in ("fastconv", "tensorflow", "torch")]
SHOWN = (("cnn", 32), ("cnn", 256), ("cnn", 1024), ("conv", 32), ("mlp", 32), ("resnet20", 128))


def newest(folder: Path, name: str) -> tuple[str, dict]:
    """(stem, contents) of the newest results of this name; ("", {}) if there are none."""
    files = sorted(folder.glob(f"{name}_[0-9]*.json"))
    return (files[-1].stem, json.loads(files[-1].read_text(encoding="utf-8"))) if files else ("", {})


def framework(row: dict) -> str:
    return row["system"].partition("-")[0]


def short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def fastest(rows: list[dict]) -> dict[tuple, float]:
    """Milliseconds per step by (network, batch size, what, framework), each framework at its fastest setting."""
    best: dict[tuple, float] = {}
    for row in rows:
        key = row["network"], row["batch_size"], row["what"], framework(row)
        best[key] = min(best.get(key, float("inf")), row["ms_per_step"][0])
    return best


def least_gain(best: dict[tuple, float]) -> str:
    """Where a framework comes nearest to fastconv in `step`."""
    steps = {key: ms for key, ms in best.items() if key[2] == "step"}
    gains = {key: ms / steps[(*key[:3], "fastconv")] for key, ms in steps.items() if key[3] != "fastconv"}
    (network, size, _, name), gain = min(gains.items(), key=lambda item: item[1])
    return f"The least gain of all networks and batch sizes: {gain:.1f} x ({FRAMEWORKS[name]}, `{network}`, {size})."


def training_table(best: dict[tuple, float]) -> list[str]:
    """A line for each network and batch size of SHOWN."""
    best = {key: ms for key, ms in best.items() if key[:2] in SHOWN}
    columns = [column for column in COLUMNS if any(key[2:] == column for key in best)]
    names = {**FRAMEWORKS, "tensorflow": "Keras"}
    headings = [f"{what}: {(names if what == 'fit' else FRAMEWORKS)[name]}" for what, name in columns]
    lines = []
    for network, batch_size in dict.fromkeys(key[:2] for key in best):
        cells = [f"`{network}`", str(batch_size)]
        for what, name in columns:
            ours, its = best.get((network, batch_size, what, "fastconv")), best.get((network, batch_size, what, name))
            ratio = f" ({its / ours:.1f} x)" if ours and its and name != "fastconv" else ""
            cells.append(f"{short(its)}{ratio}" if its else "")
        lines.append(cells)
    return table(["network", "batch", *headings], lines)


def other_table(predict: dict, footprint: dict) -> list[str]:
    """A line for each of the other figures, each framework at its best."""
    predictions = [r for r in predict.get("rows", ()) if (r["what"], r["batch_size"]) == ("predict", 1)]
    # `import fastconv` alone loads next to nothing: the figure is of what a script goes on to name.
    imports = [row for row in footprint.get("import", ()) if row["statement"] != "import fastconv"]
    figures = (
        ("`predict` of one image with `cnn`, ms", predictions, lambda row: row["ms_per_step"][0]),
        ("import, NumPy being there, ms", imports, lambda row: row["ms"][0]),
        ("installed, with all it needs but NumPy, MB", footprint.get("size", ()), lambda row: row["mb"]),
        ("memory to train `cnn` at batch 1024, MB", footprint.get("memory", ()), lambda row: row["growth_mb"]),
    )
    lines = []
    for title, rows, value in figures:
        found = [[value(row) for row in rows if framework(row) == name] for name in FRAMEWORKS]
        if any(found):
            lines.append([title, *(short(min(values)) if values else "" for values in found)])
    return ["", *table(["", *FRAMEWORKS.values()], lines)] if lines else []


def versions(results: dict) -> str:
    """The frameworks' versions: "Keras 3.15.1, TensorFlow 2.21.0, ..."."""
    found = {name: number for about in results["systems"].values() for name, number in about["versions"].items()}
    names = {"keras": "Keras", **{key: name for key, name in FRAMEWORKS.items() if key != "fastconv"}}
    return ", ".join(f"{title} {found[name].partition('+')[0]}" for name, title in names.items() if name in found)


def block(folder: Path) -> str:
    """What stands between the marks."""
    stem, results = newest(folder, "train")
    if not results:
        raise SystemExit(f"expected results of benchmarks/train.py in {folder}. Received: none")
    names = ("predict", "footprint", "resnet20")
    (_, predict), (_, footprint), (deep, residual) = (newest(folder, name) for name in names)
    best = fastest(results["rows"] + residual.get("rows", []))
    host, isa = results["machine"], results["systems"]["fastconv"]["versions"]["isa"]
    place = f"{host['cores']} cores of an {host['cpu']} ({isa}), {results['date']}"
    of_resnet20 = f", [of `resnet20`](benchmarks/results/{deep}.md)" if deep else ""
    lines = [
        f"Milliseconds per training step, alone and in `fit`, float32, on {place}: medians of {results['rounds']}",
        f"rounds of one interleaved run beside {versions(results)}, each at its fastest setting;",
        "in brackets, times as long as fastconv",
        f"([all figures](benchmarks/results/{stem}.md){of_resnet20}, [rules](benchmarks/README.md)).",
        "",
        *training_table(best),
        "",
        least_gain(best),
        *other_table(predict, footprint),
    ]
    return "\n".join([BEGIN, *lines, END])


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if the README is stale")
    parser.add_argument("--readme", type=Path, default=README)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    args = parser.parse_args(argv)
    text = args.readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or END not in text.partition(BEGIN)[2]:
        parser.error(f"expected {BEGIN!r} and then {END!r} in {args.readme}. Received: a file without them")
    before, _, rest = text.partition(BEGIN)
    made = before + block(args.results) + rest.partition(END)[2]
    if not args.check:
        args.readme.write_text(made, encoding="utf-8")
    elif made != text:
        print(f"{args.readme} is stale: run python benchmarks/readme_table.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
