"""Checks of settings: each returns the value, or raises ValueError that names the argument, what was expected and what
was received."""

from __future__ import annotations

import math
import numbers
import os
import sys
from typing import Any

import numpy as np

_LARGEST = sys.float_info.max


def refused(name: str, expected: str, value: Any) -> ValueError:
    return ValueError(f"{name}: expected {expected}. Received: {name}={value!r}")


def flag(value: Any, name: str) -> bool:
    """True or False, of Python or NumPy, or 1 or 0. A string is none of them: bool("False") would be True.

    >>> flag(np.bool_(False), "use_bias")
    False
    """
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, numbers.Integral) and value in (0, 1)):
        return bool(value)
    raise refused(name, "True or False", value)


def number(value: Any, name: str, lowest: float = -_LARGEST, highest: float = _LARGEST) -> float:
    """A real number in [lowest, highest], finite unless they are not."""
    if _is_real(value) and lowest <= value <= highest:
        return float(value) if abs(value) <= _LARGEST else math.copysign(math.inf, value > 0 or -1)
    if lowest >= 0 and highest < _LARGEST:
        raise refused(name, f"a number in [{lowest}, {highest}]", value)
    kind = "a number" if highest == math.inf else "a finite number"
    raise refused(name, f"{kind} >= {lowest}" if lowest >= 0 else kind, value)


def fraction(value: Any, name: str) -> float:
    """A number in [0, 1)."""
    if _is_real(value) and 0 <= value < 1:
        return float(value)
    raise refused(name, "a number in [0, 1)", value)


def positive(value: Any, name: str) -> float:
    """A finite number above 0."""
    if _is_real(value) and 0 < value <= _LARGEST:
        return float(value)
    raise refused(name, "a positive number", value)


def text(value: Any, name: str) -> str:
    """A string that is not empty."""
    if isinstance(value, str) and value:
        return value
    raise refused(name, "a string", value)


def path(value: Any, name: str) -> str:
    """A path as a string."""
    result = value if isinstance(value, str) else os.fspath(value) if isinstance(value, os.PathLike) else None
    if isinstance(result, str) and result:
        return result
    raise refused(name, "a path", value)


def verbosity(value: Any) -> int:
    """A callback's `verbose`: False or 0 for silence, True, 1 or 2."""
    if isinstance(value, (numbers.Integral, np.bool_)) and value in (0, 1, 2):
        return int(value)
    raise refused("verbose", "0, 1 or 2", value)


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
