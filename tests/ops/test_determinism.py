"""The same bits from run to run, for any number of threads, from any thread, and in a forked child."""

from __future__ import annotations

import os
import threading
import time

import helpers
import numpy as np
import pytest
import shapes

from fastconv import _core

THREADS = (1, 2, 3, 4, 7)


CONVOLUTIONS = [op for op in helpers.OUTPUTS if op.startswith("conv2d")]
BATCHNORMS = [op for op in helpers.OUTPUTS if op.startswith("batchnorm")]
OTHERS = [op for op in helpers.OUTPUTS if op not in (*CONVOLUTIONS, *BATCHNORMS, *helpers.ROWS, *helpers.IMAGES)]
CASES = [
    *((op, shape) for op in CONVOLUTIONS for shape in shapes.CONV2D_FOR_THREADS),
    *((op, shape) for op in BATCHNORMS for shape in ((5000, 17), (40, 16, 16, 64), (3000, 600), (32, 128))),
    *((op, (3001, 10)) for op in helpers.ROWS),
    *((op, (5, 31, 33, 35)) for op in helpers.IMAGES),
    *((op, (200_003,)) for op in OTHERS),
]


def bits(result):
    return {name: value.tobytes() if isinstance(value, np.ndarray) else value for name, value in vars(result).items()}


@pytest.mark.parametrize("op, shape", CASES, ids=str)
def test_the_same_bits_for_any_number_of_threads_twice(ops, rng, threads, op, shape):
    given = helpers.example(op, rng, shape)
    threads(THREADS[0])
    expected = bits(ops.run(op, **given))
    counts = THREADS[:1] if ops.ops.name == "cuda" else (*THREADS, *THREADS)  # CUDA has no use for more
    for count in counts:
        threads(count)
        assert bits(ops.run(op, **given)) == expected, f"{count} threads"


def conv_bits(ops, rng):
    arguments = helpers.example("conv2d_fprop", rng, shapes.CONV2D_FOR_THREADS[1])
    return lambda: ops.run("conv2d_fprop", **arguments).y.tobytes()


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
    ops.run("leaky_relu_forward", x=helpers.float32(rng, 100_000), slope=0.3)
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
