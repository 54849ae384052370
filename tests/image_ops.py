"""The ops on images beside convolutions: what they write, and examples of their arguments, for `helpers`."""

from __future__ import annotations

import numpy as np

from fastconv import geometry


def _grouped(output: str, source: str, shape: str):
    return lambda arguments: {output: (len(arguments[source]), *getattr(arguments["geometry"], shape))}


def _grouped_wgrad_shapes(arguments):
    g, groups = arguments["geometry"], len(arguments["x"])
    return {"dw": (groups, *g.w_shape), "db": (groups * g.k,)}


def _phases_shape(arguments):
    """With as many zeros after the image as before it, and what the last phase lacks."""
    n, h, w, c = arguments["x"].shape
    (down, across), (top, left) = arguments["dilation"], arguments["padding"]
    return {"y": (n * down * across, -(-(h + 2 * top) // down), -(-(w + 2 * left) // across), c)}


def _images_shape(arguments):
    n, h, w, c = arguments["x"].shape
    (down, across), (top, left) = arguments["dilation"], arguments["padding"]
    return {"y": (n // (down * across), h * down - 2 * top, w * across - 2 * left, c)}


def depthwise_kernel_shape(g):
    return g.r, g.s, g.c, g.k // g.c


# The outputs of each op and their shapes, as in `helpers.OUTPUTS`.
OUTPUTS = {
    "maxpool2d_forward": lambda arguments: dict.fromkeys(("y", "index"), arguments["geometry"].y_shape),
    "maxpool2d_backward": lambda arguments: {"dx": arguments["geometry"].x_shape},
    "avgpool2d_forward": lambda arguments: {"y": arguments["geometry"].y_shape},
    "avgpool2d_backward": lambda arguments: {"dx": arguments["geometry"].x_shape},
    "depthwise_conv2d_fprop": lambda arguments: {"y": arguments["geometry"].y_shape},
    "depthwise_conv2d_dgrad": lambda arguments: {"dx": arguments["geometry"].x_shape},
    "depthwise_conv2d_wgrad": lambda arguments: {"dw": depthwise_kernel_shape(arguments["geometry"])},
    "grouped_conv2d_fprop": _grouped("y", "x", "y_shape"),
    "grouped_conv2d_dgrad": _grouped("dx", "dy", "x_shape"),
    "grouped_conv2d_wgrad": _grouped_wgrad_shapes,
    "space_to_batch": _phases_shape,
    "batch_to_space": _images_shape,
    "random_window": lambda arguments: {"y": arguments.get("y", arguments["x"]).shape},
}

_PASSES = {"fprop": ("x", "w", "b"), "dgrad": ("dy", "w"), "wgrad": ("x", "dy")}


def depthwise_example(op: str, rng, g, draw) -> dict:
    """Arguments of a pass, as `depthwise_conv2d_fprop`, with numbers from draw(rng, *shape)."""
    sizes = {"x": g.x_shape, "w": depthwise_kernel_shape(g), "b": (g.k,), "dy": g.y_shape}
    return {"geometry": g} | {name: draw(rng, *sizes[name]) for name in _PASSES[op.rpartition("_")[2]]}


def grouped_example(op: str, rng, g, draw) -> dict:
    """Arguments of a pass, as `grouped_conv2d_fprop`, of two groups of this geometry."""
    sizes = {"x": (2, *g.x_shape), "w": (2, *g.w_shape), "b": (2 * g.k,), "dy": (2, *g.y_shape)}
    return {"geometry": g} | {name: draw(rng, *sizes[name]) for name in _PASSES[op.rpartition("_")[2]]}


def example(op: str, rng, shape, draw) -> dict:
    """Arguments of one of `OUTPUTS` for images of this shape."""
    if op.startswith("depthwise"):
        return depthwise_example(op, rng, geometry.depthwise_conv2d(shape, 2, 3, 2, "same"), draw)
    if op.startswith("grouped"):
        return grouped_example(op, rng, geometry.conv2d(shape, 4, 3, padding="same"), draw)
    if op == "random_window":
        counters = {"seed": np.array([1]), "step": np.array([2]), "stream": 0}
        window = {"flip": "horizontal", "rows": (-2.0, 2.0), "columns": (-1.0, 3.0), "whole": False}
        return {"x": draw(rng, *shape)} | counters | window | {"fill_mode": "reflect", "fill_value": 0.0}
    pool = geometry.pool2d(shape, 3, 2, "same")
    phases, dilation = (6 * shape[0], *shape[1:]), {"dilation": (2, 3), "padding": (0, 1)}
    return {
        "maxpool2d_forward": lambda: {"geometry": pool, "x": draw(rng, *shape)},
        "maxpool2d_backward": lambda: {
            "geometry": pool,
            "dy": draw(rng, *pool.y_shape),
            "index": rng.integers(9, size=pool.y_shape).astype(np.float32),
        },
        "avgpool2d_forward": lambda: {"geometry": pool, "x": draw(rng, *shape), "mean": True},
        "avgpool2d_backward": lambda: {"geometry": pool, "dy": draw(rng, *pool.y_shape), "mean": True},
        "space_to_batch": lambda: {"x": draw(rng, *shape), **dilation},
        "batch_to_space": lambda: {"x": draw(rng, *phases), **dilation},
    }[op]()
