"""Grids, orders of threads and blocks, launches that are refused or fail."""

from __future__ import annotations

import numpy as np
import pytest


def sequence(run, *, threads=64, grid=(1, 1, 1), how=0, n=0):
    """The threads, counted through all blocks, in the order in which they ran after n barriers."""
    count = threads * grid[0]
    y = np.zeros(count + 1, np.float32)
    run("append", threads=threads, grid=grid, y=y, how=how, n=n)
    assert y[0] == count
    return y[1:].astype(int)


def test_forward(run, emulator):
    emulator.set_order("forward")
    np.testing.assert_array_equal(sequence(run, grid=(3, 1, 1)), np.arange(192))
    np.testing.assert_array_equal(sequence(run, how=2, n=3), np.arange(64))


def test_reverse(run, emulator):
    emulator.set_order("reverse")
    np.testing.assert_array_equal(sequence(run, grid=(3, 1, 1)), np.arange(192)[::-1])
    np.testing.assert_array_equal(sequence(run, how=2, n=3), np.arange(64)[::-1])


def test_random_depends_on_the_seed_alone(run, emulator):
    emulator.set_order("random", seed=1)
    first, second = sequence(run, grid=(3, 1, 1)), sequence(run, grid=(3, 1, 1))
    emulator.set_order("random", seed=2)
    other = sequence(run, grid=(3, 1, 1))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    for order in (first, other):
        assert (order != np.sort(order)).any()
        np.testing.assert_array_equal(np.sort(order), np.arange(192))
    assert (first[:64] // 64 == first[0] // 64).all(), "one block after another"


def test_random_differs_from_barrier_to_barrier(run, emulator):
    emulator.set_order("random", seed=1)
    assert (sequence(run, n=0) != sequence(run, how=2, n=1)).any()


def test_an_unknown_order_is_refused(emulator):
    with pytest.raises(ValueError, match="order: expected forward, reverse or random. Received: sideways"):
        emulator.set_order("sideways")


def test_blocks_have_three_indexes(run, order):
    y = run("places", grid=(4, 3, 2), y=np.full(4 * 3 * 2 * 64, np.nan, np.float32), how=3)
    z, y_, x, warp = np.ix_(range(2), range(3), range(4), np.arange(64) // 32)
    np.testing.assert_array_equal(y.reshape(2, 3, 4, 64), z * 100 + y_ * 10 + x + 1000 * warp)


@pytest.mark.parametrize("threads", [0, -32, 1, 33, 1056])
def test_blocks_of_parts_of_warps_are_refused(emulator, threads):
    with pytest.raises(
        ValueError, match=f"expected blocks of a multiple of 32 threads, up to 1024. Received: {threads}"
    ):
        emulator.self_test("wait_often", threads=threads)


@pytest.mark.parametrize("grid", [(0, 1, 1), (2**31, 1, 1), (1, 65536, 1), (1, 1, 65536), (1, 1, 0)])
def test_grids_that_no_device_takes_are_refused(emulator, grid):
    with pytest.raises(ValueError, match="expected a grid of .* Received: " + " x ".join(map(str, grid))):
        emulator.self_test("wait_often", grid=grid)


@pytest.mark.parametrize("shared_bytes", [-1, 227 * 1024 + 1])
def test_shared_memory_that_no_device_has_is_refused(emulator, shared_bytes):
    with pytest.raises(ValueError, match=f"expected 0 to 232448 bytes of shared memory. Received: {shared_bytes}"):
        emulator.self_test("wait_often", shared_bytes=shared_bytes)


def test_all_shared_memory_of_a_block(run):
    assert np.isnan(run("read_unwritten", shared_bytes=227 * 1024, y=np.zeros(64, np.float32))).all()


def test_an_exception_in_a_kernel_reaches_the_caller(run, order):
    with pytest.raises(RuntimeError, match=r"throws, block \(0, 0, 0\): thrown by the kernel"):
        run("throws")


@pytest.mark.parametrize("kernel", ["throws", "diverge", "write_read", "copy_write"])
def test_after_a_launch_that_failed_the_next_works(run, order, x, kernel):
    for _ in range(3):
        with pytest.raises(RuntimeError, match=kernel):
            run(kernel, x=x, n=32)
        np.testing.assert_array_equal(run("copy", x=x, n=32), x[np.arange(64) ^ 32])


def test_more_and_fewer_threads_than_before(run):
    for threads in (64, 1024, 32):
        np.testing.assert_array_equal(
            run("exchange", threads=threads, x=np.arange(threads, dtype=np.float32)).size, threads
        )
