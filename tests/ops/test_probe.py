"""The measured limits of the machine. What they are is the machine's business: no figure is asserted."""

from __future__ import annotations

import math

import pytest

from fastconv import _core

PROBES = [_core.measure_fma_peak, _core.measure_bandwidth]


@pytest.mark.parametrize("probe", PROBES)
def test_a_rate_is_a_positive_number(ops, probe):
    rate = probe(seconds=1e-3)
    assert 0 < rate < math.inf


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
@pytest.mark.parametrize("probe", PROBES)
def test_a_duration_that_does_not_end_or_begin_is_refused(probe, seconds):
    with pytest.raises(
        ValueError, match=rf"{probe.__name__}: expected a finite number of seconds above 0. Received: {seconds}"
    ):
        probe(seconds=seconds)
