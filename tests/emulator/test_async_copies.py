"""Asynchronous copies arrive at the wait of the thread that made them, and for others at the barrier after it."""

from __future__ import annotations

import numpy as np
import pytest

RIGHT, NO_WAIT, NO_SYNC, NO_COMMIT, IN_FLIGHT, NOT_VALID = range(6)
OWN, NEIGHBOUR, OTHER_WARP = 0, 1, 32


@pytest.mark.parametrize("partner", [OWN, NEIGHBOUR, OTHER_WARP])
def test_they_arrive(run, order, x, partner):
    np.testing.assert_array_equal(run("copy", x=x, how=RIGHT, n=partner), x[np.arange(64) ^ partner])


def test_the_wait_is_enough_for_the_own_thread(run, order, x):
    np.testing.assert_array_equal(run("copy", x=x, how=NO_SYNC, n=OWN), x)


def test_zeros_arrive_where_not_valid(run, order, x):
    np.testing.assert_array_equal(run("copy", x=x, how=NOT_VALID), np.zeros(64))


def test_the_last_groups_may_stay_on_their_way(run, order):
    x = np.arange(128, dtype=np.float32)
    np.testing.assert_array_equal(run("copy_in_stages", x=x, y=np.zeros(128, np.float32)), x)


@pytest.mark.parametrize("partner", [OWN, NEIGHBOUR, OTHER_WARP])
@pytest.mark.parametrize("how", [NO_WAIT, NO_COMMIT, IN_FLIGHT])
def test_a_read_before_they_arrived_is_noticed(run, order, x, how, partner):
    with pytest.raises(RuntimeError, match="load of shared memory at .*, which thread .* fills by a copy"):
        run("copy", x=x, how=how, n=partner)


@pytest.mark.parametrize("partner", [NEIGHBOUR, OTHER_WARP])
def test_anothers_read_before_a_barrier_is_noticed(run, order, x, partner):
    expected = "load of shared memory at .*(wrote with no barrier|fills by a copy)|cp_async1 .* read with no barrier"
    with pytest.raises(RuntimeError, match=expected):
        run("copy", x=x, how=NO_SYNC, n=partner)


def test_a_write_to_a_place_they_fill_is_noticed(run, order, x):
    with pytest.raises(RuntimeError, match="store of shared memory at .* fills by a copy"):
        run("copy_write", x=x)


def test_those_on_their_way_at_the_end_of_a_block_do_not_concern_the_next(run, order, x):
    run("read_copy", x=x, how=2, grid=(3, 1, 1))
