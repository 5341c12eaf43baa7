"""Integration of a dynamic single-track model under path and speed feedback."""

import math
from typing import NamedTuple

import numba
import numpy as np

from swerve.scenes.kernel_options import INTERNAL

GRAVITY = 9.81
# Integration steps per second, and steps of 0.1 s that the states are returned at.
RATE = 500
_PER_STEP = RATE // 10


class SingleTrack(NamedTuple):
    """Parameters of the model; see `DynamicBicycle` for their units and sources."""

    front: float
    rear: float
    front_stiffness: float
    rear_stiffness: float
    shape: float
    friction: float
    drive_limit: float
    brake_limit: float
    throttle_lag: float
    brake_lag: float
    steering_lag: float
    steering_limit: float
    steering_rate_limit: float


@numba.njit(cache=True)
def tire_force(slip, stiffness, shape, friction):
    """Compute the lateral force of an axle over its load, by the magic formula without curvature factor.

    The initial slope is `stiffness` (per radian), the largest value `friction`.
    """
    return friction * math.sin(shape * math.atan(stiffness / (shape * friction) * slip))


@numba.njit(cache=True, **INTERNAL)
def _accelerations(vx, vy, yaw_rate, steering, drive, car):
    """Return the lateral acceleration (of the centre of gravity, body axes) and the yaw acceleration."""
    wheelbase = car.front + car.rear
    speed = max(vx, 1.0)
    front_slip = steering - math.atan2(vy + car.front * yaw_rate, speed)
    rear_slip = -math.atan2(vy - car.rear * yaw_rate, speed)
    # What the tyres give along, they cannot give across.
    along = min(abs(drive) / GRAVITY, 0.95 * car.friction)
    across = math.sqrt(car.friction**2 - along**2)
    front = GRAVITY * car.rear / wheelbase * tire_force(front_slip, car.front_stiffness, car.shape, across)
    rear = GRAVITY * car.front / wheelbase * tire_force(rear_slip, car.rear_stiffness, car.shape, across)
    front *= math.cos(steering)
    # The yaw inertia is mass * front * rear, so that it cancels.
    return front + rear, (car.front * front - car.rear * rear) / (car.front * car.rear)


@numba.njit(cache=True, **INTERNAL)
def _planar_rates(vx, vy, yaw_rate, steering, drive, car):
    """Return the rates of lateral velocity and yaw rate; below 3 m/s those of rolling without slip take over."""
    lateral, yaw = _accelerations(vx, vy, yaw_rate, steering, drive, car)
    rolling = vx * math.tan(steering) / (car.front + car.rear)
    dynamic = min(max((vx - 1.0) / 2.0, 0.0), 1.0)
    settle = 1.0 / 0.02
    vy_rate = dynamic * (lateral - vx * yaw_rate) + (1.0 - dynamic) * (rolling * car.rear - vy) * settle
    return vy_rate, dynamic * yaw + (1.0 - dynamic) * (rolling - yaw_rate) * settle


@numba.njit(cache=True, **INTERNAL)
def _limited(value, limit):
    return min(max(value, -limit), limit)


@numba.njit(cache=True)
def commands(state, reference, car, gains):
    """Return the commanded steering angle and acceleration.

    Steering by pure pursuit (Coulter, CMU-RI-TR-92-01): that of steady cornering, understeer included, on the circle
    along the rear axle's velocity through the point of the plan that is pursued. Acceleration: what brings the speed
    to the plan's within a preview time of its own, and feedback of the distance along the plan.

    Args:
        state: x, y, heading, forward and lateral velocity of the rear axle.
        reference: x, y, heading of the plan now; x, y of the point that is pursued; speed a preview time ahead.
        car: the parameters.
        gains: preview time of speed (s), and acceleration per metre (1/s2).
    """
    direction = state[2] + math.atan2(state[4], max(state[3], 1.0))
    dx, dy = reference[3] - state[0], reference[4] - state[1]
    forward = dx * math.cos(direction) + dy * math.sin(direction)
    across = dy * math.cos(direction) - dx * math.sin(direction)
    curvature = 2.0 * across / max(forward**2 + across**2, 1.0) if forward > 0.0 else 0.0
    gradient = (1.0 / car.front_stiffness - 1.0 / car.rear_stiffness) / GRAVITY
    steering = math.atan((car.front + car.rear) * curvature) + gradient * state[3] ** 2 * curvature
    behind = (reference[0] - state[0]) * math.cos(reference[2]) + (reference[1] - state[1]) * math.sin(reference[2])
    drive = (reference[5] - state[3]) / gains[0] + gains[1] * behind
    return _limited(steering, car.steering_limit), min(max(drive, -car.brake_limit), car.drive_limit)


@numba.njit(cache=True)
def integrate(initial, references, car, gains):
    """Return the states every 0.1 s, columns as in `simulate.State`.

    Args:
        initial: state at the start (11).
        references: `commands`' reference at every integration step, see `RATE` (n, 6).
        car: parameters.
        gains: see `commands`.
    """
    steps = len(references) // _PER_STEP
    states = np.zeros((steps + 1, 11))
    states[0] = initial
    x, y, heading, vx, rear_vy, drive = initial[0], initial[1], initial[2], initial[3], initial[4], initial[5]
    steering, yaw_rate = initial[7], initial[9]
    vy = rear_vy + car.rear * yaw_rate
    dt = 1.0 / RATE
    here = np.zeros(5)
    for k in range(steps * _PER_STEP):
        here[0], here[1], here[2], here[3], here[4] = x, y, heading, vx, rear_vy
        wanted, asked = commands(here, references[k], car, gains)
        lag = car.throttle_lag if asked > drive else car.brake_lag
        steering_rate = _limited((wanted - steering) / car.steering_lag, car.steering_rate_limit)
        vy_rate, yaw_acceleration = _planar_rates(vx, vy, yaw_rate, steering, drive, car)
        steering += dt * steering_rate
        drive += dt * (asked - drive) / lag
        if vx + dt * drive < 0.0:  # brakes stop a car, they do not drive it back
            drive = -vx / dt
        vx += dt * drive
        vy += dt * vy_rate
        yaw_rate += dt * yaw_acceleration
        rear_vy = vy - car.rear * yaw_rate
        heading += dt * yaw_rate
        cos, sin = math.cos(heading), math.sin(heading)
        x += dt * (vx * cos - rear_vy * sin)
        y += dt * (vx * sin + rear_vy * cos)
        if vx <= 0.0:
            drive = max(drive, 0.0)
        if (k + 1) % _PER_STEP == 0:
            row = states[(k + 1) // _PER_STEP]
            row[0], row[1], row[2], row[3], row[4], row[5] = x, y, heading, vx, rear_vy, drive
            row[6], row[7], row[8] = vx * yaw_rate, steering, steering_rate
            row[9], row[10] = yaw_rate, yaw_acceleration
    return states
