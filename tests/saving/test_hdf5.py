"""The reader of Keras' weights files: what it reads, and that damaged or hostile files end in an error of its own."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fastconv.saving.hdf5 import FormatError, read_arrays

h5py = pytest.importorskip("h5py")
FILES = Path(__file__).parents[1] / "data" / "keras_files"


@pytest.fixture
def keras_content():
    return zipfile.ZipFile(FILES / "sequential.keras").read("model.weights.h5")


def written(**arrays):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, array in arrays.items():
            file[name.replace("_", "/")] = array
    return content.getvalue()


def test_arrays_are_those_that_the_hdf5_library_reads(keras_content):
    expected = {}
    with h5py.File(io.BytesIO(keras_content)) as file:
        file.visititems(
            lambda name, item: expected.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    found = read_arrays(keras_content)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4", "<i8", "u1"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0, 5)])
def test_types_and_shapes(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    found = read_arrays(written(a=array))["a"]
    assert found.shape == shape and found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_many_arrays_in_a_group():
    found = read_arrays(written(**{f"group_{i}": np.full(2, i, np.float32) for i in range(300)}))
    assert len(found) == 300 and found["group/299"][0] == 299


def test_arrays_cannot_be_written_to(keras_content):
    with pytest.raises(ValueError, match="read-only"):
        read_arrays(keras_content)["layers/dense/vars/1"][:] = 0


def external(file):
    file.create_dataset("a", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "a", (4,))
    file.create_virtual_dataset("a", layout)


def external_link(file):
    file["a"] = h5py.ExternalLink("/etc/passwd", "a")


def soft_link(file):
    file["a"] = h5py.SoftLink("/b")


def hard_link(file):
    file["a"] = np.zeros(3)
    file["b"] = file["a"]


def cycle(file):
    file.create_group("a")["b"] = file["/"]


def compressed(file):
    file.create_dataset("a", data=np.zeros(1000), compression="gzip")


def chunked(file):
    file.create_dataset("a", (10**9,), "f4", chunks=(10**6,))


def strings(file):
    file["a"] = ["text"]


@pytest.mark.parametrize(
    "make", [external, virtual, external_link, soft_link, hard_link, cycle, compressed, chunked, strings]
)
def test_what_keras_never_writes_is_refused(make):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        make(file)
    with pytest.raises(FormatError, match="expected"):
        read_arrays(content.getvalue())


def test_another_format_is_refused_by_its_version():
    content = io.BytesIO()
    with h5py.File(content, "w", libver="latest") as file:
        file["a"] = np.zeros(3)
    with pytest.raises(FormatError, match="superblock 0, which Keras writes.*Received: superblock 3"):
        read_arrays(content.getvalue())


@pytest.mark.parametrize("content", [b"", b"\x89HDF", b"PK\x03\x04" + bytes(100), bytes(4096)])
def test_other_files_are_refused(content):
    with pytest.raises(FormatError, match="expected an HDF5 file"):
        read_arrays(content)


def test_a_shape_larger_than_the_file_is_refused():
    content = written(a=np.zeros((2, 3), np.float32))
    forged = content.replace(struct.pack("<QQ", 2, 3), struct.pack("<QQ", 1 << 20, 1 << 20))
    assert forged != content
    with pytest.raises(FormatError, match=r"a: expected 4398046511104 bytes for shape \(1048576, 1048576\)"):
        read_arrays(forged)


def test_an_empty_array_of_unreasonable_shape_is_refused():
    forged = written(a=np.zeros((0, 3), np.float32)).replace(struct.pack("<QQ", 0, 3), struct.pack("<QQ", 0, 1 << 63))
    with pytest.raises(FormatError, match="expected a shape"):
        read_arrays(forged)


def test_damaged_files_end_in_an_error_or_in_arrays_of_the_file(keras_content):
    """Every prefix by 97 bytes, and bytes changed at random: tools/fuzz_files.py does it 10,000 times."""
    rng = np.random.default_rng(1)
    damaged = [keras_content[:length] for length in range(0, len(keras_content), 97)]
    for _ in range(500):
        content = bytearray(keras_content)
        for place in rng.integers(0, rng.choice([200, 4000, len(content)]), rng.choice([1, 4, 64])):
            content[place] = rng.integers(256)
        damaged.append(bytes(content))
    for content in damaged:
        try:
            arrays = read_arrays(content)
        except FormatError:
            continue
        assert sum(array.nbytes for array in arrays.values()) <= len(content)
