"""Counted: wavefronts of shared memory and sectors of global memory, for patterns whose numbers are known."""

from __future__ import annotations

import pytest
from helpers import aligned


def counts(emulator, run, kernel, **arguments):
    emulator.count(True)
    run(kernel, **arguments)
    return emulator.counts()[kernel]


@pytest.mark.parametrize("stride, ways", [(0, 1), (1, 1), (2, 2), (3, 1), (4, 4), (8, 8), (31, 1), (32, 32), (33, 1)])
def test_bank_conflicts(emulator, run, order, stride, ways):
    c = counts(emulator, run, "banks", shared_bytes=4 * 64 * 33, n=stride)
    assert (c["wavefronts"], c["ideal_wavefronts"]) == (2 * ways, 2)  # two warps


@pytest.mark.parametrize("stride, ways", [(2, 1), (4, 2), (8, 4), (24, 4), (32, 16), (34, 1)])
def test_bank_conflicts_of_two_floats(emulator, run, order, stride, ways):
    c = counts(emulator, run, "banks", shared_bytes=4 * 64 * 34, how=2, n=stride)
    assert (c["wavefronts"], c["ideal_wavefronts"]) == (2 * 2 * ways, 2 * 2)  # half a warp at a time


@pytest.mark.parametrize("stride, ways", [(4, 1), (8, 2), (16, 4), (20, 1), (32, 8), (36, 1)])
def test_bank_conflicts_of_four_floats(emulator, run, order, stride, ways):
    c = counts(emulator, run, "banks", shared_bytes=4 * 64 * 36, how=4, n=stride)
    assert (c["wavefronts"], c["ideal_wavefronts"]) == (2 * 4 * ways, 2 * 4)  # a quarter of a warp at a time


@pytest.mark.parametrize("stride, offset, sectors", [(1, 0, 4), (1, 1, 5), (1, 8, 4), (2, 0, 8), (8, 0, 32), (0, 0, 1)])
def test_sectors(emulator, run, order, stride, offset, sectors):
    c = counts(emulator, run, "sectors", threads=32, x=aligned(300), how=offset, n=stride)
    assert (c["sectors"], c["ideal_sectors"]) == (sectors, 4)


def test_launches_and_blocks(emulator, run):
    emulator.count(True)
    for _ in range(2):
        run("wait_often", grid=(3, 2, 1), how=2, n=1)
    c = emulator.counts()["wait_often"]
    assert (c["launches"], c["blocks"]) == (2, 12)


def test_a_launch_that_fails_leaves_no_accesses_behind(emulator, run):
    emulator.count(True)
    with pytest.raises(RuntimeError, match="shared memory at"):
        run("banks", threads=1024, shared_bytes=512, n=1)
    assert counts(emulator, run, "banks", n=1)["wavefronts"] == 2


def test_nothing_is_counted_unasked(emulator, run):
    emulator.count(False)
    run("banks", n=1)
    assert emulator.counts()["banks"]["wavefronts"] == 0


def test_lines_are_counted_apart(emulator, run):
    c = counts(emulator, run, "write_read", x=aligned(), y=aligned(), how=2, n=1)
    assert (c["wavefronts"], c["sectors"]) == (2 + 2, 8 + 8)
