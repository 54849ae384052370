"""Reads the pickles of CIFAR-10's Python version without being able to run anything.

A pickle is a program. Here it may use only the instructions that a batch needs, and no more of them than its records
explain. The functions it may name are those NumPy writes for an array; they lead to two inert classes of this file, so
no NumPy code runs. What comes out is made of dict, list, tuple, int, float, str, bytes, bool, None and `UInt8Array`.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import Any

from fastconv.datasets.errors import DataError


class UInt8Array:
    """What is left of a pickled uint8 array: its shape, its order in memory ("C" or "F") and its bytes."""

    # No __dict__, and so nothing for a pickle to set but through __setstate__.
    __slots__ = ("buffer", "order", "shape")

    def __init__(self, *_: Any) -> None:
        # NumPy pickles an empty array (`_reconstruct(ndarray, (0,), b"b")`) and gives it its contents as a state.
        self.shape, self.order, self.buffer = (0,), "C", b""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, buffer = state
        if type(dtype) is not _UInt8 or type(buffer) is not bytes:
            raise pickle.UnpicklingError("expected an array of bytes")
        if not all(type(size) is int and size >= 0 for size in shape) or math.prod(shape) != len(buffer):
            raise pickle.UnpicklingError(f"an array of shape {shape} has {len(buffer):,} bytes")
        self.shape, self.order, self.buffer = tuple(shape), "F" if is_fortran else "C", buffer


class _UInt8:
    """Stands for numpy.dtype, with uint8 as its only value."""

    __slots__ = ()

    def __init__(self, name: Any, *_: Any) -> None:
        if name not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"expected arrays of dtype 'u1' (uint8). Received: {name!r}")

    def __setstate__(self, state: Any) -> None:
        """Takes the byte order and alignment that NumPy writes, which mean nothing for single bytes."""


_ALLOWED = {
    ("numpy", "ndarray"): UInt8Array,
    ("numpy", "dtype"): _UInt8,
    ("numpy.core.multiarray", "_reconstruct"): UInt8Array,
    ("numpy._core.multiarray", "_reconstruct"): UInt8Array,
}


# What protocols 2 to 4 need for dicts, lists, numbers, strings and arrays. Left out is all that makes an object without
# naming a function (NEWOBJ, INST, OBJ, EXT*, PERSID) or asks for memory by a number alone (BYTEARRAY8).
# fmt: off
_OPCODES = {
    "PROTO", "FRAME", "STOP", "MARK", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "BINPUT", "LONG_BINPUT", "BINGET",
    "LONG_BINGET", "MEMOIZE",
    "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1",
    "TUPLE2", "TUPLE3",
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "BINSTRING", "SHORT_BINSTRING", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES",
}
# fmt: on


def _check_opcodes(raw: bytes, limit: int) -> None:
    for number, (opcode, argument, _) in enumerate(pickletools.genops(raw)):
        if opcode.name not in _OPCODES:
            raise pickle.UnpicklingError(f"refused instruction {opcode.name}, which has no place in a batch")
        if number >= limit:
            raise pickle.UnpicklingError(f"expected at most {limit:,} instructions")
        # The unpickler makes a table as long as the largest of these numbers.
        if opcode.name == "LONG_BINPUT" and argument > limit:
            raise pickle.UnpicklingError(f"expected memo numbers up to {limit:,}. Received: {argument:,}")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"refused to load {module}.{name}; the file may be malicious")
        return _ALLOWED[module, name]


def loads(raw: bytes, count: int, where: str) -> Any:
    """Returns the object in a pickle by Python 2 or 3; Python 2's strings become bytes.

    Args:
        raw: the pickle.
        count: records in the batch, which bound its instructions.
        where: the file, for error messages.

    Raises:
        DataError: the pickle makes anything but uint8 arrays and plain objects, or is damaged.
    """
    try:
        # A record takes three (its label, its file name, a memo number for the name); the rest of a batch about 50.
        _check_opcodes(raw, 16 * count + 1000)
        return _Unpickler(io.BytesIO(raw), encoding="bytes").load()
    except Exception as error:  # a malformed pickle can raise nearly any type
        raise DataError(f"{where}: not a CIFAR-10 batch pickle: {type(error).__name__}: {error}") from error
