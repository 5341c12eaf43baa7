"""`swerve fit`: what its options mean."""

from pathlib import Path

import pytest
from rich.console import Console

pytest.importorskip("torch", reason="fits need torch")

from swerve.data.splats import fit_job
from swerve.data.splats.fit_job import FitReport
from swerve.data.splats.optimization.fit_options import FitOptions
from swerve.fit_command import show_report
from tests.support.command import invoke


def options_of(monkeypatch, tmp_path, *arguments):
    """What the command would fit with."""
    seen = []

    def remember(sources, folder, options, *_):
        seen.append(options)
        return FitReport({}, ())

    monkeypatch.setattr(fit_job, "fit_logs", remember)
    monkeypatch.chdir(tmp_path)  # the options are written beside the output
    result = invoke("fit", "town:1", "splats", *arguments)
    assert result.exit_code == 0, result.output
    return seen[0]


def test_defaults_are_those_of_the_library(monkeypatch, tmp_path):
    own, known = options_of(monkeypatch, tmp_path).fit, FitOptions()
    for name in ("raster_weight", "lidar_weight", "ground_weight", "refine_egos", "seed"):
        assert getattr(own, name) == pytest.approx(getattr(known, name))


def test_without_depth_nothing_is_held_to_depth(monkeypatch, tmp_path):
    fit = options_of(monkeypatch, tmp_path, "--raster-weight", "0", "--lidar-weight", "0").fit
    assert (fit.raster_weight, fit.lidar_weight) == (0.0, 0.0)
    assert fit.ground_weight == FitOptions().ground_weight


def test_masks_are_named_by_their_whole_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("masks").mkdir()
    assert options_of(monkeypatch, tmp_path, "--masks", "masks").masks == str(tmp_path / "masks")


def test_the_preview_s_place_is_told(tmp_path, capsys):
    (tmp_path / "a_log").mkdir()
    (tmp_path / "a_log" / "preview.jpg").write_bytes(b"")
    fit = {"held_out": None, "held_out_exposed": None, "test_cameras": {}, "gaussians": 5, "seconds": 60.0}
    show_report(Console(width=60), tmp_path, {"a.log": fit, "without": fit})
    said = capsys.readouterr().out
    assert f"preview of a.log, photos above renderings: {tmp_path / 'a_log' / 'preview.jpg'}\n" in said
    assert "preview of without" not in said
