"""How a smaller tensor is used again along the axes of a larger one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence


def broadcast_shape(a: Sequence, b: Sequence) -> tuple | None:
    """The shape of which both are a part, sizes 1 standing for any; None if there is none."""
    pairs = list(zip(a, b, strict=True))
    if any(x != y and 1 not in (x, y) for x, y in pairs):
        return None
    return tuple(y if x == 1 else x for x, y in pairs)


def extents(shape: Sequence, small: Sequence) -> tuple[int, int, int, int] | None:
    """(p, q, r, s) such that `shape` is (p, q, r, s) and `small` (1, q, 1, s) in memory; None if that cannot be.

    Args:
        shape: sizes of the larger tensor.
        small: as many sizes, each the same or 1. None, an unknown batch, counts as a size above 1.

    >>> extents((8, 5, 5, 3), (1, 1, 1, 3))
    (1, 1, 200, 3)
    >>> extents((8, 5, 5, 3), (8, 1, 1, 3))
    (1, 8, 25, 3)
    """
    known = [(2 if size is None else size, size == part) for size, part in zip(shape, small, strict=True)]
    sizes, place = [1, 1, 1, 1], 3
    for kept, group in itertools.groupby(((size, kept) for size, kept in reversed(known) if size != 1), lambda g: g[1]):
        if kept != (place in (1, 3)):
            place -= 1
        if place < 0:
            return None
        for size, _ in group:
            sizes[place] *= size
        place -= 1
    return tuple(sizes)
