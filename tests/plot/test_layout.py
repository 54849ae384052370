import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastconv.plot.layout import BESIDE, layered


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 12))
    sizes = [(draw(st.integers(20, 200)), draw(st.integers(20, 90))) for _ in range(count)]
    later = [(i, j) for i in range(count) for j in range(i + 1, count)]
    return sizes, draw(st.lists(st.sampled_from(later), max_size=20)) if later else []


def points(route):
    """Points all along a route: straight within a pair, and as far as a curve from pair to pair may go."""
    for (x0, y0), (x1, y1) in itertools.pairwise(route):
        for t in np.linspace(0, 1, 9):
            yield x0 + (x1 - x0) * t, y0 + (y1 - y0) * t


@given(graphs())
def test_boxes_do_not_overlap_and_lie_in_the_picture(graph):
    sizes, edges = graph
    layout = layered(sizes, edges)
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(layout.places, sizes, strict=True)]
    for a, b in itertools.combinations(boxes, 2):
        beside = a[2] + BESIDE <= b[0] + 1e-6 or b[2] + BESIDE <= a[0] + 1e-6
        assert beside or a[3] < b[1] or b[3] < a[1]
    right = layout.width + 1e-6
    assert all(x0 >= -1e-6 and y0 >= 0 and x1 <= right and y1 <= layout.height for x0, y0, x1, y1 in boxes)


@given(graphs())
def test_arrows_lead_down_from_box_to_box_and_meet_no_other(graph):
    sizes, edges = graph
    layout = layered(sizes, edges)
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(layout.places, sizes, strict=True)]
    for (source, target), route in zip(edges, layout.routes, strict=True):
        assert boxes[source][0] < route[0][0] < boxes[source][2] and route[0][1] == boxes[source][3]
        assert boxes[target][0] < route[-1][0] < boxes[target][2] and route[-1][1] == boxes[target][1]
        assert all(upper[1] <= lower[1] for upper, lower in itertools.pairwise(route))
        assert all(route[i][0] == route[i + 1][0] for i in range(0, len(route), 2))  # straight within a pair
        for x, y in points(route):
            assert not any(x0 + 1e-6 < x < x1 - 1e-6 and y0 + 1e-6 < y < y1 - 1e-6 for x0, y0, x1, y1 in boxes)


def test_a_layer_is_the_longest_path():
    tops = [y for _, y in layered([(10, 10)] * 4, [(0, 1), (1, 2), (0, 2), (2, 3)]).places]
    assert tops == sorted(set(tops))


def test_an_input_stands_right_above_what_reads_it():
    tops = [y for _, y in layered([(10, 10)] * 4, [(0, 1), (1, 3), (2, 3)]).places]
    assert tops[2] == tops[1]


def test_a_chain_is_straight():
    layout = layered([(50, 10), (120, 10), (30, 10)], [(0, 1), (1, 2)])
    assert len({x for route in layout.routes for x, _ in route}) == 1


def test_a_chain_beside_an_arrow_around_it_is_straight():
    """As a residual block."""
    layout = layered([(60, 10), (120, 10), (80, 10), (60, 10)], [(0, 1), (1, 2), (2, 3), (0, 3)])
    (_, _, (upper, _), *_), (_, _, (lower, _), *_) = layout.routes[:2]
    assert upper == pytest.approx(lower, abs=2)


def test_crossings_are_undone():
    layout = layered([(10, 10)] * 4, [(0, 3), (1, 2)])
    left = [x for x, _ in layout.places]
    assert (left[0] < left[1]) == (left[3] < left[2])


@pytest.mark.parametrize("count", [1, 3])
def test_boxes_without_arrows(count):
    assert len(layered([(10, 10)] * count, []).places) == count
