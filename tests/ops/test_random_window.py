"""random_window of every backend: the bits of the reference in float32, for every kind of window and of border."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import float32

from fastconv.ops import get_ops
from fastconv.ops.numpy_images import philox_uniform

FILLS = ["constant", "nearest", "reflect", "wrap"]


def given(seed=1, step=2, **changes):
    counters = {"seed": np.array([seed]), "step": np.array([step])}
    window = {"flip": "none", "rows": (0, 0), "columns": (0, 0), "whole": True, "fill_mode": "reflect"}
    return counters | window | {"fill_value": 0.5, "stream": 3} | changes


def reference(x, shape, arguments):
    y = np.empty(shape, np.float32)
    get_ops("numpy").random_window(x=x, y=y, **arguments)
    return y


def same(ops, x, shape=None, **changes):
    arguments, shape = given(**changes), shape or x.shape
    y = ops.run("random_window", x=x, y=np.empty(shape, np.float32), **arguments).y
    np.testing.assert_array_equal(y, reference(x, shape, arguments))
    return y


@pytest.mark.parametrize("fill_mode", FILLS)
@pytest.mark.parametrize("shape", [(6, 7, 5, 3), (3, 1, 4, 1), (2, 33, 40, 2)], ids=str)
def test_interpolated_windows(ops, rng, shape, fill_mode):
    h, w = shape[1:3]
    same(ops, float32(rng, *shape), rows=(-h, h), columns=(-0.3 * w, 0.7 * w), whole=False, fill_mode=fill_mode)


@pytest.mark.parametrize("fill_mode", FILLS)
def test_whole_windows_far_from_the_image(ops, rng, fill_mode):
    same(ops, float32(rng, 9, 4, 3, 2), rows=(-20, 20), columns=(5, 30), fill_mode=fill_mode)


@pytest.mark.parametrize("flip", ["horizontal", "vertical", "horizontal_and_vertical"])
def test_mirrored_images(ops, rng, flip):
    x = float32(rng, 32, 4, 5, 3)
    y = same(ops, x, flip=flip)
    axes = {"horizontal": (2,), "vertical": (1,), "horizontal_and_vertical": (1, 2)}[flip]
    mirrored = philox_uniform(1, 3, 2, 4 * len(x))[::4] <= 0.5
    assert 8 < mirrored.sum() < 24
    np.testing.assert_array_equal(y, np.where(mirrored[:, None, None, None], np.flip(x, axes), x))


def test_smaller_windows_are_at_every_place(ops, rng):
    x = float32(rng, 64, 5, 4, 1)
    y = same(ops, x, (64, 3, 3, 1), rows=(0, 3), columns=(0, 2))
    places = {
        (r, c)
        for n in range(len(x))
        for r in range(3)
        for c in range(2)
        if np.array_equal(y[n], x[n, r : r + 3, c : c + 3])
    }
    assert len(places) == 6


def test_the_numbers_are_of_seed_step_stream_and_image(ops, rng):
    x = np.broadcast_to(float32(rng, 1, 6, 6, 1), (8, 6, 6, 1)).copy()
    drawn = {"rows": (-6, 6), "columns": (-6, 6), "whole": False}
    y = same(ops, x, **drawn)
    assert len({image.tobytes() for image in y}) == 8
    for change in ({"seed": 2}, {"step": 3}, {"stream": 4}, {"seed": 2**40 + 1}):
        assert not np.array_equal(same(ops, x, **drawn, **change), y)
    np.testing.assert_array_equal(same(ops, x[:3], **drawn), y[:3])


@pytest.mark.parametrize("fill_mode", FILLS)
def test_the_continuation_is_that_of_numpy(ops, rng, fill_mode):
    x = float32(rng, 1, 4, 3, 1)
    modes = {"constant": {"mode": "constant", "constant_values": 0.5}, "nearest": {"mode": "edge"},
             "reflect": {"mode": "symmetric"}, "wrap": {"mode": "wrap"}}  # fmt: skip
    y = same(ops, x, (1, 14, 13, 1), rows=(-5, -5), columns=(-5, -5), fill_mode=fill_mode)
    np.testing.assert_array_equal(y[0, ..., 0], np.pad(x[0, ..., 0], 5, **modes[fill_mode]))


def test_half_a_pixel_is_the_mean_of_four(ops):
    x = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    y = same(ops, x, (1, 2, 2, 1), rows=(0.5, 0.5), columns=(0.5, 0.5), whole=False)
    np.testing.assert_array_equal(y.ravel(), [2, 3, 5, 6])


def test_nan_stays_in_its_pixels(ops):
    x = np.zeros((1, 4, 4, 2), np.float32)
    x[0, 1, 2, 0] = np.nan
    y = same(ops, x, rows=(1, 1), columns=(0, 0))
    assert np.argwhere(np.isnan(y)).tolist() == [[0, 0, 2, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flip": "diagonal"}, "flip: expected none, horizontal, vertical or horizontal_and_vertical.*diagonal"),
        ({"fill_mode": "mirror"}, "fill_mode: expected constant, nearest, reflect or wrap.*mirror"),
        ({"rows": (1, 0)}, "rows: expected two numbers of pixels, the smaller first"),
        ({"columns": (0, np.nan)}, "columns: expected two numbers of pixels"),
        ({"stream": -1}, "stream: expected an unsigned number of 32 bits. Received: -1"),
    ],
)
def test_what_is_out_of_range_is_refused(ops, change, message):
    x = np.zeros((1, 2, 2, 1), np.float32)
    arguments = given(**change)
    arrays = ops.arrays(x=x, y=x.copy(), seed=arguments.pop("seed"), step=arguments.pop("step"))
    with pytest.raises(ValueError, match=message):
        ops.ops.random_window(**arrays, **arguments)


@pytest.mark.parametrize("shape", [(2, 2, 2, 1), (1, 2, 2, 3), (1, 2, 2)], ids=str)
def test_outputs_of_other_images_are_refused(ops, shape):
    arrays = ops.arrays(x=np.zeros((1, 2, 2, 1), np.float32), y=np.zeros(shape, np.float32))
    counters = ops.arrays(seed=np.array([1]), step=np.array([1]))
    arguments = given() | arrays | counters
    with pytest.raises(ValueError, match="y: expected four axes, images and channels as x has"):
        ops.ops.random_window(**arguments)
