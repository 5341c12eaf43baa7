import numpy as np
import pytest

from swerve.eval import build_context, pdms, two_stage
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.eval.study.measures import OPEN_LOOP
from swerve.eval.study.open_loop import half_seconds, starts_of, study_frames, subsample_follow_ups
from swerve.eval.study.study_records import StudyRecord, stack
from swerve.eval.study.variants import navsim_recipe, offsets_of, pseudo_simulation
from swerve.scenes import SwerveError
from swerve.scenes.planning import Trajectory
from tests.support.simple_scene_group import SHIFTS, simple_scene_group
from tests.support.study_work import Steady


@pytest.fixture(scope="module")
def planners():
    shares = {f"steady-{share}": Steady(share) for share in (0.6, 0.8, 1.0, 1.2)}
    return {**shares, "dense": Steady(0.8, 0.1), "broken": Steady(broken=True)}


@pytest.fixture(scope="module")
def part(planners):
    return study_frames(simple_scene_group(), planners, "log-replay")


def record(part, planners):
    count = len(planners)
    closed = {
        "closed_loop_metrics": np.zeros((count, 1, 10)),
        "closed_loop": np.zeros((count, 1)),
        "references": ("same",),
    }
    return StudyRecord("now", "log", tuple(planners), **vars(part), **closed)


def test_pseudo_simulation_of_a_case_is_the_scorers_own(part, planners):
    study, failed = stack([record(part, planners)], ["f"] * len(planners))
    assert failed == ("broken",)
    scene_group = simple_scene_group()
    ours = pseudo_simulation(study, offsets_of(study), navsim_recipe())
    for row, evaluated in enumerate(
        evaluate_group(scene_group, {k: planners[k] for k in study.planners}, "log-replay")
    ):
        assert ours[row, 0] == pytest.approx(two_stage(evaluated.scenes, [scene_group.group]).score, abs=1e-12)
    assert ours.max() > 0


def test_who_plans_ten_times_a_second_is_judged_as_who_plans_twice(part, planners):
    dense, sparse = (list(planners).index(name) for name in ("dense", "steady-0.8"))
    np.testing.assert_allclose(part.ends[dense], part.ends[sparse], atol=1e-5)
    np.testing.assert_allclose(part.open_loop[dense], part.open_loop[sparse], atol=1e-6)
    np.testing.assert_allclose(part.stage_one[dense], part.stage_one[sparse], atol=1e-4)


def test_ends_and_starts_know_heading_and_speed(part, planners):
    scene_group = simple_scene_group()
    ego = scene_group.scenes["now"].viewpoint.ego
    speed, row = np.hypot(*ego.velocity[-1, :2]), list(planners).index("steady-1.2")
    end = part.ends[row, 0]
    assert end[3] == pytest.approx(1.2 * speed)
    assert end[2] == pytest.approx(ego.headings[-1])
    np.testing.assert_allclose(
        end[:2], ego.positions[-1, :2] + 4.8 * speed * np.array([np.cos(end[2]), np.sin(end[2])])
    )
    starts = starts_of(scene_group)
    assert starts.shape == (len(SHIFTS), 2, 4)
    np.testing.assert_allclose(starts[1, 0, :2] - starts[0, 0, :2], SHIFTS[1])
    np.testing.assert_allclose(starts[..., 3], speed)


def test_open_loop_columns(part, planners):
    scene_group = simple_scene_group()
    context = build_context(scene_group.scenes["now"].viewpoint.scene, "now")
    row = list(planners).index("steady-0.6")
    speed = np.hypot(*scene_group.scenes["now"].viewpoint.ego.velocity[-1, :2])
    away = 0.4 * speed * 0.5 * np.arange(1, 9)
    assert part.open_loop[row, OPEN_LOOP.index("ade")] == pytest.approx(away.mean(), rel=1e-6)
    assert part.open_loop[row, OPEN_LOOP.index("fde")] == pytest.approx(away[-1], rel=1e-6)
    plan = np.stack([0.6 * speed * 0.5 * np.arange(1, 9), *np.zeros((2, 8))], axis=1)
    assert part.open_loop[row, OPEN_LOOP.index("pdms")] == pytest.approx(pdms(context, plan[None]).score[0])


def test_failures_are_told(part, planners):
    told = dict(zip(planners, part.errors, strict=True))
    assert told.pop("broken").endswith("RuntimeError: no idea")
    assert not any(told.values())


def test_half_seconds_between_other_poses():
    seconds = 0.2 * np.arange(1, 26)
    turning = np.stack([seconds**1, 0 * seconds, np.pi - 2.0 + seconds], axis=1)
    turning[:, 2] = (turning[:, 2] + np.pi) % (2 * np.pi) - np.pi
    poses = half_seconds(Trajectory(turning, 0.2))
    np.testing.assert_allclose(poses[:, 0], 0.5 * np.arange(1, 9))
    np.testing.assert_allclose(np.cos(poses[1:, 2]), np.cos(np.pi - 2.0 + 0.5 * np.arange(2, 9)), atol=1e-9)
    assert (np.abs(poses[:, 2]) <= np.pi).all()


def test_thinned_cases_keep_the_first_stage_and_a_share_of_the_second():
    scene_group = simple_scene_group()
    less = subsample_follow_ups(scene_group, 0.4, seed=0)
    assert (less.group.now, less.group.before) == (scene_group.group.now, scene_group.group.before)
    assert len(less.group.follow_ups) == 2
    assert set(less.group.follow_ups) < set(scene_group.group.follow_ups)
    assert subsample_follow_ups(scene_group, 0.4, seed=0).group == less.group
    assert len({subsample_follow_ups(scene_group, 0.4, seed).group for seed in range(20)}) > 3
    assert len(subsample_follow_ups(scene_group, 0.01, seed=0).group.follow_ups) == 1
    assert subsample_follow_ups(scene_group, 1.0, seed=0).group == scene_group.group
    with pytest.raises(SwerveError, match="density: 0 must"):
        subsample_follow_ups(scene_group, 0.0, seed=0)
