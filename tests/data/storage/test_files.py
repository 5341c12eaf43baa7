"""Files are written whole or not at all, also on a full disk."""

import errno
import os

import pytest

from swerve.data.storage.files import os_errors_as_swerve_errors, write_atomically, write_concurrently
from swerve.scenes.errors import WriteError


@pytest.mark.parametrize("write", [write_atomically, write_concurrently])
def test_a_full_disk_leaves_the_old_file_and_no_half(tmp_path, monkeypatch, write):
    path = tmp_path / "file"
    write(path, b"old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with (
            pytest.raises(WriteError, match=r"cannot be written .*No space left"),
            os_errors_as_swerve_errors(tmp_path),
        ):
            write(path, b"new")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"
    write(path, b"new")
    assert path.read_bytes() == b"new"
