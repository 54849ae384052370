"""How far Winograd's and direct convolutions are from exact ones: the table of docs/kernels.md.

    python benchmarks/rounding.py

3x3, stride 1, "same" padding, normally distributed numbers; exact is the NumPy reference in float64. The largest error
is relative to its output's sum of absolute products; the factor is that of the root mean square errors.
"""

from __future__ import annotations

import numpy as np
from report import table

from fastconv import config, ops

SHAPES = ((32, 32, 16, 16), (32, 16, 32, 64), (32, 8, 64, 64), (8, 16, 128, 128), (8, 8, 256, 256))  # n, h = w, c, k
PASSES = {
    "fprop": lambda x, dy, w: ops.conv2d(x, w, padding="same"),
    "dgrad": lambda x, dy, w: ops.conv2d_dgrad(dy, w, x.shape, padding="same"),
    "wgrad": lambda x, dy, w: ops.conv2d_wgrad(x, dy, w.shape, padding="same"),
}


def errors(run, arrays: list[np.ndarray]) -> tuple[float, float, float]:
    """(largest relative error, direct; the same, Winograd; root mean square error of Winograd over that of direct)."""
    double = [a.astype(np.float64) for a in arrays]
    exact, magnitudes = run(*double), run(*map(np.abs, double))
    found = []
    for algorithm in ("direct", "auto"):
        config.set_conv_algorithm(algorithm)
        found.append(run(*arrays) - exact)
    largest = [float(np.max(np.abs(error) / magnitudes)) for error in found]
    direct, winograd = (np.sqrt(np.mean(error**2)) for error in found)
    return *largest, float(winograd / direct)


def main() -> None:
    rng, rows = np.random.default_rng(0), []
    for n, size, c, k in SHAPES:
        shapes = (n, size, size, c), (n, size, size, k), (3, 3, c, k)
        arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
        for name, run in PASSES.items():
            direct, winograd, factor = errors(run, arrays)
            layer = f"{c}>{k}, {n} images of {size}x{size}"
            rows.append([name, layer, f"{direct:.1e}", f"{winograd:.1e}", f"{factor:.1f}"])
    print("\n".join(table(["pass", "layer", "direct", "Winograd", "factor, rms"], rows, left=2)))
    print(f"\nInstruction set {config.isa()}.")


if __name__ == "__main__":
    main()
