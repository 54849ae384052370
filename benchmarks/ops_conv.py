"""The passes of one convolution: fastconv's calls, and their times beside PyTorch's, taken in turns."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fastconv.ops import get_ops

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

from timing import median_seconds  # noqa: E402  (found through the line above)

OPS = get_ops("cpu")
# and how many times the products of the forward pass each makes
PASSES = {"conv2d_fprop": 1, "conv2d_dgrad": 1, "conv2d_wgrad": 1, "conv2d_backward": 2}


def workspace(op: str, shapes, attrs) -> np.ndarray | None:
    size = OPS.workspace_bytes(op, shapes, attrs)
    return np.empty(size // 4, np.float32) if size else None


def conv2d_calls(geometry, rng) -> dict:
    """A call of each pass on arrays of its own."""
    g = geometry
    x, w, dy = (rng.random(shape, np.float32) for shape in (g.x_shape, g.w_shape, g.y_shape))
    b, db = np.zeros(g.k, np.float32), np.empty(g.k, np.float32)
    y, dx, dw = np.empty_like(dy), np.empty_like(x), np.empty_like(w)
    outputs = {"x": g.x_shape, "dx": g.x_shape}
    work = {op: workspace(op, outputs, {"geometry": g}) for op in PASSES}
    return {
        "conv2d_fprop": lambda: OPS.conv2d_fprop(g, x, w, b, y, work["conv2d_fprop"]),
        "conv2d_dgrad": lambda: OPS.conv2d_dgrad(g, dy, w, dx, work["conv2d_dgrad"]),
        "conv2d_wgrad": lambda: OPS.conv2d_wgrad(g, x, dy, dw, db, work["conv2d_wgrad"]),
        "conv2d_backward": lambda: OPS.conv2d_backward(g, x, dy, w, dx, dw, db, work["conv2d_backward"]),
    }


def measure_passes(geometry, torch, layouts, rounds: int, seconds: float, passes=tuple(PASSES)) -> dict[str, dict]:
    """Seconds of the passes in fastconv and in PyTorch (None: without it), which take turns; of the best round."""
    calls = conv2d_calls(geometry, np.random.default_rng(0))
    if torch:
        torch.ask("layer", geometry=geometry._asdict(), layouts=layouts)
    results = {}
    for op in passes:
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(median_seconds(calls[op], seconds))
            if torch:
                theirs.append(torch.ask("measure", op=op, seconds=seconds)["seconds"])
        results[op] = {"seconds": min(ours), "torch": min(theirs, default=None)}
    return results
