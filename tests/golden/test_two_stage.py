"""The whole way of `swerve evaluate` gives the official scores; see check_two_stage.py."""

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from check_two_stage import TABLES, WEIGHTS, main


@pytest.fixture
def folder(test_data):
    found = test_data.parent / "golden" / "cli"
    if not found.is_dir():
        pytest.skip(f"no golden folder {found}")
    return found


def test_official_scores(folder, capsys):
    assert main([str(folder)]) == 0, capsys.readouterr().out
    assert "0 mismatches" in capsys.readouterr().out


def test_a_difference_is_seen(folder, tmp_path, capsys):
    """The check fails where a golden weight is another."""
    (tmp_path / "logs").symlink_to(folder.parent / "logs")
    for name in ("two_stage_neutral.json.gz", *TABLES):
        (tmp_path / name).symlink_to(folder / name)
    with open(folder / WEIGHTS) as stream:
        rows = list(csv.reader(stream))
    rows[3][-1] = str(float(rows[3][-1]) + 2e-6)
    with open(tmp_path / WEIGHTS, "w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    assert main([str(tmp_path)]) == 1
    assert "weights" in capsys.readouterr().out
