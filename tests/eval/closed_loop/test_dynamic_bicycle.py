"""The dynamic single-track model against steady cornering, braking and replanning worked out by hand."""

import numpy as np
import pytest

from swerve.eval.closed_loop import DynamicBicycle
from swerve.eval.closed_loop.dynamic_bicycle_kernels import GRAVITY, tire_force
from swerve.scenes import Vehicle
from swerve.scenes.transforms import wrap_angle

CAR = DynamicBicycle(Vehicle.pacifica())
TIMES = 0.5 * np.arange(1, 9)


def start(speed, heading=0.0, at=(0.0, 0.0)):
    state = np.zeros(11)
    state[:2], state[2], state[3] = at, heading, speed
    return state


def straight(speed):
    return np.column_stack([speed * TIMES, 0 * TIMES, 0 * TIMES])


def on_circle(radius, speed, state):
    """The next 4 s on a circle around (0, radius), seen from a state."""
    angle = np.arctan2(state[0], radius - state[1]) + speed * TIMES / radius
    ahead = np.column_stack([radius * np.sin(angle), radius - radius * np.cos(angle)]) - state[:2]
    cos, sin = np.cos(state[2]), np.sin(state[2])
    return np.column_stack([ahead @ [[cos, -sin], [sin, cos]], wrap_angle(angle - state[2])])


def cornered(radius, speed, rounds=60):
    """The state after cornering for half a minute with a plan every 0.5 s, and the greatest distance off the circle."""
    state, off = start(speed), 0.0
    for _ in range(rounds):
        states = CAR.follow(state, on_circle(radius, speed, state), 0.5, 5)
        state, off = states[-1], max(off, np.abs(np.hypot(states[:, 0], states[:, 1] - radius) - radius).max())
    return state, off


@pytest.mark.parametrize("speed", [0.0, 2.0, 10.0, 30.0])
def test_straight_on_it_stays_on_its_line(speed):
    states = CAR.follow(start(speed), straight(speed), 0.5, 40)
    np.testing.assert_allclose(states[:, 0], speed * 0.1 * np.arange(41), atol=1e-6)
    np.testing.assert_allclose(states[:, [1, 2, 4]], 0.0, atol=1e-9)


def test_where_and_which_way_it_starts_does_not_matter():
    plan = np.column_stack([8 * TIMES, 0.2 * TIMES**2, 0.05 * TIMES])
    here = CAR.follow(start(8.0), plan, 0.5, 40)
    there = CAR.follow(start(8.0, 2.0, (5e6, -3e6)), plan, 0.5, 40)
    cos, sin = np.cos(2.0), np.sin(2.0)
    np.testing.assert_allclose(there[:, :2], here[:, :2] @ [[cos, sin], [-sin, cos]] + [5e6, -3e6], atol=1e-6)
    np.testing.assert_allclose(there[:, 3:], here[:, 3:], atol=1e-6)


def test_steady_cornering_is_that_of_the_textbook():
    """Steering is wheelbase/R plus the understeer gradient times the lateral acceleration (Rajamani, eq. 2.59)."""
    radius, speed = 100.0, 14.0
    state, off = cornered(radius, speed)
    lateral = speed**2 / radius / GRAVITY
    gradient = 1 / CAR.front_stiffness - 1 / CAR.rear_stiffness
    assert off < 0.3
    assert state[9] == pytest.approx(speed / radius, rel=0.02)
    assert state[7] == pytest.approx(CAR.vehicle.wheelbase / radius + gradient * lateral, rel=0.1)
    # The rear axle drifts outwards by the slip angle that carries its share of the load.
    assert state[4] == pytest.approx(-speed * lateral / CAR.rear_stiffness, rel=0.1)


def test_tyres_carry_no_more_than_friction_allows():
    slip = np.linspace(-0.6, 0.6, 500)
    force = np.array([tire_force(one, 14.0, 1.3, 0.9) for one in slip])
    assert np.abs(force).max() <= 0.9
    np.testing.assert_allclose(tire_force(1e-6, 14.0, 1.3, 0.9), 14e-6, rtol=1e-4)
    state, off = cornered(20.0, 17.0, 8)  # 1.5 g are asked for
    assert off > 3.0
    assert abs(state[9] * state[3]) < 0.95 * GRAVITY


def test_brakes_answer_late_and_never_drive_back():
    plan = np.zeros((8, 3))
    states = CAR.follow(start(10.0), plan, 0.5, 40)
    assert -3.0 > states[1, 5] > -CAR.brake_limit  # the lag
    assert states[:, 5].min() >= -CAR.brake_limit
    assert (np.diff(states[:, 0]) >= 0).all()
    assert states[-1, 3] == 0.0
    # Not before the distance at the full deceleration.
    assert states[-1, 0] > 10.0**2 / (2 * CAR.brake_limit)


def test_it_starts_from_standstill():
    plan = np.column_stack([0.75 * TIMES**2, 0 * TIMES, 0 * TIMES])
    states = CAR.follow(start(0.0), plan, 0.5, 40)
    assert states[-1, 0] == pytest.approx(12.0, abs=1.0)
    assert states[-1, 3] == pytest.approx(6.0, abs=0.6)


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_a_slow_car_beside_its_plan_does_not_swerve(speed):
    """Plans that begin a metre to the left, every 0.5 s: it comes over gently and without overshoot."""
    state, headings = start(speed), [0.0]
    for _ in range(40):
        cos, sin = np.cos(state[2]), np.sin(state[2])
        ahead = np.column_stack([state[0] + speed * TIMES, np.ones(8)]) - state[:2]
        plan = np.column_stack([ahead @ [[cos, -sin], [sin, cos]], np.full(8, wrap_angle(-state[2]))])
        state = CAR.follow(state, plan, 0.5, 5)[-1]
        headings.append(state[2])
    assert np.abs(headings).max() < 0.5
    assert state[1] == pytest.approx(1.0, abs=0.15)
