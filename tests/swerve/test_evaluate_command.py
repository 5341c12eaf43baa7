"""`swerve evaluate` from outside: what it prints, what it leaves, how it exits."""

from io import StringIO

from rich.console import Console

from swerve.consoles import print_table
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.planner_process import PlannerLimits
from swerve.evaluate_command import SHORT, differences_table, leaderboard
from swerve.evaluation import entries_of
from swerve.planners.open_planner import open_planner
from swerve.scenes import SwerveError
from tests.support.command import invoke
from tests.support.simple_source import SimpleSource


def planner_row(score, failures):
    stage = dict.fromkeys(SHORT, 1.0) | {"score": score}
    return {"score": score, "stage_one": stage, "stage_two": {**stage, "ego_progress": 0.456}, "failures": failures}


def shown(table):
    console = Console(width=80)
    with console.capture() as capture:
        console.print(table)
    return capture.get().splitlines()


def test_leaderboard_is_best_first_and_fits_a_terminal():
    summary = {
        "scene_groups": 3,
        "scenes": 72,
        "planners": {"slow": planner_row(0.25, 0), "constant-velocity": planner_row(0.5, 2)},
    }
    lines = shown(leaderboard(summary))
    assert lines[0].startswith("3 scene groups, 72 scenes")
    rows = [line.split() for line in lines if line.strip()][1:]
    assert rows[0] == ["planner", "EPDMS", "NC", "DAC", "DDC", "TLC", "EP", "TTC", "LK", "HC", "EC", "failed"]
    assert rows[1] == ["constant-velocity", "0.5000", "2"]
    assert rows[2] == ["stage", "one", "0.5000", *["1.00"] * 9]
    assert rows[3] == ["stage", "two", "0.5000", *["1.00"] * 4, "0.46", *["1.00"] * 4]
    assert rows[4] == ["slow", "0.2500", "-"]
    assert all(len(line) <= 80 for line in lines)


def test_long_labels_are_not_broken():
    label = "navsim:some_package.agents.some_module.SomeLongAgentName"
    table = leaderboard({"scene_groups": 3, "scenes": 72, "planners": {label: planner_row(0.25, 0)}})
    console = Console(width=80, file=StringIO())
    print_table(console, table)
    lines = console.file.getvalue().splitlines()
    (line,) = [line for line in lines if label in line]
    assert line.split() == [label, "0.2500", "-"]
    assert all("…" not in line for line in lines)


def test_differences_fit_a_terminal():
    stage = dict.fromkeys(SHORT, 0.0) | {"score": -0.5, "ego_progress": 0.126}
    found = {"planner": "seer", "before": "raster", "after": "photo", "score": -0.25, "interval": [-0.5, 0.125]}
    lines = shown(differences_table([{**found, "stage_one": stage, "stage_two": stage}]))
    rows = [line.split() for line in lines if line.strip()]
    assert ["seer", "-0.250"] in rows
    assert ["photo", "-", "raster"] in rows
    assert ["[-0.500,", "+0.125]"] in rows
    assert ["stage", "one", "-0.500", *["+0.00"] * 4, "+0.13", *["+0.00"] * 4] in rows
    assert all(len(line) <= 80 for line in lines)


def test_planners_that_see_take_part_with_each_kind():
    seer, blind = (
        open_planner(spec, PlannerLimits())
        for spec in ("tests.support.seeing_planners:Reddish,label=seer", "stationary")
    )
    labels = [(entry.label, entry.planner, entry.views) for entry in entries_of(seer, ("raster", "photo"), {})]
    assert labels == [("seer@raster", "seer", "raster"), ("seer@photo", "seer", "photo")]
    (alone,) = entries_of(seer, ("photo",), {})
    assert (alone.label, alone.views) == ("seer", "photo")
    assert alone.identity != entries_of(seer, ("raster",), {})[0].identity, "its plans on rasters are not these"
    folders = [entries_of(seer, ("splat",), {"splat": name})[0] for name in ("splat-1", "splat-2")]
    assert folders[0].identity != folders[1].identity, "its plans on one folder's scenes are not those on another's"
    (once,) = entries_of(blind, ("raster", "photo"), {})
    assert (once.label, once.views) == ("stationary", None)


def test_command(tmp_path):
    options = BuildOptions(scene_interval=4.0, views=(), traffic="log-replay", min_follow_ups=2, max_follow_ups=2)
    build([SimpleSource(("train-a",))], tmp_path / "benchmark", options, workers=1)
    words = ["evaluate", tmp_path / "benchmark", tmp_path / "out", "--traffic", "log-replay", "--workers", 1]
    words += ["--planners", "tests.support.simple_planners:FailsOften,label=fails"]
    result = invoke(*words)
    assert result.exit_code == 1, result.output
    assert "failed: fails in train-a-" in result.output
    assert "RuntimeError: no idea where to go" in result.output
    assert "1 failure, scored 0" in result.output
    assert "<!doctype html>" in (tmp_path / "out" / "index.html").read_text()[:50].lower()
    again = invoke(*words[:-1], "constant-velocity", "--no-report")
    assert again.exit_code == 0, again.output
    assert not (tmp_path / "out" / "index.html").exists(), "the report was of other planners"
    assert (tmp_path / "out" / "scores" / "constant-velocity.csv").is_file()
    assert not (tmp_path / "out" / "scores" / "fails.csv").exists()


def test_what_is_no_benchmark_is_told(tmp_path):
    result = invoke("evaluate", tmp_path, tmp_path, "--planners", "stationary")
    assert isinstance(result.exception, SwerveError)
    assert "not a finished benchmark" in str(result.exception)
