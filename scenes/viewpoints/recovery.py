"""Recovery viewpoints: the ego is perturbed from its logged path and returns to it."""

import numpy as np
from jaxtyping import Bool, Float

from swerve.scenes.log import Scene
from swerve.scenes.tracks import Ego
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints.collisions import body_footprints, collisions
from swerve.scenes.viewpoints.command import LOOK_AHEAD, driving_command
from swerve.scenes.viewpoints.frenet_motion import FrenetTrajectory
from swerve.scenes.viewpoints.human_limits import relaxations
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.maneuver import Maneuver, history_beside, recovery_maneuver
from swerve.scenes.viewpoints.recovery_offsets import resample_offsets, sample_offsets
from swerve.scenes.viewpoints.recovery_options import RecoveryOptions
from swerve.scenes.viewpoints.viewpoint import Rejection, Viewpoint, ViewpointKind

# Reasons that hold for a scene whatever the draw.
SCENE_REASONS = ("standing", "rough_log")


def recovery(
    scene: Scene, index: int, options: RecoveryOptions, seed: int, geometry: LogGeometry
) -> Viewpoint | Rejection:
    """Build one recovery viewpoint, reproducible from (seed, log, token, index) alone.

    The ego is offset `lateral` across and `longitudinal` along the driven path, in heading and in speed;
    `recovery_maneuver` computes the history that leads there and the return. Height follows the map's ground relative
    to the path, tilt is the path's.

    Reasons to reject: "standing" (the human drives too little to return), "rough_log" (poses that no car drives, or
    reversing), "infeasible", "beyond_log" (the manoeuvre extends beyond an end of the log that is in a curve),
    "collision_at_start", "collision_later", "collision_before" (in the history), "off_road_at_start", "off_road_later",
    "off_road_before"; the first that applies. A box that overlaps the logged ego at the same step is a label error and
    does not count. A corner may be off the surface by the logged ego's worst corner at that step plus
    `surface_tolerance`; without a map nothing is off the road, and `parameters["surface_checked"]` is 0. Of several
    attempts, the first one's reason counts.
    """
    key = (seed, scene.log.name, scene.token, index)
    first = found = recovery_at(scene, index, sample_offsets(options, *key), options, geometry)
    for attempt in range(1, options.attempts):
        if isinstance(found, Viewpoint) or found.reason in SCENE_REASONS:
            return found
        found = recovery_at(scene, index, resample_offsets(options, *key, attempt), options, geometry)
    return found if isinstance(found, Viewpoint) else first


def recovery_at(
    scene: Scene, index: int, offsets: Float[np.ndarray, "4"], options: RecoveryOptions, geometry: LogGeometry
) -> Viewpoint | Rejection:
    """Build the recovery viewpoint with the given offsets, or say why there is none, see `recovery`."""
    if reason := unfit_reason(scene, geometry, options):
        return Rejection(ViewpointKind.RECOVERY, index, reason)
    if geometry.beyond_log_ends(*history_beside(scene, geometry, offsets)):
        return Rejection(ViewpointKind.RECOVERY, index, "beyond_log")
    found = recovery_maneuver(scene, geometry, offsets, options.bounds)
    if found is None:
        return Rejection(ViewpointKind.RECOVERY, index, "infeasible")
    beyond = geometry.beyond_log_ends(found.along, found.drive.speeds)
    reason = "beyond_log" if beyond else _conflict(scene, geometry, found.drive, options)
    if reason:
        return Rejection(ViewpointKind.RECOVERY, index, reason)
    return _viewpoint(scene, index, geometry, offsets, found)


def unfit_reason(scene: Scene, geometry: LogGeometry, options: RecoveryOptions) -> str | None:
    """Return the reason why the scene has no path to perturb; None if it has."""
    if geometry.is_implausible(scene.window):
        return "rough_log"
    schedule = geometry.path.arc_lengths
    distance = schedule[scene.now + scene.future] - schedule[scene.now]
    return "standing" if distance < options.min_distance else None


def _conflict(scene: Scene, geometry: LogGeometry, drive: FrenetTrajectory, options: RecoveryOptions) -> str | None:
    """Return the reason of rejection if the ego collides or leaves the surface: now, later or in the history."""
    steps, log = scene.window, scene.log
    footprint = body_footprints(drive.positions, drive.headings, log.vehicle)
    valid = log.tracks.valid[:, steps] & ~geometry.ego_contacts[:, steps]
    hit = np.asarray(collisions(footprint, geometry.footprints[:, steps], valid).any(axis=0))
    if hit.any():
        return f"collision_{_when(hit, scene.history)}"
    if geometry.surface is None:
        return None
    off = (
        geometry.surface.distance_outside(footprint) > geometry.ego_distance_outside[steps] + options.surface_tolerance
    )
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
    acceleration = np.gradient(drive.speeds, geometry.seconds[scene.window]) if len(along) > 1 else np.zeros(1)
    still = np.zeros(len(along))
    ego = Ego(
        poses,
        np.stack([drive.speeds, still], axis=1),
        np.stack([acceleration, drive.speeds**2 * drive.curvatures], axis=1),
        drive.speeds * drive.curvatures,
    )
    along_now = float(along[now])
    route_heading = float(wrap_angle(geometry.path.at(np.array([along_now])).headings[0]))
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
        command=driving_command(geometry.path.ahead(along_now, LOOK_AHEAD), route_heading, log.road_map, log.route),
        parameters={
            **dict(zip(names, (float(value) for value in offsets), strict=True)),
            "rejoin_length": found.length,
            "rejoin_duration": found.duration,
            "rejoins_schedule": float(found.rejoins_schedule),
            "limit_ratio": found.demand,
            **relaxations(found.ratios),
            "surface_checked": float(geometry.surface is not None),
        },
    )
