"""The same bits from run to run, for any number of threads, from any thread, and in a forked child."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
import shapes
from helpers import float32

from fastconv import _core

THREADS = (1, 2, 3, 4, 7)


def conv2d(op, names):
    def case(shape):
        def arguments(rng):
            g = shape.geometry()
            sizes = {"x": g.x_shape, "w": g.w_shape, "b": (g.k,), "dy": g.y_shape}
            return {"geometry": g, **{name: float32(rng, *sizes[name]) for name in names}}

        return pytest.param(op, arguments, id=f"{op}-{shape}")

    return [case(shape) for shape in shapes.CONV2D_FOR_THREADS]


def elementwise(op, names, **settings):
    def arguments(rng):
        return {name: np.abs(float32(rng, 100_003)) for name in names} | settings

    return pytest.param(op, arguments, id=op)


def batchnorm(op, shape):
    def arguments(rng):
        c = shape[-1]
        channel = {name: np.abs(float32(rng, c)) for name in ("gamma", "beta", "moving_mean", "moving_variance")}
        if op == "batchnorm_backward":
            channel = {name: channel[name] for name in ("gamma", "beta")} | {
                "dy": float32(rng, *shape), "mean": float32(rng, c), "rstd": np.abs(float32(rng, c))
            }  # fmt: skip
        settings = {"slope": 0.3} if op == "batchnorm_backward" else {"slope": 0.3, "epsilon": 1e-3}
        if op == "batchnorm_forward":
            settings["momentum"] = 0.99
        return {"x": float32(rng, *shape), **channel, **settings}

    return pytest.param(op, arguments, id=f"{op}-{'x'.join(map(str, shape))}")


def softmax_xent(rng):
    return {"x": float32(rng, 3001, 10), "labels": rng.integers(10, size=3001).astype(np.int32)}


COUNTER = {"seed": np.array([1], np.int64), "step": np.array([2], np.int64), "rate": 0.3, "stream": 0}
RATE = np.array([0.01], np.float32)
CASES = [
    *conv2d("conv2d_fprop", ("x", "w", "b")),
    *conv2d("conv2d_dgrad", ("dy", "w")),
    *conv2d("conv2d_wgrad", ("x", "dy")),
    *(
        batchnorm(op, shape)
        for op in ("batchnorm_forward", "batchnorm_inference", "batchnorm_backward")
        for shape in ((5000, 17), (40, 16, 16, 64), (3000, 600), (32, 128))
    ),
    elementwise("leaky_relu_forward", ("x",), slope=0.3),
    elementwise("leaky_relu_backward", ("dy", "x"), slope=0.3),
    elementwise("add_forward", ("a", "b")),
    elementwise("dropout_forward", ("x",), **COUNTER),
    elementwise("dropout_backward", ("dy",), **COUNTER),
    elementwise("adam_update", ("w", "dw", "m", "v"), learning_rate=RATE, step=np.array([3], np.int64),
                beta_1=0.9, beta_2=0.999, epsilon=1e-7),
    elementwise("sgd_update", ("w", "dw", "velocity"), learning_rate=RATE, momentum=0.9, nesterov=True),
    pytest.param("softmax_forward", lambda rng: {"x": float32(rng, 3001, 10)}, id="softmax_forward"),
    pytest.param("softmax_backward", lambda rng: {name: float32(rng, 3001, 10) for name in ("dy", "y")},
                 id="softmax_backward"),
    pytest.param("softmax_xent", softmax_xent, id="softmax_xent"),
    pytest.param("first_non_finite", lambda rng: {"x": np.where(np.arange(700_000) % 90_001 == 90_000, np.nan, 1)},
                 id="first_non_finite"),
]  # fmt: skip


def bits(result):
    return {name: value.tobytes() if isinstance(value, np.ndarray) else value for name, value in vars(result).items()}


@pytest.mark.parametrize("op, arguments", CASES)
def test_the_same_bits_for_any_number_of_threads_twice(ops, rng, threads, op, arguments):
    given = arguments(rng)
    threads(THREADS[0])
    expected = bits(ops.run(op, **given))
    for count in (*THREADS, *THREADS):
        threads(count)
        assert bits(ops.run(op, **given)) == expected, f"{count} threads"


def conv_bits(ops, rng):
    g = shapes.CONV2D_FOR_THREADS[1].geometry()
    x, w = float32(rng, *g.x_shape), float32(rng, *g.w_shape)
    return lambda: ops.run("conv2d_fprop", geometry=g, x=x, w=w, b=None).y.tobytes()


def test_the_same_bits_where_python_threads_call_at_once(ops, rng, threads):
    run = conv_bits(ops, rng)
    expected, found = run(), []
    threads(3)

    def work():
        found.extend(run() == expected for _ in range(20))

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [True] * 80


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_the_same_bits_in_a_forked_child(ops, rng, threads):
    run = conv_bits(ops, rng)
    threads(3)
    expected = run()  # the parent's threads exist now, and not in the child
    child = os.fork()
    if child == 0:
        os._exit(0 if run() == expected else 1)
    deadline = time.monotonic() + 30
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended[0] == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert ended == (child, 0), "the child hung" if ended[0] == 0 else "the child's bits differ"
    assert run() == expected


def test_the_caller_keeps_its_denormals(ops, rng, threads):
    threads(3)
    conv_bits(ops, rng)()
    ops.run("leaky_relu_forward", x=float32(rng, 100_000), slope=0.3)
    assert np.array([1e-40], np.float32) * np.float32(0.5) != 0


def test_threads_are_counted(threads):
    threads(5)
    assert _core.num_threads() == 5


def test_zero_threads_return_to_the_default(threads):
    default = _core.num_threads()
    threads(default + 3)
    threads(0)
    assert _core.num_threads() == default


@pytest.mark.parametrize("count", [-1, 1025])
def test_an_impossible_number_of_threads_is_refused(threads, count):
    with pytest.raises(ValueError, match=f"expected 0 .*1024.*Received: {count}"):
        threads(count)


def test_an_unknown_instruction_set_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="expected .*scalar.*Received: sse9"):
        _core.set_isa("sse9")
