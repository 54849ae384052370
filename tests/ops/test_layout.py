"""The ops that copy numbers, of every backend, exactly; and convolutions in groups."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import REFERENCE, float32, small_integers
from image_ops import grouped_example

from fastconv import geometry

DILATIONS = [((1, 1), (0, 0)), ((1, 1), (2, 1)), ((2, 2), (0, 0)), ((2, 3), (1, 2)), ((3, 1), (0, 3)), ((1, 5), (3, 0))]
every_dilation = pytest.mark.parametrize("dilation, padding", DILATIONS, ids=str)


@every_dilation
def test_space_to_batch_takes_every_phase(rng, dilation, padding):
    x = float32(rng, 2, 7, 8, 3)
    y = REFERENCE.run("space_to_batch", x=x, dilation=dilation, padding=padding).y
    (down, across), (top, left) = dilation, padding
    padded = np.pad(x, ((0, 0), (top, top + down), (left, left + across), (0, 0)))
    phases = [padded[:, i::down, j::across] for i in range(down) for j in range(across)]
    np.testing.assert_array_equal(y, np.concatenate([p[:, : y.shape[1], : y.shape[2]] for p in phases]))


@every_dilation
def test_batch_to_space_is_the_way_back(rng, dilation, padding):
    x = float32(rng, 2, 6, 15, 3)
    phases = REFERENCE.run("space_to_batch", x=x, dilation=dilation, padding=padding).y
    y = REFERENCE.run("batch_to_space", x=phases, dilation=dilation, padding=padding).y
    np.testing.assert_array_equal(y[:, :6, :15], x)
    assert not y[:, 6:].any() and not y[:, :, 15:].any()


@pytest.mark.parametrize("op", ["space_to_batch", "batch_to_space"])
@pytest.mark.parametrize("channels", [1, 3, 17])
@every_dilation
def test_copies_of_pixels(ops, rng, op, channels, dilation, padding):
    batch = dilation[0] * dilation[1] if op == "batch_to_space" else 1
    given = {"x": float32(rng, 2 * batch, 7, 8, channels), "dilation": dilation, "padding": padding}
    np.testing.assert_array_equal(ops.run(op, **given).y, REFERENCE.run(op, **given).y)


def test_pixels_that_a_batch_lacks_are_zero(ops, rng):
    given = {"x": float32(rng, 4, 2, 3, 5), "y": np.full((1, 6, 7, 5), np.nan, np.float32)}
    expected = np.zeros((1, 6, 7, 5), np.float32)
    ops.ops.batch_to_space(**(arrays := ops.arrays(**given)), dilation=(2, 2), padding=(0, 0))
    REFERENCE.ops.batch_to_space(given["x"], expected, (2, 2), (0, 0))
    np.testing.assert_array_equal(ops.ops.memory.download(arrays["y"]), expected)
    assert not expected[:, 4:].any() and not expected[:, :, 6:].any()


@pytest.mark.parametrize("change", [{"dilation": (0, 1)}, {"padding": (-1, 0)}, {"dilation": (2, 2)}], ids=str)
def test_what_does_not_fit_is_refused(ops, change):
    arrays = ops.arrays(x=np.zeros((1, 4, 4, 3), np.float32), y=np.zeros((1, 4, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"(?:dilation|padding|batch): expected .*Received: "):
        ops.ops.space_to_batch(**arrays, **{"dilation": (1, 1), "padding": (0, 0)} | change)


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 3, 4), (7, 2, 17), (300, 4, 1), (1, 9, 8), (9, 1, 8)], ids=str)
def test_swap_axes(ops, rng, shape):
    x = float32(rng, *shape)
    y = ops.run("swap_axes", x=x, rows=shape[0], columns=shape[1]).y
    np.testing.assert_array_equal(y.ravel(), x.swapaxes(0, 1).ravel())


def test_swap_axes_refuses_what_does_not_divide(ops):
    arrays = ops.arrays(x=np.zeros(12, np.float32), y=np.zeros(12, np.float32))
    with pytest.raises(ValueError, match=r"x: expected rows \* columns parts"):
        ops.ops.swap_axes(**arrays, rows=5, columns=2)


@pytest.mark.parametrize("op", ["grouped_conv2d_fprop", "grouped_conv2d_dgrad", "grouped_conv2d_wgrad"])
def test_groups_are_convolutions_of_their_own(ops, rng, op):
    given = grouped_example(op, rng, geometry.conv2d((2, 4, 5, 3), 4, 3, padding="same"), small_integers)
    result = vars(ops.run(op, **given))
    for group in range(2):
        part = {k: v.reshape(2, -1)[group].reshape(v.shape[1:] or -1) if isinstance(v, np.ndarray) else v
                for k, v in given.items()}  # fmt: skip
        for name, expected in vars(REFERENCE.run(op.removeprefix("grouped_"), **part)).items():
            if name != "workspace":
                np.testing.assert_array_equal(result[name].reshape(2, -1)[group], expected.ravel())
