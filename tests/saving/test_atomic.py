import os
import stat

import pytest

from fastconv import saving


def test_atomic_write_writes_bytes(tmp_path):
    with saving.atomic_write(tmp_path / "f") as file:
        file.write(b"new")
    assert (tmp_path / "f").read_bytes() == b"new"


def test_atomic_write_writes_text(tmp_path):
    with saving.atomic_write(tmp_path / "f", "w", encoding="utf-8", newline="") as file:
        file.write("ä\n")
    assert (tmp_path / "f").read_bytes() == "ä\n".encode()


def test_atomic_write_shows_nothing_before_its_end(tmp_path):
    (tmp_path / "f").write_text("old")
    with saving.atomic_write(tmp_path / "f") as file:
        file.write(b"new")
        file.flush()
        assert (tmp_path / "f").read_text() == "old"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_write_keeps_the_old_file_after_an_error(tmp_path, error):
    (tmp_path / "f").write_text("old")
    with pytest.raises(error), saving.atomic_write(tmp_path / "f") as file:
        file.write(b"new")
        raise error
    assert (tmp_path / "f").read_text() == "old"


def test_atomic_write_leaves_no_temporary_file_after_an_error(tmp_path):
    with pytest.raises(ValueError), saving.atomic_write(tmp_path / "f"):
        raise ValueError
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_atomic_write_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with saving.atomic_write(tmp_path / "f"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights")
def test_atomic_write_goes_through_a_symbolic_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "f")
    with saving.atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "f").read_bytes() == b"new"


def test_atomic_write_names_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder to write f into does not exist: .*none"):
        saving.atomic_write(tmp_path / "none" / "f").__enter__()


def test_atomic_write_refuses_a_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match="Received a folder"):
        saving.atomic_write(tmp_path).__enter__()


def test_atomic_write_names_the_file_it_may_not_write(tmp_path, monkeypatch):
    def refuse(path, *args):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError, match=r"Cannot write \(Permission denied\): '.*/f'"):
        saving.atomic_write(tmp_path / "f").__enter__()
