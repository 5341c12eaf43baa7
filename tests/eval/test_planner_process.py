"""Planners in processes of their own: what they plan is theirs, and what they break is theirs alone."""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from swerve.eval import build_context
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.evaluate.call_planner import PlannerOutput, call_observed, call_planner
from swerve.eval.benchmark.evaluate.observations import check_available, observations_of, required_cameras
from swerve.eval.benchmark.evaluate.results import read_results
from swerve.eval.planner_process import PlannerLimits, ProcessPlanner
from swerve.eval.planner_process.messages import (
    LONGEST_ERROR,
    PlannerGone,
    SharedArrays,
    decode_outputs,
    encode_json,
    encode_outputs,
)
from swerve.evaluation import evaluate_planners
from swerve.options.evaluate import EvaluateOptions
from swerve.planners.open_planner import load_with_identity, open_planner
from swerve.scenes import SwerveError
from swerve.scenes.errors import PlannerError
from swerve.scenes.planning import Trajectory
from tests.support.alpasim_client import wait_until
from tests.support.hostile_planners import FORWARD, Honest
from tests.support.observations import moving
from tests.support.simple_scene_group import RenderedViews, simple_scene_group
from tests.support.simple_source import SimpleSource

HOSTILE = "tests.support.hostile_planners"
LIMITS = PlannerLimits(plan_timeout=1.5, startup_timeout=60.0, planner_memory=4.0, planner_restarts=100)
# By class: how many of two observations are planned, and how the error of the others reads.
OUTCOMES = {
    "Honest": (2, ""),
    "Hangs": (0, r"took longer than 1\.5 s"),
    "HangsInLoop": (0, r"took longer than 1\.5 s"),
    "HangsInBatch": (2, ""),
    "Exits": (0, "SystemExit"),
    "Dies": (0, "exit status 0"),
    "Killed": (0, "SIGKILL"),
    "Segfaults": (0, "SIGSEGV"),
    "Aborts": (0, "SIGABRT"),
    "Interrupts": (0, "KeyboardInterrupt"),
    "Forks": (2, ""),
    "LeavesChild": (2, ""),
    "GiantError": (0, r"^.*ValueError: x"),
    "Prints": (2, ""),
    "ClosesEverything": (0, "ended"),
    "WritesEverywhere": (0, "ended|sent"),
    "Hoards": (0, "MemoryError"),
    "Changes": (2, ""),
}


def scene_and_context():
    frame = simple_scene_group().scenes["now"]
    return frame, build_context(frame.viewpoint.scene, frame.token, frame.follow_up)


def planner(name, limits=LIMITS):
    return ProcessPlanner(load_with_identity, f"{HOSTILE}:{name}", limits)


@pytest.mark.parametrize("name", OUTCOMES)
def test_each_planner_fails_alone_and_is_started_again(name):
    planned, error = OUTCOMES[name]
    # Only those that hang wait for the limit, which a busy machine would let others miss.
    hostile = planner(name, LIMITS if name.startswith("Hangs") else replace(LIMITS, plan_timeout=30.0))
    try:
        for _ in range(2):
            outputs = call_planner(hostile, [moving(), moving()])
            assert sum(output.plan is not None for output in outputs) == planned
            for output in outputs:
                if output.plan is None:
                    assert len(output.error) < LONGEST_ERROR + 1000
                    assert re.search(error, output.error.splitlines()[-1][:1000]), output.error[:300]
                else:
                    np.testing.assert_array_equal(output.plan.poses, FORWARD)
    finally:
        hostile.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("HangsAtStart", r"not loaded within 6 s, and was ended"),
        ("ExitsAtStart", "could not be loaded: SystemExit: 0"),
        ("DiesAtStart", "ended while it was loaded, with exit status 0"),
        ("BadCameras", "could not be loaded: TypeError"),
        ("RaisesForCameras", "could not be loaded: RuntimeError: no cameras today"),
    ],
)
def test_a_planner_that_cannot_be_loaded_fails_in_every_scene(name, reason):
    opened = open_planner(f"{HOSTILE}:{name},label=it", PlannerLimits(startup_timeout=6.0))
    assert opened.label == "it"
    assert opened.planner.cameras == ()
    for output in call_planner(opened.planner, [moving(), moving()]):
        assert output.plan is None
        assert re.search(reason, output.error), output.error


def test_a_wrong_spec_is_refused():
    with pytest.raises(SwerveError, match=r"no class|has no"):
        open_planner(f"{HOSTILE}:Nobody", LIMITS)
    with pytest.raises(SwerveError, match="no parameter 'speed'"):
        open_planner(f"{HOSTILE}:Honest,speed=3", LIMITS)


def test_own_planners_run_in_the_same_process():
    assert not isinstance(open_planner("constant-velocity", LIMITS).planner, ProcessPlanner)
    assert not isinstance(open_planner(f"{HOSTILE}:Honest", PlannerLimits(in_process=True)).planner, ProcessPlanner)


def test_restarts_are_counted():
    dying = planner("Dies", PlannerLimits(planner_restarts=2))
    errors = [call_planner(dying, [moving()])[0].error for _ in range(4)]
    assert ["exit status" in error for error in errors] == [True, True, True, False]
    assert "was started 3 times, and is not started again" in errors[3]


def test_only_consecutive_failures_count():
    dying = planner("DiesInSome", PlannerLimits(planner_restarts=1))
    even, odd = (moving(token=token) for token in ("10", "11"))
    for _ in range(3):
        (bad, good) = (call_planner(dying, [one])[0] for one in (odd, even))
        assert "exit status 3" in bad.error
        assert good.plan is not None


def test_a_planner_without_batches_has_its_time_for_each_plan():
    slow = planner("Slow", PlannerLimits(plan_timeout=0.5))
    assert all("took longer than 0.5 s" in output.error for output in call_planner(slow, [moving()] * 3))


def test_a_planner_that_is_not_started_again_fails_in_its_scenes():
    dying = planner("DiesAndChooses", PlannerLimits(planner_restarts=0))
    assert "exit status" in call_planner(dying, [moving()])[0].error
    with pytest.raises(PlannerError, match="is not started again"):
        dying.cameras(())
    with pytest.raises(PlannerError, match="is not started again"):
        dying.check_sensors()
    assert "is not started again" in call_planner(dying, [moving()])[0].error


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("BreaksInCheck", "check: KeyError: 'sensors'"),
        ("InterruptsInCameras", "cameras: KeyboardInterrupt"),
        ("ChoosesNumbers", "cameras: TypeError: 'int' object is not iterable"),
        ("ExitsInCheck", "check: SystemExit: 0"),
        ("DiesAndChooses", "is not started again"),
    ],
)
def test_a_planner_that_breaks_where_it_is_asked_fails_alone(name, reason):
    hostile = planner(name, PlannerLimits(planner_restarts=0))
    if name == "DiesAndChooses":
        call_planner(hostile, [moving()])
    frame, context = scene_and_context()
    check_available(partial(required_cameras, frame, hostile, RenderedViews()))
    failed, seen = observations_of(frame, context, [hostile, Honest()], RenderedViews())
    assert seen.token
    outputs = call_observed(hostile, [failed, moving()][: 1 if name == "DiesAndChooses" else 2])
    assert outputs[0].plan is None
    assert reason in outputs[0].error
    assert all(output.plan for output in outputs[1:])
    hostile.close()


def test_a_refusal_in_a_scene_is_that_scene_s_alone():
    (frame, context), hostile = scene_and_context(), planner("RefusesSome")
    outcomes = [observations_of(frame, context, [hostile], None)[0] for _ in range(4)]
    assert [getattr(one, "error", "") for one in outcomes] == ["", "not this scene", "", "not this scene"]
    hostile.close()


@pytest.mark.parametrize("limits", [{"plan_timeout": 0.0}, {"startup_timeout": np.inf}, {"planner_memory": np.nan}])
def test_limits_are_checked(limits):
    with pytest.raises(SwerveError, match=next(iter(limits))):
        PlannerLimits(**limits)


def test_processes_end_with_the_planner():
    leaving = planner("LeavesChild")
    call_planner(leaving, [moving()])
    group = os.getpgid(leaving._process._child.pid)
    # The planner's, the one that waits for the end, and the one left.
    assert members(group) == 3
    leaving.close()
    wait_for_end(group)


def test_a_planner_that_is_closed_while_it_plans_fails_and_is_not_started_again():
    hanging = planner("Hangs", PlannerLimits(plan_timeout=60.0))
    with ThreadPoolExecutor(1) as pool:
        planned = pool.submit(call_planner, hanging, [moving(), moving()])
        wait_until(lambda: not hanging._lock.free)
        hanging.close()
        first, second = planned.result(30.0)
    assert "SIGKILL" in first.error or "was closed" in first.error
    assert "was closed" in second.error
    assert "was closed" in call_planner(hanging, [moving()])[0].error
    with pytest.raises(PlannerError, match="was closed"):
        planner_closed("DiesAndChooses").check_sensors()
    assert (hanging._process, hanging._starts) == (None, 1)


def planner_closed(name):
    closed = planner(name)
    closed.close()
    closed.close()
    return closed


def test_processes_end_when_the_evaluating_process_is_killed(tmp_path):
    code = f"""if True:
        import os, time
        from tests.eval.test_planner_process import planner
        from swerve.eval.benchmark.evaluate.call_planner import call_planner
        from tests.support.observations import moving
        leaving = planner("LeavesChild")
        call_planner(leaving, [moving()])
        open({str(tmp_path / "group")!r}, "w").write(str(os.getpgid(leaving._process._child.pid)))
        time.sleep(600)
    """
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    end = time.monotonic() + 60
    while not (tmp_path / "group").exists() or not (tmp_path / "group").read_text():
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    group = int((tmp_path / "group").read_text())
    assert members(group) == 3
    process.kill()
    process.wait()
    wait_for_end(group)


def wait_for_end(group):
    end = time.monotonic() + 10
    while members(group):
        assert time.monotonic() < end, "a process was left behind"
        time.sleep(0.05)


def members(group):
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listed.splitlines())
    return sum(int(pgid) == group and not stat.startswith("Z") for pgid, stat in rows)


def test_arrays_travel_through_shared_memory_and_are_copies():
    ours = SharedArrays.create()
    theirs = SharedArrays(os.dup(ours.file))
    random = np.random.default_rng(0)
    for size in (10, 1000, 3, 2_000_000):
        item = {"a": random.random(size), "b": [random.random((size, 2)), "text"]}
        sent = ours.dump(item)
        assert len(sent) < 2000
        found = theirs.load(sent)
        ours.dump({"a": np.zeros(4 * size)})
        np.testing.assert_array_equal(found["a"], item["a"])
        np.testing.assert_array_equal(found["b"][0], item["b"][0])
    ours.close()
    theirs.close()


def test_replies_are_checked():
    outputs = [PlannerOutput(Trajectory(FORWARD, 0.5), "", 0.25), PlannerOutput(None, "broke", 0.5)]
    first, second = decode_outputs(encode_outputs(outputs), 2)
    np.testing.assert_array_equal(first.plan.poses, FORWARD)
    assert (first.seconds, second.error, second.seconds) == (0.25, "broke", 0.5)
    whole = encode_outputs(outputs)
    head = {"error": "", "seconds": 0.1, "poses": 8, "interval": 0.5}
    wrong = [b"", whole[:20], whole[:-8], b"\xff" * 100, encode_json({}), encode_json({"outputs": 3})]
    wrong += [encode_json({"outputs": [{**head, **change}]}) for change in ({"poses": -1}, {"interval": "x"}, {})]
    wrong.append(encode_json({"outputs": [{**head, "poses": 10**30}]}))
    for reply in wrong:
        with pytest.raises(PlannerGone):
            decode_outputs(reply, 2)
    random = np.random.default_rng(1)
    for _ in range(300):
        noisy = bytearray(whole)
        noisy[random.integers(len(noisy))] = random.integers(256)
        try:
            decode_outputs(bytes(noisy), 2)
        except PlannerGone:
            continue


@pytest.mark.slow
def test_honest_scores_are_those_of_a_run_without_hostile_planners(tmp_path):
    options = BuildOptions(scene_interval=4.0, views=(), traffic="log-replay", min_follow_ups=2, max_follow_ups=2)
    build([SimpleSource(("train-0",))], tmp_path / "bench", options, 1)
    honest = ["constant-velocity", f"{HOSTILE}:Honest,label=honest"]
    names = ["Hangs", "HangsAtStart", "ExitsAtStart", "Dies", "DiesInSome", "Killed", "Segfaults", "Interrupts"]
    names += ["GiantError", "BadCameras", "BreaksInCheck", "ChoosesNumbers"]
    hostile = [f"{HOSTILE}:{name},label={name}" for name in names]
    limits = PlannerLimits(plan_timeout=1.0, startup_timeout=10.0, planner_restarts=1)
    alone = evaluate_planners(tmp_path / "bench", honest, tmp_path / "alone", EvaluateOptions(report=False), 1)
    among = [hostile[0], honest[0], *hostile[1:5], honest[1], *hostile[5:]]
    whole = evaluate_planners(
        tmp_path / "bench", among, tmp_path / "all", EvaluateOptions(report=False, limits=limits), 1
    )
    benchmark = open_benchmark(tmp_path / "bench")
    assert not alone.failures
    failed = {name: sum(one.item == name for one in whole.failures) for name in [*names, "honest", "constant-velocity"]}
    scenes = len(benchmark.scenes())
    assert failed.pop("honest") == failed.pop("constant-velocity") == 0
    assert 0 < failed.pop("DiesInSome") <= scenes
    assert set(failed.values()) == {scenes}
    for label in ("honest", "constant-velocity"):
        one, other = (read_results(tmp_path / name).of(label) for name in ("alone", "all"))
        assert one.drop_columns(["plan_seconds"]).equals(other.drop_columns(["plan_seconds"]))
