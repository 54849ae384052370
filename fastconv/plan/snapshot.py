"""A copy of all that training changes, to go back to."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.plan.executor import Executor


class Snapshot:
    """Weights, moving statistics and the state of training of an executor, copied in the memory where they live.

    `take()` copies them, also over what was taken before; `restore()` brings them back as they were.
    """

    def __init__(self, executor: Executor):
        self._executor, self._memory = executor, executor.memory
        self._copies: dict[str, Any] = {}
        self._iterations = 0

    def take(self) -> None:
        """Raises MemoryError if there is not as much."""
        for name, array in self._executor.arrays.items():
            if name not in self._copies:
                self._copies[name] = self._memory.empty(array.size, array.dtype)
            self._memory.copy(self._copies[name], array)
        self._iterations = self._executor.iterations

    def restore(self) -> None:
        for name, array in self._executor.arrays.items():
            if name in self._copies:
                self._memory.copy(array, self._copies[name])
            else:
                self._memory.upload(array, 0)  # a slot of the optimizer that was not there before the first step
        self._executor.went_back(self._iterations)

    def weights(self) -> dict[str, np.ndarray]:
        """Those that learn, by their paths, as they were taken."""
        store = self._executor.store
        parts = store.split(self._memory.download(self._copies["w"]))
        return {weight.path: part for weight, part in zip(store.learning, parts, strict=True)}
