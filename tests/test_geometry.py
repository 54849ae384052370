"""Sizes and padding: TensorFlow's rule on every listed shape, and every refusal."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
import shapes

from fastconv import geometry


def tensorflow_same(size, kernel, stride):
    """Output size, zeros before and after: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2."""
    total = max(kernel - stride, 0) if size % stride == 0 else max(kernel - size % stride, 0)
    return math.ceil(size / stride), total // 2, total - total // 2


@pytest.mark.parametrize("shape", [s for s in shapes.CONV2D if s.padding == "same"], ids=str)
def test_same_padding_is_tensorflows(shape):
    g = shape.geometry()
    for size, kernel, stride, outputs, before in (
        (g.h, g.r, g.stride_h, g.p, g.pad_top),
        (g.w, g.s, g.stride_w, g.q, g.pad_left),
    ):
        assert (outputs, before) == tensorflow_same(size, kernel, stride)[:2]


@pytest.mark.parametrize("shape", [s for s in shapes.CONV2D if s.padding == "valid"], ids=str)
def test_valid_padding_is_tensorflows(shape):
    g = shape.geometry()
    assert (g.p, g.q) == (math.ceil((g.h - g.r + 1) / g.stride_h), math.ceil((g.w - g.s + 1) / g.stride_w))
    assert (g.pad_top, g.pad_left) == (0, 0)


# Measured on TensorFlow 2.21: size, kernel, stride, outputs, zeros before, zeros after.
@pytest.mark.parametrize(
    "size, kernel, stride, outputs, before, after",
    [(32, 3, 2, 16, 0, 1), (32, 4, 2, 16, 1, 1), (32, 4, 1, 32, 1, 2), (33, 3, 2, 17, 1, 1), (7, 2, 3, 3, 0, 1),
     (5, 1, 2, 3, 0, 0)],
)  # fmt: skip
def test_an_odd_zero_goes_after(size, kernel, stride, outputs, before, after):
    assert geometry.window(size, kernel, stride, "same") == (outputs, before)
    assert (outputs - 1) * stride + kernel - before - size == after


@pytest.mark.parametrize("size", range(1, 20))
@pytest.mark.parametrize("kernel", range(1, 9))
def test_same_padding_is_below_the_kernel_and_wastes_no_window(size, kernel):
    for stride in range(1, 6):
        outputs, before = geometry.window(size, kernel, stride, "same")
        assert 0 <= before < kernel
        assert (outputs - 1) * stride - before < size  # the last window touches the image
        assert (outputs, before) == tensorflow_same(size, kernel, stride)[:2]


def test_shapes_and_multiplications():
    g = geometry.conv2d((5, 9, 8, 3), 7, (4, 2), (2, 3), "valid")
    assert (g.x_shape, g.w_shape, g.y_shape) == ((5, 9, 8, 3), (4, 2, 3, 7), (5, 3, 3, 7))
    assert g.multiplications == 5 * 3 * 3 * 7 * 4 * 2 * 3


def test_fields_stand_in_the_order_of_the_kernels():
    names = "n h w c k r s p q stride_h stride_w pad_top pad_left"
    assert geometry.Conv2DGeometry._fields == tuple(names.split())


def test_int_and_pair_are_the_same():
    assert geometry.conv2d((1, 8, 9, 2), 4, 3, 2, "same") == geometry.conv2d((1, 8, 9, 2), 4, (3, 3), [2, 2], "same")


def test_any_integer_type_gives_plain_ints():
    g = geometry.conv2d(np.array((1, 8, 9, 2)), np.int64(4), np.uint8(3), (np.int32(2), 1), "SAME")
    assert g == geometry.conv2d((1, 8, 9, 2), 4, 3, (2, 1), "same")
    assert {type(size) for size in g} == {int}


@pytest.mark.parametrize("shape", [s for s in shapes.CONV2D if "dense" in s.name], ids=str)
def test_dense_is_a_convolution_of_one_line(shape):
    assert shape.geometry() == geometry.dense(shape.w, shape.c, shape.k)
    assert geometry.dense(shape.w, shape.c, shape.k).x_shape == (1, 1, shape.w, shape.c)


def test_the_list_holds_what_it_promises():
    listed = shapes.CONV2D
    assert len(listed) >= 300
    assert len(set(map(str, listed))) == len(listed)
    layers = [layer for network in shapes.NETWORKS for layer in shapes.network_layers(network, 7)]
    assert {layer.name for layer in layers} <= {shape.name for shape in listed}
    assert {shape.c % 16 for shape in listed} == {shape.k % 16 for shape in listed} == set(range(16))
    square = {(shape.r, shape.stride[0], shape.padding) for shape in listed if shape.r == shape.s}
    assert {(r, s, p) for r in range(1, 8) for s in (1, 2, 3) for p in geometry.PADDINGS} <= square
    assert any(shape.h < shape.r and shape.w < shape.s for shape in listed)


VALID = {"x_shape": (1, 8, 9, 2), "filters": 4, "kernel_size": (3, 3), "strides": (1, 1), "padding": "valid"}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"x_shape": (8, 9, 2)}, r"rank 4.*Received: shape \(8, 9, 2\)"),
        ({"x_shape": (1, 8, 9, 2, 1)}, r"rank 4.*Received: shape \(1, 8, 9, 2, 1\)"),
        ({"x_shape": (0, 8, 9, 2)}, r"no empty axis.*Received: shape \(0, 8, 9, 2\)"),
        ({"x_shape": (1, 8, 9, 0)}, r"no empty axis.*Received: shape \(1, 8, 9, 0\)"),
        ({"x_shape": (1, 8.5, 9, 2)}, r"expected.*integer.*Received.*8\.5"),
        ({"filters": 0}, "filters: expected a positive integer.*Received: filters=0"),
        ({"filters": -1}, "filters: expected a positive integer.*Received: filters=-1"),
        ({"filters": 2.5}, r"filters: expected a positive integer.*Received: filters=2\.5"),
        ({"filters": 4.0}, r"filters: expected a positive integer.*Received: filters=4\.0"),
        ({"filters": "4"}, "filters: expected a positive integer.*Received: filters='4'"),
        ({"filters": True}, "filters: expected a positive integer.*Received: filters=True"),
        ({"filters": None}, "filters: expected a positive integer.*Received: filters=None"),
        ({"kernel_size": (0, 3)}, r"kernel_size: expected positive integers.*Received: kernel_size=\(0, 3\)"),
        ({"kernel_size": (3, 3, 3)}, r"kernel_size: expected.*pair.*Received: kernel_size=\(3, 3, 3\)"),
        ({"kernel_size": (3, 1.5)}, r"kernel_size: expected positive integers.*Received: kernel_size=\(3, 1\.5\)"),
        ({"kernel_size": (9, 3)}, r"kernel_size: expected.*inside the image.*Received: kernel_size=\(9, 3\).*\(8, 9\)"),
        (
            {"kernel_size": (3, 10)},
            r"kernel_size: expected.*inside the image.*Received: kernel_size=\(3, 10\).*\(8, 9\)",
        ),
        ({"strides": 0}, "strides: expected positive integers.*Received: strides=0"),
        ({"strides": (1, -2)}, r"strides: expected positive integers.*Received: strides=\(1, -2\)"),
        ({"strides": 1.5}, r"strides: expected positive integers.*Received: strides=1\.5"),
        ({"padding": "full"}, "padding: expected.*valid.*same.*Received: padding='full'"),
        ({"padding": 1}, "padding: expected.*valid.*same.*Received: padding=1"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_refusals_say_what_was_expected_and_received(change, message):
    with pytest.raises(ValueError, match=message):
        geometry.conv2d(**VALID | change)


def test_docstring_examples():
    assert doctest.testmod(geometry).failed == 0
