"""The package's one random generator: initial weights, the order of samples, the seeds of dropout."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

_generator: np.random.Generator | None = None


def generator() -> np.random.Generator:
    """The generator in use; seeded by the operating system until `set_seed`."""
    global _generator
    if _generator is None:
        _generator = np.random.default_rng()
    return _generator


def set_seed(seed: int) -> None:
    """Starts the generator anew from `seed`."""
    global _generator
    _generator = np.random.default_rng(seed)


def keyed(seed: int) -> np.random.Generator:
    """A generator of its own: counter-based, Philox4x64-10 with `seed` as its key."""
    return np.random.Generator(np.random.Philox(key=seed))


def get_state() -> dict[str, Any]:
    """The states of all generators that `utils.set_random_seed` seeds, as dicts and lists of numbers and arrays."""
    version, words, gauss = random.getstate()
    return {
        "fastconv": generator().bit_generator.state,
        "numpy": np.random.get_state(legacy=False),
        "python": [version, np.array(words, np.int64), gauss],
    }


def set_state(state: dict[str, Any]) -> None:
    """Goes on from `get_state`."""
    generator().bit_generator.state = state["fastconv"]
    np.random.set_state(state["numpy"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
