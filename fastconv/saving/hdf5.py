"""Reads the arrays of an HDF5 file of the kind that Keras writes, without the HDF5 library.

A weights file comes from strangers. The HDF5 library is C code that follows links to other files, runs filters and has
a long list of defects found by mutated files; Keras had to refuse external datasets and links one by one
(CVE-2026-0897, CVE-2026-1669). Keras' files need none of it: groups and contiguous arrays of numbers. This module reads
these and refuses all else by name. Every address is checked against the size of the file, every structure is visited
once, and no array is larger than what the file really holds of it.

Source: HDF5 File Format Specification Version 3.0 (The HDF Group), sections II.A (superblock 0), III.A (version 1
B-trees, symbol tables, local heaps), IV.A (object headers and their messages). Writing is h5py's business.
"""

from __future__ import annotations

import math
import struct

import numpy as np

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_UNDEFINED = (1 << 64) - 1
_MAX_OBJECTS = 100_000  # groups, arrays and nodes of trees: bounds the time a forged file can take
_MAX_RANK = 32
_MAX_SIZE = 1 << 31  # of an axis

# Types of header messages.
_DATASPACE, _DATATYPE, _EXTERNAL, _LAYOUT, _FILTERS = 0x01, 0x03, 0x07, 0x08, 0x0B
_CONTINUATION, _SYMBOL_TABLE, _LINK, _LINK_INFO = 0x10, 0x11, 0x06, 0x02


class FormatError(ValueError):
    """A file is damaged, or is not of the kind that is read here."""


def read_arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of a file by their paths, as views of `content` that cannot be written to.

    Args:
        content: the whole file.

    Raises:
        FormatError: naming what was expected and received.

    >>> list(read_arrays(open("model.weights.h5", "rb").read()))
    ['layers/conv2d/vars/0', 'layers/conv2d/vars/1', ...]
    """
    file = _File(content)
    arrays: dict[str, np.ndarray] = {}
    waiting = [("", file.root())]
    while waiting:
        path, address = waiting.pop()
        messages = file.messages(address)
        if _SYMBOL_TABLE in messages:
            waiting.extend(reversed([(f"{path}{name}/", child) for name, child in file.members(messages, path)]))
        else:
            arrays[path[:-1]] = file.array(messages, path[:-1])
    return arrays


class _File:
    """The structures of a file, each read with its bounds checked and no address twice."""

    def __init__(self, content: bytes):
        self._content = memoryview(content)
        self._seen: set[int] = set()

    def _at(self, address: int, size: int) -> memoryview:
        if address + size > len(self._content):
            raise FormatError(
                f"expected {size} bytes at {address} of an HDF5 file. Received: {len(self._content)} bytes in all: it "
                "is cut short or damaged"
            )
        return self._content[address : address + size]

    def _unpack(self, layout: str, address: int) -> tuple:
        return struct.unpack("<" + layout, self._at(address, struct.calcsize("<" + layout)))

    def _visit(self, address: int, signature: bytes = b"") -> None:
        """Raises FormatError at a second visit: a cycle, or one array under two names."""
        if address in self._seen or len(self._seen) >= _MAX_OBJECTS:
            raise FormatError(f"expected every part of an HDF5 file once. Received: the one at {address} again")
        self._seen.add(address)
        if bytes(self._at(address, len(signature))) != signature:
            raise FormatError(f"expected {signature.decode()!r} at {address} of an HDF5 file. It is damaged")

    def root(self) -> int:
        """The address of the root group's header."""
        if bytes(self._content[: len(_SIGNATURE)]) != _SIGNATURE:
            raise FormatError("expected an HDF5 file. Received: one that begins otherwise")
        version, _, _, _, _, offsets, lengths = self._unpack("7B", len(_SIGNATURE))
        if version != 0 or (offsets, lengths) != (8, 8):
            raise FormatError(
                "expected an HDF5 file of the first format (superblock 0, which Keras writes). Received: superblock "
                f"{version}. Opening it in Keras and saving it again helps"
            )
        (base,) = self._unpack("Q", 24)
        if base != 0:
            raise FormatError(f"expected an HDF5 file that begins at 0. Received: base address {base}")
        return self._unpack("QQ", 56)[1]

    def messages(self, address: int) -> dict[int, tuple[int, int]]:
        """Place and size of the messages of an object header, by type."""
        self._visit(address)
        version, _, count, _, size = self._unpack("BBHII", address)
        if version != 1:
            raise FormatError(f"expected an object header of version 1 at {address}. Received: version {version}")
        found: dict[int, tuple[int, int]] = {}
        blocks = [(address + 16, size)]
        while blocks:
            begin, length = blocks.pop()
            self._at(begin, length)
            end = begin + length
            while begin + 8 <= end and count > 0:
                kind, length, flags = self._unpack("HHB", begin)
                place, begin, count = begin + 8, begin + 8 + length, count - 1
                if begin > end:
                    raise FormatError(f"expected a message of {end - place} bytes or fewer. Received: {length}")
                if kind == _CONTINUATION:
                    block = self._unpack("QQ", place)
                    self._visit(block[0])
                    blocks.append(block)
                    continue
                if kind in (_EXTERNAL, _FILTERS, _LINK, _LINK_INFO) or (flags & 2 and kind in (_DATASPACE, _DATATYPE)):
                    raise FormatError(
                        "expected plain arrays and groups, as Keras writes them. Received: an HDF5 object with "
                        f"external files, filters, links or shared parts (message {kind:#x} at {place})"
                    )
                found.setdefault(kind, (place, length))
        return found

    def members(self, messages: dict[int, tuple[int, int]], path: str) -> list[tuple[str, int]]:
        """Names and header addresses of what a group holds."""
        tree, heap = self._unpack("QQ", messages[_SYMBOL_TABLE][0])
        self._visit(heap, b"HEAP")
        names_size, _, names = self._unpack("QQQ", heap + 8)
        text = bytes(self._at(names, names_size))
        members, waiting = [], [tree]
        while waiting:
            node = waiting.pop()
            self._visit(node, b"TREE")
            kind, level, used = self._unpack("BBH", node + 4)
            if kind != 0:
                raise FormatError(f"expected the tree of a group at {node}. Received: one of type {kind}")
            children = [self._unpack("Q", node + 24 + 16 * i + 8)[0] for i in range(used)]
            if level:
                waiting.extend(reversed(children))
                continue
            for table in children:
                members.extend(self._symbols(table, text, path))
        return members

    def _symbols(self, table: int, text: bytes, path: str) -> list[tuple[str, int]]:
        self._visit(table, b"SNOD")
        (count,) = self._unpack("H", table + 6)
        symbols = []
        for i in range(count):
            name, header, cached = self._unpack("QQI", table + 8 + 40 * i)
            if cached == 2:
                raise FormatError(f"expected groups and arrays under {path!r}. Received: a symbolic link")
            end = text.find(b"\0", name)
            if end < 0:
                raise FormatError(f"expected a name at {name} of a heap of {len(text)} bytes. Received: none that ends")
            symbols.append((text[name:end].decode("utf-8", "replace"), header))
        return symbols

    def array(self, messages: dict[int, tuple[int, int]], path: str) -> np.ndarray:
        """A view of the numbers of a dataset."""
        for kind, what in ((_DATASPACE, "shape"), (_DATATYPE, "type"), (_LAYOUT, "layout")):
            if kind not in messages:
                raise FormatError(f"{path}: expected a group or an array with a {what}. Received: none")
        shape, dtype = self._shape(messages[_DATASPACE][0], path), self._dtype(messages[_DATATYPE][0], path)
        size = math.prod(shape) * dtype.itemsize
        place = messages[_LAYOUT][0]
        version, kind = self._unpack("BB", place)
        if version != 3 or kind > 1:
            raise FormatError(
                f"{path}: expected an array in one piece, as Keras writes it. Received: layout {version}, {kind}"
            )
        address, held = (
            self._unpack("QQ", place + 2) if kind == 1 else (place + 4, self._unpack("H", place + 2)[0])
        )  # in a block of its own, or within the message
        if held != size or (address == _UNDEFINED and size):
            raise FormatError(f"{path}: expected {size} bytes for shape {shape}. Received: {held} bytes")
        return np.frombuffer(self._at(address, size) if size else b"", dtype).reshape(shape)

    def _shape(self, place: int, path: str) -> tuple[int, ...]:
        version, rank = self._unpack("BB", place)
        if version not in (1, 2) or rank > _MAX_RANK:
            raise FormatError(f"{path}: expected a shape of up to {_MAX_RANK} axes. Received: rank {rank}")
        shape = self._unpack(f"{rank}Q", place + (8 if version == 1 else 4))
        if max(shape, default=0) > _MAX_SIZE:
            raise FormatError(f"{path}: expected a shape of reasonable sizes. Received: {shape}")
        return shape

    def _dtype(self, place: int, path: str) -> np.dtype:
        kind, flags, _, _, size = self._unpack("4BI", place)
        order = ">" if flags & 1 else "<"
        kind &= 15
        name = f"{order}f{size}" if kind == 1 else f"{order}{'i' if flags & 8 else 'u'}{size}"
        if kind > 1 or size not in ((2, 4, 8) if kind == 1 else (1, 2, 4, 8)):
            raise FormatError(f"{path}: expected real numbers. Received: HDF5 type class {kind} of {size} bytes")
        return np.dtype(name)
