import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.eval import State, simulate
from swerve.eval.scoring.simulate import _velocity_smoother
from swerve.eval.scoring.simulate_kernels import curvature_profile, velocity_profile
from swerve.eval.scoring.thresholds import STEP
from swerve.eval.scoring.trajectories import references_of

START = np.array([300.0, -40.0, 0.3, 8.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])


def plan(speed, turn):
    """Eight poses of constant speed and yaw rate."""
    seconds = np.arange(1, 9) * 0.5
    heading = turn * seconds
    bent = abs(turn) > 1e-6
    radius = speed / turn if bent else 0.0
    x = radius * np.sin(heading) if bent else speed * seconds
    y = radius * (1 - np.cos(heading)) if bent else 0.0 * seconds
    return np.stack([x, y, heading], axis=1)


def dense_velocity(reference):
    """The reference's formula: pseudo-inverse of the normal equations in increments, with NAVSIM's penalty matrix."""
    steps, heading = np.diff(reference[:, :2], axis=0), reference[:40, 2]
    a = np.zeros((80, 40))
    for i in range(40):
        for axis, direction in enumerate((np.cos(heading[i]), np.sin(heading[i]))):
            a[2 * i + axis, 0] = STEP * direction
            a[2 * i + axis, 1 : i + 1] = STEP**2 * direction
    penalty = np.zeros((38, 40))
    for i in range(37):
        penalty[i, i + 1] = -1.0
    penalty[37, 38:] = (-1.0, 1.0)
    x = np.linalg.pinv(a.T @ a + 1e-4 * penalty.T @ penalty) @ a.T @ steps.ravel()
    return x[0] + STEP * np.concatenate([[0.0], np.cumsum(x[1:])])


def dense_curvature(reference, velocity):
    """The same for curvatures."""
    turns = np.diff(np.unwrap(reference[:, 2]))
    a = np.zeros((40, 40))
    for i in range(40):
        a[i, 0] = velocity[i] * STEP
        a[i, 1 : i + 1] = velocity[i] * STEP**2
    x = np.linalg.pinv(a.T @ a + np.diag([1e-10] + [1e-2] * 39)) @ a.T @ turns
    return x[0] + STEP * np.concatenate([[0.0], np.cumsum(x[1:])])


@given(st.floats(0.5, 20), st.floats(-0.3, 0.3), st.integers(0, 2**31))
def test_profiles_are_the_dense_least_squares(speed, turn, seed):
    poses = plan(speed, turn) + np.random.default_rng(seed).normal(size=(8, 3)) * [0.3, 0.1, 0.02]
    reference = references_of(poses[None], START[:3], 10**15)[0]
    velocity, curvature = np.zeros(40), np.zeros(40)
    velocity_profile(reference, _velocity_smoother(), np.zeros(40), velocity)
    np.testing.assert_allclose(velocity, dense_velocity(reference), atol=1e-9)
    curvature_profile(reference, velocity, np.zeros((2, 40)), curvature)
    np.testing.assert_allclose(curvature, dense_curvature(reference, velocity), atol=1e-7)


def test_a_straight_plan_at_the_cars_own_speed_is_followed():
    start = START.copy()
    start[State.ACCELERATION] = 0.0
    states = simulate(start, references_of(plan(8.0, 0.0)[None], start[:3], 10**15))[0]
    assert np.abs(states[:, State.VELOCITY] - 8.0).max() < 1e-3
    travelled = np.hypot(*(states[-1, :2] - states[0, :2]))
    assert travelled == pytest.approx(32.0, abs=0.01)
    assert np.abs(states[:, State.HEADING] - 0.3).max() < 1e-6


def test_a_car_told_to_stand_brakes_without_steering():
    states = simulate(START, np.repeat(START[None, None, :3], 41, axis=1))[0]
    assert states[-1, State.VELOCITY] < 0.3
    assert (np.diff(states[5:, State.VELOCITY]) <= 0).all()
    assert np.abs(states[:, State.STEERING]).max() < 1e-9


def test_a_bend_is_driven_to_its_end():
    states = simulate(START, references_of(plan(8.0, 0.2)[None], START[:3], 10**15))[0]
    goal = references_of(plan(8.0, 0.2)[None], START[:3], 10**15)[0, -1]
    assert np.hypot(*(states[-1, :2] - goal[:2])) < 1.0
    assert states[-1, State.HEADING] == pytest.approx(goal[2], abs=0.08)


def test_a_proposal_does_not_depend_on_its_batch():
    plans = np.stack([plan(speed, turn) for speed in (0.0, 5.0, 12.0) for turn in (-0.2, 0.0, 0.3)])
    references = references_of(plans, START[:3], 10**15)
    together = simulate(START, references)
    for row in range(len(plans)):
        np.testing.assert_array_equal(simulate(START, references[row : row + 1])[0], together[row])


def test_short_plans_are_refused():
    with pytest.raises(ValueError, match="end before"):
        references_of(plan(5.0, 0.0)[None, :7], START[:3], 10**15)
    with pytest.raises(ValueError, match="30 steps"):
        simulate(START, np.zeros((1, 30, 3)))
