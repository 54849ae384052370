"""What `fastconv doctor` says: versions, devices, whether kernels give the right numbers, and what to do where not."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np

from fastconv import _core, config, device
from fastconv.device import Finding


def examine() -> dict[str, Any]:
    """What was found, in the form that JSON can hold.

    Returns:
        `healthy`: False if a kernel gives wrong numbers, or a GPU that is there or asked for cannot be used;
        `device`: what models run on, None if what was asked for cannot be used; `findings`: rows of `name`, `found` and
        `remedy`, which is empty where there is nothing to do.
    """
    findings = [
        Finding("fastconv", _core.__version__),
        Finding("python", f"{platform.python_version()}, numpy {np.__version__}"),
        Finding("CPU", f"{config.isa()}, {config.get_num_threads()} threads"),
        _self_test("cpu"),
    ]
    healthy = not findings[-1].remedy
    cuda = device.cuda_findings()
    findings += cuda
    usable = not cuda[-1].remedy
    if usable:
        findings.append(_self_test("cuda"))
        healthy = healthy and not findings[-1].remedy
    elif cuda[-1].name in ("device", "CuPy"):  # a driver is there, so that somebody wants it to work
        healthy = False
    chosen = None
    try:
        chosen = device.get_device()
        findings.append(Finding("models run on", f"{chosen} ({device.requested()} was asked for)"))
    except (RuntimeError, ValueError) as error:
        healthy = False
        findings.append(Finding("models run on", str(error), "Ask for another device, or see above"))
    return {"healthy": healthy, "device": chosen, "findings": [finding._asdict() for finding in findings]}


def _self_test(name: str) -> Finding:
    """LeakyReLU of a few numbers by the backend's own kernel, beside NumPy's."""
    from fastconv.ops import get_ops

    title = f"kernels on {name}"
    x = np.linspace(-2, 2, 1001, dtype=np.float32)
    expected = np.where(x > 0, x, np.float32(0.3) * x)
    try:
        ops = get_ops(name)
        with ops.memory.at_work():
            given, y = ops.memory.asarray(x), ops.memory.empty(x.size, x.dtype)
            ops.leaky_relu_forward(given, y, 0.3)
            result = ops.memory.download(y)
    except Exception as error:  # whatever it is, the rest of the report has to be seen
        return Finding(title, f"{type(error).__name__}: {error}", "Build fastconv again: `pip install .`")
    if not np.array_equal(result, expected):
        worst = float(np.abs(result - expected).max())
        return Finding(title, f"wrong numbers, by up to {worst:g}", "Build fastconv again: `pip install .`")
    return Finding(title, "right")


def render(report: dict[str, Any]) -> str:
    """The report of `examine` as text."""
    width = max(len(row["name"]) for row in report["findings"]) + 2
    lines = []
    for row in report["findings"]:
        lines.append(f"{row['name']:{width}}{row['found']}")
        if row["remedy"]:
            lines.append(f"{'':{width}}-> {row['remedy']}")
    return "\n".join(lines)
