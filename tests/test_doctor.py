"""`fastconv doctor`: what it reports, and when it calls an installation ill."""

import json

import numpy as np
import pytest
from fake_cuda import UNUSABLE, cupy, kernels
from typer.testing import CliRunner

from fastconv import cli, doctor
from fastconv.ops import get_ops

HEALTHY_WITHOUT_GPU = ("built without CUDA", "no driver")


def run(*arguments):
    result = CliRunner().invoke(cli.app, ["doctor", *arguments])
    return result.exit_code, result.output


def test_a_healthy_installation_for_the_cpu(install):
    install(None)
    code, output = run()
    assert code == 0 and "kernels on cpu  right" in output and "-> Install a CUDA toolkit" in output


def test_the_report_as_json(install):
    install(None)
    code, output = run("--json")
    report = json.loads(output)
    assert code == 0 and report["healthy"] and report["device"] == "cpu"
    assert {"name": "kernels on cpu", "found": "right", "remedy": ""} in report["findings"]


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_gpu_that_is_there_and_cannot_be_used_is_an_illness(install, case):
    *parts, _ = UNUSABLE[case]
    install(*parts)
    report = doctor.examine()
    assert report["healthy"] == (case in HEALTHY_WITHOUT_GPU)
    assert any(row["remedy"] for row in report["findings"])


def test_a_gpu_that_was_asked_for_and_is_not_there_is_an_illness(install, monkeypatch):
    install(None)
    monkeypatch.setenv("FASTCONV_DEVICE", "cuda")
    code, output = run()
    assert code == 1 and "expected a GPU" in output


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (lambda x, y, slope: np.multiply(x, 2, out=y), "wrong numbers, by up to 3.4"),
        (lambda x, y, slope: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_kernels_that_are_wrong_are_an_illness(install, monkeypatch, kernel, message):
    install(None)
    monkeypatch.setattr(get_ops("cpu"), "leaky_relu_forward", kernel, raising=False)
    code, output = run()
    assert code == 1 and message in output and "Build fastconv again" in output


def test_a_usable_gpu_is_tested_with_its_own_kernels(install, monkeypatch):
    from fake_device import FakeOps

    install(kernels(), cupy())
    gpu, cpu = FakeOps(), get_ops("cpu")
    monkeypatch.setattr("fastconv.ops.get_ops", lambda name: gpu if name == "cuda" else cpu)
    report = doctor.examine()
    assert report["healthy"] and report["device"] == "cuda" and len(gpu.memory.downloads) == 1
    assert [row["found"] for row in report["findings"] if row["name"] == "kernels on cuda"] == ["right"]
    monkeypatch.setattr(gpu, "leaky_relu_forward", lambda x, y, slope: y.fill(0), raising=False)
    assert not doctor.examine()["healthy"]
