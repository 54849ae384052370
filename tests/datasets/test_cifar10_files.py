from __future__ import annotations

import contextlib
import gzip
import os
import pickle
import tarfile

import numpy as np
import pytest

from fastconv.datasets import DataError, cifar10_files

BATCH = "cifar-10-batches-bin/data_batch_2.bin"


def link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.fixture(params=["binary", "python"])
def files(request, small) -> dict[str, bytes]:
    return dict(getattr(small, request.param))


def test_folder_gives_keras_arrays(small, files, tmp_path):
    small.assert_equal(small.read(small.write_folder(tmp_path, files)))


def test_archive_gives_keras_arrays(small, files, tmp_path):
    small.assert_equal(small.read(small.write_archive(tmp_path / "a.tar.gz", files)))


def test_archive_members_may_come_in_any_order(small, files, tmp_path):
    members = dict(reversed(files.items()))
    small.assert_equal(small.read(small.write_archive(tmp_path / "a.tar.gz", members)))


def test_arrays_are_uint8_contiguous_writable_and_their_own(small, files, tmp_path):
    data = small.read(small.write_folder(tmp_path, files))
    arrays = [array for split in data for array in split]
    assert [array.shape for array in arrays] == [(15, 32, 32, 3), (15, 1), (3, 32, 32, 3), (3, 1)]
    for array in arrays:
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous and array.flags.writeable and array.flags.owndata


def test_full_size_is_the_default(small, tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in cifar10_files.BINARY.files:
        (folder / name).touch()
        os.truncate(folder / name, 30_730_000)  # zeros that take no room on disk
    (x_train, y_train), (x_test, y_test) = cifar10_files.read(folder)
    assert (x_train.shape, y_train.shape) == ((50_000, 32, 32, 3), (50_000, 1))
    assert (x_test.shape, y_test.shape) == ((10_000, 32, 32, 3), (10_000, 1))


def test_full_size_is_checked_by_default(small, tmp_path):
    folder = small.write_folder(tmp_path, small.binary)
    with pytest.raises(DataError, match=r"data_batch_1.bin: expected 30,730,000 bytes. Received: 9,219"):
        cifar10_files.read(folder)


def test_python_batch_in_fortran_order_is_read(small, tmp_path):
    files = {
        name: pickle.dumps({"data": np.asfortranarray(pixels), "labels": labels.tolist()}, 4)
        for name, pixels, labels in zip(small.python, small.pixels, small.labels, strict=True)
    }
    small.assert_equal(small.read(small.write_folder(tmp_path, files)))


# Damaged folders


def test_missing_batch_is_named(small, files, tmp_path):
    name = list(files)[3]
    del files[name]
    with pytest.raises(DataError, match=f"expected 6 batches .*Missing: {os.path.basename(name)}$"):
        small.read(small.write_folder(tmp_path, files))


@pytest.mark.parametrize("change", [-1, 1])
def test_batch_of_wrong_size_is_refused(small, tmp_path, change):
    files = {**small.binary, BATCH: b"\0" * (3 * 3073 + change)}
    with pytest.raises(DataError, match=rf"data_batch_2.bin: expected 9,219 bytes. Received: {9219 + change:,}"):
        small.read(small.write_folder(tmp_path, files))


def test_pickle_of_impossible_size_is_refused_unread(small, tmp_path):
    files = {**small.python, "cifar-10-batches-py/data_batch_2": b"\0" * 6 * 3073}
    with pytest.raises(DataError, match=r"data_batch_2: expected 9,219 to 18,437 bytes. Received: 18,438"):
        small.read(small.write_folder(tmp_path, files))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no named pipes")
def test_pipe_in_place_of_a_batch_is_refused_not_waited_for(small, tmp_path):
    folder = small.write_folder(tmp_path, small.binary)
    (folder / "test_batch.bin").unlink()
    os.mkfifo(folder / "test_batch.bin")
    with pytest.raises(DataError, match="test_batch.bin: expected a regular file"):
        small.read(folder)


def test_label_out_of_range_in_binary_batch_is_located(small, tmp_path):
    raw = bytearray(small.binary[BATCH])
    raw[2 * 3073] = 10
    with pytest.raises(DataError, match=r"data_batch_2.bin: expected labels 0..9. Received: 10 in record 2"):
        small.read(small.write_folder(tmp_path, {**small.binary, BATCH: bytes(raw)}))


@pytest.mark.parametrize("label", [10, -1, 10**30, True, None, "3"])
def test_label_out_of_range_in_python_batch_is_located(small, tmp_path, label):
    raw = pickle.dumps({"data": small.pixels[0], "labels": [0, label, 0]}, 4)
    files = {**small.python, "cifar-10-batches-py/data_batch_1": raw}
    with pytest.raises(DataError, match=r"data_batch_1: expected labels 0..9. Received: .* in record 1"):
        small.read(small.write_folder(tmp_path, files))


@pytest.mark.parametrize(
    "batch, message",
    [
        ([np.zeros((3, 3072), np.uint8)], "expected a pickled dict. Received: list"),
        (
            {"data": np.zeros((3072, 3), np.uint8), "labels": [0, 0, 0]},
            r"shape \(3, 3072\). Received: shape \(3072, 3\)",
        ),
        ({"data": bytes(3 * 3072), "labels": [0, 0, 0]}, r"shape \(3, 3072\). Received: bytes"),
        ({"data": np.zeros((3, 3072), np.uint8), "labels": [0, 0]}, '"labels" to be a list of 3 integers'),
        ({"data": np.zeros((3, 3072), np.uint8), "labels": 3}, '"labels" to be a list of 3 integers'),
    ],
)
def test_pickle_of_another_form_is_refused(small, tmp_path, batch, message):
    files = {**small.python, "cifar-10-batches-py/data_batch_1": pickle.dumps(batch, 4)}
    with pytest.raises(DataError, match=f"data_batch_1: .*{message}"):
        small.read(small.write_folder(tmp_path, files))


def test_malicious_pickle_in_an_archive_is_refused_and_not_run(small, tmp_path):
    command = f"touch {tmp_path / 'ran'}".encode()
    raw = b"\x80\x02cos\nsystem\nU" + bytes([len(command)]) + command + b"\x85R."
    raw += bytes(3 * 3073 - len(raw))
    files = {**small.python, "cifar-10-batches-py/data_batch_1": raw}
    with pytest.raises(DataError, match="refused to load os.system"):
        small.read(small.write_archive(tmp_path / "a.tar.gz", files))
    assert not (tmp_path / "ran").exists()


# Damaged and hostile archives


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE],
    ids=lambda k: k.decode(),
)
def test_member_that_is_not_a_regular_file_is_refused(small, tmp_path, kind):
    archive = small.write_archive(tmp_path / "a.tar.gz", {**small.binary, BATCH: link(kind)})
    with pytest.raises(DataError, match=rf"a.tar.gz: member {BATCH}: expected a regular file"):
        small.read(archive)


def test_sparse_member_is_refused(small, tmp_path):
    header = bytearray(small.tar({BATCH: small.binary[BATCH]})[:512])
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:482] = bytes(96)  # no pieces: all of the 9,219 bytes are a hole
    header[483:495] = b"%011o " % 9219
    header[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(header))[0]
    whole = small.tar(small.binary)
    start = whole.index(BATCH.encode())
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(whole[:start] + header + whole[start + 512 :], 1))
    with pytest.raises(DataError, match=f"member {BATCH}: expected a regular file"):
        small.read(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("change", [-1, 1])
def test_member_of_wrong_size_is_refused(small, tmp_path, change):
    files = {**small.binary, BATCH: b"\0" * (3 * 3073 + change)}
    with pytest.raises(DataError, match=rf"member {BATCH}: expected 9,219 bytes. Received: {9219 + change:,}"):
        small.read(small.write_archive(tmp_path / "a.tar.gz", files))


@pytest.mark.parametrize("prefix", ["../", "/", "./", "x/../", "data/"])
def test_members_under_other_names_are_not_taken(small, tmp_path, prefix):
    members = {prefix + name: contents for name, contents in small.binary.items()}
    with pytest.raises(DataError, match=r"expected 6 batches in cifar-10-batches-bin. Missing: data_batch_1.bin, "):
        small.read(small.write_archive(tmp_path / "a.tar.gz", members))


def test_nothing_is_written_to_disk(small, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = small.write_archive(tmp_path / "in" / "a.tar.gz", {"../evil": b"x", "evil": b"x", **files})
    small.assert_equal(small.read(archive))
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "a.tar.gz"]


def test_missing_member_is_named(small, files, tmp_path):
    name = list(files)[3]
    del files[name]
    with pytest.raises(DataError, match=f"a.tar.gz: expected 6 batches .*Missing: {os.path.basename(name)}$"):
        small.read(small.write_archive(tmp_path / "a.tar.gz", files))


def test_member_that_is_there_twice_is_refused(small, tmp_path):
    tar = small.tar(small.binary)
    end = tar.index(BATCH.encode())
    twice = tar[end : end + 512 + 9728] + tar  # header, and 9,219 bytes filled up to 512-byte blocks
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(twice, 1))
    with pytest.raises(DataError, match=f"member {BATCH} is there twice"):
        small.read(tmp_path / "a.tar.gz")


def test_truncated_archive_is_refused_wherever_it_ends(small, tmp_path):
    whole = gzip.compress(small.tar(small.binary), 1)
    for end in [*range(0, len(whole), len(whole) // 40), len(whole) - 9, len(whole) - 1]:
        (tmp_path / "a.tar.gz").write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"a.tar.gz: expected a whole gzip-compressed tar archive"):
            small.read(tmp_path / "a.tar.gz")


def test_archive_damaged_in_the_middle_is_refused(small, tmp_path):
    whole = gzip.compress(small.tar(small.binary), 1)
    for place in range(10, len(whole) - 8, len(whole) // 40):
        (tmp_path / "a.tar.gz").write_bytes(whole[:place] + b"\xff\xff\xff\xff" + whole[place + 4 :])
        with pytest.raises(DataError, match=r"a.tar.gz: "):
            small.read(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("damage", ["CRC check failed", "invalid block type"])
def test_damage_after_the_last_batch_is_noticed(small, tmp_path, damage):
    tar = small.tar(small.binary)
    whole = bytearray(gzip.compress(tar + bytes(1_100_000 - len(tar)), 1))  # more than the reader takes at once
    if damage == "CRC check failed":
        whole[-8] ^= 1
    else:
        whole += gzip.compress(b"")[:10] + b"\xff" * 20  # a second gzip member that is none
    (tmp_path / "a.tar.gz").write_bytes(whole)
    with pytest.raises(DataError, match=damage):
        small.read(tmp_path / "a.tar.gz")


def test_archive_of_both_versions_gives_the_first(small, tmp_path):
    other = {name: small.python2_pickle(np.zeros((3, 3072), np.uint8), [0, 0, 0]) for name in small.python}
    small.assert_equal(small.read(small.write_archive(tmp_path / "a.tar.gz", {**small.binary, **other})))


@pytest.mark.parametrize("header", ["endless names", "pax size"])
def test_headers_that_trip_tarfile_raise_nothing_but_data_errors(small, tmp_path, header):
    if header == "endless names":  # RecursionError
        name = tarfile.TarInfo("././@LongLink")
        name.type, name.size = tarfile.GNUTYPE_LONGNAME, 2
        blocks = (name.tobuf() + b"a\0".ljust(512, b"\0")) * 2000
    else:  # ValueError
        pax = tarfile.TarInfo("pax")
        record = b"23 GNU.sparse.size=abc\n"
        pax.type, pax.size = tarfile.XHDTYPE, len(record)
        blocks = pax.tobuf() + record.ljust(512, b"\0")
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(blocks + small.tar(small.binary), 1))
    with contextlib.suppress(DataError):
        small.read(tmp_path / "a.tar.gz")


@pytest.mark.parametrize(
    "contents", [b"", b"no archive", gzip.compress(b"no tar" * 1000)], ids=["empty", "text", "gzip"]
)
def test_file_that_is_no_archive_is_refused(small, tmp_path, contents):
    (tmp_path / "a.tar.gz").write_bytes(contents)
    with pytest.raises(DataError, match=r"a.tar.gz: expected a whole gzip-compressed tar archive"):
        small.read(tmp_path / "a.tar.gz")


def test_archive_of_another_data_set_is_refused(small, tmp_path):
    archive = small.write_archive(tmp_path / "a.tar.gz", {"cifar-100-binary/train.bin": b"x"})
    with pytest.raises(DataError, match="Missing: data_batch_1.bin, .*test_batch.bin$"):
        small.read(archive)


@pytest.mark.parametrize("place", ["before", "after"])
def test_archive_that_unpacks_to_far_too_much_is_refused(small, tmp_path, place):
    bomb = {"zeros": bytes(2_000_000)}
    members = {**bomb, **small.binary} if place == "before" else {**small.binary, **bomb}
    with pytest.raises(DataError, match=r"a.tar.gz: unpacks to more than 1,159,198 bytes"):
        small.read(small.write_archive(tmp_path / "a.tar.gz", members))


def test_archive_of_far_too_many_members_is_refused(small, tmp_path):
    archive = small.write_archive(tmp_path / "a.tar.gz", {f"{i}": b"" for i in range(101)})
    with pytest.raises(DataError, match="expected at most 100 members"):
        small.read(archive)


def test_mutated_archives_raise_nothing_but_data_errors(small, files, tmp_path):
    rng = np.random.default_rng(1)
    whole = np.frombuffer(small.tar(files), np.uint8)
    headers = np.flatnonzero(np.arange(whole.size) % 10240 < 512)  # a member is a header and 9,219 bytes or a bit more
    for _ in range(300):
        mutant = whole.copy()
        mutant[rng.choice(headers, 3)] = rng.integers(0, 256, 3)
        mutant[rng.integers(0, whole.size, 3)] = rng.integers(0, 256, 3)
        (tmp_path / "a.tar.gz").write_bytes(gzip.compress(mutant, 0))
        with contextlib.suppress(DataError):
            small.read(tmp_path / "a.tar.gz")


def test_unreadable_source_is_a_data_error(small, tmp_path):
    with pytest.raises(DataError, match="absent.tar.gz: cannot be read: .*No such file"):
        small.read(tmp_path / "absent.tar.gz")
