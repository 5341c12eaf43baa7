"""Files are written whole or not at all, also on a full disk."""

import errno
import os

import pytest

from swerve.data.storage.files import commit, final_name, os_errors_as_swerve_errors, temporary_path, write_atomically
from swerve.scenes.errors import WriteError


def test_a_full_disk_leaves_the_old_file_and_no_half(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with (
            pytest.raises(WriteError, match=r"cannot be written .*No space left"),
            os_errors_as_swerve_errors(tmp_path),
        ):
            write_atomically(path, b"new")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_processes_that_write_a_file_at_once_do_not_meet(tmp_path, monkeypatch):
    path, names = tmp_path / "0-00001.tar", []
    for process in (11, 12):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        temporary_path(path).write_text(f"of {process}")
        names.append(temporary_path(path).name)
    assert len({*names}) == 2
    assert [final_name(name) for name in (*names, path.name)] == [path.name] * 3
    for process in (11, 12):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        commit(path)
        assert path.read_text() == f"of {process}"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
