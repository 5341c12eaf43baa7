"""The bank of logged drives, and which of them lead to a start point."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints import build_log_geometry
from swerve.scenes.viewpoints.follow_up import (
    TrajectoryBank,
    build_trajectory_bank,
)
from swerve.scenes.viewpoints.follow_up.trajectory_bank import match
from tests.support.follow_up_cases import EMPTY, LOGS, NOW, OPTIONS, STEP, at, geometry_of, made, start_points
from tests.support.simple_log import STEP_US, STEPS, empty_road, simple_log


def brute_force(bank, expert, grid, options):
    """For each point the drive and its distance, one at a time, with complex numbers."""
    found = {}
    for point in range(len(grid)):
        target = complex(*grid.positions[point])
        best = None
        for drive in range(len(bank)):
            if abs(bank.speeds[drive, 0] - expert.speed) > options.bank_speed:
                continue
            if abs(bank.accelerations[drive, 0] - expert.acceleration) > options.bank_acceleration:
                continue
            way = complex(*bank.positions[drive, -1].tolist())
            end = complex(*expert.position) + way * np.exp(1j * expert.heading)
            gap = (end - target) * np.exp(-1j * grid.headings[point])
            turn = expert.heading + float(bank.headings[drive, -1]) - grid.headings[point]
            if abs(gap.real) > options.bank_longitudinal_tolerance or abs(gap.imag) > options.bank_lateral_tolerance:
                continue
            if abs(turn) <= options.bank_heading and (best is None or abs(gap) < best[1]):
                best = (drive, abs(gap), gap)
        if best is not None:
            found[point] = best
    return found


def random_bank(expert, grid, count, rng):
    """Drives that end around start points; some like the expert as they begin, some not."""
    steps = OPTIONS.steps
    ends = grid.positions[rng.integers(len(grid), size=count)] + rng.normal(0, [1.5, 0.3], (count, 2)) - expert.position
    cos, sin = np.cos(expert.heading), np.sin(expert.heading)
    local = np.stack([cos * ends[:, 0] + sin * ends[:, 1], cos * ends[:, 1] - sin * ends[:, 0]], axis=1)
    share = np.linspace(0.0, 1.0, steps)[:, None]
    turns = rng.uniform(-0.2, 1.2, count)[:, None] * share[:, 0]
    speeds = expert.speed + rng.normal(0, 0.7, (count, steps))
    pulls = expert.acceleration + rng.normal(0, 0.7, (count, steps))
    columns = (local[:, None] * share, turns, speeds, pulls, np.zeros((count, steps)))
    return TrajectoryBank(*(one.astype(np.float32) for one in columns), np.zeros(count, np.int32), ("x",))


@pytest.mark.parametrize("row", [0, 3, 4, 5])
def test_matches_are_those_of_brute_force(row):
    expert, grid = start_points(LOGS[row], replace(OPTIONS, heading_offsets=(0.0, 0.1)))
    bank = random_bank(expert, grid, 400, np.random.default_rng(row))
    bank = bank.concatenate(bank)  # every drive twice: the first counts
    matches = match(bank, expert, grid, OPTIONS)
    plain = grid.of(grid.heading_offsets == 0)
    expected = brute_force(bank, expert, plain, OPTIONS)
    assert 20 < len(expected) < len(plain)
    indices = {int(plain.indices[point]): found for point, found in expected.items()}
    assert grid.indices[matches.points].tolist() == sorted(indices)
    for point, drive, along, across in zip(
        matches.points, matches.trajectories, matches.longitudinal, matches.lateral, strict=True
    ):
        wanted, _, gap = indices[int(grid.indices[point])]
        assert drive == wanted
        np.testing.assert_allclose([along, across], [gap.real, gap.imag], atol=1e-9)


def test_the_bank_of_a_simple_log():
    """Drives of 4 s begin every 0.5 s from 0 to 8 s: 17 each of the ego, the car ahead and the faster one; the lorry is
    too long, the parked car does not move."""
    log = simple_log(10.0)
    bank = build_trajectory_bank(build_log_geometry(log), OPTIONS)
    assert len(bank) == 3 * 17
    np.testing.assert_allclose(bank.positions[:34, -1], np.broadcast_to([40.0, 0.0], (34, 2)), atol=1e-3)
    np.testing.assert_allclose(bank.positions[34:, -1], np.broadcast_to([48.0, 0.0], (17, 2)), atol=1e-3)
    valid = log.tracks.valid.copy()
    valid[1, 50] = False  # drives that begin at 1.0 ... 5.0 s need that step
    torn = replace(log, tracks=replace(log.tracks, valid=valid))
    assert len(build_trajectory_bank(build_log_geometry(torn), OPTIONS)) == 3 * 17 - 9


def test_no_drive_spans_a_gap_of_the_log():
    log = simple_log(10.0)
    times = log.times_us + np.where(np.arange(STEPS) > 100, STEP_US, 0)
    gap = replace(log, times_us=times)  # 0.2 s between steps 100 and 101
    # Starts at 0 ... 8 s, less those whose end at 4 s lies after the gap: 6.0 s still ends at step 100.
    assert len(build_trajectory_bank(build_log_geometry(gap), replace(OPTIONS, horizon=4.0))) == 13 + 2 * 13


def test_a_bank_is_arrays_and_names():
    bank = build_trajectory_bank(build_log_geometry(simple_log(10.0)), OPTIONS)
    other = replace(bank, names=("other",))
    both = EMPTY.concatenate(bank, other)
    assert both.names == ("simple", "other")
    np.testing.assert_array_equal(both.logs, np.repeat([0, 1], len(bank)).astype(np.int32))
    np.testing.assert_array_equal(both.positions[len(bank) :], bank.positions)
    again = pickle.loads(pickle.dumps(both))
    np.testing.assert_array_equal(again.curvatures, both.curvatures)


def test_the_experts_own_drive_fits_his_end():
    for row, log in enumerate(LOGS):
        geometry = geometry_of(row)
        one = at(made(log, build_trajectory_bank(geometry, OPTIONS)), 0.0, 0.0)
        assert (one.index, one.history_source) == (0, "bank")
        steps = slice(NOW + 20, NOW + 41)
        np.testing.assert_allclose(one.ego.positions, log.ego.positions[steps], atol=0.02)
        np.testing.assert_allclose(wrap_angle(one.ego.headings - log.ego.headings[steps]), 0.0, atol=0.01)
        np.testing.assert_allclose(one.ego.velocity, log.ego.velocity[steps], atol=0.05)


def test_a_drive_of_the_bank_is_moved_as_a_whole():
    log = simple_log(10.0)
    bank = build_trajectory_bank(build_log_geometry(log), OPTIONS)
    one = at(made(log, bank, replace(OPTIONS, bank_speed=3.0)), 0.0, 10.0)
    assert bank.speeds[int(one.parameters["drive"]), 0] == pytest.approx(12.0, abs=1e-3)
    np.testing.assert_allclose(one.parameters["match_along"], -2.0, atol=1e-3)
    np.testing.assert_allclose(one.parameters["match_distance"], 2.0, atol=1e-3)
    np.testing.assert_allclose(one.ego.positions[:, 0], 110.0 - 12.0 * np.arange(20, -1, -1) * STEP, atol=1e-3)
    np.testing.assert_allclose(one.ego.velocity, np.broadcast_to([12.0, 0.0], (21, 2)), atol=1e-3)


def test_who_is_alike_counts_at_first_and_the_heading_at_last():
    expert, grid = start_points(empty_road(10.0))
    bank = build_trajectory_bank(geometry_of(0), OPTIONS)
    for change, found in (
        ({"speeds": bank.speeds + np.float32(0.95)}, 1),
        ({"speeds": bank.speeds + np.float32(1.05)}, 0),
        ({"accelerations": bank.accelerations - np.float32(0.95)}, 1),
        ({"accelerations": bank.accelerations - np.float32(1.05)}, 0),
        ({"headings": bank.headings + np.float32(np.deg2rad(19.5))}, 1),
        ({"headings": bank.headings + np.float32(np.deg2rad(20.5))}, 0),
        ({"speeds": bank.speeds + np.arange(41, dtype=np.float32)}, 1),
    ):
        assert len(match(replace(bank, **change), expert, grid, OPTIONS).points) == found
