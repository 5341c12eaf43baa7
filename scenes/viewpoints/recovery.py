"""Recovery viewpoints: the ego has strayed from its logged path, and drives back to it."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from swerve.scenes.log import Scene
from swerve.scenes.randomness import keyed_generator
from swerve.scenes.tracks import Ego, box_footprints
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints.bounds import Bounds
from swerve.scenes.viewpoints.command import LOOK_AHEAD, command_of
from swerve.scenes.viewpoints.contacts import contacts
from swerve.scenes.viewpoints.frenet_motion import Drive, State, decay, drive_beside, offset_state
from swerve.scenes.viewpoints.ground import poses_on
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.viewpoint import Rejection, Viewpoint, ViewpointKind

# Lengths in metres of the bends that are tried, and durations in seconds of the return to the schedule.
_SHORTEST_BEND, _LONGEST_BEND, _BENDS = 4.0, 80.0, 12
_DURATIONS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
# A log whose poses are this far from any car's motion, or that drives backwards this fast, is no path to return to.
_ROUGH, _REVERSE = 0.25, -0.3
_NORMAL_CUT = 2.0


@dataclass(frozen=True)
class RecoveryOptions:
    """Which recovery viewpoints are tried.

    Attributes:
        per_scene: how many draws each scene gets.
        lateral: largest offset to either side of the driven path, metres.
        longitudinal: largest offset along it, metres.
        heading: largest turn against it, radians.
        speed: largest change of speed, as a share of the logged one.
        distribution: "uniform" over these ranges, or "normal" with half the range as deviation, cut at the range.
        bounds: what the bent history and the way back may ask of car and passengers.
        gentle: of the ways back that ask at most this share of the bounds the quickest is taken; if there is none,
            that which asks least.
        least_distance: a human who drives less than this in the scene's future leaves no room to return, metres.
        surface_slack: how much further than the logged ego a corner may leave the drivable surface, metres.
    """

    per_scene: int = 2
    lateral: float = 2.0
    longitudinal: float = 2.0
    heading: float = float(np.deg2rad(15.0))
    speed: float = 0.2
    distribution: Literal["uniform", "normal"] = "uniform"
    bounds: Bounds = field(default_factory=Bounds)
    gentle: float = 0.5
    least_distance: float = 5.0
    surface_slack: float = 0.2

    def draw(self, seed: int, log: str, token: str, index: int) -> Float[np.ndarray, "4"]:
        """Offset (lateral m, longitudinal m, heading rad, speed share), the same for the same arguments."""
        share = keyed_generator(seed, log, token, ViewpointKind.RECOVERY.value, index).random(4)
        if self.distribution == "normal":
            low, high = ndtr(-_NORMAL_CUT), ndtr(_NORMAL_CUT)
            spread = ndtri(low + (high - low) * share) / _NORMAL_CUT
        else:
            spread = 2 * share - 1
        return spread * np.array([self.lateral, self.longitudinal, self.heading, self.speed])


@dataclass(frozen=True)
class _Start:
    """The perturbed state now: place on the path, its rate and change of rate; offset; speed of the car."""

    along: float
    pace: float
    pull: float
    offset: State
    speed_gain: float


@dataclass(frozen=True)
class _Return:
    """The way back: the motion, arc lengths passed, and what was chosen."""

    drive: Drive
    along: Float[np.ndarray, "t"]
    length: float
    duration: float
    demand: float


def recovery(
    scene: Scene, index: int, options: RecoveryOptions, seed: int, geometry: LogGeometry
) -> Viewpoint | Rejection:
    """One recovery viewpoint, reproducible from (seed, log, token, index) alone.

    The ego stands `lateral` beside and `longitudinal` along the driven path, turned and faster or slower. Its history
    leaves the logged path by a quintic in arc length that starts where the history does, or earlier if that asks too
    much, and takes up the changed speed smoothly, in proportion to the logged one: who stood stands, in the perturbed
    pose. The target decays the lateral offset by a quintic in arc length and the longitudinal one by a quintic in
    time, so that it is on the logged path and schedule before the scene ends. Height follows the ground of the map
    relative to the path, tilt is the path's.

    Reasons to reject: "standing" (the human drives too little to return), "rough_log" (poses that no car drives, or
    reverse), "infeasible", "collision_at_start", "collision_later", "off_road_at_start", "off_road_later". A box
    that overlaps the logged ego at the same step is taken for an error and does not count. A corner may be off the
    surface by as much as the logged ego's worst corner at that step plus `surface_slack`; without a map nothing is
    off the road, and `parameters["surface_checked"]` is 0.
    """
    offsets = options.draw(seed, scene.log.name, scene.token, index)
    reason = _unfit(scene, geometry, options)
    if reason:
        return Rejection(ViewpointKind.RECOVERY, index, reason)
    start = _start(scene, geometry, offsets)
    past = _bent_history(scene, geometry, start, options)
    back = _way_back(scene, geometry, start, past[0], options) if past else None
    if past is None or back is None:
        return Rejection(ViewpointKind.RECOVERY, index, "infeasible")
    drive = past[0].then(back.drive)
    reason = _conflict(scene, geometry, drive, options)
    if reason:
        return Rejection(ViewpointKind.RECOVERY, index, reason)
    return _viewpoint(scene, index, geometry, offsets, drive, np.concatenate([past[1], back.along]), back)


def _unfit(scene: Scene, geometry: LogGeometry, options: RecoveryOptions) -> str | None:
    """Why the scene has no path to stray from."""
    motion, schedule = geometry.ego_motion.at(scene.window), geometry.path.schedule
    if motion.deviations.max() > _ROUGH or motion.speeds.min() < _REVERSE:
        return "rough_log"
    distance = schedule[scene.now + scene.future] - schedule[scene.now]
    return "standing" if distance < options.least_distance else None


def _start(scene: Scene, geometry: LogGeometry, offsets: Float[np.ndarray, "4"]) -> _Start:
    """The perturbed state. The offset's bend is such that the car steers as the path does."""
    lateral, longitudinal, turn, faster = (float(value) for value in offsets)
    along = float(geometry.path.schedule[scene.now]) + longitudinal
    at = geometry.path.at(np.array([along]))
    offset = offset_state(at, lateral, turn)
    gain = (1 + faster) / float(np.hypot(1 - at.curvatures[0] * lateral, offset[1]))
    motion = geometry.ego_motion
    pace = gain * max(float(motion.speeds[scene.now]), 0.0)
    return _Start(along, pace, gain * float(motion.accelerations[scene.now]), offset, gain - 1)


def _bent_history(
    scene: Scene, geometry: LogGeometry, start: _Start, options: RecoveryOptions
) -> tuple[Drive, Float[np.ndarray, "h"]] | None:
    """The motion up to now, and its arc lengths: the gentlest bend that begins no later than the history."""
    steps = slice(scene.now - scene.history, scene.now + 1)
    seconds = geometry.seconds[steps]
    speeds = np.maximum(geometry.ego_motion.speeds[steps], 0.0)
    u = np.linspace(0, 1, 1) if len(seconds) == 1 else (seconds - seconds[0]) / (seconds[-1] - seconds[0])
    share = u**3 * (10 + u * (6 * u - 15))
    extra = speeds * start.speed_gain * share
    gained = np.concatenate([[0.0], np.cumsum(np.diff(seconds) * (extra[1:] + extra[:-1]) / 2)])
    schedule = geometry.path.schedule[steps]
    along = start.along - (schedule[-1] - schedule) - (gained[-1] - gained)
    lengths = np.geomspace(max(start.along - along[0], _SHORTEST_BEND), _LONGEST_BEND, _BENDS)
    value, slope, bend = start.offset
    before = np.broadcast_to(start.along - along, (len(lengths), len(along)))
    values, slopes, bends = decay((value, -slope, bend), lengths, before)
    drives = drive_beside(geometry.path, before * 0 + along, before * 0 + speeds + extra, (values, -slopes, bends))
    if len(seconds) < 3:
        return drives.of(0), along
    demand = options.bounds.demand(drives.speeds, drives.curvatures, seconds, scene.log.vehicle)
    best = _choose(demand, lengths, options.gentle)
    return None if best is None else (drives.of(best), along)


def _way_back(
    scene: Scene, geometry: LogGeometry, start: _Start, past: Drive, options: RecoveryOptions
) -> _Return | None:
    """The manoeuvre from now to the end of the scene; all lengths with all durations are tried."""
    steps = slice(scene.now + 1, scene.now + scene.future + 1)
    schedule = geometry.path.schedule
    seconds = geometry.seconds[steps] - geometry.seconds[scene.now]
    room = schedule[scene.now + scene.future] - start.along
    durations = np.array([duration for duration in _DURATIONS if duration <= seconds[-1] + 1e-6])
    if room <= _SHORTEST_BEND or not len(durations):
        return None
    lengths = np.geomspace(_SHORTEST_BEND, room, _BENDS)
    along, pace = _rejoin_schedule(scene, geometry, start, durations, seconds)
    shape = (len(durations), len(lengths), len(seconds))
    along, pace = np.broadcast_to(along[:, None], shape), np.broadcast_to(pace[:, None], shape)
    driven = np.maximum(along - start.along, 0.0)
    offset = decay(start.offset, np.broadcast_to(lengths, shape[:2]), driven)
    drives = drive_beside(geometry.path, along, pace, offset)
    ends = np.where(driven >= lengths[:, None] - 1e-6, seconds, seconds[-1]).min(axis=-1)
    ends = np.maximum(ends, durations[:, None])
    demand = _demand_with_past(past, drives, geometry.seconds[scene.now - scene.history : steps.stop], scene, options)
    best = _choose(demand.ravel(), ends.ravel(), options.gentle)
    if best is None:
        return None
    row, column = np.unravel_index(best, shape[:2])
    flat = drives.of(int(row)).of(int(column))
    return _Return(flat, along[row, column], float(lengths[column]), float(durations[row]), float(demand[row, column]))


def _rejoin_schedule(
    scene: Scene,
    geometry: LogGeometry,
    start: _Start,
    durations: Float[np.ndarray, "d"],
    seconds: Float[np.ndarray, "f"],
) -> tuple[Float[np.ndarray, "d f"], Float[np.ndarray, "d f"]]:
    """Arc lengths and their rates: the human's, plus an offset that decays within each duration."""
    motion, schedule = geometry.ego_motion, geometry.path.schedule
    steps = slice(scene.now + 1, scene.now + scene.future + 1)
    lead = (
        start.along - float(schedule[scene.now]),
        start.pace - max(float(motion.speeds[scene.now]), 0.0),
        start.pull - float(motion.accelerations[scene.now]),
    )
    ahead, faster, _ = decay(lead, durations, np.broadcast_to(seconds, (len(durations), len(seconds))))
    return schedule[steps] + ahead, np.maximum(motion.speeds[steps], 0.0) + faster


def _demand_with_past(
    past: Drive, drives: Drive, seconds: Float[np.ndarray, "t"], scene: Scene, options: RecoveryOptions
) -> Float[np.ndarray, "*c"]:
    """Demand of the ways back, the last steps of the history included, so that the joint counts too."""
    tail = min(3, len(past.speeds))
    shape = (*drives.speeds.shape[:-1], tail)
    speeds = np.concatenate([np.broadcast_to(past.speeds[-tail:], shape), drives.speeds], axis=-1)
    curvatures = np.concatenate([np.broadcast_to(past.curvatures[-tail:], shape), drives.curvatures], axis=-1)
    return options.bounds.demand(speeds, curvatures, seconds[scene.history + 1 - tail :], scene.log.vehicle)


def _choose(demand: Float[np.ndarray, "c"], cost: Float[np.ndarray, "c"], gentle: float) -> int | None:
    """The cheapest of the gentle candidates; else that of least demand; None where none is feasible."""
    if (demand <= gentle).any():
        return int(np.where(demand <= gentle, cost, np.inf).argmin())
    best = int(demand.argmin())
    return best if demand[best] <= 1.0 else None


def _conflict(scene: Scene, geometry: LogGeometry, drive: Drive, options: RecoveryOptions) -> str | None:
    """What the ego runs into, or leaves, now or later."""
    steps = slice(scene.now, scene.now + scene.future + 1)
    vehicle = scene.log.vehicle
    headings = drive.headings[scene.history :]
    ahead = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    centers = drive.positions[scene.history :] + vehicle.rear_axle_to_center * ahead
    footprint = box_footprints(centers, headings, np.broadcast_to(vehicle.size[:2], centers.shape))
    valid = scene.log.tracks.valid[:, steps] & ~geometry.ego_contacts[:, steps]
    hit = np.asarray(contacts(footprint, geometry.footprints[:, steps], valid).any(axis=0))
    if hit.any():
        return "collision_at_start" if hit[0] else "collision_later"
    if geometry.surface is None:
        return None
    off = geometry.surface.overrun(footprint) > geometry.ego_overrun[steps] + options.surface_slack
    if off.any():
        return "off_road_at_start" if off[0] else "off_road_later"
    return None


def _viewpoint(
    scene: Scene,
    index: int,
    geometry: LogGeometry,
    offsets: Float[np.ndarray, "4"],
    drive: Drive,
    along: Float[np.ndarray, "t"],
    back: _Return,
) -> Viewpoint:
    log, now = scene.log, scene.history
    poses = _on_the_ground(scene, geometry, drive, along)
    pull = np.gradient(drive.speeds, geometry.seconds[scene.window]) if len(along) > 1 else np.zeros(1)
    still = np.zeros(len(along))
    ego = Ego(
        poses,
        np.stack([drive.speeds, still], axis=1),
        np.stack([pull, drive.speeds**2 * drive.curvatures], axis=1),
        drive.speeds * drive.curvatures,
    )
    foot = float(along[now])
    route_heading = float(wrap_angle(geometry.path.at(np.array([foot])).headings[0]))
    names = ("lateral", "longitudinal", "heading", "speed")
    return Viewpoint(
        scene=scene,
        kind=ViewpointKind.RECOVERY,
        index=index,
        ego=ego.at(slice(0, now + 1)),
        target=poses[now + 1 :],
        human=log.ego.world_from_ego[scene.now + 1 : scene.now + scene.future + 1],
        vehicle=log.vehicle,
        cameras=log.cameras,
        tracks=scene.tracks,
        command=command_of(geometry.path.ahead(foot, LOOK_AHEAD), route_heading, log.road_map, log.route),
        parameters={
            **dict(zip(names, (float(value) for value in offsets), strict=True)),
            "rejoin_length": back.length,
            "rejoin_duration": back.duration,
            "demand": back.demand,
            "surface_checked": float(geometry.surface is not None),
        },
    )


def _on_the_ground(
    scene: Scene, geometry: LogGeometry, drive: Drive, along: Float[np.ndarray, "t"]
) -> Float[np.ndarray, "t 4 4"]:
    """Poses with the path's tilt, as far above the path as the map's ground is there; else on the path's plane."""
    at = geometry.path.at(along)
    road_map = scene.log.road_map
    aside = drive.positions - at.positions[:, :2]
    if road_map and road_map.has_height:
        rise = road_map.ground.at(drive.positions) - road_map.ground.at(at.positions[:, :2])
    else:
        rise = -(aside * at.up[:, :2]).sum(axis=1) / at.up[:, 2]
    points = np.concatenate([drive.positions, (at.positions[:, 2] + rise)[:, None]], axis=1)
    return poses_on(points, drive.headings, at.up)
