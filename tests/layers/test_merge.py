"""Merging layers: shapes, the patterns of sizes of 1 that they take, and refusals."""

import pytest

from fastconv import layers
from fastconv.layers.broadcast import extents


@pytest.mark.parametrize(
    ("shape", "small", "expected"),
    [
        ((8, 5, 5, 3), (8, 5, 5, 3), (1, 1, 1, 600)),
        ((8, 5, 5, 3), (1, 1, 1, 3), (1, 1, 200, 3)),
        ((8, 5, 5, 3), (1, 5, 5, 3), (1, 1, 8, 75)),
        ((8, 5, 4, 3), (1, 5, 1, 3), (8, 5, 4, 3)),
        ((8, 5, 4, 3), (1, 5, 4, 1), (8, 20, 3, 1)),
        ((8, 5, 4, 3), (1, 5, 1, 1), (8, 5, 12, 1)),
        ((8, 5, 4, 3), (1, 1, 1, 1), (1, 1, 480, 1)),
        ((8, 5, 4, 3), (8, 1, 1, 3), (1, 8, 20, 3)),
        ((8, 1, 4, 1), (8, 1, 1, 1), (1, 8, 4, 1)),
        ((8, 5, 4, 3), (8, 1, 4, 1), None),
    ],
)
def test_extents(shape, small, expected):
    assert extents(shape, small) == expected


MERGES = [layers.Add, layers.Multiply, layers.Average, layers.Subtract, layers.Maximum, layers.Minimum]


@pytest.mark.parametrize("layer", MERGES)
def test_output_shape_is_the_larger_one(layer):
    assert layer()([layers.Input((1, 1, 3)), layers.Input((5, 4, 3))]).shape == (None, 5, 4, 3)


@pytest.mark.parametrize("layer", MERGES)
def test_a_lower_rank_gets_axes_after_the_batch(layer):
    assert layer()([layers.Input((5, 4, 3)), layers.Input((3,))]).shape == (None, 5, 4, 3)


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((5, 1, 3), (1, 4, 3)), ((5, 4, 3), (1, 4, 1))], ids=str)
@pytest.mark.parametrize("layer", MERGES)
def test_shapes_that_do_not_fit_are_refused(layer, shapes):
    with pytest.raises(ValueError, match=r"expected inputs of one shape.*Received: \[\(None, "):
        layer()([layers.Input(shape) for shape in shapes])


def test_subtract_takes_two():
    with pytest.raises(ValueError, match=r"expected two inputs. Received: 3"):
        layers.Subtract()([layers.Input((3,)) for _ in range(3)])


@pytest.mark.parametrize(("axis", "expected"), [(-1, (None, 5, 4, 5)), (3, (None, 5, 4, 5))])
def test_concatenate(axis, expected):
    assert layers.Concatenate(axis)([layers.Input((5, 4, 3)), layers.Input((5, 4, 2))]).shape == expected


def test_concatenate_along_rows():
    assert layers.Concatenate(axis=1)([layers.Input((5, 3)), layers.Input((2, 3))]).shape == (None, 7, 3)


@pytest.mark.parametrize("axis", [0, 1.5, None])
def test_concatenate_refuses_an_axis_that_is_none(axis):
    with pytest.raises(ValueError, match="axis: expected the number of an axis after the batch"):
        layers.Concatenate(axis)


@pytest.mark.parametrize(
    ("axis", "shapes"),
    [(-1, ((5, 3), (4, 3))), (-2, ((3,), (3,))), (2, ((3,), (3,))), (-1, ((5, 3), (3,))), (-1, ((3,),))],
)
def test_concatenate_refuses_shapes_that_do_not_fit(axis, shapes):
    with pytest.raises(ValueError, match=r"expected two or more inputs whose shapes differ along axis"):
        layers.Concatenate(axis)([layers.Input(shape) for shape in shapes])


@pytest.mark.parametrize(
    ("target", "expected"),
    [((4, 3), (None, 4, 3)), ((-1,), (None, 12)), ((2, -1, 1), (None, 2, 6, 1)), ((12,), (None, 12))],
)
def test_reshape(target, expected):
    assert layers.Reshape(target)(layers.Input((2, 6))).shape == expected


@pytest.mark.parametrize("target", [(5, 3), (-1, 5), (13,)])
def test_reshape_refuses_another_size(target):
    with pytest.raises(ValueError, match=r"target_shape: expected 12 elements, as a sample of shape \(2, 6\) has"):
        layers.Reshape(target)(layers.Input((2, 6)))


@pytest.mark.parametrize("target", [(-1, -1), (0, 12), 12, (2.0, 6)])
def test_reshape_refuses_what_is_no_shape(target):
    with pytest.raises(ValueError, match=r"target_shape: expected"):
        layers.Reshape(target)
