from __future__ import annotations

import contextlib
import os
import pickle

import numpy as np
import pytest

from fastconv.datasets import DataError
from fastconv.datasets.restricted_pickle import UInt8Array, loads

ARRAY = np.arange(6, dtype=np.uint8).reshape(2, 3)


class _Calls:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def global_call(module: str, name: str) -> bytes:
    """Protocol 2: call module.name("x")."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"U\x01x\x85R."


def test_python2_pickle_gives_byte_strings_and_the_array(small):
    batch = loads(small.python2_pickle(ARRAY, [7, 8]), 2, "file")
    array = batch.pop(b"data")
    assert (array.shape, array.order, array.buffer) == ((2, 3), "C", ARRAY.tobytes())
    assert batch == {
        b"batch_label": b"training batch 1 of 5",
        b"labels": [7, 8],
        b"filenames": [b"tabby_s.png", b"tabby_s.png"],
    }


@pytest.mark.parametrize("protocol", [3, 4])
def test_python3_pickle_of_the_installed_numpy_is_read(protocol):
    array = loads(pickle.dumps(ARRAY, protocol), 2, "file")
    assert (array.shape, array.order, array.buffer) == ((2, 3), "C", ARRAY.tobytes())


def test_fortran_order_is_kept():
    array = loads(pickle.dumps(np.asfortranarray(ARRAY), 4), 2, "file")
    assert (array.order, array.buffer) == ("F", ARRAY.tobytes("F"))


@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])
def test_both_spellings_of_numpys_core_are_read(package):
    raw = b"\x80\x02c" + package.encode() + b".multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R."
    assert isinstance(loads(raw, 2, "file"), UInt8Array)


def test_call_of_os_system_is_refused_and_not_run(tmp_path):
    raw = pickle.dumps({"data": _Calls(os.system, f"touch {tmp_path / 'ran'}")}, 2)
    with pytest.raises(DataError, match=r"batch: .*refused to load \w+\.system"):
        loads(raw, 2, "batch")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "module, name",
    [
        ("builtins", "eval"),
        ("__builtin__", "eval"),
        ("numpy", "load"),
        ("numpy", "fromfile"),
        ("numpy", "ndarray.__class__"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.multiarray", "fromstring"),
        ("_codecs", "encode"),
        ("copyreg", "_reconstructor"),
    ],
)
def test_any_other_name_is_refused(module, name):
    with pytest.raises(DataError, match=f"refused to load {module}.{name};"):
        loads(global_call(module, name), 2, "file")


@pytest.mark.parametrize("dtype", ["f8", "O", "i1", "u2"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(DataError, match="expected arrays of dtype 'u1'"):
        loads(pickle.dumps(np.zeros(2, dtype), 4), 2, "file")


@pytest.mark.parametrize("rows", [1, 3])
def test_array_whose_bytes_do_not_fill_its_shape_is_refused(small, rows):
    raw = small.python2_pickle(ARRAY, [7, 8]).replace(b"M\x02\x00M\x03\x00", b"M" + bytes([rows]) + b"\x00M\x03\x00")
    with pytest.raises(DataError, match=rf"shape \({rows}, 3\) has 6 bytes"):
        loads(raw, 2, "file")


@pytest.mark.parametrize("dtype, buffer", [(b"N", b"U\x01x"), (b"cnumpy\ndtype\nU\x02u1\x85R", b"]K\x01a")])
def test_array_of_anything_but_bytes_is_refused(dtype, buffer):
    with pytest.raises(DataError, match="expected an array of bytes"):
        loads(b"\x80\x02cnumpy\nndarray\n)R(K\x01K\x01\x85" + dtype + b"\x89" + buffer + b"tb.", 2, "file")


def test_state_cannot_be_set_on_the_stand_in_itself():
    with pytest.raises(DataError):
        loads(b"\x80\x02cnumpy\nndarray\n}U\x05ownedK\x01sb.", 2, "file")
    assert not hasattr(UInt8Array, "owned")


def test_truncated_pickle_is_refused_wherever_it_ends(small):
    raw = small.python2_pickle(ARRAY, [7, 8])
    for end in range(len(raw)):
        with pytest.raises(DataError, match="not a CIFAR-10 batch pickle"):
            loads(raw[:end], 2, "file")


@pytest.mark.parametrize(
    "opcodes, name",
    [
        (b"(ios\nsystem\n", "INST"),
        (b"(cnumpy\nndarray\no", "OBJ"),
        (b"cnumpy\nndarray\n)\x81", "NEWOBJ"),
        (b"\x82\x01", "EXT1"),
        (b"Pid\n", "PERSID"),
        (b"\x96\x00\x00\x00\x00\x00\x00\x00\x00", "BYTEARRAY8"),
        (b"]2", "DUP"),
    ],
)
def test_instructions_that_no_batch_needs_are_refused(opcodes, name):
    with pytest.raises(DataError, match=f"refused instruction {name}, "):
        loads(b"\x80\x02" + opcodes + b".", 2, "file")


def test_more_instructions_than_the_records_explain_are_refused():
    with pytest.raises(DataError, match="expected at most 1,032 instructions"):
        loads(b"\x80\x02" + b"N" * 2000 + b".", 2, "file")


def test_memo_number_that_would_need_gigabytes_is_refused():
    with pytest.raises(DataError, match="memo numbers up to 1,032. Received: 4,294,967,295"):
        loads(b"\x80\x02]r\xff\xff\xff\xff.", 2, "file")


@pytest.mark.filterwarnings("ignore")  # pickletools warns of odd escapes in strings
def test_mutated_pickles_raise_nothing_but_data_errors(small):
    rng = np.random.default_rng(4)
    whole = np.frombuffer(small.python2_pickle(ARRAY, [7, 8]), np.uint8)
    for _ in range(2000):
        mutant = whole.copy()
        mutant[rng.integers(0, whole.size, 2)] = rng.integers(0, 256, 2)
        with contextlib.suppress(DataError):
            loads(mutant.tobytes(), 2, "file")
