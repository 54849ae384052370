"""Accesses beyond an array, off their alignment or to an array that is null stop the launch."""

from __future__ import annotations

import pytest
from helpers import aligned

# The accesses of the kernel `access`: number, first index that is beyond arrays of 64 elements, memory.
ACCESSES = {
    "load": (0, 64, "global"),
    "load4": (1, 61, "global"),
    "store": (2, 64, "global"),
    "store4": (3, 61, "global"),
    "shared load": (4, 64, "shared"),
    "shared load4": (5, 61, "shared"),
    "shared store": (6, 64, "shared"),
    "shared store4": (7, 61, "shared"),
    "cp_async1": (8, 64, "global"),
    "cp_async4": (9, 61, "global"),
    "shared cp_async1": (10, 64, "shared"),
    "shared cp_async4": (11, 61, "shared"),
}
FOUR = [name for name in ACCESSES if name.endswith("4")]
GLOBAL = [name for name in ACCESSES if ACCESSES[name][2] == "global"]


def access(run, name, n, x=None, y=None):
    x, y = aligned() if x is None else x, aligned() if y is None else y
    run("access", x=x, y=y, shared_bytes=4 * 64, how=ACCESSES[name][0], n=n)


@pytest.mark.parametrize("name", ACCESSES)
def test_the_ends_of_an_array_are_inside(run, name):
    access(run, name, 0)
    access(run, name, 60 if name in FOUR else 63)


@pytest.mark.parametrize("name", ACCESSES)
def test_beyond_the_ends(run, name):
    _, beyond, memory = ACCESSES[name]
    for n in (-1, beyond, 2**31 - 1):
        with pytest.raises(RuntimeError, match=rf"{name.split()[-1]} of {memory} memory at {n} of 64"):
            access(run, name, n)


@pytest.mark.parametrize("name", FOUR)
def test_off_the_alignment(run, name):
    with pytest.raises(RuntimeError, match=rf"of {ACCESSES[name][2]} memory at 2, which is not on 16 bytes"):
        access(run, name, 2)


@pytest.mark.parametrize("name", [name for name in FOUR if name in GLOBAL])
def test_an_array_off_the_alignment(run, name):
    with pytest.raises(RuntimeError, match="of global memory at 0, which is not on 16 bytes"):
        access(run, name, 0, x=aligned(offset=1), y=aligned(offset=1) if name == "store4" else None)
    access(run, name, 3, x=aligned(offset=1), y=aligned(offset=1) if name == "store4" else None)


@pytest.mark.parametrize("name", [name for name in GLOBAL if not name.startswith("store")])
def test_a_null_array(run, emulator, name):
    with pytest.raises(RuntimeError, match=f"{name} of an array that is null"):
        emulator.self_test("access", shared_bytes=256, y=aligned(), how=ACCESSES[name][0])


@pytest.mark.parametrize("name", ["store", "store4"])
def test_a_null_output(emulator, name):
    with pytest.raises(RuntimeError, match=f"{name} of an array that is null"):
        emulator.self_test("access", x=aligned(), how=ACCESSES[name][0])


def test_a_copy_of_nothing_needs_an_aligned_array_but_no_index(run):
    run("access", x=aligned(), y=aligned(), how=12, n=1000)
    with pytest.raises(RuntimeError, match="cp_async4 of nothing from an array that is not on 16 bytes"):
        run("access", x=aligned(offset=1), y=aligned(), how=12, n=1000)


@pytest.mark.parametrize("offset_bytes", [-4, 244, 2**31 - 4, 2])
def test_shared_memory_beyond_what_was_launched_with(run, offset_bytes):
    with pytest.raises(RuntimeError, match=f"shared memory from {offset_bytes}, 16 bytes, of 256"):
        run("access", shared_bytes=256, how=13, n=offset_bytes)


@pytest.mark.parametrize("first", [-1, 61])
def test_a_part_of_shared_memory_beyond_its_end(run, first):
    with pytest.raises(RuntimeError, match="part of shared memory beyond its end"):
        run("access", shared_bytes=256, how=14, n=first)
