"""Feasible synthesised trajectories from the human's state to start points without a match in the bank."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from swerve.scenes.viewpoints.follow_up.follow_up_options import STEP, FollowUpOptions
from swerve.scenes.viewpoints.follow_up.grid import HumanReference, StartGrid
from swerve.scenes.viewpoints.frenet_motion import FrenetTrajectory, drive_beside, offset_states, quintic_decay
from swerve.scenes.viewpoints.human_limits import allowed_ratios, drive_ratios
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.maneuver import demand_of

# Candidate stops: seconds until standstill, as shares of the horizon.
_STOPS = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
# A car slower than this, m/s, with less than this left to drive, metres, is stationary.
_STANDING_SPEED, _STANDING_WAY = 0.1, 0.1
# Shortest travel, metres, over which a lateral offset may change.
_SHORTEST_BEND = 1.0
_Offsets = tuple[Float[np.ndarray, "p t"], Float[np.ndarray, "p t"], Float[np.ndarray, "p t"]]
_Profile = tuple[Float[np.ndarray, "*c t"], Float[np.ndarray, "*c t"]]


@dataclass(frozen=True)
class SynthesizedTrajectories:
    """Synthesised trajectory for each start point.

    Attributes:
        drives: motion from the human's state to the start point.
        along: arc lengths of their nearest points on the human's path.
        limit_ratio: largest ratio to the allowed limits; feasible up to 1.
        ratios: ratios to the bounds, in the order of `BOUND_NAMES`; above 1 where relaxed.
    """

    drives: FrenetTrajectory
    along: Float[np.ndarray, "p t"]
    limit_ratio: Float[np.ndarray, "p"]
    ratios: Float[np.ndarray, "9 p"]


def synthesise(
    geometry: LogGeometry, human: HumanReference, grid: StartGrid, options: FollowUpOptions
) -> SynthesizedTrajectories:
    """Synthesise trajectories from the human's current state to the start points at the horizon.

    Along the path: minimal jerk with free speed and acceleration at the end, or with the given speed offset; if that
    reverses or exceeds the limits, the least demanding of several stops. Across: the offset is a quintic in arc length
    over the whole distance, and the car ends with the path's curvature (shorter lane shifts were tried: they make 0.3 %
    more start points feasible). Initial position, heading, speed, acceleration and curvature are the human's; a human
    slower than 0.1 m/s begins at rest, and with less than 0.1 m to go, stands on the start point. `demand` is relative
    to the bounds or, where they cannot be kept, to `allowed_ratios`: 1.25 times the human's own ratio where that is
    more. Both the states and the poses are checked (`drive_ratios`).
    """
    human = _settled(human)
    relaxed = allowed_ratios(geometry, human.steps, options.bounds)
    stated = _synthesise_within(geometry, human, grid, options, np.ones(len(relaxed)))
    if (relaxed <= 1.0).all() or (stated.limit_ratio <= 1.0).all():
        return stated
    wider = _synthesise_within(geometry, human, grid, options, relaxed)
    kept = stated.limit_ratio <= 1.0
    drives = [
        np.where(kept.reshape(-1, *[1] * (one.ndim - 1)), one, other)
        for one, other in zip(stated.drives.parts, wider.drives.parts, strict=True)
    ]
    return SynthesizedTrajectories(
        FrenetTrajectory(*drives),
        np.where(kept[:, None], stated.along, wider.along),
        np.where(kept, stated.limit_ratio, wider.limit_ratio),
        np.where(kept, stated.ratios, wider.ratios),
    )


def free_speed(human: HumanReference, distance: Float[np.ndarray, "p"], horizon: float) -> Float[np.ndarray, "p"]:
    """Compute the final speed of the minimal-jerk profile that covers a distance, from which speed offsets count."""
    human = _settled(human)
    extra = distance - human.speed * horizon - human.acceleration * horizon**2 / 2
    return human.speed + human.acceleration * horizon + 2.5 * extra / horizon


def _settled(human: HumanReference) -> HumanReference:
    """Return the human; at rest if slower than 0.1 m/s."""
    if human.speed >= _STANDING_SPEED:
        return human
    # Residual deceleration of a stop, or noise: it would force the car to reverse before it pulls away.
    return replace(human, speed=0.0, acceleration=max(human.acceleration, 0.0))


def _synthesise_within(
    geometry: LogGeometry,
    human: HumanReference,
    grid: StartGrid,
    options: FollowUpOptions,
    allowed: Float[np.ndarray, "9"],
) -> SynthesizedTrajectories:
    """Synthesise trajectories, with their ratios to the allowed value of each bound."""
    clock = np.arange(options.steps) * STEP
    ways, row = np.unique(np.stack([grid.along - human.along, grid.speed_offsets]), axis=1, return_inverse=True)
    driven, pace = _along(geometry, human, ways, clock, options, allowed)
    driven, pace = driven[row.ravel()], pace[row.ravel()]
    along = human.along + driven
    offsets, possible = _across(geometry, human, grid, along)
    drives = drive_beside(geometry.path, along, pace, offsets)
    ratios = drive_ratios(options.bounds, drives, clock, geometry)
    return SynthesizedTrajectories(drives, along, np.where(possible, demand_of(ratios, allowed), np.inf), ratios)


def _along(
    geometry: LogGeometry,
    human: HumanReference,
    ways: Float[np.ndarray, "2 r"],
    clock: Float[np.ndarray, "t"],
    options: FollowUpOptions,
    allowed: Float[np.ndarray, "9"],
) -> _Profile:
    """Compute arc length and speed for pairs of (distance in metres, speed offset in m/s at the end)."""
    distance, faster = ways
    swept = _minimal_jerk(human, distance, faster, clock)
    stops = _stops(human, distance, clock)
    driven, pace = (np.concatenate([one[None], many]) for one, many in zip(swept, stops, strict=True))
    ratios = options.bounds.max_ratios(pace, np.zeros_like(pace), clock, geometry.log.vehicle)
    demand = demand_of(ratios, allowed)
    # Stops are for start points with free speed, and only where the minimal-jerk profile is infeasible.
    demand[1:, faster != 0] = np.inf
    demand[0, demand[0] <= 1.0] = -np.inf
    best, row = demand.argmin(axis=0), np.arange(len(distance))
    driven, pace = driven[best, row], pace[best, row]
    still = (human.speed == 0) & (distance < _STANDING_WAY) & (faster == 0)
    driven[still], pace[still] = distance[still, None], 0.0
    return driven, pace


def _minimal_jerk(
    human: HumanReference,
    distance: Float[np.ndarray, "r"],
    faster: Float[np.ndarray, "r"],
    clock: Float[np.ndarray, "t"],
) -> _Profile:
    """Compute the minimal-jerk profile that covers a distance in the given time, with free acceleration at the end.

    With free final speed as well, the jerk is a square of the time left (Euler-Lagrange with natural boundary
    conditions); a prescribed speed offset `faster` adds a linear term.
    """
    whole = clock[-1]
    extra = distance - human.speed * whole - human.acceleration * whole**2 / 2
    square = (10 * extra / whole**5 - 60 * faster / whole**4)[:, None]
    linear = (48 * faster / whole**3)[:, None]
    left = whole - clock
    pace = (
        human.speed
        + human.acceleration * clock
        + square * (whole**3 * clock / 3 - (whole**4 - left**4) / 12)
        + linear * (whole**2 * clock / 2 - (whole**3 - left**3) / 6)
    )
    driven = (
        human.speed * clock
        + human.acceleration * clock**2 / 2
        + square * (whole**3 * clock**2 / 6 - whole**4 * clock / 12 + (whole**5 - left**5) / 60)
        + linear * (whole**2 * clock**2 / 4 - whole**3 * clock / 6 + (whole**4 - left**4) / 24)
    )
    return driven, pace


def _stops(human: HumanReference, distance: Float[np.ndarray, "r"], clock: Float[np.ndarray, "t"]) -> _Profile:
    """Compute quintics in time that end at rest after the distance, for several stopping times."""
    shape = (len(_STOPS), len(distance))
    lengths = np.broadcast_to((_STOPS * clock[-1])[:, None], shape)
    times = np.broadcast_to(clock, (*shape, len(clock)))
    missing = np.broadcast_to(-distance[:, None], (*shape, 1))
    speed, acceleration = np.full_like(missing, human.speed), np.full_like(missing, human.acceleration)
    left, pace, _ = quintic_decay((missing, speed, acceleration), lengths, times)
    return distance[:, None] + left, pace


def _across(
    geometry: LogGeometry, human: HumanReference, grid: StartGrid, along: Float[np.ndarray, "p t"]
) -> tuple[_Offsets, Bool[np.ndarray, "p"]]:
    """Compute lateral offsets with their derivatives by arc length, and whether the travelled distance suffices."""
    way = grid.along - human.along
    value, slope, bend = offset_states(geometry.path.at(grid.along), grid.lateral, grid.heading_offsets)
    left = np.maximum(grid.along[:, None] - along, 0.0)
    end = (value[:, None], -slope[:, None], bend[:, None])
    values, slopes, bends = quintic_decay(end, np.maximum(way, _SHORTEST_BEND), left)
    return (values, -slopes, bends), (way >= _SHORTEST_BEND) | ((grid.lateral == 0) & (grid.heading_offsets == 0))
