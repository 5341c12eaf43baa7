"""Follow-up viewpoints: the grid, the trajectory bank, synthesis."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swerve.scenes import Ego, SwerveError, extract_scenes
from swerve.scenes.transforms import pose_from_yaw, wrap_angle
from swerve.scenes.viewpoints import build_log_geometry
from swerve.scenes.viewpoints.follow_up import (
    FollowUp,
    FollowUpOptions,
    build_trajectory_bank,
    follow_ups,
)
from swerve.scenes.viewpoints.follow_up.grid import reachable
from swerve.scenes.viewpoints.follow_up.synthesis import synthesise
from swerve.scenes.viewpoints.human_limits import allowed_ratios
from tests.support.follow_up_cases import (
    EMPTY,
    LOGS,
    NOW,
    OPTIONS,
    STEP,
    SYNTHESIS,
    at,
    bank_of,
    geometry_of,
    good,
    made,
    reasons,
    scene_of,
    start_points,
)
from tests.support.simple_log import STEPS, arc_log, empty_road
from tests.support.town_logs import town


def test_the_grid_of_a_straight_road_by_hand():
    """At 10 m/s the expert is 40 m on; braking with 4 m/s2 he stops after 12.5 m, accelerating he gets 72 m far."""
    _, grid = start_points(empty_road(10.0))
    assert len(grid) == 12 * 9
    assert sorted(set(grid.longitudinal)) == [-25.0, -20.0, -15.0, -10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]
    assert sorted(set(grid.lateral)) == [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0]
    expected = np.stack([20.0 + 40.0 + 40.0 + grid.longitudinal, -1.75 + grid.lateral], axis=1)
    np.testing.assert_allclose(grid.positions, expected, atol=1e-6)
    np.testing.assert_allclose(grid.headings, 0.0, atol=1e-9)
    numbers = {(lateral, along): index for index, lateral, along in zip(
        grid.indices.tolist(), grid.lateral.tolist(), grid.longitudinal.tolist(), strict=True
    )}  # fmt: skip
    order = [(0.0, 0.0), (-0.5, 0.0), (0.5, 0.0), (-1.0, 0.0), (1.0, 0.0), (-1.5, 0.0), (1.5, 0.0), (-2.0, 0.0)]
    assert [numbers[point] for point in order] == list(range(8))
    assert (numbers[0.0, -5.0], numbers[0.0, 5.0], numbers[2.0, -10.0]) == (9, 18, 35)


@pytest.mark.parametrize(
    ("speed", "least", "most"), [(0.0, 0.0, 32.0), (10.0, 12.5, 72.0), (16.0, 32.0, 96.0), (20.0, 48.0, 112.0)]
)
def test_reach_by_hand(speed, least, most):
    np.testing.assert_allclose(reachable(speed, OPTIONS), [least, most])


def test_a_start_point_keeps_its_number():
    """Whatever the speed, and whatever headings and speeds are tried besides."""
    dense = replace(OPTIONS, heading_offsets=(0.0, 0.1, -0.1), speed_offsets=(0.0, 2.0))
    by_point = {}
    for speed in (0.0, 3.0, 10.0, 16.0):
        for options in (OPTIONS, dense):
            _, grid = start_points(empty_road(speed), options)
            assert len(set(grid.indices)) == len(grid)
            columns = (grid.lateral, grid.longitudinal, grid.heading_offsets, grid.speed_offsets)
            for index, *point in zip(grid.indices.tolist(), *(column.tolist() for column in columns), strict=True):
                assert by_point.setdefault(tuple(point), index) == index
    assert by_point[0.0, 0.0, 0.0, 0.0] == 0


def test_ranges_that_are_no_multiple_of_the_step_are_not_exceeded():
    _, grid = start_points(empty_road(10.0), replace(OPTIONS, lateral=2.3, lateral_step=0.8, longitudinal_step=7.0))
    np.testing.assert_allclose(sorted(set(grid.lateral)), [-1.6, -0.8, 0.0, 0.8, 1.6])
    assert sorted(set(grid.longitudinal)) == [-21.0, -14.0, -7.0, 0.0, 7.0, 14.0, 21.0, 28.0]


def test_the_grid_follows_a_bend():
    """A left bend of 40 m: 2 m to its inside the radius is 38 m."""
    log = arc_log()
    _, grid = start_points(log)
    ego = log.ego.positions[NOW + 40, :2]
    heading = log.ego.headings[NOW + 40]
    centre = ego + 40.0 * np.array([-np.sin(heading), np.cos(heading)])
    radius = np.linalg.norm(grid.positions - centre, axis=1)
    inside = grid.along < build_log_geometry(log).path.arc_lengths[-1]
    np.testing.assert_allclose(radius[inside], 40.0 - grid.lateral[inside], atol=0.02)
    np.testing.assert_allclose(grid.positions[grid.indices == 0][0], ego, atol=0.01)


cases = st.tuples(st.integers(0, len(LOGS) - 1), st.integers(20, 75))


@given(cases, st.sampled_from([(0.0, 0.0), (0.15, 0.0), (-0.1, 1.0), (0.0, -1.5)]))
@settings(max_examples=12)
def test_synthesised_drives_join_the_expert_and_the_start_point_within_bounds(case, extra):
    row, now = case
    log, geometry = LOGS[row], geometry_of(row)
    turn, faster = extra
    options = replace(SYNTHESIS, heading_offsets=(turn,), speed_offsets=(faster,))
    expert, grid = start_points(log, options, now)
    found = synthesise(geometry, expert, grid, options)
    fine = found.limit_ratio <= 1.0
    drives, motion = found.drives, geometry.ego_motion
    np.testing.assert_allclose(drives.positions[:, -1][fine], grid.positions[fine], atol=1e-6)
    np.testing.assert_allclose(drives.headings[:, -1][fine], grid.headings[fine] + turn, atol=1e-6)
    standing = motion.speeds[now] < 0.1
    # Smoothed positions of a standing car creep back and forth, by up to 1.2 cm of these logs'; the path goes on alone.
    near = 0.015 if standing else 0.001
    np.testing.assert_allclose(drives.positions[fine, 0] - motion.positions[now], 0.0, atol=near)
    np.testing.assert_allclose(drives.headings[fine, 0], motion.headings[now], atol=0.01)
    np.testing.assert_allclose(drives.speeds[fine, 0], 0.0 if standing else motion.speeds[now], atol=1e-6)
    np.testing.assert_allclose(drives.curvatures[fine, 0], motion.curvatures[now], atol=2e-3)
    pull = np.gradient(drives.speeds, STEP, axis=1, edge_order=2)[:, 0]
    if not standing:
        np.testing.assert_allclose(pull[fine], motion.accelerations[now], atol=0.06)
    clock = np.arange(41) * STEP
    ratios = options.bounds.max_ratios(drives.speeds[fine], drives.curvatures[fine], clock, log.vehicle)
    assert (ratios.max(axis=1, initial=0.0) <= allowed_ratios(geometry, expert.steps, options.bounds) + 1e-9).all()


@given(cases)
@settings(max_examples=8)
def test_histories_are_kinematically_consistent(case):
    """Positions are integrals of speed and heading, headings of yaw rate, speeds of acceleration."""
    row, now = case
    found = good(made(LOGS[row], bank_of(row), OPTIONS, now))
    assert found
    for one in found:
        check_consistent(one.ego)


def check_consistent(ego):
    """To 6 mm and 6 mrad a step, 0.2 m/s2: the smoother allows so much slip, and sums here are of trapezes."""
    headings = np.unwrap(ego.headings)
    assert len(ego) == 21
    middle, forward = (headings[1:] + headings[:-1]) / 2, (ego.velocity[1:, 0] + ego.velocity[:-1, 0]) / 2
    step = forward[:, None] * STEP * np.stack([np.cos(middle), np.sin(middle)], axis=1)
    np.testing.assert_allclose(np.diff(ego.positions[:, :2], axis=0), step, atol=6e-3)
    np.testing.assert_allclose(np.diff(headings), (ego.yaw_rate[1:] + ego.yaw_rate[:-1]) / 2 * STEP, atol=6e-3)
    gain = (ego.acceleration[1:, 0] + ego.acceleration[:-1, 0]) / 2 * STEP
    np.testing.assert_allclose(np.diff(ego.velocity[:, 0]), gain, atol=0.02)
    np.testing.assert_allclose(ego.acceleration[:, 1], ego.velocity[:, 0] * ego.yaw_rate, atol=1e-9)
    np.testing.assert_array_equal(ego.velocity[:, 1], 0.0)


@pytest.mark.parametrize("faster", [0.0, 1.0])
def test_the_drive_along_the_path_is_that_of_least_jerk(faster):
    """Against the least-norm jerk of 4000 constant pieces with the same end."""
    log = empty_road(10.0)
    geometry = geometry_of(0)
    expert, grid = start_points(log, replace(SYNTHESIS, speed_offsets=(faster,)))
    expert = replace(expert, acceleration=0.7)
    found = synthesise(geometry, expert, grid, SYNTHESIS)
    point = int(np.flatnonzero((grid.lateral == 0) & (grid.longitudinal == 10.0))[0])
    pieces = 4000
    width = 4.0 / pieces
    left = 4.0 - (np.arange(pieces) + 0.5) * width
    missing = 50.0 - (10.0 * 4.0 + 0.7 * 4.0**2 / 2)
    natural = np.linalg.pinv((left**2 / 2 * width)[None]) @ [missing]
    speed = 10.0 + 0.7 * 4.0 + (natural * left * width).sum() + faster
    rows = np.stack([left**2 / 2 * width, left * width])
    jerk = np.linalg.pinv(rows) @ [missing, speed - 10.0 - 0.7 * 4.0]
    pull = 0.7 + np.concatenate([[0.0], np.cumsum(jerk * width)])
    speeds = 10.0 + np.concatenate([[0.0], np.cumsum((pull[1:] + pull[:-1]) / 2 * width)])
    np.testing.assert_allclose(found.drives.speeds[point], speeds[::100], atol=1e-3)


def test_start_points_near_a_stop_are_reached_by_stopping():
    """At 3 m/s, 12 m in 4 s: 5 m less is braking to a stop; the car does not back up."""
    one = at(made(empty_road(3.0)), 0.0, -5.0)
    np.testing.assert_allclose(one.ego.positions[-1, :2], [20.0 + 12.0 + 7.0, -1.75], atol=1e-6)
    assert one.ego.velocity[:, 0].min() >= -1e-3
    soft = at(made(empty_road(10.0)), 0.0, -20.0)
    np.testing.assert_allclose(soft.ego.positions[-1, 0], 80.0, atol=1e-6)
    np.testing.assert_allclose(soft.ego.velocity[-1], 0.0, atol=1e-3)
    assert soft.ego.velocity[:, 0].min() >= -1e-3


def test_a_standing_expert_may_stand_or_pull_away():
    log = empty_road(0.0)
    found = made(log)
    expert, grid = start_points(log)
    assert sorted(set(grid.longitudinal)) == [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]
    still = at(found, 0.0, 0.0)
    np.testing.assert_allclose(still.ego.positions[:, :2] - expert.position, 0.0, atol=1e-6)
    np.testing.assert_allclose(still.ego.velocity, 0.0, atol=1e-9)
    assert all(one.parameters["longitudinal"] > 0 or one.index == 0 for one in good(found))
    away = at(found, 0.5, 10.0)
    np.testing.assert_allclose(away.ego.positions[-1, :2] - expert.position, [10.0, 0.5], atol=1e-6)
    assert (np.diff(away.ego.velocity[:, 0]) > 0).all()


def test_who_has_all_but_stopped_may_pull_away():
    """At 0.06 m/s and still braking; and a tracker's noise makes the speed of who stands a little negative."""
    for speed, pull in ((0.06, -0.4), (0.0, -0.05)):
        expert, grid = start_points(empty_road(0.0))
        found = synthesise(
            build_log_geometry(empty_road(0.0)), replace(expert, speed=speed, acceleration=pull), grid, SYNTHESIS
        )
        straight = (grid.lateral == 0) & (grid.longitudinal <= 10.0)
        assert found.limit_ratio[straight].max() <= 1.0


def test_offsets_of_heading_and_speed():
    options = replace(SYNTHESIS, heading_offsets=(0.0, 0.1), speed_offsets=(0.0, -1.0))
    found = good(made(empty_road(10.0), EMPTY, options))
    base = at(found, 0.0, 0.0)
    seen = set()
    for one in found:
        if one.parameters["lateral"] == one.parameters["longitudinal"] == 0.0:
            turn, faster = one.parameters["heading"], one.parameters["speed"]
            seen.add((turn, faster))
            np.testing.assert_allclose(one.ego.headings[-1], turn, atol=1e-6)
            pace = one.ego.velocity[-1, 0] * np.cos(turn)
            np.testing.assert_allclose(pace, base.ego.velocity[-1, 0] + faster, atol=1e-6)
    assert seen == {(0.0, 0.0), (0.1, 0.0), (0.0, -1.0), (0.1, -1.0)}


def test_they_stand_on_the_ground():
    found = good(made(empty_road(10.0, slope=0.08)))
    poses = np.concatenate([one.ego.world_from_ego for one in found])
    np.testing.assert_allclose(poses[:, 2, 3], 0.08 * poses[:, 0, 3], atol=0.01)


def test_steps_of_the_log_need_not_fall_on_tenths_of_seconds():
    """Steps of 100.2 ms that jitter by 3 ms, at a constant 10 m/s: 4 s are 40 m."""
    rng = np.random.default_rng(0)
    log = empty_road(10.0)
    times = log.times_us[0] + (np.arange(STEPS) * 100_200 + rng.integers(-3000, 3000, STEPS)).astype(np.int64)
    x = 20.0 + 10.0 * (times - times[0]) * 1e-6
    poses = pose_from_yaw(np.stack([x, np.full(STEPS, -1.75), np.zeros(STEPS)], axis=1), np.zeros(STEPS))
    log = replace(log, times_us=times, ego=Ego.from_poses(poses, times))
    expected = x[NOW] + 10.0 * np.arange(2.0, 4.05, 0.1)
    for bank in (EMPTY, build_trajectory_bank(build_log_geometry(log), OPTIONS)):
        one = at(made(log, bank), 0.0, 0.0)
        np.testing.assert_allclose(one.ego.positions[:, 0], expected, atol=1e-3)


def test_past_the_logs_end_only_where_it_is_straight():
    """Eight seconds into twelve, rows ahead leave the path: 40 m of run-out at 10 m/s are more than there is."""
    straight = made(empty_road(10.0), EMPTY, OPTIONS, 80)
    assert max(one.parameters["longitudinal"] for one in good(straight)) > 0
    bend = made(arc_log(), EMPTY, OPTIONS, 80)
    assert "beyond_log" in reasons(bend)
    assert max(one.parameters["longitudinal"] for one in good(bend)) == 0.0


def test_reasons():
    log = empty_road(10.0)
    assert reasons(made(log, EMPTY, replace(OPTIONS, sources="bank"))) == {"no_match"}
    assert reasons(made(log)) == {"infeasible"}
    assert good(made(log, bank_of(0), SYNTHESIS))[0].history_source == "synthesis"
    poses = log.ego.world_from_ego.copy()
    poses[60, 1, 3] += 3.0
    rough = replace(log, ego=Ego.from_poses(poses, log.times_us))
    found = made(rough)
    assert reasons(found) == {"rough_log"}
    assert not good(found)


def test_what_does_not_fit_together_is_refused():
    log = empty_road(10.0)
    with pytest.raises(ValueError, match="geometry of log"):
        follow_ups(scene_of(log), geometry_of(1), EMPTY, OPTIONS)
    with pytest.raises(ValueError, match=r"ends 3\.80 s after"):
        made(log, now=82)
    with pytest.raises(ValueError, match="41 steps"):
        made(log, options=replace(OPTIONS, horizon=3.0))
    for wrong, message in (
        ({"lateral_step": 0.0}, "above 0"),
        ({"history": 5.0}, "must not exceed"),
        ({"heading_offsets": ()}, "a value each"),
        ({"heading_offsets": (2.0,)}, "below 90 degrees"),
    ):
        with pytest.raises(SwerveError, match=message):
            FollowUpOptions(**wrong)


@given(st.floats(-np.pi, np.pi))
@settings(max_examples=3)
def test_a_turned_world_turns_the_follow_ups(turn):
    bank, cos, sin = bank_of(4), np.cos(turn), np.sin(turn)
    before, after = (made(arc_log(heading=heading, start=4.5), bank) for heading in (0.0, turn))
    assert len(good(before)) > 20
    for here, there in zip(before, after, strict=True):
        assert type(here) is type(there)
        assert here.index == there.index
        if isinstance(here, FollowUp):
            expected = here.ego.positions[:, :2] @ [[cos, sin], [-sin, cos]]
            np.testing.assert_allclose(there.ego.positions[:, :2], expected, atol=1e-3)
            np.testing.assert_allclose(wrap_angle(there.ego.headings - here.ego.headings - turn), 0.0, atol=1e-4)


def count_by_kind(log):
    geometry = build_log_geometry(log)
    bank = build_trajectory_bank(geometry, OPTIONS)
    counts = []
    for scene in extract_scenes(log, 1.5, 4.0, 2.0):
        found = follow_ups(scene, geometry, bank, OPTIONS)
        again = follow_ups(scene, geometry, bank, OPTIONS)
        assert [one.index for one in found] == sorted({one.index for one in found})
        for one, twin in zip(good(found), good(again), strict=True):
            np.testing.assert_array_equal(one.ego.world_from_ego, twin.ego.world_from_ego)
            check_consistent(one.ego)
            assert one.parameters == twin.parameters
        assert reasons(found) <= {"infeasible", "beyond_log"}
        counts.append([sum(one.history_source == origin for one in good(found)) for origin in ("bank", "synthesis")])
    return np.array(counts)


def test_towns():
    counts = count_by_kind(town(3))
    assert (counts.sum(axis=1) >= 5).mean() > 0.9
    assert (counts.sum(axis=0) > 20).all()


def test_real_logs(test_data):
    from swerve.data import open_source

    if not (test_data / "av2").is_dir():
        pytest.skip(f"no Argoverse 2 logs at {test_data / 'av2'}")
    logs = open_source(f"av2:{test_data / 'av2'}")
    for name in logs.names():
        counts = count_by_kind(logs.load(name))
        assert (counts.sum(axis=1) >= 5).all()
        assert (counts.sum(axis=0) > 20).all()
