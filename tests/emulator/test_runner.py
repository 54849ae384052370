"""helpers.Runner with arrays that are not in the memory of the host: what it does on a GPU, on the emulator."""

from __future__ import annotations

import helpers
import numpy as np
import pytest
from helpers import float32


@pytest.fixture
def on_device(emulator):
    """A `helpers.Runner` of the CUDA backend in a memory that refuses arrays of the host."""
    from fake_device import EmulatedMemory

    from fastconv.ops.cuda_ops import CudaOps

    return helpers.Runner(CudaOps(emulator, EmulatedMemory()), np.float32, "cuda")


@pytest.mark.parametrize("shared", [{}, {"y": "x"}])
def test_outputs_come_back(on_device, rng, shared):
    x = float32(rng, 1001)
    y = on_device.run("leaky_relu_forward", x=x, slope=0.3, shared=shared).y
    np.testing.assert_array_equal(y, np.where(x > 0, x, np.float32(0.3) * x))


def test_workspace_is_on_the_device(on_device, reference, rng):
    given = helpers.example("batchnorm_forward", rng, (70, 19))
    expected = reference.run("batchnorm_forward", **given).y
    np.testing.assert_allclose(on_device.run("batchnorm_forward", **given).y, expected, atol=1e-5)


@pytest.mark.parametrize("offset, where", [(-4, "before"), (4, "after")])
def test_a_write_beside_an_output_is_seen(on_device, emulator, monkeypatch, rng, offset, where):
    forward = on_device.ops.leaky_relu_forward

    def beside(x, y, slope):
        forward(x, y, slope)
        end = address(y) + (offset if offset < 0 else y.nbytes)
        emulator.leaky_relu_forward(address(x), end, slope, 1, "float32", 0)

    address = on_device.ops.memory.pointer
    monkeypatch.setattr(type(on_device.ops), "leaky_relu_forward", lambda self, x, y, slope: beside(x, y, slope))
    with pytest.raises(AssertionError, match=f"leaky_relu_forward wrote {where} y"):
        on_device.run("leaky_relu_forward", x=float32(rng, 5), slope=0.3)
