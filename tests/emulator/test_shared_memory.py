"""Accesses to shared memory that no barrier puts in order are errors, whatever order the threads run in."""

from __future__ import annotations

import numpy as np
import pytest

NO_BARRIER, WARP, BLOCK = range(3)
NEIGHBOUR, OTHER_WARP = 1, 32  # the partner of thread i is i ^ this


def test_it_is_nan_before_the_first_write_in_every_block(run):
    run("write_read", x=np.ones(64, np.float32), how=BLOCK)  # leaves numbers behind
    assert np.isnan(run("read_unwritten", grid=(2, 1, 1), y=np.zeros(64, np.float32))).all()


@pytest.mark.parametrize("partner", [NEIGHBOUR, OTHER_WARP])
@pytest.mark.parametrize("kernel", ["write_read", "read_write", "read_copy"])
def test_accesses_with_a_barrier_between(run, order, x, kernel, partner):
    np.testing.assert_array_equal(run(kernel, x=x, how=BLOCK, n=partner), x[np.arange(64) ^ partner])


@pytest.mark.parametrize("kernel", ["write_read", "read_write", "read_copy"])
def test_a_barrier_of_the_warp_is_enough_within_it(run, order, x, kernel):
    np.testing.assert_array_equal(run(kernel, x=x, how=WARP, n=NEIGHBOUR), x[np.arange(64) ^ NEIGHBOUR])


# Which of the two accesses comes first depends on the order; either way it is one of these pairs.
PAIRS = {
    "write_read": "load of shared memory at .*wrote|store of shared memory at .*read",
    "read_write": "store of shared memory at .*read|load of shared memory at .*wrote",
    "read_copy": "cp_async1 of shared memory at .*read|load of shared memory at .*(fills by a copy|wrote)",
}


@pytest.mark.parametrize("partner, barrier", [(NEIGHBOUR, NO_BARRIER), (OTHER_WARP, NO_BARRIER), (OTHER_WARP, WARP)])
@pytest.mark.parametrize("kernel", PAIRS)
def test_a_missing_barrier_is_noticed(run, order, x, kernel, partner, barrier):
    with pytest.raises(RuntimeError, match=PAIRS[kernel]):
        run(kernel, x=x, how=barrier, n=partner)


def test_the_error_names_kernel_block_threads_and_line(run, x):
    expected = (
        r"write_read, block \(0, 0, 0\): thread 0: load of shared memory at 1, .*|"
        r"write_read, block \(0, 0, 0\): thread 1: store of shared memory at 1, which thread 0 read with no barrier "
        r"between \(.*selftest.cu:\d+\)"
    )
    with pytest.raises(RuntimeError, match=expected):
        run("write_read", x=x, how=NO_BARRIER, n=NEIGHBOUR)


@pytest.mark.parametrize("writer", [0, 1, 31, 32, 95, 96, 127])
def test_a_write_after_reads_by_four_warps(run, order, writer):
    with pytest.raises(RuntimeError, match=f"thread {writer}: store .* read with|load .*which thread {writer} wrote"):
        run("read_by_all", threads=128, how=NO_BARRIER, n=writer)


@pytest.mark.parametrize("writer", [0, 1, 31])
def test_a_write_after_reads_by_its_own_warp(run, order, writer):
    with pytest.raises(RuntimeError, match=f"thread {writer}: store .* read with|load .*which thread {writer} wrote"):
        run("read_by_all", threads=32, how=NO_BARRIER, n=writer)
    run("read_by_all", threads=32, how=WARP, n=writer)


@pytest.mark.parametrize("readers", [33, 64, 128])
def test_the_writers_own_last_read_hides_no_other_warps(run, order, readers):
    with pytest.raises(RuntimeError, match="store of shared memory at 0, .* read with|load .* thread 0 wrote"):
        run("read_by_some", threads=128, n=readers)
    run("read_by_some", threads=128, n=32)  # those of its own warp are before a sync_warp


@pytest.mark.parametrize("kernel, number", [("write_read", 0), ("read_write", 0), ("read_write", 1)])
def test_a_barrier_can_be_removed(run, emulator, order, x, kernel, number):
    emulator.remove_barrier(kernel, number)
    with pytest.raises(RuntimeError, match="no barrier between"):
        run(kernel, x=x, how=BLOCK, n=OTHER_WARP)
    emulator.remove_barrier("another", number)
    run(kernel, x=x, how=BLOCK, n=OTHER_WARP)
    emulator.remove_barrier(kernel, number + 2)  # there is none
    run(kernel, x=x, how=BLOCK, n=OTHER_WARP)
    emulator.remove_barrier(kernel, number)
    emulator.restore_barriers()
    run(kernel, x=x, how=BLOCK, n=OTHER_WARP)
