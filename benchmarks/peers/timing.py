"""The clock that fastconv and its peers share."""

from __future__ import annotations

import statistics
import time

GROUP_SECONDS = 1e-4  # calls shorter than this are timed in groups, since reading the clock costs some 0.1 us
MIN_SAMPLES = 2
GRAPH_SECONDS, MAX_REPEATS = 2e-3, 256  # of the copies of a kernel in one graph; launching it takes some 1e-5 s


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


def graph_seconds(captured, launch, seconds: float) -> float:
    """Median time of one of many copies of a call in a graph, over at least `seconds` and MIN_SAMPLES launches.

    Args:
        captured: makes a graph of so many copies.
        launch: launches a graph and waits until it is done.
        seconds: for all launches that count.
    """

    def timed(graph):
        start = time.perf_counter()
        launch(graph)
        return time.perf_counter() - start

    one = captured(1)
    timed(one)
    repeats = max(1, min(MAX_REPEATS, round(GRAPH_SECONDS / timed(one))))
    graph = captured(repeats)
    timed(graph)
    samples, end = [], time.perf_counter() + seconds
    while len(samples) < MIN_SAMPLES or time.perf_counter() < end:
        samples.append(timed(graph) / repeats)
    return statistics.median(samples)
