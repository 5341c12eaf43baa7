"""Evaluation of planners on a scene group: inputs of each planner, and effects of failures."""

import sys
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from swerve.eval import build_context, score, two_stage
from swerve.eval.benchmark.evaluate.call_planner import call_planner
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.scenes.planning import Trajectory
from tests.support.simple_planners import BatchFailsAt, Cruise, FailsAt, Spoils, SpoilsBatches, straight
from tests.support.simple_scene_group import GROUP, SHIFTS, RenderedViews, simple_scene_group

AT = GROUP.tokens.index("now2")
REST = [row for row, token in enumerate(GROUP.tokens) if token != "now2"]


@cache
def cruise(speed=None):
    """The planner that works."""
    return evaluate_group(simple_scene_group(), {"cruise": Cruise(speed)}, "log-replay")[0]


def test_scores_are_the_scorers():
    result = cruise(10.0)
    assert result.planner == "cruise"
    assert result.scenes.tokens == GROUP.tokens
    for row, token in enumerate(GROUP.tokens):
        frame = simple_scene_group().scenes[token]
        context = build_context(frame.viewpoint.scene, token, frame.follow_up)
        known = score(context, straight(10.0).poses[None])
        assert np.array_equal(result.scenes.metrics[row], known.metrics[0])
        assert np.array_equal(result.raw[row], known.raw[0])
        assert np.array_equal(result.human_filtered[row], known.human_filtered)
        assert np.allclose(result.scenes.states[row], known.states[0], atol=1e-12)
    assert result.errors == ("",) * len(GROUP.tokens)
    assert (result.seconds > 0).all()


def test_starts_and_ends():
    """Now is at x = 50, before at 45; 4 s later the human is 40 m on."""
    frames = cruise().scenes
    assert np.allclose(frames.starts[:2], [[50, -1.75], [45, -1.75]])
    assert np.allclose(frames.starts[2::2], np.array([90, -1.75]) + SHIFTS)
    assert np.allclose(frames.ends - frames.starts, [40, 0])


def test_a_longer_plan_ends_after_four_seconds():
    planner = SimpleNamespace(cameras=(), plan=lambda observation: straight(10.0, seconds=6.0, interval=0.3))
    frames = evaluate_group(simple_scene_group(), {"long": planner}, "log-replay")[0].scenes
    assert np.allclose(frames.ends - frames.starts, [40, 0])
    assert np.allclose(frames.metrics, cruise().scenes.metrics, atol=1e-6)


def raises():
    raise RuntimeError("no idea where to go")


def spoiled(poses, interval=0.5):
    """A trajectory that was whole when it was made."""
    trajectory = straight(10.0)
    object.__setattr__(trajectory, "poses", poses)
    object.__setattr__(trajectory, "interval", interval)
    return trajectory


FAILURES = {
    "raises": (raises, "RuntimeError: no idea where to go"),
    "leaves": (sys.exit, "SystemExit"),
    "short": (lambda: straight(10.0, seconds=3.5), "end before 4 s"),
    "not finite": (lambda: Trajectory(np.full((8, 3), np.nan)), "\nSwerveError: trajectory: poses [0, 1, 2, 3, 4] are"),
    "spoiled": (lambda: spoiled(np.full((8, 3), np.inf)), "are not finite"),
    "wrong shape": (lambda: spoiled(np.zeros((8, 2))), "shape (8, 2) instead of (k, 3)"),
    "no numbers": (lambda: spoiled([["a", "b", "c"]] * 8), "ValueError"),
    "no time": (lambda: spoiled(np.zeros((8, 3)), 0.0), "the interval is 0.0 s, it must be above 0"),
    "no end": (lambda: Trajectory(np.zeros((8, 3)), np.inf), "the interval is inf s"),
    "wrong type": (lambda: np.zeros((8, 3)), "returned ndarray instead of swerve.Trajectory"),
    "nothing": (lambda: None, "returned NoneType instead of swerve.Trajectory"),
    "absurd": (lambda: straight(1e7), "farther than any vehicle can drive"),
}


@pytest.mark.parametrize("make", [FailsAt, BatchFailsAt])
@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_costs_its_own_scene(name, make):
    otherwise, message = FAILURES[name]
    answers = call_planner(make("b", otherwise), observations("abc"))
    assert [answer.plan is None for answer in answers] == [False, True, False]
    assert message in answers[1].error
    assert answers[0].error == answers[2].error == ""


@cache
def observations(tokens):
    """The same scene under several tokens."""
    frame = simple_scene_group().scenes["now"]
    told = observation_of(frame, build_context(frame.viewpoint.scene), Cruise(), None)
    return [replace(told, token=token) for token in tokens]


def test_the_traceback_names_the_planners_line():
    error = call_planner(FailsAt("b", raises), observations("b"))[0].error
    assert "simple_planners.py" in error
    assert "in raises" in error
    assert "ask.py" not in error


def test_too_few_answers_to_a_batch_are_asked_for_again():
    planner = BatchFailsAt("nowhere", raises)
    planner.plan_batch = lambda told: [straight(10.0)] * min(len(told), 2)
    assert all(answer.plan for answer in call_planner(planner, observations("abc")))


def test_a_failed_frame_is_worth_nothing_and_the_rest_goes_on():
    planners = {"fails": FailsAt("now2", raises), "cruise": Cruise()}
    failed, whole = evaluate_group(simple_scene_group(), planners, "log-replay")
    known = cruise()
    assert np.array_equal(whole.scenes.metrics, known.scenes.metrics)
    assert np.array_equal(failed.scenes.metrics[REST], known.scenes.metrics[REST])
    assert not failed.scenes.metrics[AT].any()
    assert not failed.raw[AT].any()
    assert np.array_equal(failed.scenes.ends[AT], failed.scenes.starts[AT])
    assert failed.plans[AT] is None
    assert "RuntimeError" in failed.errors[AT]
    table, whole_table = two_stage(failed.scenes, [GROUP]), two_stage(known.scenes, [GROUP])
    pair = [AT, AT + 1]
    assert not table.values[pair, -2].any(), "extended comfort of both frames of the pair"
    assert table.values[AT, -1] == 0.0
    others = [row for row in range(len(GROUP.tokens)) if row not in pair]
    assert np.array_equal(table.values[others], whole_table.values[others])
    assert np.array_equal(table.weights, whole_table.weights)


def test_a_failure_in_the_first_stage_weighs_as_if_it_stayed():
    failed = evaluate_group(simple_scene_group(), {"fails": FailsAt("now", raises)}, "log-replay")[0]
    table = two_stage(failed.scenes, [GROUP])
    assert np.allclose(table.weights[2::2], 1 / 5), "40 m from all follow-ups: uniform"
    assert np.allclose(table.weights[3::2], two_stage(cruise().scenes, [GROUP]).weights[3::2])


@pytest.mark.parametrize("policy", ["log-replay", "navsim-reactive"])
def test_batches_and_company_change_nothing(policy):
    batch = BatchFailsAt("nowhere", raises)
    planners = {
        "slow": Cruise(4.0),
        "batch": batch,
        "fine": SimpleNamespace(cameras=(), plan=finely),
        "fast": Cruise(14),
    }
    together = evaluate_group(simple_scene_group(), planners, policy)
    assert batch.batches == [len(GROUP.tokens)]
    for label, planner in planners.items():
        alone = evaluate_group(simple_scene_group(), {label: planner}, policy)[0]
        same = next(one for one in together if one.planner == label)
        assert np.array_equal(alone.scenes.metrics, same.scenes.metrics)
        assert np.array_equal(alone.scenes.states, same.scenes.states)
        assert alone.reasons == same.reasons


def finely(observation):
    return straight(11.0, interval=0.1)


def test_images_are_drawn_once_for_all_planners():
    views = RenderedViews()
    planners = {str(index): SimpleNamespace(plan=Cruise().plan) for index in range(3)}
    evaluate_group(simple_scene_group(views), planners, "log-replay")
    assert [token for token, _ in views.asked] == list(GROUP.tokens)


@pytest.mark.parametrize("kind", [Spoils, SpoilsBatches])
def test_a_planner_that_writes_to_what_it_is_given_spoils_nothing(kind):
    """It is called first; another planner then has the observations and scores that it has alone."""
    seen = []

    def plan(observation):
        seen.append([camera.ego_from_camera.copy() for camera in observation.cameras])
        return Cruise().plan(observation)

    looks, spoiler = SimpleNamespace(plan=plan), kind()
    alone = evaluate_group(simple_scene_group(RenderedViews()), {"looks": looks}, "lane-following")[0]
    together = evaluate_group(
        simple_scene_group(RenderedViews()), {"spoils": spoiler, "looks": looks}, "lane-following"
    )[1]
    assert spoiler.count > 10 * len(GROUP.tokens)
    assert np.array_equal(together.scenes.metrics, alone.scenes.metrics)
    assert np.array_equal(together.scenes.states, alone.scenes.states)
    assert np.array_equal(*np.split(np.array(seen), 2))


def test_progress_is_told():
    told = []
    evaluate_group(
        simple_scene_group(), {"cruise": Cruise()}, "log-replay", lambda place, share: told.append((place, share))
    )
    places = list(dict.fromkeys(place for place, _ in told))
    assert [place for place in places if "calling" not in place] == list(GROUP.tokens)
    assert places[1] == f"{GROUP.tokens[0]}, calling cruise"
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert 0 <= told[0][1] < told[-1][1] < 1
