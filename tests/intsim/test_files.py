"""Files appear whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from intsim import IntsimError, files
from intsim.files import cache_root, make_folder, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_are_written_as_given(tmp_path):
    write_text(tmp_path / "a.txt", "ä\n")
    write_bytes(tmp_path / "b.bin", b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes() == "ä\n".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a.txt", "b.bin"]


def test_an_existing_file_is_replaced_at_once(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    before = path.open()
    write_text(path, "new")
    assert path.read_text() == "new"
    assert before.read() == "old"  # a reader of the old file keeps it


def test_permissions_follow_the_umask(tmp_path):
    mask = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, error):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(*_):
        raise error

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises((IntsimError, KeyboardInterrupt)) as caught:
        write_text(path, "new")
    if isinstance(error, OSError):
        assert f"cannot write {path}: No space left on device" in str(caught.value)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_missing_folder_is_an_error_with_its_remedy(tmp_path):
    with pytest.raises(
        IntsimError, match=r"cannot write .*No such file or directory; choose a folder you can write to"
    ):
        write_text(tmp_path / "missing" / "a.txt", "")


def test_a_folder_cannot_be_written_as_a_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IntsimError, match=r"cannot write .*folder: Is a directory"):
        write_text(tmp_path / "folder", "")
    assert names(tmp_path) == ["folder"]


def test_make_folder(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(IntsimError, match=r"cannot create the folder .*; choose another path"):
        make_folder(tmp_path / "file" / "b")


def test_cache_root_is_chosen_by_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("INTSIM_CACHE_DIR", raising=False)
    assert cache_root() == tmp_path / "xdg" / "intsim"
    monkeypatch.setenv("INTSIM_CACHE_DIR", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own"
