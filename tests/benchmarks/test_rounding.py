"""What benchmarks/rounding.py measures."""

import numpy as np


def test_winograd_rounds_more_than_the_direct_sum(load, rng):
    rounding = load("rounding")
    arrays = [rng.standard_normal(s).astype(np.float32) for s in ((4, 12, 12, 32), (4, 12, 12, 32), (3, 3, 32, 32))]
    for run in rounding.PASSES.values():
        direct, winograd, factor = rounding.errors(run, arrays)
        assert 0 < direct < winograd and factor > 1
