"""The weights of a model in two flat arrays (trainable, and the rest), so that an optimizer step is one call."""

from __future__ import annotations

import math

import numpy as np

from fastconv.plan.arena import ALIGNMENT, aligned_empty


class ParameterStore:
    """Moves the values of `weights` into flat arrays and makes each weight a view of its place there.

    A dtype other than float32 (the tests of the reference) leaves the weights themselves where they were.
    """

    made = 0  # stores so far: while it stands still, every store holds what it held

    def __init__(self, weights, dtype=np.float32):
        ParameterStore.made += 1
        self.weights = list(weights)
        self.dtype = np.dtype(dtype)
        self.trainable, trainable_views = self._gather([w for w in self.weights if w.trainable])
        self.state, state_views = self._gather([w for w in self.weights if not w.trainable])
        self.views = {**trainable_views, **state_views}
        self.gradient = aligned_empty(self.trainable.size, self.dtype)
        self.gradient[:] = 0  # also between the weights, where no kernel writes and the optimizer reads
        if self.dtype == np.float32:
            for weight, view in self.views.items():
                weight.array = view

    def _gather(self, weights):
        lane = ALIGNMENT // self.dtype.itemsize
        offsets, total = {}, 0
        for weight in weights:
            offsets[weight] = total
            total += -(-math.prod(weight.shape) // lane) * lane
        flat = aligned_empty(total, self.dtype)
        flat[:] = 0
        views = {w: self._slice(flat, offset, w.shape) for w, offset in offsets.items()}
        for weight, view in views.items():
            view[...] = weight.array
        return flat, views

    @staticmethod
    def _slice(flat, offset, shape):
        return flat[offset : offset + math.prod(shape)].reshape(shape)

    def gradient_of(self, weight) -> np.ndarray:
        """The view of the flat gradient that belongs to `weight`."""
        offset = (self.views[weight].ctypes.data - self.trainable.ctypes.data) // self.dtype.itemsize
        return self._slice(self.gradient, offset, weight.shape)

    def holds(self, weights) -> bool:
        """Whether these are still the weights and they still live here (another model may have gathered them since)."""
        weights = list(weights)
        return len(weights) == len(self.weights) and all(
            a is b and (self.dtype != np.float32 or a.array is self.views[a])
            for a, b in zip(weights, self.weights, strict=True)
        )
