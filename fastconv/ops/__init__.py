"""The kernels: as functions on arrays (`conv2d`, `batch_norm`, ...), and as the backends a plan binds (`get_ops`)."""

from __future__ import annotations

from fastconv.ops.backends import get_ops
from fastconv.ops.functions import (
    batch_norm,
    batch_norm_backward,
    conv2d,
    conv2d_dgrad,
    conv2d_wgrad,
    leaky_relu,
    leaky_relu_backward,
)

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "conv2d",
    "conv2d_dgrad",
    "conv2d_wgrad",
    "get_ops",
    "leaky_relu",
    "leaky_relu_backward",
]
