"""Activations in bfloat16: numbers to bits and back, and a runner that stores what `precision.STORED` names so."""

from __future__ import annotations

from types import SimpleNamespace

import helpers
import numpy as np

from fastconv.plan.precision import STORED

UNIT = 2.0**-8  # the largest relative error of rounding to 8 significant bits


def bits(x) -> np.ndarray:
    """The nearest bfloat16, ties to even, as uint16; of finite numbers."""
    words = np.asarray(x, np.float32).view(np.uint32)
    return ((words + 0x7FFF + (words >> 16 & 1)) >> 16).astype(np.uint16)


def numbers(x: np.ndarray) -> np.ndarray:
    """What such bits stand for, as float32."""
    return (x.astype(np.uint32) << 16).view(np.float32)


def rounded(x) -> np.ndarray:
    return numbers(bits(x))


def rounded_arguments(op: str, arguments: dict) -> dict:
    """Arguments as the op's tensor cores see them: activations and weights rounded."""
    names = (*STORED[op], "w")
    return {name: rounded(a) if name in names and a is not None else a for name, a in arguments.items()}


class Runner(helpers.Runner):
    """As its base. Arguments and results are float32 here, and rounded, where the op has bfloat16."""

    def run(self, op, **arguments):
        stored = STORED.get(op, ())
        given = {name: bits(a) if name in stored and a is not None else a for name, a in arguments.items()}
        result = vars(super().run(op, **given))
        return SimpleNamespace(**{name: numbers(a) if name in stored else a for name, a in result.items()})

    def _output(self, op, name, shape):
        if name in STORED.get(op, ()):
            return self._guarded(np.full(shape, 0xFFFF, np.uint16))  # NaN
        return super()._output(op, name, shape)
