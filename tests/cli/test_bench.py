import json

import pytest

from fastconv import bench, config


def test_bench_shows_the_networks_and_writes_the_results(program, tmp_path):
    result = program("bench", "--seconds", "0.001", "--json", "bench.json")
    written = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert result.out == bench.render(written) + "\n"


def test_bench_prints_the_results_for_machines(program):
    assert json.loads(program("bench", "--seconds", "0.001", "--json", "-").out).keys() == bench.run(0.001).keys()


def test_bench_takes_threads(program, threads):
    assert f"{config.isa()}, 1 thread;" in program("bench", "--seconds", "0.001", "--threads", "1").out


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan"])
def test_bench_refuses_a_duration_that_does_not_end_or_begin(program, seconds):
    result = program("bench", "--seconds", seconds)
    assert result.code == 2
    assert "--seconds" in result.err and "expected a finite number above 0" in result.err


def test_bench_names_a_file_it_cannot_write(program):
    result = program("bench", "--seconds", "0.001", "--json", "missing/bench.json")
    assert result.code == 1
    assert "--json must be a file to write. Received: missing/bench.json (" in result.err
