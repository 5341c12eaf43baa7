"""Cross-agent viewpoints: another vehicle of the scene becomes the ego."""

import numpy as np
from jaxtyping import Float

from swerve.scenes.camera import Camera
from swerve.scenes.log import Scene
from swerve.scenes.polyline import arc_lengths, interpolate_at, remove_duplicate_points
from swerve.scenes.tracks import Ego, ObjectClass, Tracks, box_footprints
from swerve.scenes.transforms import pose_from_yaw, transform_points, wrap_angle
from swerve.scenes.vehicle import Vehicle
from swerve.scenes.viewpoints.collisions import collisions
from swerve.scenes.viewpoints.command import LOOK_AHEAD, driving_command
from swerve.scenes.viewpoints.cross_agent_options import CrossAgentOptions
from swerve.scenes.viewpoints.ground import place_on_ground
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.motion_smoother import Motion
from swerve.scenes.viewpoints.plausibility import plausible
from swerve.scenes.viewpoints.viewpoint import Rejection, Viewpoint, ViewpointKind

_KIND = ViewpointKind.CROSS_AGENT
_REVERSE = -0.5
_PAST_SECONDS = 0.5
# Heights of boxes are averaged over this many steps where no map gives the ground.
_HEIGHT_STEPS = 11


def cross_agents(
    scene: Scene, options: CrossAgentOptions, geometry: LogGeometry
) -> tuple[list[Viewpoint], list[Rejection]]:
    """Build the viewpoints of other vehicles of the scene; `index` is the track's row.

    Every VEHICLE annotated now is either used or rejected: "over_cap" (enough were found nearer to the ego; not
    examined), "incomplete_window" (not annotated at every step of the scene), "size", "too_far", "trivial_motion",
    "reversing", "implausible_motion", "off_road_at_start", "off_road_later", "collision_at_start", "collision_later".
    """
    tracks = scene.log.tracks
    rows = np.flatnonzero((tracks.classes == ObjectClass.VEHICLE) & tracks.valid[:, scene.now])
    gaps = np.linalg.norm(tracks.positions[rows, scene.now, :2] - scene.log.ego.positions[scene.now, :2], axis=1)
    used: list[Viewpoint] = []
    rejected: list[Rejection] = []
    for row in rows[np.argsort(gaps, kind="stable")]:
        full = len(used) >= options.max_per_scene
        found = Rejection(_KIND, int(row), "over_cap") if full else cross_agent(scene, int(row), options, geometry)
        if isinstance(found, Viewpoint):
            used.append(found)
        else:
            rejected.append(found)
    return used, rejected


def cross_agent(scene: Scene, row: int, options: CrossAgentOptions, geometry: LogGeometry) -> Viewpoint | Rejection:
    """Build the viewpoint of one other vehicle.

    Its boxes are smoothed over the whole log into the motion of a rear axle without slip; axles are placed by a car's
    typical proportions. Heights follow the map's ground, or the boxes where the map has none. Lights and map stay in
    the world frame.
    """
    gap = scene.log.tracks.positions[row, scene.now, :2] - scene.log.ego.positions[scene.now, :2]
    distance = float(np.linalg.norm(gap))
    reason = _unsuitable(scene, row, distance, options, geometry)
    if reason:
        return Rejection(_KIND, row, reason)
    length, width, height = (float(size) for size in geometry.sizes[row])
    vehicle = Vehicle.from_box(length, width, height)
    whole = geometry.agent_motions.of(int(np.searchsorted(geometry.agent_rows, row)))
    motion = whole.at(scene.window)
    error = _constant_velocity_error(scene, motion)
    reason = _dull_or_wrong(scene, motion, vehicle, error, options) or _conflict(
        scene, row, motion, vehicle, options, geometry
    )
    if reason:
        return Rejection(_KIND, row, reason)
    return _viewpoint(scene, row, whole, vehicle, {"distance": distance, "prediction_error": error}, options, geometry)


def _unsuitable(
    scene: Scene, row: int, distance: float, options: CrossAgentOptions, geometry: LogGeometry
) -> str | None:
    if not scene.log.tracks.valid[row, scene.window].all() or row not in geometry.agent_rows:
        return "incomplete_window"
    if not options.length_range[0] <= geometry.sizes[row, 0] <= options.length_range[1]:
        return "size"
    return "too_far" if distance > options.max_distance else None


def _constant_velocity_error(scene: Scene, motion: Motion) -> float:
    """Compute the mean distance in metres between the future and a constant-velocity prediction from the last 0.5 s."""
    seconds = (scene.times_us - scene.times_us[scene.history]) * 1e-6
    past = int(np.searchsorted(seconds, -_PAST_SECONDS - 0.01))
    if past == scene.history or not scene.future:
        return 0.0
    here, before = motion.positions[scene.history], motion.positions[past]
    velocity = (here - before) / -seconds[past]
    predicted = here + seconds[scene.history + 1 :, None] * velocity
    return float(np.linalg.norm(motion.positions[scene.history + 1 :] - predicted, axis=1).mean())


def _dull_or_wrong(
    scene: Scene, motion: Motion, vehicle: Vehicle, error: float, options: CrossAgentOptions
) -> str | None:
    if error < options.min_prediction_error:
        return "trivial_motion"
    seconds = (scene.times_us - scene.times_us[0]) * 1e-6
    if motion.speeds.min() < _REVERSE:
        return "reversing"
    return None if plausible(motion, seconds, vehicle) else "implausible_motion"


def _conflict(
    scene: Scene, row: int, motion: Motion, vehicle: Vehicle, options: CrossAgentOptions, geometry: LogGeometry
) -> str | None:
    """Return the reason of rejection if it collides (recording ego included) or leaves the surface, now or later."""
    steps = slice(scene.now, scene.now + scene.future + 1)
    headings = motion.headings[scene.history :]
    ahead = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    centers = motion.positions[scene.history :] + vehicle.rear_axle_to_center * ahead
    footprint = box_footprints(centers, headings, np.broadcast_to(vehicle.size[:2], centers.shape))
    others = np.concatenate([geometry.footprints[:, steps], geometry.ego_footprints[None, steps]])
    valid = np.concatenate([scene.log.tracks.valid[:, steps], np.ones((1, len(headings)), bool)])
    valid[row] = False
    hit = np.asarray(collisions(footprint, others, valid).any(axis=0))
    if hit.any():
        return "collision_at_start" if hit[0] else "collision_later"
    if geometry.surface is None:
        return None
    off = geometry.surface.distance_outside(footprint) > options.surface_tolerance
    if off.any():
        return "off_road_at_start" if off[0] else "off_road_later"
    return None


def _viewpoint(
    scene: Scene,
    row: int,
    whole: Motion,
    vehicle: Vehicle,
    parameters: dict[str, float],
    options: CrossAgentOptions,
    geometry: LogGeometry,
) -> Viewpoint:
    log, motion = scene.log, whole.at(scene.window)
    poses = _poses(scene, row, motion, vehicle)
    side = motion.speeds * motion.yaw_rates
    ego = Ego(
        poses,
        np.stack([motion.speeds, np.zeros(len(poses))], axis=1),
        np.stack([motion.accelerations, side], axis=1),
        motion.yaw_rates,
    )
    path = remove_duplicate_points(whole.positions[scene.now :], 0.05)
    reach = min(LOOK_AHEAD, float(arc_lengths(path)[-1]))
    ahead = interpolate_at(path, np.linspace(0.0, reach, 41)) if len(path) > 1 else path
    return Viewpoint(
        scene=scene,
        kind=_KIND,
        index=row,
        ego=ego.at(slice(0, scene.history + 1)),
        target=poses[scene.history + 1 :],
        human=poses[scene.history + 1 :],
        vehicle=vehicle,
        cameras=scaled_rig(log.cameras, log.vehicle, vehicle),
        tracks=swapped_tracks(scene, row),
        command=driving_command(ahead, float(wrap_angle(motion.headings[scene.history])), log.road_map),
        parameters={
            **parameters,
            "length": vehicle.length,
            "width": vehicle.width,
            "height": vehicle.height,
            "box_deviation": float(motion.position_residuals.max()),
            "surface_checked": float(geometry.surface is not None),
        },
        coverage=coverage_fraction(parameters["distance"], options.coverage_radius, geometry.annotation_range),
    )


def _poses(scene: Scene, row: int, motion: Motion, vehicle: Vehicle) -> Float[np.ndarray, "t 4 4"]:
    """Compute rear-axle poses on the map's ground; without one, upright at the boxes' mean bottom height."""
    road_map, tracks = scene.log.road_map, scene.tracks
    if road_map and road_map.has_height:
        return place_on_ground(road_map.ground, motion.positions, motion.headings, vehicle)
    bottom = tracks.positions[row, :, 2] - tracks.sizes[row, :, 2] / 2
    padded = np.pad(bottom, _HEIGHT_STEPS // 2, mode="edge")
    height = np.convolve(padded, np.full(_HEIGHT_STEPS, 1 / _HEIGHT_STEPS), mode="valid")
    return pose_from_yaw(np.concatenate([motion.positions, height[:, None]], axis=1), motion.headings)


def scaled_rig(cameras: tuple[Camera, ...], own: Vehicle, other: Vehicle) -> tuple[Camera, ...]:
    """Transfer the camera rig to another vehicle body; each camera keeps its relative position.

    x keeps its share of the length between the bumpers, y of the width, z of the height; directions and lenses stay.
    """
    moved = []
    for camera in cameras:
        pose = camera.ego_from_camera.copy()
        x, y, z = pose[:3, 3]
        along = (x + own.rear_overhang) / own.length * other.length - other.rear_overhang
        pose[:3, 3] = along, y / own.width * other.width, z / own.height * other.height
        moved.append(camera.mounted(pose))
    return tuple(moved)


def swapped_tracks(scene: Scene, row: int) -> Tracks:
    """Return the tracks without that row, with the recording ego appended as a vehicle named "ego"."""
    ego, vehicle, steps = scene.ego, scene.log.vehicle, len(scene.times_us)
    middle = np.array([[vehicle.rear_axle_to_center, 0.0, vehicle.height / 2]])
    centers = transform_points(ego.world_from_ego, np.broadcast_to(middle, (steps, 1, 3)))[:, 0]
    cos, sin = np.cos(ego.headings), np.sin(ego.headings)
    forward, left = ego.velocity[:, 0], ego.velocity[:, 1] + ego.yaw_rate * vehicle.rear_axle_to_center
    recorder = Tracks(
        ("ego",),
        np.array([ObjectClass.VEHICLE], np.uint8),
        centers[None],
        ego.headings[None],
        np.broadcast_to(vehicle.size, (1, steps, 3)).copy(),
        np.stack([forward * cos - left * sin, forward * sin + left * cos], axis=-1)[None],
        np.ones((1, steps), bool),
    )
    others = np.flatnonzero(np.arange(len(scene.log.tracks)) != row)
    return scene.tracks.select_tracks(others).concatenate(recorder)


def coverage_fraction(distance: float, radius: float, reach: float) -> float:
    """Compute the share of a disc of `radius` metres within `reach` metres of a point `distance` from its centre.

    Exact area of the intersection of two circles. Estimates the annotated share of the surroundings; occlusion of the
    recorder's sensors is not modelled.
    """
    if reach <= 0 or distance >= radius + reach:
        return 0.0
    if distance <= abs(radius - reach):
        return min(reach / radius, 1.0) ** 2
    own = np.arccos((distance**2 + radius**2 - reach**2) / (2 * distance * radius))
    far = np.arccos((distance**2 + reach**2 - radius**2) / (2 * distance * reach))
    area = radius**2 * (own - np.sin(2 * own) / 2) + reach**2 * (far - np.sin(2 * far) / 2)
    return float(area / (np.pi * radius**2))
