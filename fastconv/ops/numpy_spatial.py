"""The reference of what takes windows of images beside convolutions, and the windows that these take too."""

from __future__ import annotations

import numpy as np


def windows(geometry, padded, r, s):
    """The (N, P, Q, C) view of the padded image that filter tap (r, s) reads."""
    rows = slice(r, r + (geometry.p - 1) * geometry.stride_h + 1, geometry.stride_h)
    columns = slice(s, s + (geometry.q - 1) * geometry.stride_w + 1, geometry.stride_w)
    return padded[:, rows, columns]


def padded_images(geometry, dtype):
    """Zeros for an image with all its padding, and the slice where the image lies."""
    g = geometry
    height = max((g.p - 1) * g.stride_h + g.r, g.pad_top + g.h)
    width = max((g.q - 1) * g.stride_w + g.s, g.pad_left + g.w)
    inside = (slice(None), slice(g.pad_top, g.pad_top + g.h), slice(g.pad_left, g.pad_left + g.w))
    return np.zeros((g.n, height, width, g.c), dtype), inside


def taps(geometry):
    return ((r, s) for r in range(geometry.r) for s in range(geometry.s))


def _is_inside(geometry):
    """1 where the padded image is an image."""
    padded, inside = padded_images(geometry, np.int64)
    padded[inside] = 1
    return padded


def _phases(images, batch, dilation, padding):
    """The place of each pixel of the batch that is one of an image, and its place there."""
    n, height, width, _ = images.shape
    for at, line, column in np.ndindex(batch.shape[:3]):
        phase, image = divmod(at, n)
        h = line * dilation[0] + phase // dilation[1] - padding[0]
        w = column * dilation[1] + phase % dilation[1] - padding[1]
        if 0 <= h < height and 0 <= w < width:
            yield (at, line, column), (image, h, w)


class NumpySpatial:
    """The methods of `fastconv.ops.numpy_ops.NumpyOps` that take windows of images."""

    def maxpool2d_forward(self, geometry, x, y, index):
        padded, inside = padded_images(geometry, x.dtype)
        padded[inside] = x
        is_inside = _is_inside(geometry)
        best, tap = np.full(y.shape, -np.inf, x.dtype), np.full(y.shape, -1)
        for r, s in taps(geometry):
            value = windows(geometry, padded, r, s)
            above = (tap < 0) | (value > best) | (np.isnan(value) & ~np.isnan(best))
            above &= windows(geometry, is_inside, r, s) > 0
            best, tap = np.where(above, value, best), np.where(above, r * geometry.s + s, tap)
        y[...] = best
        if index is not None:
            index[...] = tap

    def maxpool2d_backward(self, geometry, dy, index, dx):
        padded, inside = padded_images(geometry, dy.dtype)
        for r, s in taps(geometry):
            windows(geometry, padded, r, s)[...] += np.where(index == r * geometry.s + s, dy, 0)
        dx[...] = padded[inside]

    def avgpool2d_forward(self, geometry, x, y, mean):
        padded, inside = padded_images(geometry, x.dtype)
        padded[inside] = x
        total = sum(windows(geometry, padded, r, s) for r, s in taps(geometry))
        y[...] = total / self._pixels(geometry) if mean else total

    def avgpool2d_backward(self, geometry, dy, dx, mean):
        padded, inside = padded_images(geometry, dy.dtype)
        share = dy / self._pixels(geometry) if mean else dy
        for r, s in taps(geometry):
            windows(geometry, padded, r, s)[...] += share
        dx[...] = padded[inside]

    @staticmethod
    def _pixels(geometry):
        """How many pixels of each window lie inside the image."""
        is_inside = _is_inside(geometry)
        return sum(windows(geometry, is_inside, r, s) for r, s in taps(geometry))

    def depthwise_conv2d_fprop(self, geometry, x, w, b, y):
        padded, inside = padded_images(geometry, x.dtype)
        padded[inside] = x
        out = y.reshape(*geometry.y_shape[:3], geometry.c, -1)
        out[...] = 0 if b is None else b.reshape(geometry.c, -1)
        for r, s in taps(geometry):
            out += windows(geometry, padded, r, s)[..., None] * w[r, s]

    def depthwise_conv2d_dgrad(self, geometry, dy, w, dx):
        padded, inside = padded_images(geometry, dy.dtype)
        dy = dy.reshape(*geometry.y_shape[:3], geometry.c, -1)
        for r, s in taps(geometry):
            windows(geometry, padded, r, s)[...] += (dy * w[r, s]).sum(axis=-1)
        dx[...] = padded[inside]

    def depthwise_conv2d_wgrad(self, geometry, x, dy, dw, workspace):
        padded, inside = padded_images(geometry, x.dtype)
        padded[inside] = x
        dy = dy.reshape(*geometry.y_shape[:3], geometry.c, -1)
        for r, s in taps(geometry):
            dw[r, s] = (windows(geometry, padded, r, s)[..., None] * dy).sum(axis=(0, 1, 2))

    def space_to_batch(self, x, y, dilation, padding):
        y[...] = 0
        for to, source in _phases(x, y, dilation, padding):
            y[to] = x[source]

    def batch_to_space(self, x, y, dilation, padding):
        y[...] = 0
        for source, to in _phases(y, x, dilation, padding):
            y[to] = x[source]

    def swap_axes(self, x, y, rows, columns):
        y.reshape(columns, rows, -1)[...] = x.reshape(rows, columns, -1).swapaxes(0, 1)
