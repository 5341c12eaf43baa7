"""OUT is checked before the work, and a result that cannot be written is kept."""

import os
from pathlib import Path

import pytest

from swerve.output import check_writable, write_output
from swerve.scenes.errors import SwerveError, WriteError


def test_what_can_be_made_passes_and_nothing_is_written(tmp_path):
    check_writable(tmp_path / "new" / "deep", is_file=False)
    check_writable(tmp_path / "new" / "table.csv", is_file=True)
    (tmp_path / "old.csv").write_text("")
    check_writable(tmp_path / "old.csv", is_file=True)
    assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]


@pytest.mark.parametrize(
    ("name", "is_file", "complaint"),
    [
        ("file", False, "is a file"),
        ("folder", True, "is a folder"),
        ("file/inside", False, "file is a file"),
        ("file/inside.csv", True, "file is a file"),
        ("x" * 300, False, "cannot be made"),
    ],
)
def test_what_cannot_be_made_is_named(tmp_path, name, is_file, complaint):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SwerveError, match=complaint):
        check_writable(tmp_path / name, is_file)


def test_a_folder_that_may_not_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(SwerveError, match="is not writable"):
        check_writable(tmp_path / "out", is_file=False)


def test_a_result_is_kept_where_the_disk_fails(tmp_path):
    def write(path):
        if path.parent == tmp_path:
            raise OSError(28, "No space left on device")
        path.write_text("result")

    with pytest.raises(WriteError, match=r"No space left on device.*The result is in") as caught:
        write_output(tmp_path / "table.csv", write)
    rescued = Path(str(caught.value).rsplit(" ", 1)[1])
    assert rescued.name == "table.csv"
    assert rescued.read_text() == "result"
    rescued.unlink()
    rescued.parent.rmdir()
