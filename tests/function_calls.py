"""A call of each public function, for the tests of what they take and return."""

from __future__ import annotations

import numpy as np

import fastconv.ops

X_SHAPE, KERNEL_SHAPE, Y_SHAPE = (2, 7, 6, 3), (3, 2, 3, 4), (2, 4, 3, 4)  # strides 2, "same"
CONV = {"strides": 2, "padding": "same"}


def arrays(rng, dtype=np.float32):
    """Whole numbers, which every dtype holds and every sum keeps exactly."""
    shapes = {"x": X_SHAPE, "kernel": KERNEL_SHAPE, "bias": (4,), "dy": Y_SHAPE, "gamma": (3,), "beta": (3,)}
    return {name: rng.integers(1, 5, size=shape).astype(dtype) for name, shape in shapes.items()}


# Each function as call(arrays) -> tuple of results.
CALLS = {
    "conv2d": lambda a: (fastconv.ops.conv2d(a["x"], a["kernel"], a["bias"], **CONV),),
    "conv2d_dgrad": lambda a: (fastconv.ops.conv2d_dgrad(a["dy"], a["kernel"], X_SHAPE, **CONV),),
    "conv2d_wgrad": lambda a: (fastconv.ops.conv2d_wgrad(a["x"], a["dy"], KERNEL_SHAPE, **CONV),),
    "batch_norm": lambda a: fastconv.ops.batch_norm(a["x"], a["gamma"], a["beta"]),
    "batch_norm_backward": lambda a: fastconv.ops.batch_norm_backward(
        a["x"], a["x"], a["gamma"], a["beta"], a["gamma"]
    ),
    "leaky_relu": lambda a: (fastconv.ops.leaky_relu(a["x"]),),
    "leaky_relu_backward": lambda a: (fastconv.ops.leaky_relu_backward(a["x"], a["x"]),),
}
