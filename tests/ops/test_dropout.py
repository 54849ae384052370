"""dropout_forward and dropout_backward of every backend; the generator's bits are part of the contract."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
from helpers import Runner, float32

from fastconv.ops import get_ops
from fastconv.ops.numpy_images import philox_uniform

FLOAT32_REFERENCE = Runner(get_ops("numpy"), np.float32, "numpy")
COUNT = 100_000


def run(backend, x, rate, seed=1, step=1, stream=0, op="dropout_forward", **options):
    array, out = ("x", "y") if op == "dropout_forward" else ("dy", "dx")
    counters = {"seed": np.array([seed], np.int64), "step": np.array([step], np.int64)}
    return getattr(backend.run(op, **{array: x}, **counters, rate=rate, stream=stream, **options), out)


def mask(backend, rate, **counters):
    return run(backend, np.ones(COUNT, np.float32), rate, **counters) != 0


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("count", shapes.ELEMENTWISE)
def test_same_bits_as_the_reference(ops, rng, count, rate):
    x = float32(rng, count)
    assert run(ops, x, rate).tobytes() == run(FLOAT32_REFERENCE, x, rate).tobytes()


@pytest.mark.parametrize("stream", [0, 1, 2**32 - 1])
@pytest.mark.parametrize("step", [0, 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("seed", [0, 1337, -1, 2**63 - 1, -(2**63), 2**32])
def test_same_bits_for_any_counter(ops, rng, seed, step, stream):
    x = float32(rng, 600)
    counters = {"seed": seed, "step": step, "stream": stream}
    assert run(ops, x, 0.5, **counters).tobytes() == run(FLOAT32_REFERENCE, x, 0.5, **counters).tobytes()


DRAWN = [float(number) for number in philox_uniform(3, 0, 1, 5)]  # an element whose number is the rate is kept


@pytest.mark.parametrize("rate", [0.0, 2.0**-24, 0.25, 0.3, 1 - 2.0**-24, 1.0, *DRAWN])
def test_an_element_is_kept_where_its_number_is_not_below_the_rate(ops, rate):
    np.testing.assert_array_equal(mask(ops, rate, seed=3), philox_uniform(3, 0, 1, COUNT) >= np.float32(rate))


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_the_kept_share_is_one_minus_rate(ops, rate):
    kept = mask(ops, rate).sum()
    assert abs(kept - COUNT * (1 - rate)) < 5 * np.sqrt(COUNT * rate * (1 - rate))  # five standard deviations


@pytest.mark.parametrize("change", [{"seed": 2}, {"step": 2}, {"stream": 1}, {"seed": 1 + 2**32}], ids=str)
def test_masks_of_another_seed_step_or_stream_are_unrelated(ops, change):
    same = (mask(ops, 0.5) == mask(ops, 0.5, **change)).sum()
    assert abs(same - COUNT / 2) < 5 * np.sqrt(COUNT / 4)


def test_kept_values_are_divided_by_the_kept_share(ops):
    y = run(ops, np.full(1000, 3, np.float32), 0.25)
    assert set(y.tolist()) == {0.0, 4.0}


def test_rate_0_changes_nothing(ops, rng):
    x = float32(rng, 1001)
    x[7] = np.nan
    np.testing.assert_array_equal(run(ops, x, 0.0), x)


def test_rate_1_gives_zeros_whatever_was_there(ops):
    x = np.tile(np.array([1, -1, np.nan, np.inf, -np.inf], np.float32), 20)
    np.testing.assert_array_equal(run(ops, x, 1.0), np.zeros(100))


def test_dropped_nan_and_infinity_are_zero(ops):
    y = run(ops, np.tile(np.array([np.nan, np.inf], np.float32), 100), 0.5)
    np.testing.assert_array_equal(y == 0, philox_uniform(1, 0, 1, 200) < 0.5)


def test_backward_repeats_the_mask_of_forward(ops, rng):
    x = float32(rng, 5003)
    counters = {"seed": 42, "step": 17, "stream": 3}
    forward = run(ops, x, 0.5, **counters)
    np.testing.assert_array_equal(run(ops, x, 0.5, **counters, op="dropout_backward"), forward)


def test_in_place(ops, rng):
    x = float32(rng, 5003)
    np.testing.assert_array_equal(run(ops, x, 0.5, shared={"y": "x"}), run(ops, x, 0.5))


@pytest.mark.parametrize("rate", [-0.1, 1.1, np.nan])
def test_a_rate_outside_0_to_1_is_refused(ops, rate):
    with pytest.raises(ValueError, match="expected 0 <= rate <= 1.*[Rr]eceived: rate="):
        run(ops, np.ones(5, np.float32), rate)


@pytest.mark.parametrize("stream", [-1, 2**32])
def test_a_stream_of_more_than_32_bits_is_refused(ops, stream):
    with pytest.raises(ValueError, match=f"expected 0 <= stream < 2.32.*[Rr]eceived: {stream}"):
        run(ops, np.ones(5, np.float32), 0.5, stream=stream)


@pytest.mark.parametrize("name", ["seed", "step"])
def test_a_counter_that_is_not_one_int64_is_refused(ops, name):
    arrays = {"x": np.ones(5, "f4"), "y": np.ones(5, "f4"), "seed": np.ones(1, "i8"), "step": np.ones(1, "i8")}
    for wrong in (np.ones(2, np.int64), np.ones(1, np.int32)):
        with pytest.raises((ValueError, TypeError), match=rf"{name}: expected .*Received"):
            ops.ops.dropout_forward(**ops.arrays(**arrays | {name: wrong}), rate=0.5, stream=0)
