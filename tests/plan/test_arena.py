"""The arena: no two buffers that live at once overlap, and memory is reused."""

import numpy as np
import pytest

from fastconv.ops.memory import HOST
from fastconv.plan.arena import Arena, Layout
from fastconv.plan.graph import Buffer, Step


def chain(count):
    buffers = [Buffer(f"b{i}", (100 + i,)) for i in range(count)]
    return buffers, [Step("op", {"x": a}, {"y": b}, {}) for a, b in zip(buffers, buffers[1:], strict=False)]


def overlapping(layout, a, b):
    size = lambda buffer: buffer.shape[0] * 4  # noqa: E731
    begin_a, begin_b = layout.offsets[a], layout.offsets[b]
    return begin_a < begin_b + size(b) and begin_b < begin_a + size(a)


def test_neighbours_in_time_do_not_overlap():
    buffers, steps = chain(10)
    layout = Layout(steps, [buffers[0]], [buffers[-1]], lambda b: 4)
    assert not any(overlapping(layout, a, b) for a, b in zip(buffers, buffers[1:], strict=False))


def test_memory_is_reused():
    buffers, steps = chain(10)
    layout = Layout(steps, [buffers[0]], [buffers[-1]], lambda b: 4)
    assert layout.size_bytes <= 3 * 448 < layout.unshared_bytes


def test_an_input_is_alive_before_its_first_reader():
    x, late = Buffer("x", (16,), "input"), Buffer("late", (16,), "input")
    a, y = Buffer("a", (16,)), Buffer("y", (16,))
    steps = [Step("op", {"x": x}, {"y": a}, {}), Step("op", {"a": a, "labels": late}, {"y": y}, {})]
    layout = Layout(steps, [x, late], [y], lambda b: 4)
    assert not overlapping(layout, late, x) and not overlapping(layout, late, a)


def test_an_output_outlives_the_last_step():
    x, y, z, w = (Buffer(n, (16,)) for n in "xyzw")
    steps = [Step("op", {"x": x}, {"y": y}, {}), Step("op", {"x": x}, {"y": z}, {}), Step("op", {"x": z}, {"y": w}, {})]
    layout = Layout(steps, [x], [y], lambda b: 4)
    assert not overlapping(layout, y, z) and not overlapping(layout, y, w)


def test_a_view_keeps_its_base_alive():
    x, y, z = (Buffer(n, (16,)) for n in "xyz")
    view = Buffer("view", (4, 4), base=x)
    steps = [
        Step("op", {}, {"y": x}, {}),
        Step("op", {}, {"y": y}, {}),
        Step("op", {"x": view, "other": y}, {"y": z}, {}),
    ]
    layout = Layout(steps, [], [z], lambda b: 4)
    assert not overlapping(layout, x, y)


def test_offsets_are_aligned():
    buffers, steps = chain(7)
    layout = Layout(steps, [], [buffers[-1]], lambda b: 4)
    assert all(offset % HOST.alignment == 0 for offset in layout.offsets.values())


def test_it_has_the_size_that_was_asked_for():
    arena = Arena()
    assert arena.size_bytes == 0
    for size in (1000, 2000):
        arena.reserve(size)
        assert arena.size_bytes == size


def test_impossible_size_says_to_use_a_smaller_batch():
    with pytest.raises(MemoryError, match="smaller batch_size"):
        Arena().reserve(2**60)


def test_fill_with_nan():
    arena = Arena()
    arena.reserve(256)
    arena.fill_with_nan()
    assert np.isnan(arena.view(64, (8,), np.float32)).all()


def test_lives_and_sizes_are_those_of_the_offsets():
    x, a, y = Buffer("x", (16,), "input"), Buffer("a", (17,)), Buffer("y", (16,))
    steps = [Step("op", {"x": x}, {"y": a}, {}), Step("op", {"a": a}, {"y": y}, {})]
    layout = Layout(steps, [x], [y], lambda b: 4)
    assert layout.lives == {x: (-1, 0), a: (0, 1), y: (1, 2)}
    assert layout.sizes == {x: 64, a: 128, y: 64}
    assert layout.unshared_bytes == 256
