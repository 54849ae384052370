"""What benchmarks/fusions.py compares and writes. No figure of time is asserted."""

import pytest


@pytest.fixture
def fusions(load):
    return load("fusions")


def test_each_stage_adds_one_fusion_and_the_last_the_choice_of_algorithm(fusions):
    *direct, last = fusions.STAGES
    assert [stage.fusions for stage in direct] == [fusions.fuse.ALL[:i] for i in range(len(fusions.fuse.ALL) + 1)]
    assert {stage.algorithm for stage in direct} == {"direct"}
    assert (last.fusions, last.algorithm) == (fusions.fuse.ALL, "auto")


def test_no_stage_passes_over_memory_more_often_than_the_one_before(fusions):
    rows = fusions.measure(batch_size=32, rounds=1, seconds=0)
    passes = [row["memory_passes"] for row in rows]
    assert [row["stage"] for row in rows] == [stage.name for stage in fusions.STAGES]
    assert passes == sorted(passes, reverse=True) and passes[-1] < passes[0] / 2


def results():
    row = {"batch_size": 32, "stage": "unfused", "algorithm": "direct", "calls": 41, "memory_passes": 18.5}
    row |= {"arena_mb": 26.1, "ms_per_step": [6.0, 5.0, 7.0]}
    rows = [row, row | {"stage": "bn_act", "ms_per_step": [4.0, 4.0, 4.0]}]
    about = {
        "date": "2026-01-02",
        "machine": {"cpu": "CPU", "cores": 2, "system": "Linux"},
        "command": "",
        "systems": {},
    }
    return about | {"rounds": 3, "threads": 2, "rows": rows}


def test_speed_is_beside_the_unfused_step(fusions):
    assert any("| + bn_act | direct | 4.000 (4.000 to 4.000) | 1.50 |" in line for line in fusions.page(results(), []))


def test_a_chart_is_drawn(fusions, tmp_path):
    pytest.importorskip("matplotlib")
    assert fusions.draw(results(), tmp_path) == ["fusions_2026-01-02.png"]
    assert (tmp_path / "fusions_2026-01-02.png").read_bytes().startswith(b"\x89PNG")
