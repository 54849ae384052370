"""The weights of a model in two flat arrays (trainable, and the rest), so that an optimizer step is one call."""

from __future__ import annotations

import math

import numpy as np

from fastconv.ops.memory import HOST

# Bytes between the starts of weights are a multiple of this in every memory, so that optimizer slots fit any device.
_ALIGNMENT = HOST.alignment


class ParameterStore:
    """Moves the values of `weights` into flat arrays of `memory` and makes each weight a view of its place there.

    Those that are `frozen` are with those that do not learn by their nature, such as moving statistics.

    A dtype other than float32 (the tests of the reference) leaves the weights themselves where they were.
    """

    made = 0  # stores so far: while it stands still, every store holds what it held

    def __init__(self, weights, dtype=np.float32, memory=HOST, frozen=frozenset()):
        ParameterStore.made += 1
        self.weights = list(weights)
        self.dtype, self._memory = np.dtype(dtype), memory
        self._offsets = {}
        self.learning = [w for w in self.weights if w.trainable and w not in frozen]
        self.trainable, trainable_views = self._gather(self.learning)
        self.state, state_views = self._gather([w for w in self.weights if not w.trainable or w in frozen])
        self.views = {**trainable_views, **state_views}
        # zero also between the weights, where no kernel writes and the optimizer reads
        self.gradient = memory.zeros(self.trainable.size, self.dtype)
        if self.dtype == np.float32:
            for weight, view in self.views.items():
                weight.move(view, memory)

    def _gather(self, weights):
        lane = _ALIGNMENT // self.dtype.itemsize
        total = 0
        for weight in weights:
            self._offsets[weight] = total
            total += -(-math.prod(weight.shape) // lane) * lane
        flat = self._memory.zeros(total, self.dtype)
        views = {w: self._slice(flat, w) for w in weights}
        for weight, view in views.items():
            self._memory.upload(view, weight.array)
        return flat, views

    def _slice(self, flat, weight):
        offset = self._offsets[weight]
        return flat[offset : offset + math.prod(weight.shape)].reshape(weight.shape)

    def gradient_of(self, weight):
        """The view of the flat gradient that belongs to `weight`."""
        return self._slice(self.gradient, weight)

    @property
    def places(self) -> list[tuple]:
        """(weight, begin, end) of each weight in the flat array of those that learn, in order."""
        return [(w, self._offsets[w], self._offsets[w] + math.prod(w.shape)) for w in self.learning]

    def split(self, flat: np.ndarray) -> list[np.ndarray]:
        """The parts of a flat array like `trainable`, one for each weight that learns, in its shape."""
        return [self._slice(flat, w) for w in self.learning]

    def joined(self, arrays) -> np.ndarray:
        """A flat array of the host with these parts, the inverse of `split`."""
        flat = np.zeros(self.trainable.size, self.dtype)
        for part, array in zip(self.split(flat), arrays, strict=True):
            part[...] = array
        return flat

    def holds(self, weights) -> bool:
        """Whether these are still the weights and they still live here (another model may have gathered them since)."""
        weights = list(weights)
        return len(weights) == len(self.weights) and all(
            a is b and (self.dtype != np.float32 or a.storage is self.views[a])
            for a, b in zip(weights, self.weights, strict=True)
        )
