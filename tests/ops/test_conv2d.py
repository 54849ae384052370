"""conv2d_fprop, conv2d_dgrad, conv2d_wgrad of every backend against the float64 reference, on every listed shape."""

from __future__ import annotations

import functools
import zlib

import hypothesis
import numpy as np
import pytest
import shapes
import tolerances
from helpers import REFERENCE, float32, small_integers
from hypothesis import strategies as st

from fastconv import _core
from fastconv.geometry import Conv2DGeometry

every_shape = pytest.mark.parametrize("shape", shapes.CONV2D, ids=str)


@functools.cache
def data(g, kind):
    """x, w, b, dy of a geometry: "normal" random numbers, or "integers" whose sums are exact."""
    rng = np.random.default_rng(zlib.crc32(repr((g, kind)).encode()))
    draw = float32 if kind == "normal" else small_integers
    return {name: draw(rng, *size) for name, size in dict(x=g.x_shape, w=g.w_shape, b=(g.k,), dy=g.y_shape).items()}


@functools.cache
def expected(g, kind, absolute=False):
    """y, dx, dw, db from the float64 reference; of the absolute values of the data, they scale the bounds."""
    d = {name: np.abs(a) if absolute else a for name, a in data(g, kind).items()}
    wgrad = REFERENCE.run("conv2d_wgrad", geometry=g, x=d["x"], dy=d["dy"])
    return {
        "y": REFERENCE.run("conv2d_fprop", geometry=g, x=d["x"], w=d["w"], b=d["b"]).y,
        "dx": REFERENCE.run("conv2d_dgrad", geometry=g, dy=d["dy"], w=d["w"]).dx,
        "dw": wgrad.dw,
        "db": wgrad.db,
    }


def run(ops, op, g, kind, **options):
    wanted = {"conv2d_fprop": ("x", "w", "b"), "conv2d_dgrad": ("dy", "w"), "conv2d_wgrad": ("x", "dy")}[op]
    return ops.run(op, geometry=g, **{name: data(g, kind)[name] for name in wanted} | options)


def assert_within_bound(ops, g, output, actual, products):
    bound = tolerances.sum_of_products(ops.name, products, expected(g, "normal", absolute=True)[output])
    tolerances.assert_close(actual, expected(g, "normal")[output], bound)


@every_shape
def test_fprop_matches_reference(ops, shape):
    g = shape.geometry()
    assert_within_bound(ops, g, "y", run(ops, "conv2d_fprop", g, "normal").y, g.r * g.s * g.c)


@every_shape
def test_dgrad_matches_reference(ops, shape):
    g = shape.geometry()
    assert_within_bound(ops, g, "dx", run(ops, "conv2d_dgrad", g, "normal").dx, g.r * g.s * g.k)


@every_shape
def test_wgrad_matches_reference(ops, shape):
    g = shape.geometry()
    assert_within_bound(ops, g, "dw", run(ops, "conv2d_wgrad", g, "normal").dw, g.n * g.p * g.q)


@every_shape
def test_bias_gradient_matches_reference(ops, shape):
    g = shape.geometry()
    assert_within_bound(ops, g, "db", run(ops, "conv2d_wgrad", g, "normal").db, g.n * g.p * g.q)


@every_shape
def test_fprop_is_exact_on_integers(ops, shape):
    g = shape.geometry()
    np.testing.assert_array_equal(run(ops, "conv2d_fprop", g, "integers").y, expected(g, "integers")["y"])


@every_shape
def test_dgrad_is_exact_on_integers(ops, shape):
    g = shape.geometry()
    np.testing.assert_array_equal(run(ops, "conv2d_dgrad", g, "integers").dx, expected(g, "integers")["dx"])


@every_shape
def test_wgrad_is_exact_on_integers(ops, shape):
    g = shape.geometry()
    actual = run(ops, "conv2d_wgrad", g, "integers")
    np.testing.assert_array_equal(actual.dw, expected(g, "integers")["dw"])
    np.testing.assert_array_equal(actual.db, expected(g, "integers")["db"])


# Everything the contract allows, not only what "same" and "valid" lead to: any padding below the kernel size, outputs
# that leave rows of the image unread or read zeros beyond its end.
@st.composite
def geometries(draw):
    def axis():
        size, kernel, stride = draw(st.integers(1, 12)), draw(st.integers(1, 7)), draw(st.integers(1, 4))
        pad = draw(st.integers(0, kernel - 1))
        last = (size + pad - 1) // stride  # the last window that touches the image
        return size, kernel, stride, pad, draw(st.integers(1, last + 3))

    (h, r, stride_h, pad_top, p), (w, s, stride_w, pad_left, q) = axis(), axis()
    n, c, k = draw(st.integers(1, 18)), draw(st.integers(1, 36)), draw(st.integers(1, 36))
    return Conv2DGeometry(n, h, w, c, k, r, s, p, q, stride_h, stride_w, pad_top, pad_left)


@hypothesis.settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(g=geometries(), count=st.sampled_from((1, 2, 5)))
def test_any_geometry_is_exact_on_integers(ops, threads, g, count):
    threads(count)
    wgrad = run(ops, "conv2d_wgrad", g, "integers")
    actual = {
        "y": run(ops, "conv2d_fprop", g, "integers").y,
        "dx": run(ops, "conv2d_dgrad", g, "integers").dx,
        "dw": wgrad.dw,
        "db": wgrad.db,
    }
    for name, array in actual.items():
        np.testing.assert_array_equal(array, expected(g, "integers")[name], err_msg=name)


SAMPLE = shapes.Conv2DShape(3, 6, 7, 5, 18, 3, 4, (2, 1), "same").geometry()  # every pass needs a workspace


def test_fprop_without_bias_starts_from_zero(ops):
    actual = run(ops, "conv2d_fprop", SAMPLE, "integers", b=None).y
    np.testing.assert_array_equal(actual + data(SAMPLE, "integers")["b"], expected(SAMPLE, "integers")["y"])


@pytest.mark.parametrize("g", [SAMPLE, shapes.Conv2DShape(2, 33, 31, 3, 5, 3, 3, (1, 1), "same").geometry()])
def test_wgrad_without_bias_gradient_gives_the_same_dw(ops, g):
    actual = run(ops, "conv2d_wgrad", g, "integers", db=None)
    np.testing.assert_array_equal(actual.dw, expected(g, "integers")["dw"])


@pytest.mark.parametrize("shape", shapes.CONV2D[::7], ids=str)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_nan_or_inf_spoils_exactly_the_windows_over_it(ops, shape, value):
    g = shape.geometry()
    x, w = data(g, "normal")["x"].copy(), data(g, "normal")["w"]
    row, column = g.h // 2, g.w // 2
    x[g.n - 1, row, column, g.c // 2] = value
    covered = np.zeros(g.y_shape, bool)
    for p in range(g.p):
        for q in range(g.q):
            top, left = p * g.stride_h - g.pad_top, q * g.stride_w - g.pad_left
            covered[g.n - 1, p, q] = top <= row < top + g.r and left <= column < left + g.s
    np.testing.assert_array_equal(~np.isfinite(ops.run("conv2d_fprop", geometry=g, x=x, w=w, b=None).y), covered)


@pytest.mark.parametrize("shape", shapes.CONV2D[::7], ids=str)
def test_one_nan_gradient_spoils_exactly_the_pixels_it_came_from(ops, shape):
    g = shape.geometry()
    dy, w = data(g, "normal")["dy"].copy(), data(g, "normal")["w"]
    p, q = g.p // 2, g.q // 2
    dy[0, p, q, g.k - 1] = np.nan
    covered = np.zeros(g.x_shape, bool)
    top, left = p * g.stride_h - g.pad_top, q * g.stride_w - g.pad_left
    covered[0, max(top, 0) : max(top + g.r, 0), max(left, 0) : max(left + g.s, 0)] = True
    np.testing.assert_array_equal(np.isnan(ops.run("conv2d_dgrad", geometry=g, dy=dy, w=w).dx), covered)


@pytest.mark.parametrize("op, output", [("conv2d_fprop", "y"), ("conv2d_dgrad", "dx"), ("conv2d_wgrad", "dw")])
def test_workspace_for_one_thread_is_enough_for_many(ops, threads, op, output):
    threads(1)
    size = ops.ops.workspace_bytes(op, {}, {"geometry": SAMPLE})
    threads(7)
    actual = getattr(run(ops, op, SAMPLE, "integers", workspace_bytes=size), output)
    np.testing.assert_array_equal(actual, expected(SAMPLE, "integers")[output])


@pytest.mark.parametrize("op", ["conv2d_fprop", "conv2d_dgrad", "conv2d_wgrad"])
def test_too_small_a_workspace_is_refused(ops, threads, op):
    threads(1)
    size = ops.ops.workspace_bytes(op, {}, {"geometry": SAMPLE})
    if ops.ops.name == "cuda" and not size:
        pytest.skip("nothing of it is split over blocks; ops/test_cuda_conv2d.py has what is")
    assert size > 0
    with pytest.raises(ValueError, match=rf"{op}: expected {size} bytes of workspace.*[Rr]eceived.*{size - 4}"):
        run(ops, op, SAMPLE, "integers", workspace_bytes=size - 4)


# ---- what the extension module refuses, before a kernel trusts a pointer


def accepted():
    arrays = {name: data(SAMPLE, "normal")[name] for name in ("x", "w", "b")}
    return arrays | {"y": np.zeros(SAMPLE.y_shape, np.float32), "workspace": np.zeros(1 << 16, np.float32)}


def call(**changes):
    _core.conv2d_fprop(**{"geometry": SAMPLE} | accepted() | changes)


@pytest.mark.parametrize(
    "name, change",
    [
        ("x", lambda a: a.astype(np.float64)),
        ("x", lambda a: a.astype(">f4")),
        ("x", lambda a: a.astype(np.int32)),
        ("w", lambda a: np.asfortranarray(a)),
        ("x", lambda a: a[:, ::-1]),
        ("y", lambda a: a.astype(np.float64)),
        ("workspace", lambda a: a.astype(np.float64)),
    ],
    ids=["float64", "byte-swapped", "int32", "fortran", "reversed", "float64 y", "float64 workspace"],
)
def test_arrays_of_another_type_or_layout_are_refused(name, change):
    with pytest.raises(TypeError, match=rf"{name}: expected .*float32.*Received"):
        call(**{name: change(accepted()[name])})


def test_an_array_between_two_floats_is_refused():
    x = accepted()["x"]
    memory = np.zeros(x.nbytes + 1, np.uint8)
    with pytest.raises((TypeError, ValueError), match=r"x: expected .*Received"):
        call(x=memory[1:].view(np.float32).reshape(x.shape))


@pytest.mark.parametrize("name", ["x", "w", "b", "y"])
def test_an_array_of_another_size_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name}: expected \d+ elements.*Received: shape \(3,\)"):
        call(**{name: np.zeros(3, np.float32)})


@pytest.mark.parametrize("name", ["y", "workspace"])
def test_a_read_only_output_is_refused(name):
    array = accepted()[name]
    array.flags.writeable = False
    with pytest.raises(ValueError, match=rf"{name}: expected a writable array.*read-only"):
        call(**{name: array})


@pytest.mark.parametrize("field", Conv2DGeometry._fields)
def test_a_negative_size_is_refused(field):
    with pytest.raises(ValueError, match=rf"{field}.*[Rr]eceived: -1"):
        call(geometry=SAMPLE._replace(**{field: -1}))


@pytest.mark.parametrize("field", ["n", "h", "w", "c", "k", "r", "s", "p", "q", "stride_h", "stride_w"])
def test_sizes_whose_product_overflows_are_refused(field):
    with pytest.raises(ValueError, match="(?i)expected.*received"):
        call(geometry=SAMPLE._replace(**{field: 2**62}))


def test_a_geometry_of_another_length_is_refused():
    with pytest.raises(ValueError, match="expected 13 ints.*Received: 12"):
        call(geometry=tuple(SAMPLE)[:12])
