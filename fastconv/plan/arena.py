"""One block of memory for all buffers of a plan that live only within a step.

Greedy by size (Pisarchyk and Lee 2020, arXiv:2001.03288): the largest buffer first, each at the lowest offset that no
buffer alive at the same time holds.
"""

from __future__ import annotations

import math

import numpy as np

from fastconv.ops.memory import HOST
from fastconv.plan.graph import Buffer, Step

_IN_ARENA = ("activation", "input")


class Layout:
    """Offsets in bytes of the buffers of `steps`, and the size of the block.

    Attributes:
        offsets: where each buffer begins.
        sizes: bytes of each, up to where another may begin.
        lives: numbers of the first and the last step that touch each; -1 is before all steps.
        size_bytes: of the block.
        unshared_bytes: what it would take without reuse.

    Args:
        steps: the calls in order.
        inputs: buffers that are filled before the first step.
        outputs: buffers that are read after the last one.
        itemsize: bytes per element of a buffer.
        alignment: offsets are multiples of it, in bytes.
    """

    def __init__(
        self, steps: list[Step], inputs: list[Buffer], outputs: list[Buffer], itemsize, alignment=HOST.alignment
    ):
        self.offsets: dict[Buffer, int] = {}
        lives = self.lives = self._lives(steps, inputs, outputs)
        sizes = self.sizes = {b: -(-math.prod(b.shape) * itemsize(b) // alignment) * alignment for b in lives}
        self.unshared_bytes = sum(sizes.values())
        for buffer in sorted(lives, key=lambda b: (-sizes[b], lives[b])):
            first, last = lives[buffer]
            neighbours = (o for o in self.offsets if lives[o][0] <= last and first <= lives[o][1])
            offset = 0
            for begin, end in sorted((self.offsets[o], self.offsets[o] + sizes[o]) for o in neighbours):
                if offset + sizes[buffer] <= begin:
                    break
                offset = max(offset, end)
            self.offsets[buffer] = offset
        self.size_bytes = max((self.offsets[b] + sizes[b] for b in self.offsets), default=0)

    @staticmethod
    def _lives(steps, inputs, outputs) -> dict[Buffer, tuple[int, int]]:
        """First and last step that touches each buffer of the arena."""
        lives = {b.root: (-1, -1) for b in inputs}
        for i, step in enumerate(steps):
            for buffer in (b.root for b in step.buffers()):
                if buffer.kind in _IN_ARENA:
                    lives[buffer] = (lives.get(buffer, (i, i))[0], i)
        for buffer in outputs:
            lives[buffer.root] = (lives[buffer.root][0], len(steps))
        return lives


class Arena:
    """The block itself, shared by all plans of a model: it grows to the largest and nothing in it outlives a step."""

    def __init__(self, memory=HOST):
        self._memory = memory
        self._block = memory.empty(0, np.uint8)

    @property
    def size_bytes(self) -> int:
        return self._block.size

    def reserve(self, size_bytes: int) -> None:
        """Replaces the block by one of `size_bytes`; plans bound to the old one are to be bound again.

        Raises:
            MemoryError: naming the size.
        """
        self._block = self._memory.empty(0, np.uint8)
        try:
            self._block = self._memory.empty(size_bytes, np.uint8)
        except MemoryError:
            raise MemoryError(
                f"this batch size needs {size_bytes / 2**30:.1f} GiB for activations, which this machine could not "
                "give. Use a smaller batch_size."
            ) from None

    def view(self, offset: int, shape, dtype):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        return self._block[offset : offset + size].view(dtype).reshape(shape)

    def fill_with_nan(self) -> None:
        """Every float in it becomes NaN: a step that reads what none wrote is found (used by tests)."""
        self._block.fill(0xFF)
