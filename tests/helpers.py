"""Runs one op as the contract allows and no kinder: outputs and workspace start as NaN, every array lies between guard
words and off the alignment of any vector, inputs must come back unchanged."""

from __future__ import annotations

import functools
import inspect
import math
from types import SimpleNamespace

import image_ops
import numpy as np

from fastconv.ops import get_ops

# A signalling NaN: read by mistake it spoils the result, and arithmetic that writes it back changes its bits.
CANARY = np.uint32(0xFFA5A5A5)
GUARD_WORDS = 16  # 64 bytes


class Guarded:
    """`array`: a C-contiguous array inside a larger block of canaries.

    `send` copies the block to a device and gives the array there, `fetch` copies it back.
    """

    def __init__(self, shape, dtype):
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        self._start = 4 * GUARD_WORDS + dtype.itemsize  # a multiple of the item, of no vector
        self._end = self._start + size
        block = np.full(-(-self._end // 4) + GUARD_WORDS, CANARY)
        self._canaries = block[: 2 * GUARD_WORDS].tobytes()
        self._bytes = block.view(np.uint8)
        self.array = self._bytes[self._start : self._end].view(dtype).reshape(shape)

    def damage(self) -> str:
        """Where a canary changed, or an empty string."""
        before, after = self._bytes[: self._start], self._bytes[self._end :]
        if before.tobytes() != self._canaries[: self._start]:
            return "before"
        return "after" if after.tobytes() != self._canaries[self._end % 4 :][: after.size] else ""

    def send(self, memory):
        self._sent = memory.asarray(self._bytes)
        return self._sent[self._start : self._end].view(self.array.dtype).reshape(self.array.shape)

    def fetch(self, memory):
        self._bytes[...] = memory.download(self._sent)


class Aligned(Guarded):
    """`array`: on 64 bytes, as in a plan's arena."""

    def __init__(self, shape, dtype):
        dtype = np.dtype(dtype)
        size, margin = math.prod(shape) * dtype.itemsize, 4 * GUARD_WORDS
        block = np.full((size + 3 * margin + 3) // 4, CANARY)
        self._canaries = block.tobytes()
        self._bytes = block.view(np.uint8)
        self._start = margin + -block.ctypes.data % 64
        self._end = self._start + size
        self.array = self._bytes[self._start : self._end].view(dtype).reshape(shape)


def _conv2d_fprop_shapes(arguments):
    geometry = arguments["geometry"]
    statistics = {"mean": (geometry.k,), "rstd": (geometry.k,)} if "moving_mean" in arguments else {}
    return {"y": geometry.y_shape} | statistics


def _conv2d_wgrad_shapes(arguments):
    geometry = arguments["geometry"]
    return {"dw": geometry.w_shape, "db": (geometry.k,)}


def _conv2d_backward_shapes(arguments):
    geometry = arguments["geometry"]
    c = geometry.c
    sums = {"x_dgamma": (c,), "x_dbeta": (c,), "x_coefficients": (2, c)} if "x_mean" in arguments else {}
    source = {"x_dw": arguments["x_geometry"].w_shape} if "x_geometry" in arguments else {}
    return _conv2d_wgrad_shapes(arguments) | {"dx": geometry.x_shape} | sums | source


def _batchnorm_forward_shapes(arguments):
    x = arguments["x"]
    return {"y": x.shape, "mean": x.shape[-1:], "rstd": x.shape[-1:]}


def _batchnorm_backward_shapes(arguments):
    x = arguments["x"]
    return {"dx": x.shape, "dgamma": x.shape[-1:], "dbeta": x.shape[-1:], "coefficients": (2, x.shape[-1])}


def _loss_shapes(arguments):
    return {"totals": (2,), "dx": arguments["x"].shape}


def _like(output, source):
    return lambda arguments: {output: arguments[source].shape}


# The outputs of each op and their shapes; float32 on a backend, except `totals`.
OUTPUTS = {
    "conv2d_fprop": _conv2d_fprop_shapes,
    "conv2d_dgrad": lambda arguments: {"dx": arguments["geometry"].x_shape},
    "conv2d_wgrad": _conv2d_wgrad_shapes,
    "conv2d_backward": _conv2d_backward_shapes,
    "conv2d_backward_fits": lambda arguments: {},
    "batchnorm_forward": _batchnorm_forward_shapes,
    "batchnorm_apply": _like("y", "x"),
    "batchnorm_inference": _like("y", "x"),
    "batchnorm_backward": _batchnorm_backward_shapes,
    "leaky_relu_forward": _like("y", "x"),
    "leaky_relu_backward": _like("dx", "dy"),
    "activation_forward": _like("y", "x"),
    "activation_backward": _like("dx", "dy"),
    "swap_axes": _like("y", "x"),
    "softmax_forward": _like("y", "x"),
    "softmax_backward": _like("dx", "dy"),
    "softmax_xent": _loss_shapes,
    "categorical_crossentropy": _loss_shapes,
    "loss": _loss_shapes,
    "categorical_accuracy": lambda arguments: {"totals": (2,)},
    "confusion": lambda arguments: {"totals": (2 * (arguments["thresholds"].size + 1),)},
    "dropout_forward": _like("y", "x"),
    "dropout_backward": _like("dx", "dy"),
    "first_non_finite": lambda arguments: {},
    "add_forward": _like("y", "a"),
    "binary_forward": _like("y", "a"),
    "binary_backward": lambda arguments: {"da": arguments["a"].shape, "db": arguments["a"].shape},
    "sum_forward": lambda arguments: {"y": arguments["extents"][1::2]},
    "copy_columns": lambda arguments: {},
    "adam_update": lambda arguments: {},
    "sgd_update": lambda arguments: {},
    "rmsprop_update": lambda arguments: {},
    "decay_weights": lambda arguments: {},
    "ema_update": lambda arguments: {},
    "clip_by_norm": lambda arguments: {},
    "clip_by_value": lambda arguments: {},
    "penalty": lambda arguments: {"totals": (1,)},
    **image_ops.OUTPUTS,
}

# Ops whose examples are made from the shape of images.
IMAGES = tuple(image_ops.OUTPUTS)

# Ops on rows of samples, of two axes here.
ROWS = tuple(op for op in OUTPUTS if op.startswith(("softmax", "categorical", "loss", "confusion", "swap")))

# Arguments that an op updates in place.
UPDATED = {
    "conv2d_fprop": ("moving_mean", "moving_variance"),
    "batchnorm_forward": ("moving_mean", "moving_variance"),
    "copy_columns": ("y",),
    "adam_update": ("w", "m", "v", "v_hat"),
    "sgd_update": ("w", "velocity"),
    "rmsprop_update": ("w", "velocity", "average", "momentum_buffer"),
    "decay_weights": ("w",),
    "ema_update": ("average", "w"),
    "clip_by_norm": ("dw",),
    "clip_by_value": ("dw",),
    "penalty": ("dw",),
}


@functools.cache
def _parameters(backend, op):
    return inspect.signature(getattr(backend, op)).parameters


class Runner:
    """A backend, with arrays converted to its dtype (integers keep theirs)."""

    def __init__(self, ops, dtype, name: str, allocate=Guarded):
        self.ops, self.dtype, self.name, self.allocate = ops, np.dtype(dtype), name, allocate

    def run(self, op: str, *, shared=None, workspace_bytes=None, **arguments) -> SimpleNamespace:
        """Runs `op` and returns copies of what it wrote, by argument name (and what it returned, as `returned`).

        Args:
            op: a method of `fastconv.ops.protocol.Ops`.
            shared: output name -> the input whose memory it gets, as in {"y": "x"}.
            workspace_bytes: scratch to give instead of what the op asks for.
            **arguments: the inputs. An output given as None stays None.

        Raises:
            AssertionError: if the op wrote outside its outputs or changed an input.
        """
        shared, guards = shared or {}, {}
        for name, value in arguments.items():
            if isinstance(value, np.ndarray):
                guards[name] = self._guarded(value)
        shapes = OUTPUTS[op](arguments)
        for name, shape in shapes.items():
            if name in shared:
                guards[name] = guards[shared[name]]
            elif arguments.get(name, ()) is not None:
                guards[name] = self._output(op, name, shape)
        arrays = {name: guard.array for name, guard in guards.items()}
        call = {**arguments, **{name: arrays.get(name) for name in [*shapes, *arrays]}}
        if "workspace" in _parameters(type(self.ops), op):
            if workspace_bytes is None:
                sizes = {name: array.shape for name, array in arrays.items()}
                workspace_bytes = self.ops.workspace_bytes(op, sizes, call)
            guards["workspace"] = self.allocate((workspace_bytes // 4,), np.float32)
            guards["workspace"].array.fill(np.nan)
            call["workspace"] = guards["workspace"].array if workspace_bytes else None

        memory = self.ops.memory
        away = {} if memory.on_host else {id(guard): guard for guard in guards.values()}
        sent = {key: guard.send(memory) for key, guard in away.items()}
        call |= {name: sent[id(guard)] for name, guard in guards.items() if away and call[name] is not None}
        written = {*shapes, *UPDATED.get(op, ()), "workspace"} | {shared[name] for name in shared}
        before = {name: array.copy() for name, array in arrays.items() if name not in written}
        with memory.at_work():
            returned = getattr(self.ops, op)(**call)
        for guard in away.values():
            guard.fetch(memory)

        for name, guard in guards.items():
            assert not guard.damage(), f"{op} wrote {guard.damage()} {name}"
        for name, array in before.items():
            assert array.tobytes() == arrays[name].tobytes(), f"{op} changed its input {name}"
        outputs = {name: arrays[name].copy() for name in arrays if name in written}
        return SimpleNamespace(**outputs if returned is None else outputs | {"returned": returned})

    def arrays(self, **values) -> dict:
        """Arrays as the backend takes them, for a call of an op without guards."""
        return {name: self.ops.memory.asarray(value) for name, value in values.items()}

    def _output(self, op, name, shape):
        return self._guarded(np.full(shape, np.nan), np.float64 if name == "totals" else None)

    def _guarded(self, value, dtype=None):
        if dtype is None:
            dtype = self.dtype if value.dtype.kind == "f" else value.dtype
        guard = self.allocate(value.shape, dtype)
        guard.array[...] = value
        return guard


@functools.cache
def emulated_cuda():
    """The CUDA backend on NumPy arrays, its kernels run on the host."""
    from fastconv import _emulator
    from fastconv.ops.cuda_ops import CudaOps
    from fastconv.ops.memory import HostMemory

    return CudaOps(_emulator, HostMemory())


REFERENCE = Runner(get_ops("numpy"), np.float64, "numpy")


def aligned(count=64, offset=0) -> np.ndarray:
    """Zeros in float32, the first `offset` elements after a multiple of 32 bytes."""
    block = np.zeros(count + offset + 8, np.float32)
    start = -block.ctypes.data // 4 % 8 + offset
    return block[start : start + count]


def float32(rng, *shape, scale=1.0, offset=0.0) -> np.ndarray:
    """Normal random float32 numbers."""
    return (rng.normal(size=shape) * scale + offset).astype(np.float32)


def small_integers(rng, *shape) -> np.ndarray:
    """Whole numbers 1 to 4 of either sign: sums of fewer than 2**20 products of two are exact in float32."""
    return (rng.integers(1, 5, size=shape) * rng.choice((-1, 1), size=shape)).astype(np.float32)


def conv2d_norm(rng, prefix: str, channels: int, slope: float = 0.3) -> dict:
    """The batch normalization of a convolution's input ("x") or output ("y"), as its arguments."""
    arrays = {name: float32(rng, channels) for name in ("mean", "gamma", "beta")}
    arrays["rstd"] = np.abs(float32(rng, channels)) + np.float32(0.5)
    return {f"{prefix}_{name}": array for name, array in arrays.items()} | {f"{prefix}_slope": slope}


def conv2d_source_example(rng, source, stride: int, filters: int = 5, offset: float = 0.0) -> dict:
    """Arguments of conv2d_backward for a 3x3 convolution of the normalized output of `source`, with those for x_dw.

    Args:
        rng: the numbers' source.
        source: the `shapes.Conv2DShape` of the convolution that makes x.
        stride: of the convolution that reads x.
        filters: of that convolution.
        offset: mean of the input of `source`.
    """
    before = example("conv2d_fprop", rng, source)
    before["x"] += np.float32(offset)
    x = REFERENCE.run("conv2d_fprop", **before).y
    n, h, w, c = x.shape
    shape = source._replace(h=h, w=w, c=c, k=filters, r=3, s=3, stride=(stride, stride), padding="same")
    statistics = {"x_mean": x.mean(axis=(0, 1, 2)), "x_rstd": 1 / np.sqrt(x.var(axis=(0, 1, 2)) + 1e-3)}
    arrays = {name: array.astype(np.float32) for name, array in ({"x": x} | statistics).items()}
    given = {"x_geometry": before["geometry"], "x_input": before["x"], "x_w": before["w"], "dx": None}
    return example("conv2d_backward", rng, shape) | arrays | given


def example(op: str, rng, shape) -> dict:
    """Arguments of `op` with random numbers.

    Args:
        op: a method of `fastconv.ops.protocol.Ops`.
        rng: the numbers' source.
        shape: a `shapes.Conv2DShape` for a convolution, else the shape of the op's first array.
    """
    if op.startswith("conv2d"):
        g = shape.geometry()
        if op == "conv2d_backward_fits":
            return {"geometry": g}
        sizes = {"x": g.x_shape, "w": g.w_shape, "b": (g.k,), "dy": g.y_shape}
        names = {
            "conv2d_fprop": ("x", "w", "b"),
            "conv2d_dgrad": ("dy", "w"),
            "conv2d_wgrad": ("x", "dy"),
            "conv2d_backward": ("x", "dy", "w"),
        }[op]
        arguments = {"geometry": g} | {name: float32(rng, *sizes[name]) for name in names}
        if op == "conv2d_backward":
            arguments |= conv2d_norm(rng, "x", g.c) | conv2d_norm(rng, "y", g.k)
            arguments |= {"y": float32(rng, *g.y_shape), "y_coefficients": float32(rng, 2, g.k)}
        return arguments

    def arrays(*names):
        return {name: float32(rng, *shape) for name in names}

    def positive(*names, size=shape):
        return {name: np.abs(float32(rng, *size)) for name in names}

    if op in IMAGES:
        return image_ops.example(op, rng, shape, float32)
    channels, rate, step = shape[-1:], np.array([0.01], np.float32), np.array([3])
    size = math.prod(shape)
    ranges = np.array([[0, shape[0] // 3], [shape[0] // 3, shape[0] // 2], [shape[0] // 2 + 1, shape[0]]])
    scale, moving = positive("gamma", "beta", size=channels), ("moving_mean", "moving_variance")
    counter = {"seed": np.array([1]), "step": np.array([2]), "rate": 0.3, "stream": 0}
    labels = rng.integers(channels[0], size=shape[:-1]).astype(np.int32)
    weights = positive("sample_weight", size=shape[:1])
    return {
        "batchnorm_forward": lambda: (
            arrays("x") | scale | positive(*moving, size=channels) | {"momentum": 0.99, "epsilon": 1e-3, "slope": 0.3}
        ),
        "batchnorm_apply": lambda: arrays("x") | scale | positive("mean", "rstd", size=channels) | {"slope": 0.3},
        "batchnorm_inference": lambda: (
            arrays("x") | scale | positive(*moving, size=channels) | {"epsilon": 1e-3, "slope": 0.3}
        ),
        "batchnorm_backward": lambda: (
            arrays("dy", "x") | scale | positive("mean", "rstd", size=channels) | {"slope": 0.3}
        ),
        "leaky_relu_forward": lambda: arrays("x") | {"slope": 0.3},
        "leaky_relu_backward": lambda: arrays("dy", "x") | {"slope": 0.3},
        "activation_forward": lambda: arrays("x") | {"function": "elu", "parameters": (1.0,)},
        "activation_backward": lambda: arrays("dy", "x") | {"function": "elu", "parameters": (1.0,)},
        "swap_axes": lambda: arrays("x") | {"rows": shape[0], "columns": math.prod(shape[1:-1])},
        "softmax_forward": lambda: arrays("x"),
        "softmax_backward": lambda: arrays("dy", "y"),
        "softmax_xent": lambda: arrays("x") | {"labels": labels},
        "categorical_crossentropy": lambda: positive("x") | {"labels": labels},
        "loss": lambda: arrays("x") | positive("target") | weights | {"function": "binary_crossentropy_of_logits"},
        "categorical_accuracy": lambda: arrays("x") | {"labels": labels, "k": 2} | weights,
        "confusion": lambda: arrays("x", "target") | {"thresholds": np.linspace(-1, 1, 7, dtype=np.float32)} | weights,
        "dropout_forward": lambda: arrays("x") | counter,
        "dropout_backward": lambda: arrays("dy") | counter,
        "first_non_finite": lambda: arrays("x"),
        "add_forward": lambda: arrays("a", "b"),
        "binary_forward": lambda: arrays("a", "b") | {"function": "multiply", "extents": (1, 1, 1, size)},
        "binary_backward": lambda: arrays("dy", "a", "b") | {"function": "multiply", "extents": (1, 1, 1, size)},
        "sum_forward": lambda: arrays("x") | {"extents": (1, 1, size, 1)},
        "copy_columns": lambda: arrays("x", "y") | {"rows": 1, "columns": size, "x_at": 0, "y_at": 0},
        "adam_update": lambda: (
            positive("w", "dw", "m", "v", "v_hat")
            | {"learning_rate": rate, "step": step, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
        ),
        "sgd_update": lambda: (
            arrays("w", "dw", "velocity") | {"learning_rate": rate, "momentum": 0.9, "nesterov": True}
        ),
        "rmsprop_update": lambda: (
            arrays("w", "dw", "average", "momentum_buffer")
            | {"velocity": 20 * np.ones(shape, np.float32)}  # above the average's square
            | {"learning_rate": rate, "rho": 0.9, "momentum": 0.9, "epsilon": 1e-7}
        ),
        "decay_weights": lambda: arrays("w") | {"ranges": ranges, "learning_rate": rate, "rate": 0.1},
        "ema_update": lambda: arrays("average", "w") | {"step": step, "momentum": 0.9, "overwrite_every": 3},
        "clip_by_norm": lambda: arrays("dw") | {"ranges": ranges, "norm": 1.0},
        "clip_by_value": lambda: arrays("dw") | {"limit": 0.5},
        "penalty": lambda: arrays("w", "dw") | {"ranges": ranges, "rates": np.ones((3, 3), np.float32), "samples": 4},
    }[op]()
