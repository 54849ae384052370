"""The fixtures `use` and `on_cpu` of tests that compare devices."""

from __future__ import annotations

import pytest

from fastconv import device
from fastconv.ops import get_ops


@pytest.fixture
def use(monkeypatch):
    """A function that makes a backend the one that models run on."""
    return lambda ops: monkeypatch.setattr(device, "_ops", ops)


@pytest.fixture
def on_cpu(use):
    """What a function of no arguments returns if models run on the CPU."""

    def run(function):
        before = device._ops
        use(get_ops("cpu"))
        result = function()
        use(before)
        return result

    return run
