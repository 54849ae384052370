"""The public functions on arrays of a GPU: which they take, where the results are, what they refuse."""

from types import SimpleNamespace

import numpy as np
import pytest
from fake_device import XP, FakeArray, FakeOps
from function_calls import CALLS, arrays

import fastconv.ops
from fastconv.ops import arguments, get_ops


@pytest.fixture
def gpu(monkeypatch):
    ops = FakeOps()
    ops.memory.working = True  # the functions launch on whatever stream is current
    monkeypatch.setattr(arguments, "get_ops", lambda name: ops if name == "cuda" else get_ops(name))
    return ops


class Foreign:
    """An array of another library, which CuPy can view."""

    def __init__(self, values, protocol, kind=2):
        self.values = values
        if protocol == "dlpack":
            self.__dlpack__ = lambda: None
            self.__dlpack_device__ = lambda: (kind, 0)
        else:
            self.__cuda_array_interface__ = {}


every_function = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@every_function
def test_arrays_of_the_gpu_give_arrays_of_the_gpu(rng, gpu, call):
    host = arrays(rng)
    results = call({name: FakeArray(a) for name, a in host.items()})
    for found, expected in zip(results, call(host), strict=True):
        np.testing.assert_array_equal(gpu.memory.download(found), expected)


@every_function
def test_a_gpu_that_cannot_be_used_says_why(rng, install, call):
    install(None)
    with pytest.raises(RuntimeError, match="built without CUDA"):
        call({name: FakeArray(a) for name, a in arrays(rng).items()})


@pytest.mark.parametrize("dtype", [np.float16, np.uint8, np.int64, bool])
def test_other_numbers_are_converted(gpu, dtype):
    x = np.array([0, 1, 3]).astype(dtype)
    y = fastconv.ops.leaky_relu(FakeArray(x))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(gpu.memory.download(y), x.astype(np.float32))


def test_strided_arrays_are_copied(gpu):
    x = np.arange(-6, 6, dtype=np.float32)
    y = fastconv.ops.leaky_relu(FakeArray(x[::-2]))
    np.testing.assert_array_equal(gpu.memory.download(y), fastconv.ops.leaky_relu(x[::-2]))


@pytest.mark.parametrize("protocol, function", [("interface", "asarray"), ("dlpack", "from_dlpack")])
def test_arrays_of_other_libraries_are_viewed(gpu, monkeypatch, protocol, function):
    monkeypatch.setattr(XP, function, lambda array: FakeArray(array.values), raising=False)
    y = fastconv.ops.leaky_relu(Foreign(np.float32([-1, 2]), protocol))
    np.testing.assert_array_equal(gpu.memory.download(y), np.float32([-0.3, 2]))


def test_a_dlpack_array_of_the_host_is_the_hosts(gpu):
    class OnHost(Foreign):
        def __array__(self, dtype=None, copy=None):
            return self.values

    assert isinstance(fastconv.ops.leaky_relu(OnHost(np.float32([1.0]), "dlpack", kind=1)), np.ndarray)


@pytest.mark.parametrize("value", [np.ones(3, np.float32), [1.0, 1.0, 1.0]])
@pytest.mark.parametrize("on_gpu", ["dy", "x"])
def test_arrays_of_host_and_gpu_together_are_refused(gpu, value, on_gpu):
    given = {"dy": value, "x": value, on_gpu: FakeArray(np.ones(3, np.float32))}
    other = "x" if on_gpu == "dy" else "dy"
    kind = type(value).__name__
    with pytest.raises(
        ValueError, match=rf"^{other}: expected an array in the memory of the GPU, as {on_gpu} is.*{kind}"
    ):
        fastconv.ops.leaky_relu_backward(**given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.astype(np.float64), "x: expected float32 on a GPU.*float64"),
        (lambda x: x.astype(complex), "x: expected real numbers.*complex128"),
        (lambda x: setattr(x, "device", type("", (), {"id": 1})) or x, "x: expected an array on CuPy's current device"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(gpu, change, message):
    with pytest.raises(ValueError, match=message):
        fastconv.ops.leaky_relu(change(FakeArray(np.ones(3, np.float32))))


@pytest.mark.parametrize("away", ["dy", "x"])
def test_arrays_of_two_gpus_are_refused(gpu, away):
    given = {name: FakeArray(np.ones(3, np.float32)) for name in ("dy", "x")}
    given[away].device = SimpleNamespace(id=1)
    with pytest.raises(ValueError, match=f"^{away}: expected an array on CuPy's current device"):
        fastconv.ops.leaky_relu_backward(**given)


def test_an_argument_that_is_missing_is_named(gpu):
    with pytest.raises(ValueError, match="x: expected an array in the memory of the GPU, as dy is. Received: None"):
        fastconv.ops.leaky_relu_backward(FakeArray(np.ones(3, np.float32)), None)
