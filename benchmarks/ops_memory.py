"""Calls of the kernels that memory bounds, each with the bytes it moves: every array read or written, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ops_conv import OPS, workspace

from fastconv import geometry

COUNTER = (np.array([1]), np.array([2]))  # seed and step of Dropout
RATE = np.array([1e-3], np.float32)
SLOPE = 0.3
GELU = ("gelu", ())  # the one with most arithmetic


class Kernel(NamedTuple):
    op: str
    call: Callable[[], object]
    bytes: int


def normalization(shape, rng) -> list[Kernel]:
    """Batch normalization with LeakyReLU on x of this shape."""
    x, dy, y = (rng.random(shape, np.float32) for _ in range(3))
    gamma, beta, mean, rstd, dgamma, dbeta = (np.ones(shape[-1], np.float32) for _ in range(6))
    moving = (np.zeros(shape[-1], np.float32), np.ones(shape[-1], np.float32))
    sums = (dgamma, dbeta, np.empty((2, shape[-1]), np.float32))
    forward = workspace("batchnorm_forward", {"x": shape}, {})
    backward = workspace("batchnorm_backward", {"x": shape}, {})
    return [
        Kernel(
            "batchnorm_forward",
            lambda: OPS.batchnorm_forward(x, gamma, beta, y, mean, rstd, *moving, 0.99, 1e-3, SLOPE, forward),
            2 * x.nbytes,
        ),
        Kernel("batchnorm_apply", lambda: OPS.batchnorm_apply(x, gamma, beta, mean, rstd, y, SLOPE), 2 * x.nbytes),
        Kernel(
            "batchnorm_inference",
            lambda: OPS.batchnorm_inference(x, gamma, beta, *moving, y, 1e-3, SLOPE),
            2 * x.nbytes,
        ),
        Kernel(
            "batchnorm_backward",
            lambda: OPS.batchnorm_backward(dy, x, gamma, beta, mean, rstd, y, *sums, SLOPE, backward),
            3 * x.nbytes,
        ),
    ]


def activations(shape, rng) -> list[Kernel]:
    """Elementwise kernels on arrays of this shape."""
    x, dy, y, db = (rng.random(shape, np.float32) for _ in range(4))
    size, alpha = x.nbytes, np.ones(shape[-1], np.float32)
    per_channel = (1, 1, x.size // shape[-1], shape[-1])
    prelu, scratch = ("prelu", per_channel), workspace("sum_forward", {}, {"extents": per_channel})
    return [
        Kernel("leaky_relu_forward", lambda: OPS.leaky_relu_forward(x, y, SLOPE), 2 * size),
        Kernel("leaky_relu_backward", lambda: OPS.leaky_relu_backward(dy, x, y, SLOPE), 3 * size),
        Kernel("activation_forward", lambda: OPS.activation_forward(x, y, *GELU), 2 * size),
        Kernel("activation_backward", lambda: OPS.activation_backward(dy, x, y, *GELU), 3 * size),
        Kernel("dropout_forward", lambda: OPS.dropout_forward(x, *COUNTER, y, 0.5, 0), 2 * size),
        Kernel("dropout_backward", lambda: OPS.dropout_backward(dy, *COUNTER, y, 0.5, 0), 2 * size),
        Kernel("add_forward", lambda: OPS.add_forward(x, dy, y), 3 * size),
        Kernel("binary_forward", lambda: OPS.binary_forward(x, alpha, y, *prelu), 2 * size),
        Kernel("binary_backward", lambda: OPS.binary_backward(dy, x, alpha, y, db, *prelu), 4 * size),
        Kernel("sum_forward", lambda: OPS.sum_forward(x, alpha, per_channel, scratch), size),
        Kernel("copy_columns", lambda: OPS.copy_columns(x, y, per_channel[2], shape[-1], 0, 0), 2 * size),
        Kernel("first_non_finite", lambda: OPS.first_non_finite(x), size),
    ]


def pooling(shape, rng) -> list[Kernel]:
    """Pooling of images of this shape by halves, and the mean of whole images."""
    g, whole = geometry.pool2d(shape, 2), geometry.pool2d(shape, shape[1:3])
    x, dx = rng.random(shape, np.float32), np.empty(shape, np.float32)
    y, index, mean = np.empty(g.y_shape, np.float32), np.empty(g.y_shape, np.float32), np.empty(whole.y_shape, "f4")
    return [
        Kernel("maxpool2d_forward", lambda: OPS.maxpool2d_forward(g, x, y, index), x.nbytes + 2 * y.nbytes),
        Kernel("maxpool2d_backward", lambda: OPS.maxpool2d_backward(g, y, index, dx), x.nbytes + 2 * y.nbytes),
        Kernel("avgpool2d_forward", lambda: OPS.avgpool2d_forward(whole, x, mean, True), x.nbytes + mean.nbytes),
        Kernel("avgpool2d_backward", lambda: OPS.avgpool2d_backward(whole, mean, dx, True), x.nbytes + mean.nbytes),
    ]


def depthwise(shape, rng) -> list[Kernel]:
    """A depthwise 3x3 convolution of images of this shape."""
    g = geometry.depthwise_conv2d(shape, 1, 3, padding="same")
    x, dy, y = rng.random(shape, np.float32), rng.random(shape, np.float32), np.empty(shape, np.float32)
    w, b = rng.random((3, 3, g.c, 1), np.float32), np.zeros(g.c, np.float32)
    work = workspace("depthwise_conv2d_wgrad", {}, {"geometry": g})
    return [
        Kernel("depthwise_conv2d_fprop", lambda: OPS.depthwise_conv2d_fprop(g, x, w, b, y), 2 * x.nbytes),
        Kernel("depthwise_conv2d_dgrad", lambda: OPS.depthwise_conv2d_dgrad(g, dy, w, y), 2 * x.nbytes),
        Kernel("depthwise_conv2d_wgrad", lambda: OPS.depthwise_conv2d_wgrad(g, x, dy, w, work), 2 * x.nbytes),
    ]


def copies(shape, rng) -> list[Kernel]:
    """Images of this shape in another order."""
    x, y = rng.random(shape, np.float32), np.empty(shape, np.float32)
    phases = np.empty((4 * shape[0], *(-(-size // 2) for size in shape[1:3]), shape[-1]), np.float32)
    halves, none = (2, 2), (0, 0)
    return [
        Kernel("space_to_batch", lambda: OPS.space_to_batch(x, phases, halves, none), x.nbytes + phases.nbytes),
        Kernel("batch_to_space", lambda: OPS.batch_to_space(phases, y, halves, none), x.nbytes + phases.nbytes),
        Kernel("swap_axes", lambda: OPS.swap_axes(x, y, shape[0] * shape[1] * shape[2], 2), 2 * x.nbytes),
    ]


def augmentation(shape, rng) -> list[Kernel]:
    """Images of this shape, mirrored and moved by up to an eighth."""
    x, y, limits = rng.random(shape, np.float32), np.empty(shape, np.float32), (-shape[1] / 8, shape[1] / 8)
    window = ("horizontal", limits, limits, False, "reflect", 0.0, 0)
    return [Kernel("random_window", lambda: OPS.random_window(x, *COUNTER, y, *window), 2 * x.nbytes)]


def losses(shape, rng) -> list[Kernel]:
    """Softmax, losses and metrics of rows of this shape."""
    x, y, dx = (rng.random(shape, np.float32) for _ in range(3))
    labels, totals = np.eye(shape[-1], dtype=np.float32)[rng.integers(shape[-1], size=shape[0])], np.zeros(2)
    thresholds = np.linspace(0, 1, 200, dtype=np.float32)
    counts, function = np.zeros(2 * len(thresholds) + 2), "binary_crossentropy_of_logits"
    return [
        Kernel("softmax_forward", lambda: OPS.softmax_forward(x, y), 2 * x.nbytes),
        Kernel("softmax_backward", lambda: OPS.softmax_backward(x, y, dx), 3 * x.nbytes),
        Kernel("softmax_xent", lambda: OPS.softmax_xent(x, labels, totals, dx), 3 * x.nbytes),
        Kernel("categorical_crossentropy", lambda: OPS.categorical_crossentropy(x, labels, totals, dx), 3 * x.nbytes),
        Kernel("loss", lambda: OPS.loss(x, labels, totals, dx, None, function), 3 * x.nbytes),
        Kernel("categorical_accuracy", lambda: OPS.categorical_accuracy(x, labels, totals), 2 * x.nbytes),
        Kernel("confusion", lambda: OPS.confusion(x, labels, thresholds, counts), 2 * x.nbytes),
    ]


def optimizers(shape, rng) -> list[Kernel]:
    """One update of as many weights; in-place arrays are read and written."""
    w, dw, m, v = (rng.random(shape, np.float32) for _ in range(4))
    whole, size, total = np.array([[0, w.size]]), w.nbytes, np.zeros(1)
    scratch = workspace("clip_by_norm", {"dw": shape, "ranges": whole.shape}, {})
    return [
        Kernel("adam_update", lambda: OPS.adam_update(w, dw, m, v, RATE, COUNTER[1], 0.9, 0.999, 1e-7), 7 * size),
        Kernel("sgd_update", lambda: OPS.sgd_update(w, dw, m, RATE, 0.9, False), 5 * size),
        Kernel("rmsprop_update", lambda: OPS.rmsprop_update(w, dw, v, None, None, RATE, 0.9, 0.0, 1e-7), 5 * size),
        Kernel("decay_weights", lambda: OPS.decay_weights(w, whole, RATE, 0.0), 2 * size),
        Kernel("ema_update", lambda: OPS.ema_update(m, w, COUNTER[1], 0.99, 0), 3 * size),
        Kernel("clip_by_norm", lambda: OPS.clip_by_norm(dw, whole, 1e9, scratch), size),  # nothing is clipped
        Kernel("penalty", lambda: OPS.penalty(w, dw, whole, np.ones((1, 3), np.float32), total, 1, scratch), 3 * size),
        Kernel("clip_by_value", lambda: OPS.clip_by_value(dw, 0.5), 2 * size),
    ]


def cases(batch: int) -> list[tuple[Callable, tuple[int, ...]]]:
    """Maker and shape of every case: arrays of the `cnn` network in the caches, and ones that are not."""
    images = [(batch, 32, 32, 32), (batch, 8, 8, 64), (16 * batch, 32, 32, 32)]
    return [
        *((normalization, shape) for shape in (*images, (batch, 128))),
        *((activations, shape) for shape in images),
        *((make, shape) for make in (pooling, copies, depthwise) for shape in images),
        (augmentation, (batch, 32, 32, 3)),
        *((losses, (rows, 10)) for rows in (batch, 128 * batch)),
        *((optimizers, (weights,)) for weights in (592_554, 16_000_000)),
    ]
