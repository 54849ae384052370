"""The README's speed tables: what they are made of, and where they are put."""

import json

import pytest


def row(system, ms, what="step", batch_size=32):
    return {"network": "cnn", "batch_size": batch_size, "what": what, "system": system, "ms_per_step": [ms, ms, ms]}


@pytest.fixture
def results(tmp_path):
    """A folder with one result of benchmarks/train.py."""
    systems = {"fastconv": {"versions": {"isa": "avx2"}}, "torch": {"versions": {"torch": "2.13.0+cpu"}}}
    rows = [row("fastconv", 2.0), row("torch", 9.0), row("torch-compile", 5.0)]
    result = {"date": "2026-01-02", "rounds": 5, "machine": {"cores": 2, "cpu": "CPU"}}
    result |= {"systems": systems, "rows": rows}
    (tmp_path / "train_2026-01-02.json").write_text(json.dumps(result))
    return tmp_path


@pytest.fixture
def readme(load, tmp_path):
    table = load("readme_table")
    path = tmp_path / "README.md"
    path.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    return path


def run(load, readme, results, *arguments):
    return load("readme_table").main(["--readme", str(readme), "--results", str(results), *arguments])


def test_each_framework_stands_at_its_fastest_setting(load, results):
    assert "| `cnn` | 32 | 2 | 5 (2.5 x) |" in load("readme_table").block(results)


def test_rows_that_are_not_shown_count_for_the_least_gain(load, results):
    result = json.loads((results / "train_2026-01-02.json").read_text())
    result["rows"] += [row("fastconv", 2.0, batch_size=7), row("torch", 3.0, batch_size=7)]
    (results / "train_2026-01-02.json").write_text(json.dumps(result))
    block = load("readme_table").block(results)
    assert "| 7 |" not in block
    assert "least gain of all networks and batch sizes: 1.5 x (PyTorch, `cnn`, 7)" in block


def test_the_residual_network_stands_in_a_file_of_its_own(load, results):
    rows = [{**row(name, ms), "network": "resnet20", "batch_size": 128} for name, ms in (("fastconv", 2), ("torch", 4))]
    (results / "resnet20_2026-01-03.json").write_text(json.dumps({"rows": rows}))
    assert "| `resnet20` | 128 | 2 | 4 (2.0 x) |" in load("readme_table").block(results)


def test_columns_without_figures_are_left_out(load, results):
    assert "| network | batch | step: fastconv | step: PyTorch |" in load("readme_table").block(results)


def test_the_newest_results_are_taken(load, results):
    (results / "train_2026-01-01.json").write_text("older, and never read")
    assert "2026-01-02.md" in load("readme_table").block(results)


def test_the_import_of_fastconv_counts_with_its_parts(load, results):
    rows = [("import fastconv", 1.0), ("from fastconv import layers", 20.0)]
    imports = [{"system": "fastconv", "statement": statement, "ms": [ms, ms, ms]} for statement, ms in rows]
    (results / "footprint_2026-01-02.json").write_text(json.dumps({"import": imports}))
    assert "| import, NumPy being there, ms | 20 |" in load("readme_table").block(results)


def test_only_what_stands_between_the_marks_changes(load, readme, results):
    run(load, readme, results)
    text = readme.read_text()
    assert text.startswith("before\n<!--") and text.endswith("-->\nafter\n") and "old" not in text


def test_check_tells_a_stale_readme_and_leaves_it(load, readme, results):
    before = readme.read_text()
    assert run(load, readme, results, "--check") == 1
    assert readme.read_text() == before


def test_check_passes_what_was_just_written(load, readme, results):
    run(load, readme, results)
    assert run(load, readme, results, "--check") == 0


def test_a_readme_without_marks_is_an_error(load, readme, results, capsys):
    readme.write_text("nothing\n")
    with pytest.raises(SystemExit):
        run(load, readme, results)
    assert "Received: a file without them" in capsys.readouterr().err
