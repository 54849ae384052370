"""Places for the boxes and arrows of a graph, layer by layer from the top.

The steps are those of Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical system
structures": a layer for each box by its longest path, stand-ins where an arrow passes a layer, an order within layers
by barycentres, and places that pull arrows straight.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import NamedTuple

Point = tuple[float, float]
Edge = tuple[int, int]  # from a box to a later one

BESIDE, BETWEEN = 24.0, 30.0  # pixels between boxes of a layer, and between layers
_ORDERS, _PULLS = 12, 60  # sweeps for the order and for the places; the second half of these looks both ways
_STRAIGHT = 30.0  # how much harder a chain pulls at its items, stand-ins of long arrows among them, than a branch


class Layout(NamedTuple):
    places: list[Point]  # left and top of each box
    routes: list[list[Point]]  # of each edge: pairs of points, between which it goes straight down
    width: float
    height: float


def layered(sizes: Sequence[tuple[float, float]], edges: Sequence[Edge]) -> Layout:
    """Places boxes of these (width, height) so that none overlap, arrows lead down and meet no box on their way.

    Args:
        sizes: of each box.
        edges: from and to, as numbers of boxes, the first before the second.
    """
    depth = _depths(len(sizes), edges)
    widths = [width for width, _ in sizes]
    chains = []  # the items of each edge: its box, stand-ins, its box
    for source, target in edges:
        between = depth[target] - depth[source] - 1
        first = len(widths)
        widths += [0.0] * between
        depth += range(depth[source] + 1, depth[target])
        chains.append([source, *range(first, first + between), target])
    links = [link for chain in chains for link in zip(chain, chain[1:], strict=False)]

    rows = _ordered(depth, links)
    middles = _straightened(rows, widths, links)
    left = min(middles[i] - width / 2 for i, width in enumerate(widths))
    middles = [x - left for x in middles]
    tops, bottoms, y = [], [], 0.0
    for row in rows:
        tops.append(y)
        bottoms.append(y + max((sizes[i][1] for i in row if i < len(sizes)), default=0.0))
        y = bottoms[-1] + BETWEEN

    ends = _ends(chains, middles, widths)
    routes = []
    for chain, end in zip(chains, ends, strict=True):
        source, *between, target = chain
        start = tops[depth[source]] + sizes[source][1]
        route = [(middles[source], start), (middles[source], bottoms[depth[source]])]
        for item in between:
            route += [(middles[item], tops[depth[item]]), (middles[item], bottoms[depth[item]])]
        top = tops[depth[target]]
        routes.append([*route, (end, top), (end, top)])
    places = [(middles[i] - width / 2, tops[depth[i]]) for i, (width, _) in enumerate(sizes)]
    right = max(middles[i] + width / 2 for i, width in enumerate(widths))
    return Layout(places, routes, right, bottoms[-1])


def _depths(count: int, edges: Sequence[Edge]) -> list[int]:
    """The layer of each box: its longest path from a start; a start stands right above what it leads to."""
    depth = [0] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        depth[target] = max(depth[target], depth[source] + 1)
    starts = set(range(count)) - {target for _, target in edges}
    for start in starts:
        below = [depth[target] for source, target in edges if source == start]
        depth[start] = min(below, default=1) - 1
    return depth


def _ordered(depth: Sequence[int], links: Sequence[Edge]) -> list[list[int]]:
    """The items of each layer, in the order with the fewest crossings of some that are tried."""
    rows: list[list[int]] = [[] for _ in range(max(depth) + 1)]
    for item, layer in enumerate(depth):
        rows[layer].append(item)
    above, below = _neighbours(len(depth), links)
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(_ORDERS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for row, fixed in zip(rows[1:], rows, strict=False) if down else zip(rows[-2::-1], rows[::-1], strict=False):
            place = {item: i for i, item in enumerate(fixed)}
            here = {item: i for i, item in enumerate(row)}
            near = above if down else below
            row.sort(key=lambda item: _mean([place[other] for other in near[item]], here[item]))  # noqa: B023
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _neighbours(count: int, links: Sequence[Edge]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for source, target in links:
        above[target].append(source)
        below[source].append(target)
    return above, below


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(rows: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> int:
    count = 0
    for row, lower in zip(rows, rows[1:], strict=False):
        place = {item: i for i, item in enumerate(lower)}
        passed: list[int] = []
        for item in row:
            ends = sorted(place[other] for other in below[item])
            count += sum(len(passed) - bisect.bisect_right(passed, end) for end in ends)
            for end in ends:
                bisect.insort(passed, end)
    return count


def _straightened(rows: Sequence[Sequence[int]], widths: Sequence[float], links: Sequence[Edge]) -> list[float]:
    """The middles of all items: in sweeps down and up, each layer goes as near as its order allows to the means of the
    neighbours in the layer before; in the last ones, of those on both sides."""
    above, below = _neighbours(len(widths), links)
    middles = [0.0] * len(widths)
    for row in rows:
        _place(row, widths, middles, [0.0] * len(row), [1.0] * len(row))
    for sweep in range(_PULLS):
        both = sweep >= _PULLS // 2
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wished, weights = [], []
            for item in row:
                near = above[item] + below[item] if both else (above if sweep % 2 == 0 else below)[item]
                pulls = [
                    _STRAIGHT if len(below[upper]) == len(above[lower]) == 1 else 1.0
                    for upper, lower in ((other, item) if other in above[item] else (item, other) for other in near)
                ]
                total = sum(pulls)
                mean = sum(p * middles[other] for p, other in zip(pulls, near, strict=True)) / (total or 1)
                wished.append(mean if near else middles[item])
                weights.append(total or 0.1)
            _place(row, widths, middles, wished, weights)
    return middles


def _place(
    row: Sequence[int],
    widths: Sequence[float],
    middles: list[float],
    wished: Sequence[float],
    weights: Sequence[float],
) -> None:
    """Sets the middles of a row to those nearest to the wished ones (least squares) whose items do not overlap.

    Less the room that the items before need, they must not decrease: isotonic regression, by pooling adjacent violators
    (Barlow et al. 1972).
    """
    room = [0.0]
    for one, other in zip(row, row[1:], strict=False):
        room.append(room[-1] + (widths[one] + widths[other]) / 2 + BESIDE)
    pools: list[list[float]] = []  # mean, weight, length
    for wish, weight, before in zip(wished, weights, room, strict=True):
        pools.append([wish - before, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, weight, length = pools.pop()
            last = pools[-1]
            last[0] = (last[0] * last[1] + mean * weight) / (last[1] + weight)
            last[1] += weight
            last[2] += length
    means = [mean for mean, _, length in pools for _ in range(int(length))]
    for item, mean, before in zip(row, means, room, strict=True):
        middles[item] = mean + before


def _ends(chains: Sequence[Sequence[int]], middles: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Where along its box's top each arrow ends: side by side, in the order they come from."""
    coming: dict[int, list[int]] = {}
    for i, chain in enumerate(chains):
        coming.setdefault(chain[-1], []).append(i)
    ends = [0.0] * len(chains)
    for target, arrows in coming.items():
        step = min(24.0, widths[target] / (len(arrows) + 1))
        for k, i in enumerate(sorted(arrows, key=lambda i: middles[chains[i][-2]])):
            ends[i] = middles[target] + (k - (len(arrows) - 1) / 2) * step
    return ends
