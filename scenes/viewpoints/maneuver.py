"""Recovery manoeuvre: deviation of the ego from its path, and the return to it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.scenes.log import Scene
from swerve.scenes.viewpoints.bounds import BOUND_NAMES, KinematicLimits
from swerve.scenes.viewpoints.frenet_motion import (
    FrenetTrajectory,
    State,
    drive_beside,
    offset_state,
    quartic_decay,
    quintic_decay,
)
from swerve.scenes.viewpoints.human_limits import allowed_ratios, drive_ratios
from swerve.scenes.viewpoints.log_geometry import LogGeometry

# Candidate lengths in metres of the lateral return, and durations of the return to the schedule as shares of the
# future.
_SHORTEST_BEND, _LONGEST_BEND, _BENDS = 4.0, 80.0, 12
_DURATIONS = np.array([0.3, 0.4, 0.5, 0.6, 0.8, 1.0])
# Seconds before now over which the speed offset builds up.
_SPEED_RAMP = 5.0
# Cost of a second and of a metre, relative to 1 for the full bounds.
_PER_SECOND, _PER_METRE, _PER_PAST_METRE = 0.1, 0.5, 2.0
# Steps of the history that are checked together with the return, so that the junction counts too.
_TAIL = 3


@dataclass(frozen=True)
class Maneuver:
    """Ego with a deviation and return over the scene's window.

    Attributes:
        drive: motion over history and future.
        along: arc length of the nearest point on the driven path.
        length: length of the lateral return, metres of path.
        duration: seconds until the human's speed is reached again.
        rejoins_schedule: whether the human's position at the same time is reached as well.
        demand: ratio of the return to the bounds.
        ratios: ratios of history and return to the bounds, in the order of `BOUND_NAMES`; above 1 where relaxed.
    """

    drive: FrenetTrajectory
    along: Float[np.ndarray, "t"]
    length: float
    duration: float
    rejoins_schedule: bool
    demand: float
    ratios: Float[np.ndarray, "9"]


@dataclass(frozen=True)
class ManeuverStart:
    """State now beside the path.

    Attributes:
        along: arc length of the nearest point on the path, metres.
        s_dot: its rate of change, m/s.
        s_ddot: rate of change of `s_dot`, m/s2.
        offset: offset to the left, metres, and its first and second derivative by arc length.
        speed_gain: ratio of `s_dot` to the human's speed; of recoveries alone.
    """

    along: float
    s_dot: float
    s_ddot: float
    offset: State
    speed_gain: float = 1.0


def recovery_maneuver(
    scene: Scene, geometry: LogGeometry, offsets: Float[np.ndarray, "4"], bounds: KinematicLimits
) -> Maneuver | None:
    """Compute the deviation to (lateral m, longitudinal m, heading rad, speed share) off the path, and the return.

    History: the ego leaves the path by a quintic in arc length, which may begin before the scene does, and changes its
    speed in proportion to the human's, smoothly over the last 5 s; a stationary human stays stationary, in the
    perturbed pose. Future: the lateral offset decays by a quintic in arc length; the longitudinal one by a quintic in
    time, or, if no such return is feasible, only the speed offset decays, by a cubic. Curvature and acceleration are
    continuous throughout.

    All lengths are combined with all durations. Of the candidates within the bounds the cheapest is chosen: ratio to
    the bounds, plus a cost per metre of overshoot and per second of duration. Only where none is within the bounds are
    they relaxed to the human's own ratio and a margin (`allowed_ratios`). Both the states and the poses themselves are
    checked (`drive_ratios`).

    Returns:
        None where no candidate is feasible.
    """
    start = _start(scene, geometry, offsets)
    for allowed in _allowed(scene, geometry, bounds):
        past = _feasible_history(scene, geometry, start, bounds, allowed)
        found = None if past is None else _any_way_back(scene, geometry, start, past, bounds, allowed)
        if found is not None:
            return found
    return None


def return_maneuver(
    scene: Scene,
    geometry: LogGeometry,
    start: ManeuverStart,
    past: tuple[FrenetTrajectory, Float[np.ndarray, "h"]],
    bounds: KinematicLimits,
) -> Maneuver | None:
    """Compute the return from any state beside the path, by the rules of `recovery_maneuver`.

    Args:
        scene: window of the log, with as many steps up to now as `past` has.
        geometry: of the log.
        start: state now.
        past: motion up to now, and arc lengths of its nearest points on the path.
        bounds: limits of the last steps of `past` and of the return.

    Returns:
        None where no candidate is feasible.
    """
    for allowed in _allowed(scene, geometry, bounds):
        found = _any_way_back(scene, geometry, start, past, bounds, allowed)
        if found is not None:
            return found
    return None


def history_beside(
    scene: Scene, geometry: LogGeometry, offsets: Float[np.ndarray, "4"]
) -> tuple[Float[np.ndarray, "h"], Float[np.ndarray, "h"]]:
    """Compute arc lengths of the offset ego's projections onto the path up to now, and their rate in m/s."""
    return _history_along(scene, geometry, _start(scene, geometry, offsets))


def _allowed(scene: Scene, geometry: LogGeometry, bounds: KinematicLimits) -> tuple[Float[np.ndarray, "9"], ...]:
    """Return the ratios to the bounds that are allowed: 1, and if that fails the human's own where they are larger."""
    stated, relaxed = np.ones(len(BOUND_NAMES)), allowed_ratios(geometry, scene.window, bounds)
    return (stated, relaxed) if (relaxed > 1.0).any() else (stated,)


def _any_way_back(
    scene: Scene,
    geometry: LogGeometry,
    start: ManeuverStart,
    past: tuple[FrenetTrajectory, Float[np.ndarray, "h"]],
    bounds: KinematicLimits,
    allowed: Float[np.ndarray, "9"],
) -> Maneuver | None:
    """Return the best return that rejoins the human's schedule, else the best that does not."""
    for rejoins_schedule in (True, False):
        back = _way_back(scene, geometry, start, past, rejoins_schedule, bounds, allowed)
        if back is not None:
            return back
    return None


def _start(scene: Scene, geometry: LogGeometry, offsets: Float[np.ndarray, "4"]) -> ManeuverStart:
    """Compute the perturbed state. The offset's bend is such that the car has the path's curvature."""
    lateral, longitudinal, turn, faster = (float(value) for value in offsets)
    along = float(geometry.path.arc_lengths[scene.now]) + longitudinal
    at = geometry.path.at(np.array([along]))
    offset = offset_state(at, lateral, turn)
    speed_gain = (1 + faster) / float(np.hypot(1 - at.curvatures[0] * lateral, offset[1]))
    motion = geometry.ego_motion
    speed, s_ddot = max(float(motion.speeds[scene.now]), 0.0), float(motion.accelerations[scene.now])
    return ManeuverStart(along, speed_gain * speed, speed_gain * s_ddot, offset, speed_gain)


def _feasible_history(
    scene: Scene,
    geometry: LogGeometry,
    start: ManeuverStart,
    bounds: KinematicLimits,
    allowed: Float[np.ndarray, "9"],
) -> tuple[FrenetTrajectory, Float[np.ndarray, "h"]] | None:
    """Compute the motion up to now, and its arc lengths."""
    seconds = geometry.seconds[scene.now - scene.history : scene.now + 1]
    along, s_dot = _history_along(scene, geometry, start)
    lengths = np.geomspace(_SHORTEST_BEND, _LONGEST_BEND, _BENDS)
    shape = (len(lengths), len(along))
    value, slope, bend = start.offset
    values, slopes, bends = quintic_decay((value, -slope, bend), lengths, np.broadcast_to(start.along - along, shape))
    drives = drive_beside(
        geometry.path,
        np.broadcast_to(along, shape),
        np.broadcast_to(s_dot, shape),
        (values, -slopes, bends),
    )
    if len(seconds) < _TAIL:
        return drives.of(-1), along
    demand = demand_of(drive_ratios(bounds, drives, seconds, geometry), allowed)
    best = _cheapest(demand, demand + _PER_PAST_METRE * _swing(values, value))
    return None if best is None else (drives.of(best[0]), along)


def _history_along(
    scene: Scene, geometry: LogGeometry, start: ManeuverStart
) -> tuple[Float[np.ndarray, "h"], Float[np.ndarray, "h"]]:
    """Compute arc lengths up to now and their rate: the human's, and the changed speed as it builds up."""
    steps = slice(scene.now - scene.history, scene.now + 1)
    seconds, schedule = geometry.seconds[steps], geometry.path.arc_lengths[steps]
    speeds = np.maximum(geometry.ego_motion.speeds[steps], 0.0)
    u = np.maximum(1 - (seconds[-1] - seconds) / _SPEED_RAMP, 0.0)
    extra = speeds * (start.speed_gain - 1) * u**3 * (10 + u * (6 * u - 15))
    gained = np.concatenate([[0.0], np.cumsum(np.diff(seconds) * (extra[1:] + extra[:-1]) / 2)])
    return start.along - (schedule[-1] - schedule) - (gained[-1] - gained), speeds + extra


def _way_back(
    scene: Scene,
    geometry: LogGeometry,
    start: ManeuverStart,
    past: tuple[FrenetTrajectory, Float[np.ndarray, "h"]],
    rejoins_schedule: bool,
    bounds: KinematicLimits,
    allowed: Float[np.ndarray, "9"],
) -> Maneuver | None:
    """Return the manoeuvre with the cheapest return from now to the end of the scene."""
    seconds = geometry.seconds[scene.now + 1 : scene.now + scene.future + 1] - geometry.seconds[scene.now]
    durations = _DURATIONS * seconds[-1]
    along, s_dot = _rejoin(scene, geometry, start, durations, seconds, rejoins_schedule)
    room = float(along[:, -1].min()) - start.along
    if room <= _SHORTEST_BEND:
        return None
    lengths = np.geomspace(_SHORTEST_BEND, room, _BENDS)
    shape = (len(durations), len(lengths), len(seconds))
    along, s_dot = np.broadcast_to(along[:, None], shape), np.broadcast_to(s_dot[:, None], shape)
    driven = np.maximum(along - start.along, 0.0)
    offset = quintic_decay(start.offset, np.broadcast_to(lengths, shape[:2]), driven)
    drives = drive_beside(geometry.path, along, s_dot, offset)
    arrival = np.where(driven >= lengths[:, None] - 1e-6, seconds, seconds[-1]).min(axis=-1)
    demand = demand_of(_shares_with_past(scene, geometry, past[0], drives, bounds), allowed)
    delay = np.maximum(arrival, durations[:, None])
    best = _cheapest(demand, demand + _PER_SECOND * delay + _PER_METRE * _swing(offset[0], start.offset[0]))
    if best is None:
        return None
    row, column = best
    whole = past[0].then(drives.of(row).of(column))
    return Maneuver(
        whole,
        np.concatenate([past[1], along[row, column]]),
        float(lengths[column]),
        float(durations[row]),
        rejoins_schedule,
        float(demand[row, column]),
        drive_ratios(bounds, whole, geometry.seconds[scene.window], geometry),
    )


def _rejoin(
    scene: Scene,
    geometry: LogGeometry,
    start: ManeuverStart,
    durations: Float[np.ndarray, "d"],
    seconds: Float[np.ndarray, "f"],
    rejoins_schedule: bool,
) -> tuple[Float[np.ndarray, "d f"], Float[np.ndarray, "d f"]]:
    """Compute arc lengths and their rates: the human's plus a lead that decays (or its rate) within each duration."""
    motion, schedule = geometry.ego_motion, geometry.path.arc_lengths
    steps = slice(scene.now + 1, scene.now + scene.future + 1)
    lead = (
        start.along - float(schedule[scene.now]),
        start.s_dot - max(float(motion.speeds[scene.now]), 0.0),
        start.s_ddot - float(motion.accelerations[scene.now]),
    )
    times = np.broadcast_to(seconds, (len(durations), len(seconds)))
    ahead, faster = (
        quintic_decay(lead, durations, times)[:2] if rejoins_schedule else quartic_decay(lead, durations, times)
    )
    return schedule[steps] + ahead, np.maximum(motion.speeds[steps], 0.0) + faster


def _shares_with_past(
    scene: Scene, geometry: LogGeometry, past: FrenetTrajectory, drives: FrenetTrajectory, bounds: KinematicLimits
) -> Float[np.ndarray, "9 d l"]:
    tail = min(_TAIL, len(past.speeds))
    joined = [
        np.concatenate([np.broadcast_to(before[-tail:], (*after.shape[:2], *before[-tail:].shape)), after], axis=2)
        for before, after in zip(past.parts, drives.parts, strict=True)
    ]
    seconds = geometry.seconds[scene.now + 1 - tail : scene.now + scene.future + 1]
    return drive_ratios(bounds, FrenetTrajectory(*joined), seconds, geometry)


def demand_of(ratios: Float[np.ndarray, "9 *c"], allowed: Float[np.ndarray, "9"]) -> Float[np.ndarray, "*c"]:
    """Compute the largest ratio to the allowed limits: up to 1 is feasible."""
    demand: Float[np.ndarray, "*c"] = (ratios.T / allowed).max(axis=-1).T
    return demand


def _swing(values: Float[np.ndarray, "*c t"], start: float) -> Float[np.ndarray, "*c"]:
    """Return the overshoot in metres beyond the initial offset from the path."""
    swing: Float[np.ndarray, "*c"] = np.maximum(np.abs(values).max(axis=-1) - abs(start), 0.0)
    return swing


def _cheapest(demand: Float[np.ndarray, "*c"], cost: Float[np.ndarray, "*c"]) -> tuple[int, ...] | None:
    """Return the index of the feasible candidate of least cost; None where none is feasible."""
    if not (demand <= 1.0).any():
        return None
    best = np.where(demand <= 1.0, cost, np.inf).argmin()
    return tuple(int(place) for place in np.unravel_index(best, demand.shape))
