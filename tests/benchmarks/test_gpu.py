"""What benchmarks/gpu.py makes of its measurements, and what is left of it when a part fails. No figure is asserted."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

LIMITS = {"copy_gb_per_s": [1000.0] * 3, "tf32_tflop_per_s": [300.0] * 3, "fp32_tflop_per_s": [50.0] * 3}
GPU = {"name": "GPU", "multiprocessors": 132, "memory_bytes": 80 << 30}


class Peer(SimpleNamespace):
    """A worker whose losses and times are given."""

    def set_up(self, **arguments):
        return {"versions": {}, "mode": "", "whats": ["step"]}

    def ask(self, command, **arguments):
        if command == "round" and self.breaks:
            raise RuntimeError("broken")
        return {"losses": {"losses": self.losses}, "warm_up": {"steps": 3}, "round": {"seconds_per_step": 1.0}}.get(
            command
        )

    def __hash__(self):
        return id(self)


def peer(system, losses=(2.0, 1.0), breaks=False):
    return Peer(system=system, losses=list(losses), breaks=breaks)


def measured(load, *workers):
    """The results and failures of one batch size on these workers."""
    failed, args = load("gpu").Failures(), SimpleNamespace(rounds=2, seconds_per_round=0.0, images=100)
    results = {"systems": {}, "checks": [], "rows": []}
    load("gpu_training").measure(args, list(workers), peer("cpu"), 32, ["step"], {}, results, failed)
    return results, failed


def test_a_system_with_other_losses_is_not_timed(load):
    results, failed = measured(load, peer("fastconv-highest"), peer("jax", losses=(2.0, 1.02)))
    assert [row["system"] for row in results["rows"]] == ["fastconv-highest"]
    assert "not the CPU's" in failed["jax at batch 32"]


def test_bfloat16_may_differ_more_than_float32(load):
    losses = (2.0, 1.02)
    results, failed = measured(load, peer("torch-bf16", losses), peer("fastconv-highest", losses))
    assert [row["system"] for row in results["rows"]] == ["torch-bf16"]
    assert list(failed) == ["fastconv-highest at batch 32"]


def test_a_system_that_breaks_leaves_the_others_their_rounds(load):
    results, failed = measured(load, peer("torch", breaks=True), peer("jax"))
    assert [(row["system"], len(row["ms_of_rounds"])) for row in results["rows"]] == [("jax", 2)]
    assert list(failed) == ["torch, round of step at batch 32"]


def test_speed_is_that_of_the_fastest_peer(load):
    times = {"fastconv-high": [2.0], "fastconv-highest": [1.0], "torch": [8.0], "jax": [4.0]}
    assert [row["speed"] for row in load("gpu_training").rows_of(32, "step", times, 100)] == [2, 4, 0.5, 1]


def test_an_epoch_counts_its_images(load):
    (row,) = load("gpu_training").rows_of(32, "epoch", {"jax": [2.0]}, 100)
    assert row["images_per_s"] == 50


def test_highest_is_bound_by_three_products_in_tf32_or_by_float32(load):
    ops = load("gpu_ops")
    assert ops.rate(LIMITS, "high") == 300e12
    assert ops.rate(LIMITS, "highest") == 100e12
    assert ops.rate({**LIMITS, "fp32_tflop_per_s": [200.0]}, "highest") == 200e12


def test_the_floor_is_the_slower_of_products_and_bytes(load):
    floor = load("gpu_ops").floor_seconds
    assert floor(LIMITS, "high", flop=300e12, moved=1e12) == pytest.approx(1)
    assert floor(LIMITS, "high", flop=300e12, moved=2e12) == pytest.approx(2)
    assert floor(LIMITS, "high", flop=0, moved=1e12) == pytest.approx(1)
    assert floor({}, "high", flop=1, moved=1) is None


@pytest.mark.parametrize("fused", (True, False))
def test_every_kernel_of_a_plan_is_described_and_runs(load, fused):
    peer = load("fastconv_gpu").FastConvGpu()
    peer.setup("cpu", "highest")
    kernels = peer.kernels(batch_size=2, fused=fused)["kernels"]
    assert len(kernels) == len(peer.measure(seconds=0)["seconds"])
    assert all(kernel["bytes"] > 0 for kernel in kernels)
    products = sum(kernel["flop"] for kernel in kernels)
    assert products == 2 * load("train").flop_per_image("cnn")[1]


def test_a_kernel_without_the_inputs_gradient_stands_beside_that_of_the_weights(load):
    kernel = {"op": "conv2d_backward", "layer": "3x3 3>32 @32 (no input gradient)"}
    assert load("gpu_ops").op_of_peer(kernel) == "conv2d_wgrad"


def test_as_many_copies_are_captured_as_fill_a_graph(load, monkeypatch):
    timing, captured = load("timing"), []
    clock = iter(np.arange(100) * timing.GRAPH_SECONDS / 10)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    timing.graph_seconds(lambda repeats: captured.append(repeats), lambda graph: None, seconds=0)
    assert captured == [1, 10]


def test_epochs_are_timed_one_by_one(load):
    seconds = load("worker").each(lambda: None)(3)
    assert len(seconds) == 3


def test_what_there_is_is_written(load, tmp_path):
    row = {"network": "cnn", "batch_size": 32, "what": "step", "system": "jax", "ms": [2.0, 1.0, 3.0]}
    results = {
        **load("report").header("gpu.py", []),
        **{"rounds": 1, "images": 100, "gpu": GPU, "systems": {}, "limits": LIMITS, "checks": [], "schedule": []},
        "counts": [{"batch_size": 32, "memory_passes": 6.4, "traffic_bytes": 1e6, "calls": ["advance"]}],
        "rows": [row | {"images_per_s": 1, "speed": None}],
        "kernels": [],
        "failed": {"ops": "RuntimeError: no GPU"},
    }
    load("gpu_report").save(tmp_path, "gpu", results, show=False)
    page = (tmp_path / f"gpu_{results['date']}.md").read_text()
    assert "**failed**: ops: RuntimeError: no GPU" in page and "| 32 | jax | 2.000" in page
    assert json.loads((tmp_path / f"gpu_{results['date']}.json").read_text())["limits"] == LIMITS


def test_the_chart_is_drawn_at_the_end(load, tmp_path):
    pytest.importorskip("matplotlib")
    row = {"batch_size": 32, "what": "step", "system": "jax", "ms": [2.0, 1.0, 3.0]}
    results = {"date": "2026-01-02", "gpu": GPU, "rows": [row, row | {"what": "epoch", "batch_size": 256}]}
    assert load("gpu_report").draw(results, tmp_path, "gpu") == ["gpu.png"]
    assert (tmp_path / "gpu.png").read_bytes().startswith(b"\x89PNG")
