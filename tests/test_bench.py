"""`fastconv bench`: what it measures and shows. No figure is asserted."""

from __future__ import annotations

import json
import math

import pytest
from fake_device import FakeOps

from fastconv import bench, config, device


@pytest.fixture(scope="module")
def results():
    return bench.run(seconds=1e-3)


def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, float) else []


def test_every_figure_is_a_positive_number(results):
    figures = numbers(results)
    assert len(figures) == 2 + 4 * len(bench.STEPS) + len(bench.PREDICTIONS) + 2
    assert all(0 < figure < math.inf for figure in figures)


def test_results_name_what_they_were_measured_on(results):
    assert (results["isa"], results["threads"]) == (config.isa(), config.get_num_threads())


def test_results_are_json(results):
    assert json.loads(json.dumps(results)) == results


def test_the_text_has_a_row_for_each_step(results):
    lines = [line.split()[:2] for line in bench.render(results).splitlines()]
    assert [line for line in lines if line in [[n, str(b)] for n, b in bench.STEPS]] == [
        [network, str(batch)] for network, batch in bench.STEPS
    ]


def test_the_text_has_the_memory_passes(results):
    line = next(line for line in bench.render(results).splitlines() if "Memory passes" in line)
    fused, unfused = (results["memory_passes"][name] for name in ("fused", "unfused"))
    assert fused < unfused and line.endswith(f"step of cnn: {fused:.1f} (unfused {unfused:.1f})")


def test_the_first_layer_needs_no_gradient_of_its_input():
    assert bench._multiplications(bench._model("mlp")) == 2 * 3072 * 200 + 3 * (200 * 150 + 150 * 10)


def test_convolutions_count_every_pixel():
    conv1, conv2, dense = 16 * 16 * 4 * 4 * 3 * 10, 8 * 8 * 3 * 3 * 10 * 20, 1280 * 10
    assert bench._multiplications(bench._model("conv")) == 2 * conv1 + 3 * (conv2 + dense)


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
def test_a_duration_that_does_not_end_or_begin_is_refused(seconds):
    with pytest.raises(ValueError, match=f"seconds must be a finite number above 0. Received: seconds={seconds}"):
        bench.run(seconds)


def test_the_cpu_is_measured_whatever_models_run_on(monkeypatch):
    gpu = FakeOps()
    monkeypatch.setattr(device, "_ops", gpu)
    monkeypatch.setattr(bench, "STEPS", (("conv", 1),))
    monkeypatch.setattr(bench, "PREDICTIONS", ("conv",))
    bench.run(0.01)
    assert gpu.memory.uploads == [] and device.ops() is gpu
