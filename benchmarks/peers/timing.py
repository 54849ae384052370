"""The clock that fastconv and its peers share."""

from __future__ import annotations

import statistics
import time

GROUP_SECONDS = 1e-4  # calls shorter than this are timed in groups, since reading the clock costs some 0.1 us
MIN_SAMPLES = 2


def median_seconds(call, seconds: float) -> float:
    """Median time of a call, after one that does not count, over at least `seconds` and MIN_SAMPLES samples."""
    start = time.perf_counter()
    call()
    group = max(1, round(GROUP_SECONDS / (time.perf_counter() - start)))
    samples, end = [], time.perf_counter() + seconds
    while len(samples) < MIN_SAMPLES or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(group):
            call()
        samples.append((time.perf_counter() - start) / group)
    return statistics.median(samples)
