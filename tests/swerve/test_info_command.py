"""`swerve info` of sources."""

import pytest

from swerve.cli import parse
from swerve.info_command import run
from swerve.scenes import LogError
from tests.support.nuplan_writer import LOG, change, write_db, write_maps
from tests.support.nuscenes_scene import write_scene


def test_a_line_for_each_log(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("NUPLAN_MAPS_ROOT", raising=False)
    write_maps(tmp_path)
    write_db(tmp_path)
    assert run(parse("info", [f"nuplan:{tmp_path}"])) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"nuplan:{tmp_path}: 1 log",
        f"  {LOG} (train): 11.9 s, 120 steps, 4 lanes, 1 track, 1 light, 3 lane groups on the route, 1 camera, "
        "0 photos, 0 sweeps",
    ]


def test_interpolated_boxes_are_said(tmp_path, capsys):
    assert run(parse("info", [f"nuscenes:{write_scene(tmp_path)}"])) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        "  scene-0061 (train): 1.5 s, 16 steps, 5 lanes, 2 tracks, 0 lights, 1 lane group on the route, 1 camera, "
        "1 photo, 1 sweep, boxes interpolated between 4 annotated times"
    )


def test_the_first_logs_of_a_source(capsys):
    assert run(parse("info", ["town:2", "--logs", "1"])) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "town:2: 2 logs, the first 1"
    assert len(lines) == 2


def test_a_damaged_log_is_an_error(tmp_path):
    file = write_db(tmp_path)
    change(file, "DROP TABLE camera")
    with pytest.raises(LogError, match="no such table: camera"):
        run(parse("info", [f"nuplan:{tmp_path}"]))


def test_without_a_source_it_describes_the_machine(capsys):
    assert run(parse("info", [])) == 0
    assert "back end" in capsys.readouterr().out
