"""Evaluation of planners on a benchmark: outputs, resumption, and failing workers."""

import csv
import json
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest

from swerve.data.jobs import Failure, RunResult
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.eval import two_stage
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.eval.benchmark.evaluate.evaluate_job import EvaluateWork, check_cameras, evaluate
from swerve.eval.benchmark.evaluate.observations import hash_token
from swerve.eval.benchmark.evaluate.planner_records import PlannerRecords, PlannerSpec, _require_all
from swerve.eval.benchmark.evaluate.result_store import add_to_record, recorded_planners
from swerve.eval.benchmark.evaluate.results import SCHEMA, read_results, result_rows
from swerve.eval.scoring.aggregate import ScoredScenes
from swerve.eval.scoring.inactive_scores import inactive_scores
from swerve.planners import load_planner
from swerve.planners.fingerprint import fingerprint
from swerve.scenes import SwerveError
from tests.support.simple_planners import Cruise
from tests.support.simple_source import SimpleSource

LOGS = ("train-a", "train-b")
COUNT = 4  # scene groups, two of each log
TIMES = ("plan_seconds",)


def made(spec):
    """Importable by workers."""
    return load_planner(spec).planner


def entry(spec, identity="1"):
    return PlannerSpec(load_planner(spec).label, spec, identity)


CRUISE = entry("tests.support.simple_planners:Cruise,label=cruise")
SLOW = entry("tests.support.simple_planners:Cruise,speed=4.0,label=slow")
FAILS = entry("tests.support.simple_planners:FailsOften,label=fails")


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    options = BuildOptions(scene_interval=2.0, views=(), traffic="log-replay", min_follow_ups=2, max_follow_ups=2)
    report = build([SimpleSource(LOGS)], folder, options, workers=1)
    assert not report.failures
    assert report.counts["scene_groups"] == COUNT
    return open_benchmark(folder)


def run(benchmark, folder, *entries, weighting="navsim-exact", policy="log-replay"):
    return evaluate(benchmark, entries, made, folder, policy, weighting, workers=1)


def worked(benchmark, folder, *entries):
    """The records of an evaluation, made in this process."""
    (folder / "records").mkdir(parents=True, exist_ok=True)
    records = PlannerRecords(folder, dict.fromkeys(LOGS, 2), entries, made)
    work = EvaluateWork(records, benchmark, "log-replay")
    for log, (done, count) in ({log: (set(), 2) for log in LOGS} | records.finished()).items():
        opened = work.open(log, Stopwatch())
        for chunk in set(range(count)) - done:
            opened.make(chunk, lambda token, count, share: None)
    return work


def without_times(table):
    return table.drop_columns(list(TIMES)).to_pylist()


@pytest.fixture(scope="module")
def evaluated(benchmark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    return folder, run(benchmark, folder, CRUISE, SLOW, FAILS)


def test_results_are_those_of_every_case(benchmark, evaluated):
    folder, _ = evaluated
    results = read_results(folder)
    scene_groups = [benchmark.scene_group(name) for log in LOGS for name in benchmark.scene_groups(log)]
    planners = {"cruise": Cruise(), "slow": Cruise(4.0)}
    known = [
        result_rows(evaluate_group(scene_group, planners, "log-replay"), "navsim-exact") for scene_group in scene_groups
    ]
    rows = [row for row in without_times(results.table) if row["planner"] != "fails"]
    assert rows == [row for table in known for row in without_times(table)]
    assert results.groups == tuple(scene_group.group for scene_group in scene_groups)
    assert results.planners == ("cruise", "slow", "fails")


def joined(frames):
    """Concatenate the scenes of several scene groups."""
    arrays = ("times_us", "metrics", "states", "starts", "ends")
    return ScoredScenes(
        tuple(token for one in frames for token in one.tokens),
        tuple(log for one in frames for log in one.logs),
        *(np.concatenate([getattr(one, name) for one in frames]) for name in arrays),
    )


def test_summary_and_csv(benchmark, evaluated):
    folder, evaluation = evaluated
    scene_groups = [benchmark.scene_group(name) for log in LOGS for name in benchmark.scene_groups(log)]
    frames = joined(
        [evaluate_group(scene_group, {"slow": Cruise(4.0)}, "log-replay")[0].scenes for scene_group in scene_groups]
    )
    table = two_stage(frames, [scene_group.group for scene_group in scene_groups])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary == evaluation.summary
    assert (summary["scene_groups"], summary["scenes"]) == (COUNT, len(frames.tokens))
    assert summary["planner_differences"][0]["first"] in ("cruise", "slow")
    assert len(summary["planner_differences"]) == 3
    assert list(summary["by_source"]) == ["simple"]
    assert summary["by_source"]["simple"]["scores"]["slow"] == pytest.approx(summary["planners"]["slow"]["score"])
    assert sum(one["scene_groups"] for one in summary["by_log"].values()) == COUNT
    slow = summary["planners"]["slow"]
    assert slow["score"] == pytest.approx(table.score, abs=1e-12)
    assert slow["stage_two"]["ego_progress"] == pytest.approx(table.stage_two[4], abs=1e-12)
    assert slow["effective_follow_ups"] == pytest.approx(table.effective_sample_sizes.mean())
    assert slow["failures"] == 0
    assert slow["seconds_per_plan"] > 0
    with open(folder / "scores" / "slow.csv") as stream:
        rows = {row["token"]: row for row in csv.DictReader(stream)}
    assert len(rows) == len(frames.tokens) + 3
    assert float(rows["extended_pdm_score_combined"]["score"]) == slow["score"]
    for token, values in zip(table.tokens, table.values, strict=True):
        assert float(rows[token]["score"]) == values[-1]


def test_columns_of_navsim(test_data, evaluated):
    golden = test_data.parent / "golden" / "cli" / "two_stage_reactive_constant_velocity.csv"
    if not golden.is_file():
        pytest.skip(f"no golden file {golden}")
    with open(golden) as ours, open(evaluated[0] / "scores" / "cruise.csv") as theirs:
        assert ours.readline() == theirs.readline()


def log_of_case(benchmark, name):
    scene_group = benchmark.scene_group(benchmark.scene_groups(name)[0])
    return scene_group.scenes[scene_group.group.now].viewpoint.scene.log


def test_scores_say_on_what_they_stand(benchmark, evaluated):
    folder, _ = evaluated
    stamp = json.loads((folder / "provenance.json").read_text())
    assert stamp["metric"] == "EPDMS as NAVSIM v2.2"
    assert (stamp["traffic"], stamp["weighting"], stamp["stages"]) == ("log-replay", "navsim-exact", 2)
    assert stamp["planners"] == {one.label: one.spec for one in (CRUISE, SLOW, FAILS)}
    assert stamp["benchmark"]["options"]["traffic"] == "log-replay"
    assert len(stamp["benchmark"]["digest"]) == 64
    assert stamp["inactive_sub_scores"] == inactive_scores(log_of_case(benchmark, name) for name in LOGS)
    assert stamp["inactive_sub_scores"] == json.loads((folder / "summary.json").read_text())["inactive_sub_scores"]
    assert any(
        line.endswith(f"no intersections in {len(LOGS)} of {len(LOGS)} logs") for line in stamp["inactive_sub_scores"]
    )
    own = json.loads((folder / "scores" / "slow.csv.provenance.json").read_text())
    assert own == {**stamp, "planner": {"label": "slow", "spec": SLOW.spec}}


def test_another_weighting_plans_nothing_again(benchmark, evaluated, tmp_path):
    folder, evaluation = evaluated
    before = read_results(folder).table
    again = run(benchmark, folder, CRUISE, SLOW, FAILS, weighting="stable")
    assert again.timing["plans"] == 0
    table = read_results(folder).table
    assert table.drop_columns(["weight"]) == before.drop_columns(["weight"])
    assert table["weight"] != before["weight"]
    assert run(benchmark, folder, CRUISE, SLOW, FAILS).summary == evaluation.summary


def test_a_planner_is_added_and_only_it_is_asked(benchmark, tmp_path):
    work = worked(benchmark, tmp_path, CRUISE)
    before = {path: pq.read_table(path) for path in work.records.paths()}
    both = worked(benchmark, tmp_path, CRUISE, SLOW)
    for path in both.records.paths():
        rows = pq.read_table(path, schema=SCHEMA)
        kept = rows.filter([value == "cruise" for value in rows["planner"].to_pylist()])
        assert kept.to_pylist() == before[path].to_pylist(), "even the times are the old ones"
        assert recorded_planners(path) == {"cruise": "1", "slow": "1"}


def test_a_planner_that_changed_is_asked_again(benchmark, tmp_path):
    worked(benchmark, tmp_path, CRUISE)
    changed = replace(CRUISE, spec="tests.support.simple_planners:Cruise,speed=2.0,label=cruise", identity="2")
    work = worked(benchmark, tmp_path, changed)
    for path in work.records.paths():
        rows = pq.read_table(path, schema=SCHEMA)
        assert recorded_planners(path) == {"cruise": "2"}
        assert set(rows["planner"].to_pylist()) == {"cruise"}
        assert np.allclose([row["plan"][-3] for row in rows.to_pylist()], 8.0)


@pytest.mark.usefixtures("worker_processes")
def test_killed_and_resumed_gives_the_same(benchmark, evaluated, tmp_path):
    """The worker dies in the second log. What is done stays, and the scores are those of an undisturbed run."""
    flag, folder = tmp_path / "flag", tmp_path / "out"
    flag.touch()
    token = benchmark.scene_group(benchmark.scene_groups("train-b")[1]).group.now
    killed = entry(f"tests.support.simple_planners:Killed,file={flag},token={token},label=cruise")
    first = r"train-b train-b-1004.*, calling cruise: .*SIGKILL"
    with pytest.raises(SwerveError, match=f"1 of 4 scene groups could not be evaluated, the first: {first}"):
        run(benchmark, folder, killed)
    assert not (folder / "results.parquet").exists()
    assert not (folder / "scores").exists()
    assert len(json.loads((folder / "failures.json").read_text())) == 1
    done = {path.name: path.read_bytes() for path in (folder / "job" / "records").glob("*.parquet")}
    assert len(done) == 3
    flag.unlink()
    resumed = run(benchmark, folder, killed)
    assert all((folder / "job" / "records" / name).read_bytes() == content for name, content in done.items())
    assert without_times(read_results(folder).table) == without_times(read_results(evaluated[0]).of("cruise"))
    assert resumed.timing["plans"] == len(benchmark.scene_group(benchmark.scene_groups("train-b")[1]).group.tokens)
    assert not resumed.failures


def test_failures_are_listed_with_their_traceback(benchmark, evaluated):
    folder, evaluation = evaluated
    listed = json.loads((folder / "failures.json").read_text())
    assert 1 <= len(listed) == len(evaluation.failures) == evaluation.summary["planners"]["fails"]["failures"]
    assert {(one["item"], one["reason"]) for one in listed} == {("fails", "RuntimeError: no idea where to go")}
    assert {one["token"] for one in listed} == {
        token for token in benchmark.scenes()["token"].to_pylist() if int(hash_token(token), 16) % 3 == 0
    }
    assert all("simple_planners.py" in one["traceback"] for one in listed)


def test_mistakes_are_told_at_once(benchmark, evaluated, tmp_path):
    with pytest.raises(SwerveError, match="no planner to evaluate"):
        run(benchmark, tmp_path)
    with pytest.raises(SwerveError, match="planners 'cruise' and 'cruise': give different labels"):
        run(benchmark, tmp_path, CRUISE, CRUISE)
    with pytest.raises(SwerveError, match=r"holds another job: .*traffic was log-replay, is navsim-reactive"):
        run(benchmark, evaluated[0], CRUISE, policy="navsim-reactive")
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SwerveError, match=r"is not empty \(it holds thesis.tex\)"):
        run(benchmark, tmp_path, CRUISE)


def test_images_that_are_not_there_are_told_at_once(benchmark):
    planner = Cruise()
    planner.cameras = ("front",)
    check_cameras(benchmark, [planner])
    planner.cameras = ("roof",)
    with pytest.raises(SwerveError, match="needs camera 'roof'; there are: front, back"):
        check_cameras(benchmark, [planner])


def test_identity_follows_spec_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "from tests.support.simple_planners import Cruise\nclass Mine(Cruise):\n    pass\n"
    (tmp_path / "own_planner.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    first = load_planner("own_planner:Mine")
    identity = partial(fingerprint, first)
    known = identity()
    assert identity() == known
    assert fingerprint(load_planner("own_planner:Mine,speed=3.0")) != known
    (tmp_path / "own_planner.py").write_text(text + "# changed\n")
    assert identity() != known
    assert fingerprint(load_planner("constant-velocity")) != fingerprint(load_planner("stationary"))


def test_a_record_of_no_case_has_no_planners(tmp_path, benchmark):
    path = tmp_path / "train-a-00000.parquet"
    assert recorded_planners(path) == {}
    scene_group = benchmark.scene_group(benchmark.scene_groups("train-a")[0])
    rows = result_rows(evaluate_group(scene_group, {"cruise": Cruise()}, "log-replay"), "navsim-exact")
    add_to_record(path, rows, {"cruise": "1"})
    assert pq.read_table(path, schema=SCHEMA).to_pylist() == rows.to_pylist()


@pytest.mark.parametrize(("reason", "told"), [("is broken", "broken. There"), ("Was it there?", "there? There")])
def test_reasons_end_as_sentences_before_the_next(tmp_path, reason, told):
    entry = PlannerSpec("own", "own", "1")
    records = PlannerRecords(tmp_path / "job", {"log": 1}, (entry,), lambda spec: Cruise())
    outcome = RunResult("scenes", 0, 0.0, {}, (Failure("log", "", "", reason),))
    with pytest.raises(SwerveError, match=re.escape(f"{told} are no results")):
        _require_all(records, tmp_path, outcome, "scene groups")
