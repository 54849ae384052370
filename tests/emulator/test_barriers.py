"""Threads that wait for each other at different places stop the launch."""

from __future__ import annotations

import pytest

PLACE = r"at .*selftest.cu:\d+"


@pytest.mark.parametrize(
    "how, expected",
    [
        (0, rf"thread 0 waits in sync_warp {PLACE}, thread 1 waits in shfl_xor {PLACE}"),
        (1, rf"thread 0 waits in sync_warp {PLACE}, thread 1 waits in sync_warp {PLACE}"),
        (2, rf"thread 0 waits in sync_warp {PLACE}, thread 1 left the kernel"),
        (3, rf"thread 0 waits in sync {PLACE}, thread 64 left the kernel"),
        (4, rf"thread 0 waits in sync {PLACE}, thread 64 waits in sync {PLACE}"),
        (5, rf"thread 96 waits in sync_warp {PLACE}, thread 97 waits in shfl_xor {PLACE}"),
    ],
    ids=[
        "different words",
        "one word at two places",
        "lanes that left",
        "warps that left",
        "two barriers",
        "different words while others wait",
    ],
)
def test_divergence_names_both_places(run, order, how, expected):
    with pytest.raises(RuntimeError, match=f"divergent barrier: {expected}"):
        run("diverge", threads=128, how=how)


@pytest.mark.parametrize("threads", [32, 64, 1024])
@pytest.mark.parametrize("barrier", [1, 2])
def test_many_barriers_in_a_row(run, order, threads, barrier):
    run("wait_often", threads=threads, how=barrier, n=100)
