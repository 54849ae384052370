"""What benchmarks/ops.py and sweep.py measure and write. No figure is asserted."""

from __future__ import annotations

import sys
from pathlib import Path

import helpers
import numpy as np
import pytest

from fastconv import _core

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import ops_conv  # noqa: E402  (found through the line above)
import ops_layers  # noqa: E402
import ops_memory  # noqa: E402
import ops_report  # noqa: E402
import report  # noqa: E402
import sweep  # noqa: E402

GROUPED = [op for op in helpers.OUTPUTS if op.startswith("grouped_conv2d")]


def small_cases():
    return [(make, tuple(min(size, 4) for size in shape)) for make, shape in ops_memory.cases(batch=1)]


def test_every_op_is_measured(rng):
    others = {kernel.op for make, shape in small_cases() for kernel in make(shape, rng)}
    assert others | set(ops_conv.PASSES) == set(helpers.OUTPUTS) - {
        "conv2d_backward_fits",
        *GROUPED,
    }  # a question; loops


def test_every_kernel_of_a_case_runs(rng):
    for make, shape in small_cases():
        for kernel in make(shape, rng):
            kernel.call()


@pytest.mark.parametrize("network", ops_layers.NETWORKS)
def test_labels_of_a_network_are_unique(network):
    labels = [ops_layers.label(shape) for shape in ops_layers.layers(network, batch=1)]
    assert len(set(labels)) == len(labels)


def test_passes_are_measured_without_a_peer():
    took = ops_conv.measure_passes(sweep.same(1, 8, 2, 3), None, [], rounds=1, seconds=1e-6)
    assert all(of["seconds"] > 0 and of["torch"] is None for of in took.values())


@pytest.mark.parametrize("g", sweep.points(), ids=sweep.name)
def test_every_layer_of_the_sweep_fits_its_bounds(g):
    assert sweep.fits(g)


def test_the_sweep_reaches_the_ends_of_its_axes():
    points = sweep.points()
    for axis, ends in (("n", (1, 8192)), ("h", (8, 512)), ("c", (1, 512)), ("k", (1, 512)), ("r", (1, 5))):
        sizes = {getattr(g, axis) for g in points}
        assert (min(sizes), max(sizes)) == ends


def test_the_sweep_is_the_same_each_time():
    assert sweep.points() == sweep.points()


@pytest.mark.parametrize("argv", [["--out", "/home/me"], ["--out=/home/me"], ["--python-torch", "/home/me"]])
def test_a_recorded_command_has_no_path(argv):
    assert "/home" not in report.command_line("ops.py", argv)


def test_a_chart_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    row = {"isa": "avx2", "share_of_peak": 0.5, "share_of_bandwidth": 2.0, "torch_share_of_peak": 0.25, "layer": "a"}
    rows = [row | {"op": op} for op in ops_conv.PASSES] + [row | {"op": "add_forward", "torch_share_of_peak": None}]
    limits = {"avx2": {"fma_gflop_per_s": 100.0, "bandwidth_gb_per_s": 10.0}}
    ops_report.chart(ops_report.header("ops.py", []) | {"rows": rows, "limits": limits}, "avx2", tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_compare_takes_the_peer_by_fastconv():
    took = {op: {"seconds": 1.0, "torch": 2.0} for op in ops_conv.PASSES}
    assert sweep.compare(took)["ratio"] == 2.0
    assert np.allclose([sweep.compare(took)[f"{op}_ratio"] for op in ops_conv.PASSES], 2.0)


def test_threads_are_those_of_the_library():
    assert ops_report.header("ops.py", [])["threads"] == _core.num_threads()
