"""Recovery viewpoints: the ego is perturbed from its logged path and returns to it."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtr, ndtri

from swerve.scenes.log import Scene
from swerve.scenes.randomness import keyed_generator
from swerve.scenes.tracks import Ego
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints.bounds import Bounds
from swerve.scenes.viewpoints.collisions import body_footprints, contacts
from swerve.scenes.viewpoints.command import LOOK_AHEAD, command_of
from swerve.scenes.viewpoints.frenet_motion import Drive
from swerve.scenes.viewpoints.human_limits import relaxations
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.maneuver import Maneuver, history_beside, recovery_maneuver
from swerve.scenes.viewpoints.viewpoint import Rejection, Viewpoint, ViewpointKind

_NORMAL_CUT = 2.0
_LATERAL_BINS, _HEADING_BINS = 6, 4
# Reasons that hold for a scene whatever the draw.
SCENE_REASONS = ("standing", "rough_log")


@dataclass(frozen=True)
class RecoveryOptions:
    """Options of recovery viewpoints.

    Attributes:
        per_scene: number of samples per scene.
        lateral: largest offset to either side of the driven path, metres.
        longitudinal: largest offset along it, metres.
        heading: largest heading offset, radians.
        speed: largest change of speed, as a share of the logged one.
        distribution: "uniform" over these ranges, or "normal" with half the range as deviation, cut at the range.
        bounds: kinematic and comfort limits of history and return.
        least_distance: least distance that the human drives in the scene's future, needed for the return, metres.
        surface_slack: distance by which a corner may leave the drivable surface beyond the logged ego's, metres.
        attempts: number of draws for each viewpoint until one is accepted. All lie in the first one's stratum
            (`stratum`), so that rejection thins out large offsets less.
    """

    per_scene: int = 2
    lateral: float = 2.0
    longitudinal: float = 2.0
    heading: float = float(np.deg2rad(15.0))
    speed: float = 0.2
    distribution: Literal["uniform", "normal"] = "uniform"
    bounds: Bounds = field(default_factory=Bounds)
    least_distance: float = 5.0
    surface_slack: float = 0.2
    attempts: int = 1

    def draw(self, seed: int, log: str, token: str, index: int) -> Float[np.ndarray, "4"]:
        """Sample an offset (lateral m, longitudinal m, heading rad, speed share), reproducible from the arguments."""
        return self.offsets_at(_shares(seed, log, token, index))

    def redraw(self, seed: int, log: str, token: str, index: int, attempt: int) -> Float[np.ndarray, "4"]:
        """Draw another offset of the same stratum; `attempt` counts from 1."""
        shares, first = (_shares(seed, log, token, *key) for key in ((index, attempt), (index,)))
        for axis, bins in zip((0, 2), self.bins, strict=True):
            shares[axis] = (np.floor(first[axis] * bins) + shares[axis]) / bins
        return self.offsets_at(shares)

    @property
    def bins(self) -> tuple[int, int]:
        """Numbers of bins of lateral offset and of heading, equally probable as they are asked for."""
        return _LATERAL_BINS if self.lateral else 1, _HEADING_BINS if self.heading else 1

    def stratum(self, seed: int, log: str, token: str, index: int) -> tuple[int, int]:
        """Return the bins of lateral offset and heading in which the draws of a viewpoint lie."""
        shares = _shares(seed, log, token, index)
        return int(shares[0] * self.bins[0]), int(shares[2] * self.bins[1])

    def offsets_at(self, shares: Float[np.ndarray, "*q 4"]) -> Float[np.ndarray, "*q 4"]:
        """Compute the offsets below which these shares of the draws lie, each from 0 to 1."""
        if self.distribution == "normal":
            low, high = ndtr(-_NORMAL_CUT), ndtr(_NORMAL_CUT)
            spread = ndtri(low + (high - low) * shares) / _NORMAL_CUT
        else:
            spread = 2 * shares - 1
        return spread * np.array([self.lateral, self.longitudinal, self.heading, self.speed])


def _shares(seed: int, log: str, token: str, *key: int) -> Float[np.ndarray, "4"]:
    """Return numbers that are uniform in [0, 1), the same for the same arguments."""
    return keyed_generator(seed, log, token, ViewpointKind.RECOVERY.value, *key).random(4)


def recovery(
    scene: Scene, index: int, options: RecoveryOptions, seed: int, geometry: LogGeometry
) -> Viewpoint | Rejection:
    """Build one recovery viewpoint, reproducible from (seed, log, token, index) alone.

    The ego is offset `lateral` across and `longitudinal` along the driven path, in heading and in speed;
    `recovery_maneuver` computes the history that leads there and the return. Height follows the map's ground relative
    to the path, tilt is the path's.

    Reasons to reject: "standing" (the human drives too little to return), "rough_log" (poses that no car drives, or
    reversing), "infeasible", "beyond_log" (the manoeuvre begins or ends beyond the log's ends, and the log bends
    there), "collision_at_start", "collision_later", "collision_before" (in the history), "off_road_at_start",
    "off_road_later", "off_road_before"; the first that applies. A box that overlaps the
    logged ego at the same step is a label error and does not count. A corner may be off the surface by the logged ego's
    worst corner at that step plus `surface_slack`; without a map nothing is off the road, and
    `parameters["surface_checked"]` is 0. Of several attempts, the first one's reason counts.
    """
    reason = _unfit(scene, geometry, options)
    if reason:
        return Rejection(ViewpointKind.RECOVERY, index, reason)
    key = (seed, scene.log.name, scene.token, index)
    first = found = _recovery_at(scene, index, options, options.draw(*key), geometry)
    for attempt in range(1, options.attempts):
        if isinstance(found, Viewpoint):
            return found
        found = _recovery_at(scene, index, options, options.redraw(*key, attempt), geometry)
    return found if isinstance(found, Viewpoint) else first


def _recovery_at(
    scene: Scene, index: int, options: RecoveryOptions, offsets: Float[np.ndarray, "4"], geometry: LogGeometry
) -> Viewpoint | Rejection:
    """Return the viewpoint with these offsets, or why there is none."""
    if geometry.beyond(*history_beside(scene, geometry, offsets)):
        return Rejection(ViewpointKind.RECOVERY, index, "beyond_log")
    found = recovery_maneuver(scene, geometry, offsets, options.bounds)
    if found is None:
        return Rejection(ViewpointKind.RECOVERY, index, "infeasible")
    beyond = geometry.beyond(found.along, found.drive.speeds)
    reason = "beyond_log" if beyond else _conflict(scene, geometry, found.drive, options)
    if reason:
        return Rejection(ViewpointKind.RECOVERY, index, reason)
    return _viewpoint(scene, index, geometry, offsets, found)


def _unfit(scene: Scene, geometry: LogGeometry, options: RecoveryOptions) -> str | None:
    """Return the reason why the scene has no path to perturb; None if it has."""
    if geometry.is_rough(scene.window):
        return "rough_log"
    schedule = geometry.path.schedule
    distance = schedule[scene.now + scene.future] - schedule[scene.now]
    return "standing" if distance < options.least_distance else None


def _conflict(scene: Scene, geometry: LogGeometry, drive: Drive, options: RecoveryOptions) -> str | None:
    """Return the reason of rejection if the ego collides or leaves the surface: now, later or in the history."""
    steps, log = scene.window, scene.log
    footprint = body_footprints(drive.positions, drive.headings, log.vehicle)
    valid = log.tracks.valid[:, steps] & ~geometry.ego_contacts[:, steps]
    hit = np.asarray(contacts(footprint, geometry.footprints[:, steps], valid).any(axis=0))
    if hit.any():
        return f"collision_{_when(hit, scene.history)}"
    if geometry.surface is None:
        return None
    off = geometry.surface.overrun(footprint) > geometry.ego_overrun[steps] + options.surface_slack
    return f"off_road_{_when(off, scene.history)}" if off.any() else None


def _when(wrong: Bool[np.ndarray, "t"], now: int) -> str:
    """Return "at_start", else "later", else "before"."""
    if wrong[now]:
        return "at_start"
    return "later" if wrong[now:].any() else "before"


def _viewpoint(
    scene: Scene,
    index: int,
    geometry: LogGeometry,
    offsets: Float[np.ndarray, "4"],
    found: Maneuver,
) -> Viewpoint:
    log, now, drive, along = scene.log, scene.history, found.drive, found.along
    poses = geometry.poses_beside(drive.positions, drive.headings, along)
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
            "rejoin_length": found.length,
            "rejoin_duration": found.duration,
            "on_schedule": float(found.on_schedule),
            "demand": found.demand,
            **relaxations(found.shares),
            "surface_checked": float(geometry.surface is not None),
        },
    )
