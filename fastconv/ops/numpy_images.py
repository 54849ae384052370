"""The reference of the ops that move pixels at random, and their generator."""

from __future__ import annotations

import numpy as np


def philox_uniform(seed: int, stream: int, step: int, count: int) -> np.ndarray:
    """`count` float32 numbers in [0, 1) from Philox4x32-10.

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".

    Key = the 64 bits of `seed`; counter = (block low, block high, step low, stream), block = index // 4. The number is
    the top 24 bits of each 32-bit word.
    """
    block = np.arange(-(-count // 4), dtype=np.uint64)
    mask, low = np.uint64(0xFFFFFFFF), np.uint64(32)
    counter = [block & mask, block >> low, np.full_like(block, step & 0xFFFFFFFF), np.full_like(block, stream)]
    key = [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * counter[0], np.uint64(0xCD9E8D57) * counter[2]
        counter = [
            (b >> low) ^ counter[1] ^ np.uint64(key[0]),
            b & mask,
            (a >> low) ^ counter[3] ^ np.uint64(key[1]),
            a & mask,
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    words = np.stack(counter, axis=1).reshape(-1)[:count]
    return (words >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)


def _starts(random, limits, whole):
    """Where the windows begin, in whole pixels and the share of the next one."""
    low, span = float(np.float32(limits[0])), float(np.float32(limits[1] - limits[0]))
    at = low + random.astype(np.float64) * span
    start = np.floor(at)
    return start.astype(np.int64), np.zeros_like(at) if whole else np.float32(at - start)


def _continued(index, size, fill_mode):
    """The index of the pixel that one beyond the image shows; -1 for the fill value."""
    if fill_mode == "constant":
        return np.where((index >= 0) & (index < size), index, -1)
    if fill_mode == "nearest":
        return index.clip(0, size - 1)
    if fill_mode == "wrap":
        return index % size
    return np.minimum(index % (2 * size), -(index + 1) % (2 * size))


def _between(a, b, share):
    """Rounded once, in the dtype of a."""
    share = np.float32(share)
    mixed = np.float64(np.float32(1) - share) * a.astype(np.float64) + np.float64(share) * b.astype(np.float64)
    return a if share == 0 else mixed.astype(a.dtype)


class NumpyImages:
    """The methods of `fastconv.ops.numpy_ops.NumpyOps` that move pixels."""

    def random_window(self, x, seed, step, y, flip, rows, columns, whole, fill_mode, fill_value, stream):
        random = philox_uniform(int(seed[0]), stream, int(step[0]), 4 * len(x)).reshape(-1, 4)
        flips = random[:, 0] <= 0.5
        row_starts, row_shares = _starts(random[:, 1], rows, whole)
        column_starts, column_shares = _starts(random[:, 2], columns, whole)
        height, width = y.shape[1:3]
        for n, image in enumerate(x):
            i, j = np.arange(height), np.arange(width)
            if flips[n] and flip in ("vertical", "horizontal_and_vertical"):
                i = i[::-1]
            if flips[n] and flip in ("horizontal", "horizontal_and_vertical"):
                j = j[::-1]

            def pixels(below, right, image=image, i=i + row_starts[n], j=j + column_starts[n]):
                r = _continued(i + below, image.shape[0], fill_mode)[:, None]
                c = _continued(j + right, image.shape[1], fill_mode)
                inside = (r >= 0) & (c >= 0)
                return np.where(inside[..., None], image[r, c], np.asarray(fill_value, image.dtype))

            above = _between(pixels(0, 0), pixels(0, 1), column_shares[n])
            below = _between(pixels(1, 0), pixels(1, 1), column_shares[n])
            y[n] = _between(above, below, row_shares[n])
