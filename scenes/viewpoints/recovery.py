"""Recovery viewpoints: the ego has strayed from its logged path, and drives back to it."""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from swerve.scenes.log import Scene
from swerve.scenes.randomness import keyed_generator
from swerve.scenes.tracks import Ego, box_footprints
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints.collisions import contacts
from swerve.scenes.viewpoints.command import LOOK_AHEAD, command_of
from swerve.scenes.viewpoints.frenet_motion import Drive
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.maneuver import Maneuver, recovery_maneuver
from swerve.scenes.viewpoints.recovery_options import RecoveryOptions
from swerve.scenes.viewpoints.viewpoint import Rejection, Viewpoint, ViewpointKind

_NORMAL_CUT = 2.0


def drawn_offsets(options: RecoveryOptions, seed: int, log: str, token: str, index: int) -> Float[np.ndarray, "4"]:
    """Draw the offset (lateral m, longitudinal m, heading rad, speed share), the same for the same arguments."""
    share = keyed_generator(seed, log, token, ViewpointKind.RECOVERY.value, index).random(4)
    if options.distribution == "normal":
        low, high = ndtr(-_NORMAL_CUT), ndtr(_NORMAL_CUT)
        spread = ndtri(low + (high - low) * share) / _NORMAL_CUT
    else:
        spread = 2 * share - 1
    return spread * np.array([options.lateral, options.longitudinal, options.heading, options.speed])


def recovery(
    scene: Scene, index: int, options: RecoveryOptions, seed: int, geometry: LogGeometry
) -> Viewpoint | Rejection:
    """One recovery viewpoint, reproducible from (seed, log, token, index) alone.

    The ego stands `lateral` beside and `longitudinal` along the driven path, turned and faster or slower;
    `recovery_maneuver` says how it got there and how it returns. Height follows the ground of the map
    relative to the path, tilt is the path's.

    Reasons to reject: "standing" (the human drives too little to return), "rough_log" (poses that no car drives, or
    reverse), "infeasible", "beyond_log" (it begins or ends off the log's ends, and the log bends there),
    "collision_at_start", "collision_later", "off_road_at_start", "off_road_later". A box that overlaps the logged ego
    at the same step is taken for an error and does not count. A corner may be off the surface by as much as the logged
    ego's worst corner at that step plus `surface_slack`; without a map nothing is off the road, and
    `parameters["surface_checked"]` is 0.
    """
    return recovery_at(
        scene, index, drawn_offsets(options, seed, scene.log.name, scene.token, index), options, geometry
    )


def recovery_at(
    scene: Scene, index: int, offsets: Float[np.ndarray, "4"], options: RecoveryOptions, geometry: LogGeometry
) -> Viewpoint | Rejection:
    """Return the recovery viewpoint with the offsets of `drawn_offsets`, or why there is none, see `recovery`."""
    reason = _unfit(scene, geometry, options)
    if reason:
        return Rejection(ViewpointKind.RECOVERY, index, reason)
    found = recovery_maneuver(scene, geometry, offsets, options.bounds)
    if found is None:
        return Rejection(ViewpointKind.RECOVERY, index, "infeasible")
    beyond = geometry.beyond(found.along, found.drive.speeds)
    reason = "beyond_log" if beyond else _conflict(scene, geometry, found.drive, options)
    if reason:
        return Rejection(ViewpointKind.RECOVERY, index, reason)
    return _viewpoint(scene, index, geometry, offsets, found)


def _unfit(scene: Scene, geometry: LogGeometry, options: RecoveryOptions) -> str | None:
    """Why the scene has no path to stray from."""
    if geometry.is_rough(scene.window):
        return "rough_log"
    schedule = geometry.path.schedule
    distance = schedule[scene.now + scene.future] - schedule[scene.now]
    return "standing" if distance < options.least_distance else None


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
            "surface_checked": float(geometry.surface is not None),
        },
    )
