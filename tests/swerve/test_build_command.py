"""The command hands on what it is told, and tells what came of it."""

import math
from pathlib import Path

import pytest

from swerve import build_command
from swerve.data.jobs import Execution, Failure
from swerve.eval.benchmark.build.build_job import BuildReport
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints.follow_up import FollowUpOptions
from tests.support.command import invoke

COUNTS = {
    "logs": 2,
    "scene_groups": 3,
    "follow_ups": 17,
    "follow_ups_by_origin": {"bank": 10, "synthesis": 7},
    "scenes": 40,
    "rejected_starts": {"collision": 4, "off_road": 9},
    "dropped_scene_groups": {"few_follow_ups": 1},
    "unfit_follow_ups": 4,
    "unfit_reasons": {"vehicle_iou": 3, "covered": 2},
    "tracks_without_gaussians": 5,
    "scene_group_bytes": 1,
}
TIMING = {"scenes": 40, "seconds": 2.0, "scenes_per_second": 20.0, "worker_seconds": {"drawing": 1.0}}


@pytest.fixture
def told(monkeypatch):
    """Arguments of the build that the command asks for."""
    calls = []

    def build(sources, folder, options, workers, console, splats):
        calls.append((sources, folder, options, workers, splats))
        failures = (Failure("a-log", "", "", "is broken"),) if Execution.of(workers).workers == 7 else ()
        return BuildReport(COUNTS, TIMING, failures)

    monkeypatch.setattr(build_command, "build", build)
    return calls


def run(*arguments):
    return invoke("build", *arguments)


def test_without_options_it_is_the_papers_grid(told, tmp_path):
    result = run("town:2", "town:1", str(tmp_path))
    assert result.exit_code == 0
    sources, folder, options, workers, splats = told[0]
    assert [source.kind for source in sources] == ["town", "town"]
    assert (folder, options, workers, splats) == (tmp_path, BuildOptions(), Execution(), None)


def test_options_are_handed_on(told, tmp_path):
    text = (
        "--scene-interval 4 --traffic log-replay --min-follow-ups 2 --max-follow-ups 9 "
        "--views raster splat --size own --style surfaces "
        "--rig default --seed 3 --workers 2 --follow-up.lateral 1 --follow-up.lateral-step 0.25 "
        "--follow-up.longitudinal-step 2 --follow-up.max-acceleration 3 "
        "--follow-up.heading-offsets -5 0 5 --follow-up.speed-offsets 0 1 "
        "--follow-up.sources synthesis --follow-up.bank-speed 2 --follow-up.bank-acceleration 3 "
        "--follow-up.bank-heading 10 --follow-up.bank-lateral-tolerance 0.5 "
        "--follow-up.bank-longitudinal-tolerance 1 --splats fits --gate drop "
        "--cameras front left"
    )
    assert run("town:1", str(tmp_path), *text.split()).exit_code == 0
    grid = FollowUpOptions(
        lateral=1.0,
        lateral_step=0.25,
        longitudinal_step=2.0,
        max_acceleration=3.0,
        heading_offsets=tuple(math.radians(angle) for angle in (-5.0, 0.0, 5.0)),
        speed_offsets=(0.0, 1.0),
        sources="synthesis",
        bank_speed=2.0,
        bank_acceleration=3.0,
        bank_heading=math.radians(10.0),
        bank_lateral_tolerance=0.5,
        bank_longitudinal_tolerance=1.0,
    )
    looks = {"views": ("raster", "splat"), "gate": "drop", "style": "surfaces", "cameras": ("front", "left")}
    expected = BuildOptions(4.0, 2, 9, "log-replay", grid, rig="default", size=None, seed=3, **looks)
    assert told[0][2:] == (expected, Execution(2), Path("fits"))


def test_it_tells_counts_reasons_and_failures(told, tmp_path):
    result = run("town:1", str(tmp_path), "--workers", "7")
    assert result.exit_code == 1
    for text in (
        "3 scene groups of 2 logs",
        "17 follow-ups (10 bank, 7 synthesis)",
        "few_follow_ups",
        "a-log: is broken",
    ):
        assert text in result.output
    assert "4 follow-ups have unfit splat views (2 covered, 3 vehicle_iou)" in result.output
    assert "5 tracks have no Gaussians" in result.output
    # The most frequent reason first.
    assert result.output.index("off_road") < result.output.index("collision")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (["--views", "raster", "raster"], "views: 'raster' is given twice"),
        (["--views", "splat"], "no renderer for splat views. Give --splats FOLDER"),
        (["--follow-up.heading-offsets"], "heading_offsets (below 90 degrees) and speed_offsets need a value each"),
        (["--follow-up.lateral-step", "0"], "steps, max_acceleration and history must be above 0"),
        (["--min-follow-ups", "30"], "--min-follow-ups: 30 must lie between 1 and max_follow_ups, 20"),
    ],
)
def test_what_cannot_be_is_refused(wrong, complaint, tmp_path):
    result = run("town:1", str(tmp_path), *wrong)
    assert isinstance(result.exception, SwerveError)
    assert complaint in str(result.exception)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (["--views", "film"], "film"),
        (["--size", "big"], "WIDTHxHEIGHT"),
        (["--follow-up.heading-offsets", "a"], "a"),
    ],
)
def test_what_is_no_value_is_refused(wrong, complaint, tmp_path):
    result = run("town:1", str(tmp_path), *wrong)
    assert result.exit_code == 2
    assert complaint in str(result.exception)
