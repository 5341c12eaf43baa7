import csv
import html
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from swerve import drive_job
from swerve.eval.closed_loop import NUPLAN_METRICS, ROLLOUT_METRICS
from swerve.eval.closed_loop.rollout_file import read_index
from swerve.scenes import notices
from tests.support.command import invoke
from tests.support.nuplan_files import nuplan_archives, unpack


def run(*arguments):
    return invoke("drive", *arguments)


FAST = ("--rate", 1, "--seconds", 4, "--scene-interval", 7)


def test_cameras_by_role_are_those_of_navsims_data(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(notices, "_SAID", set())
    root = unpack(nuplan_archives(), tmp_path / "navsim")
    planner, fast = "tests.support.seeing_planners:Reddish", ("--rate", 1, "--seconds", 4, "--scene-interval", 20)
    result = run(f"navsim:{root}", tmp_path / "out", "--planners", planner, "--in-process", *fast)
    assert result.exit_code == 0, result.output
    rows = pq.read_table(tmp_path / "out" / "rollouts.parquet").to_pylist()
    assert rows
    assert not any(row["failed"] for row in rows)
    notice = "note: cameras of Reddish, which are here by other names: front is cam_f0"
    assert (caplog.messages + result.output.splitlines()).count(notice) == 1


def test_planners_are_driven_into_tables_and_pictures(tmp_path):
    out = tmp_path / "out"
    result = run("town:1", out, "--planners", "constant-velocity", "human,label=driver", *FAST)
    assert result.exit_code == 0, result.output
    assert "driver" in result.output
    assert "constant-velocity" in result.output
    rows = pq.read_table(out / "rollouts.parquet").to_pylist()
    with open(out / "rollouts.csv") as stream:
        assert [row["token"] for row in csv.DictReader(stream)] == [row["token"] for row in rows]
    assert f"{len(rows)} rollouts" in result.output
    assert {row["planner"] for row in rows} == {"constant-velocity", "driver"}
    assert len({row["token"] for row in rows}) == len(rows) / 2 >= 2
    assert {*ROLLOUT_METRICS, "score", "reasons", "error"} <= set(rows[0])
    means = {name: _mean_score(rows, name) for name in ("driver", "constant-velocity")}
    lines = [line.split() for line in result.output.splitlines()]
    table = {line[0]: line[1] for line in lines if line and line[0] in means}
    assert table == {name: f"{mean:.3f}" for name, mean in means.items()}
    assert list(table) == sorted(means, key=lambda name: -means[name])
    stamp = json.loads((out / "rollouts.csv.provenance.json").read_text())
    assert (stamp["traffic"], stamp["rate"], stamp["seconds"]) == ("log-replay", 1.0, 4.0)
    for name in ("driver", "constant-velocity"):
        with Image.open(out / f"worst-{name}.png") as picture:
            assert picture.size == (900, 900)
    assert len(list(out.iterdir())) == 11
    assert json.loads((out / "failures.json").read_text()) == []
    page = (out / "index.html").read_text()
    shown = re.findall(r"<b>score ([\d.]+)</b> at [\d.]+ of 4 s; log (\S+), scene (\S+);", page)
    lost = [row for row in rows if row["reasons"]]
    assert sorted(shown) == sorted((f"{row['score']:.3f}", row["log"], row["token"]) for row in lost)
    assert f"<td>driver<small>told the recorded drive</small></td><td>{means['driver']:.3f}</td>" in page
    assert stamp["privileged_input"] == {"driver": "recorded drive"}
    answer = re.search(r'<div class="answer"><b>(.*?)</b>', page)
    assert answer
    assert answer[1] == f"constant-velocity scores {means['constant-velocity']:.3f} in closed loop."
    assert "the driven path, a dot and an outline each second" in page
    assert "Failed" not in page
    for row in rows:
        assert all(html.escape(reason) in page for reason in row["reasons"].split("; ") if reason)


def tables_of(folder):
    return pq.read_table(folder / "rollouts.parquet").drop_columns(["seconds_per_plan"]).to_pylist()


def test_runs_of_an_array_drive_the_scenes_together_and_resume(tmp_path, monkeypatch):
    """The tables are those of one run; what a finished job lacks is written without driving again."""
    given, whole, out = ("--planners", "human", *FAST), tmp_path / "whole", tmp_path / "shared"
    assert run("town:1", whole, *given).exit_code == 0
    for part in ("1/2", "2/2"):
        assert "rollouts" in run("town:1", out, *given, "--part", part).output
    (record, *_) = sorted((out / "job" / "records").iterdir())
    record.write_text("{}")
    assert "1 parts of logs are missing, the first: town-000000, part 0" in str(invoke("finish", out).exception)
    assert run("town:1", out, *given, "--part", "1/2").exit_code == 0
    (out / "rollouts.csv.node-12.part").touch()  # left by a killed process
    assert invoke("finish", out).exit_code == 0
    assert not list(out.rglob("*.part"))
    assert tables_of(out) == tables_of(whole)
    assert invoke("verify", out).exit_code == 0
    monkeypatch.setattr(drive_job, "drive_scene", None)
    assert run("town:1", out, *given, "--record").exit_code == 0
    ((log, rollouts),) = [(one.log, one.rollouts) for one in read_index(out)]
    assert (log, rollouts) == ("town-000000", len(tables_of(out)))
    refused = run("town:1", out, "--planners", "stationary", *FAST)
    assert "holds another job" in str(refused.exception)


def test_the_independent_closed_loop_is_chosen_by_options(tmp_path):
    """NuPlan's metrics in the place of EPDMS's, and on generated towns with lights no sub-score is inactive."""
    out = tmp_path / "out"
    result = run("town:1", out, "--planners", "idm", *FAST, "--simulation", "dynamic", "--scorer", "nuplan")
    assert result.exit_code == 0, result.output
    rows = pq.read_table(out / "rollouts.parquet").to_pylist()
    assert set(NUPLAN_METRICS) <= set(rows[0])
    assert not {"lane_keeping", "history_comfort"} & set(rows[0])
    stamp = json.loads((out / "rollouts.csv.provenance.json").read_text())
    assert (stamp["simulation"], stamp["metric"]) == ("dynamic", "nuPlan's closed-loop metrics")
    assert stamp["inactive_sub_scores"] == []


def _mean_score(rows, planner):
    return np.mean([row["score"] for row in rows if row["planner"] == planner])


def test_a_planner_that_fails_is_named_and_the_others_go_on(tmp_path, monkeypatch):
    (tmp_path / "wheel.py").write_text(
        "class Bad:\n    cameras = ()\n    def plan(self, observation):\n        raise RuntimeError('no idea')\n"
    )
    monkeypatch.chdir(tmp_path)
    result = run("town:1", "rollouts", "--planners", "wheel:Bad", "stationary", *FAST, "--traffic", "lane-following")
    assert result.exit_code == 1
    assert "failed: wheel:Bad in town-000000 " in result.output
    assert "RuntimeError: no idea" in result.output
    assert " nan" not in result.output, "of a planner without a plan no time is known"
    rows = pq.read_table(tmp_path / "rollouts" / "rollouts.parquet").to_pylist()
    assert all(row["failed"] == (row["planner"] == "wheel:Bad") for row in rows)
    page = (tmp_path / "rollouts" / "index.html").read_text()
    assert f"{len(rows) // 2} of {len(rows)} rollouts ended without a valid plan" in page
    assert "<b>wheel:Bad</b>, log town-000000" in page
    listed = json.loads((tmp_path / "rollouts" / "failures.json").read_text())
    assert [(one["item"], one["reason"]) for one in listed] == [("wheel:Bad", "RuntimeError: no idea")] * (
        len(rows) // 2
    )
    shown = invoke("status", "rollouts")
    assert (shown.exit_code, f"drive: complete with {len(listed)} failure" in shown.output) == (1, True), shown
    assert "RuntimeError: no idea" in page


def test_the_reason_is_told_where_every_scene_fails(tmp_path, monkeypatch):
    (tmp_path / "picky.py").write_text(
        "from swerve.scenes import SwerveError\n\n\nclass Picky:\n    cameras = ()\n\n    def check_sensors(self):\n"
        "        raise SwerveError('set ITS_MODEL first')\n\n    def plan(self, observation):\n        return None\n"
    )
    monkeypatch.chdir(tmp_path)
    result = run("town:1", "rollouts", "--planners", "picky:Picky", *FAST)
    assert result.exit_code != 0
    assert "set ITS_MODEL first" in str(result.exception)
    assert "use fewer --seconds" not in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--planners", "stationary", "--rate", 3), "rate: 3 plans per second"),
        (("--planners", "stationary", "stationary"), "planners 'stationary' and 'stationary': give different labels"),
        (("--planners", "idm,label=a.b", "idm,label=a_b"), "planners 'a.b' and 'a_b': give different labels"),
        (("--planners", "stationary", "--seconds", 60), "use fewer --seconds"),
        (("--planners", "nobody"), "no planner is named 'nobody'"),
        (("--planners", "stationary", "--logs", "town-000009"), "town-000009"),
        (("town:2", "--planners", "stationary"), "log 'town-000000' of source 2 (town) has the same name"),
    ],
)
def test_mistakes_are_named(arguments, message, tmp_path):
    sources = [one for one in arguments if str(one).startswith("town:")]
    result = run("town:1", *sources, tmp_path, *arguments[len(sources) :])
    assert result.exit_code != 0
    assert message in str(result.exception)


def test_where_no_log_can_be_driven_the_error_is_theirs(tmp_path):
    """Here the fit is of another version of the log, which no view is drawn of."""
    record = tmp_path / "fits" / "town-000000" / "fit.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"digest": "of another town"}')
    out, seeing = tmp_path / "out", "tests.support.seeing_planners:Reddish"
    given = ("--views", "splat", "--splats", tmp_path / "fits", "--in-process")
    result = run("town:1", out, "--planners", seeing, *FAST, *given)
    assert result.exit_code == 2
    told = str(result.exception)
    assert told.startswith("no scene could be driven, the first: town-000000: ")
    assert "is not that of log town-000000 as its source gives it now" in told
    (failure,) = json.loads((out / "failures.json").read_text())
    assert "Fit the log again, with swerve fit" in str(failure)
    assert not (out / "rollouts.csv").exists()
