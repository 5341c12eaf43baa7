"""Files are written whole or not at all, also on a full disk."""

import errno
import os
import platform
import threading
from contextlib import suppress

import pytest

from swerve.data.storage.files import (
    commit,
    final_name,
    is_temporary,
    os_errors_as_swerve_errors,
    replaced,
    temporary_path,
    write_atomically,
)
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


def test_machines_and_threads_that_write_a_file_of_a_cache_do_not_meet(tmp_path, monkeypatch):
    """Processes of two machines may have the same number, where a cache is on a file system that they share."""
    path, names = tmp_path / "index.npy", set()
    for machine in ("one.net", "two.net"):
        monkeypatch.setattr(platform, "node", lambda machine=machine: machine)
        for thread in (1, 2):
            monkeypatch.setattr(threading, "get_ident", lambda thread=thread: thread)
            with replaced(path) as beside:
                beside.write_text(f"of {machine}, {thread}")
                names.add(beside.name)
            assert path.read_text() == f"of {machine}, {thread}"
    assert len(names) == 4
    assert all(is_temporary(name) and final_name(name) == path.name for name in names)
    with suppress(ValueError), replaced(path) as beside:
        beside.write_text("half")
        raise ValueError
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "of two.net, 2"
