"""What benchmarks/watching.py measures."""

import json


def test_the_cost_has_parts_and_a_whole(load, tmp_path):
    watching = load("watching")
    watching.main(["--network", "conv", "--pairs", "2", "--out", str(tmp_path)])
    (row,) = json.loads(next(tmp_path.glob("*.json")).read_text(encoding="utf-8"))["rows"]
    assert row["network"] == "conv" and all(row[part] > 0 for part in ("step_ms", "note_us", "look_us", "copy_us"))
    assert 0 < row["share_percent"] < 100 and len(row["epochs"]) == 3
    assert "| conv |" in next(tmp_path.glob("*.md")).read_text(encoding="utf-8")
