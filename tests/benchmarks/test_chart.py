"""The charts of benchmarks/train.py."""

import pytest


def test_a_chart_is_drawn_of_what_several_systems_were_timed_at(load, tmp_path):
    pytest.importorskip("matplotlib")
    timed = (("step", "fastconv"), ("step", "jax"), ("bare", "fastconv"))
    row = {"network": "cnn", "batch_size": 32, "threads": 2, "ms_per_step": [2.0, 1.0, 3.0]}
    rows = [row | {"what": what, "system": system} for what, system in timed]
    results = {"date": "2026-01-02", "machine": {"cpu": "CPU"}, "rows": rows}
    assert load("chart").draw(results, tmp_path, "train") == ["train_2026-01-02_step.png"]
    assert (tmp_path / "train_2026-01-02_step.png").read_bytes().startswith(b"\x89PNG")
