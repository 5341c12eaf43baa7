"""The controller and the bicycle model, one proposal at a time. See the formulas in `simulate`."""

import math

import numpy as np
from numba import njit

from swerve.eval.scoring.thresholds import (
    ACCELERATION_LAG,
    CURVATURE_PENALTY,
    FIRST_CURVATURE_PENALTY,
    INTEGRATION_STEP,
    LATERAL_WEIGHTS,
    LONGITUDINAL_GAIN,
    MAX_STEERING,
    STEERING_LAG,
    STEP,
    STOPPING_GAIN,
    STOPPING_SPEED,
    TRACKING_HORIZON,
    WHEELBASE,
)

LATERAL_WEIGHT, HEADING_WEIGHT = LATERAL_WEIGHTS


@njit(cache=True, nogil=True)
def wrap(angle):
    """Wrap an angle into [-pi, pi)."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


@njit(cache=True, nogil=True)
def simulate_batch(initial, references, smoother):
    """Simulate states (n, t, 11) of proposals that track references (n, t, 3) from one initial state (11)."""
    n, steps, _ = references.shape
    states = np.zeros((n, steps, 11))
    velocity, curvature = np.zeros(steps - 1), np.zeros(steps - 1)
    work = np.zeros((2, steps - 1))
    for p in range(n):
        velocity_profile(references[p], smoother, work[0], velocity)
        curvature_profile(references[p], velocity, work, curvature)
        states[p, 0] = initial
        for k in range(steps - 1):
            acceleration, steering_rate = command(states[p, k], references[p, k], velocity, curvature, k)
            advance(states[p, k], acceleration, steering_rate, states[p, k + 1])
    return states


@njit(cache=True, nogil=True)
def velocity_profile(reference, smoother, along, velocity):
    """Compute smoothed speeds between the reference's poses."""
    count = len(velocity)
    for i in range(count):
        dx, dy = reference[i + 1, 0] - reference[i, 0], reference[i + 1, 1] - reference[i, 1]
        along[i] = dx * math.cos(reference[i, 2]) + dy * math.sin(reference[i, 2])
    for i in range(count):
        total = 0.0
        for j in range(count):
            total += smoother[i, j] * along[j]
        velocity[i] = total


@njit(cache=True, nogil=True)
def curvature_profile(reference, velocity, work, curvature):
    """Compute curvatures k_i minimising sum((v_i dt k_i - turn_i)^2) + smoothness: a tridiagonal system (Thomas)."""
    count = len(velocity)
    weight = CURVATURE_PENALTY / STEP**2
    upper, right = work[0], work[1]
    for i in range(count):
        gain = velocity[i] * STEP
        turn = wrap(reference[i + 1, 2] - reference[i, 2])
        diagonal = gain * gain + (weight if i == 0 or i == count - 1 else 2.0 * weight)
        if i == 0:
            diagonal += FIRST_CURVATURE_PENALTY
            right[0] = gain * turn / diagonal
        else:
            diagonal += weight * upper[i - 1]
            right[i] = (gain * turn + weight * right[i - 1]) / diagonal
        upper[i] = -weight / diagonal
    curvature[count - 1] = right[count - 1]
    for i in range(count - 2, -1, -1):
        curvature[i] = right[i] - upper[i] * curvature[i + 1]


@njit(cache=True, nogil=True)
def command(state, target, velocity, curvature, k):
    """Compute the tracker's acceleration and steering rate at step k."""
    last = len(velocity) - 1
    ahead = min(k + TRACKING_HORIZON, last)
    speed, wanted = state[3], velocity[ahead]
    if wanted <= STOPPING_SPEED and speed <= STOPPING_SPEED:
        return -STOPPING_GAIN * (speed - wanted), 0.0
    acceleration = -LONGITUDINAL_GAIN * (speed - wanted)
    dx, dy = state[0] - target[0], state[1] - target[1]
    lateral = -dx * math.sin(target[2]) + dy * math.cos(target[2])
    heading = wrap(state[2] - target[2])
    steering = state[7]
    effect_lateral, effect_heading, effect_steering = 0.0, 0.0, 0.0
    for i in range(TRACKING_HORIZON):
        distance = (speed + i * STEP * acceleration) * STEP
        bend = curvature[k + i] if k + i < ahead else curvature[ahead]
        lateral += distance * heading
        heading += distance / WHEELBASE * steering - distance * bend
        effect_lateral += distance * effect_heading
        effect_heading += distance / WHEELBASE * effect_steering
        effect_steering += STEP
    heading = wrap(heading)
    pull = LATERAL_WEIGHT * effect_lateral * lateral + HEADING_WEIGHT * effect_heading * heading
    cost = LATERAL_WEIGHT * effect_lateral**2 + HEADING_WEIGHT * effect_heading**2 + 1.0
    return acceleration, -pull / cost


@njit(cache=True, nogil=True)
def advance(state, acceleration, steering_rate, out):
    """Advance the bicycle model by one explicit Euler step, with first-order lags of both commands."""
    dt = INTEGRATION_STEP
    felt = state[5] + dt / (dt + ACCELERATION_LAG) * (acceleration - state[5])
    rate = dt / (dt + STEERING_LAG) * (steering_rate * dt) / dt
    out[0] = state[0] + state[3] * math.cos(state[2]) * dt
    out[1] = state[1] + state[3] * math.sin(state[2]) * dt
    out[2] = wrap(state[2] + state[3] * math.tan(state[7]) / WHEELBASE * dt)
    out[3] = state[3] + felt * dt
    out[5] = felt
    out[7] = min(max(state[7] + rate * dt, -MAX_STEERING), MAX_STEERING)
    out[8] = rate
    out[9] = out[3] * math.tan(out[7]) / WHEELBASE
    out[10] = (out[9] - state[9]) / dt
