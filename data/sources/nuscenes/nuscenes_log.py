"""A nuScenes scene as a Log with ten steps a second.

Steps are 0.1 s apart from the first key frame on. At each of them

- the ego's pose is interpolated between the two nearest of those of all sensor data (some 100 a second), positions
  linearly, rotations along the shortest arc; velocities and accelerations are derived from the poses up to it;
- boxes are interpolated between the key frames before and after it (0.5 s apart), if both have them: positions and
  sizes linearly, headings along the shorter arc. So they are all interpolated but those of the first key frame, and
  `Log.annotated_us` has the key frames' times. Nothing is interpolated over more than 0.75 s.

The data set's ego frame is Swerve's: the rear axle's middle on the ground, x ahead, y to the left. Its localization is
in two dimensions, at height zero, with roll and pitch.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Float32, Int

from swerve.data.sources.checks import check_log, check_motion
from swerve.data.sources.nuscenes.json_rows import HINT
from swerve.data.sources.nuscenes.map_file import map_path, read_map_file
from swerve.data.sources.nuscenes.nuscenes_map import road_map_of
from swerve.data.sources.nuscenes.official_splits import official_split
from swerve.data.sources.nuscenes.tables import NuscenesTables, Row, SceneRows
from swerve.data.sources.point_records import read_point_records
from swerve.data.sources.velocities import causal_velocities
from swerve.scenes import (
    Camera,
    Ego,
    Log,
    LogError,
    ObjectClass,
    Photo,
    RoadMap,
    Sweep,
    Tracks,
    TrafficLights,
    Vehicle,
)
from swerve.scenes.lane_graph import match_route
from swerve.scenes.transforms import (
    interpolate_poses,
    rigid_transform,
    rotation_from_quaternion,
    transform_points,
    wrap_angle,
    yaw_of,
)

LOGGER = logging.getLogger("swerve")

# The recording Renault Zoe: size as in the data set's description, axles as the manufacturer has them.
ZOE: Final = Vehicle("renault_zoe", length=4.084, width=1.73, height=1.562, wheelbase=2.588, rear_overhang=0.657)
_STEP_US: Final = 100_000
_GAP_US: Final = 750_000
_LONGEST_US: Final = 3_600_000_000
# Steps at the ends of a scene that may be without poses, and are left out.
_BARE: Final = 2
# Metres of map beyond the driven path.
_MARGIN: Final = 200.0
# float32: x, y, z, intensity, ring.
_POINT: Final = 5
# Returns this near to the car's outline, metres, are from the car itself: its mirrors.
_BODY: Final = 0.3
# By the beginning of a category's name.
_CLASSES: Final = {
    "human.": ObjectClass.PEDESTRIAN,
    "vehicle.bicycle": ObjectClass.BICYCLE,
    "vehicle.motorcycle": ObjectClass.BICYCLE,
    "vehicle.": ObjectClass.VEHICLE,
    "movable_object.barrier": ObjectClass.BARRIER,
    "movable_object.trafficcone": ObjectClass.TRAFFIC_CONE,
    "movable_object.": ObjectClass.GENERIC,
    "static_object.": ObjectClass.GENERIC,
    "animal": ObjectClass.GENERIC,
}


def read_log(root: Path, tables: NuscenesTables, name: str) -> Log:
    """Read one scene.

    What is missing in `root` (map expansion, images, LiDAR sweeps) is told in a line of the logger "swerve".

    Raises:
        LogError: there is no such scene, or a table, the map or a value is damaged.
    """
    rows = tables.rows_of(name)
    where = tables.folder / "ego_pose.json"
    poses = _poses(rows, where)
    key_frames = np.array([row["timestamp"] for row in rows.samples], np.int64)
    times_us = _steps(key_frames, poses.times_us, where)
    at_steps = interpolate_poses(poses.times_us, poses.world_from_ego, times_us)
    check_motion(times_us, at_steps, where)
    ego, sensors = Ego.from_poses(at_steps, times_us), _sensors(rows.data, tables)
    road_map = _road_map(root, rows, at_steps[:, :2, 3], poses.origin)
    x, y, z = poses.origin.tolist()
    log = Log(
        name=name,
        source="nuscenes",
        times_us=times_us,
        ego=ego,
        vehicle=ZOE,
        tracks=_tracks(rows, tables, key_frames, times_us, poses.origin),
        lights=TrafficLights.empty(len(times_us)),
        road_map=road_map,
        cameras=_cameras(rows, sensors, tables.folder / "sample_data.json"),
        route=match_route(road_map, ego) if road_map and road_map.lanes else (),
        origin=(x, y, z),
        split=official_split(name, tables.folder.name),
        photos=_photos(root, rows, sensors, poses),
        sweeps=_sweeps(root, rows, sensors, poses),
        annotated_us=key_frames if rows.boxes else None,
    )
    return check_log(log, tables.folder / f"scene.json ({name})")


def read_rig(tables: NuscenesTables, name: str) -> tuple[Camera, ...]:
    """Read the cameras of a scene.

    Raises:
        LogError: there is no such scene, or a table is damaged.
    """
    rows = tables.rows_of(name)
    return _cameras(rows, _sensors(rows.data, tables), tables.folder / "sample_data.json")


def read_surroundings(path: Path, ego_from_lidar: Float[np.ndarray, "4 4"]) -> Float32[np.ndarray, "n 3"]:
    """Read the points of a sweep (`.pcd.bin`) in the LiDAR's frame, without returns from the ego's own body.

    Raises:
        LogError: the file is missing, cut off, or a point is not finite.
    """
    values = read_point_records(path, _POINT)
    points = values[:, :3].astype(np.float32)
    corners = ZOE.footprint()
    seen = transform_points(ego_from_lidar, points.astype(np.float64))[:, :2]
    own = ((seen >= corners.min(axis=0) - _BODY) & (seen <= corners.max(axis=0) + _BODY)).all(axis=1)
    return np.ascontiguousarray(points[~own])


@dataclass(frozen=True)
class _Poses:
    """Poses of the ego in a scene, one for each time, and by token; and the origin that is subtracted from them."""

    times_us: Int[np.ndarray, "p"]
    world_from_ego: Float[np.ndarray, "p 4 4"]
    by_token: dict[str, Float[np.ndarray, "4 4"]]
    origin: Float[np.ndarray, "3"]


def _poses(rows: SceneRows, path: Path) -> _Poses:
    tokens, own = list(rows.poses), list(rows.poses.values())
    times, first = np.unique(np.array([row["timestamp"] for row in own], np.int64), return_index=True)
    if len(times) < 2:
        raise LogError(path, rows.name, f"the scene has {len(times)} different times of ego poses, not two", HINT)
    poses = np.stack([_pose(row, path) for row in own])
    origin = np.round(poses[first[0], :3, 3])
    poses[:, :3, 3] -= origin
    return _Poses(times, poses[first], dict(zip(tokens, poses, strict=True)), origin)


def _pose(row: Row, path: Path) -> Float[np.ndarray, "4 4"]:
    """Return the transform of a row with a translation and a rotation (w, x, y, z).

    Raises:
        LogError: the rotation is zero.
    """
    try:
        rotation = rotation_from_quaternion(np.array(row["rotation"], np.float64))
    except ValueError as error:
        raise LogError(path, row["token"], f"rotation {row['rotation']} is no quaternion") from error
    return rigid_transform(rotation, np.array(row["translation"], np.float64))


def _steps(key_frames: Int[np.ndarray, "k"], pose_times: Int[np.ndarray, "p"], path: Path) -> Int[np.ndarray, "t"]:
    """Return the steps between the first and the last key frame, as far as there are poses."""
    if (np.diff(key_frames) <= 0).any():
        raise LogError(path.parent / "sample.json", "timestamp", f"two samples at {key_frames[0]} us or later coincide")
    if key_frames[-1] - key_frames[0] > _LONGEST_US:
        raise LogError(path.parent / "sample.json", "timestamp", "samples of a scene are more than an hour apart")
    steps = np.arange(key_frames[0], key_frames[-1] + 1, _STEP_US)
    inside = (steps >= pose_times[0]) & (steps <= pose_times[-1])
    if len(steps) - inside.sum() > _BARE or not inside.any():
        problem = f"the poses are from {pose_times[0]} us to {pose_times[-1]} us, the key frames to {key_frames[-1]} us"
        raise LogError(path, "timestamp", problem, HINT)
    known: Int[np.ndarray, "t"] = steps[inside]
    return known


def _road_map(
    root: Path, rows: SceneRows, path: Float[np.ndarray, "t 2"], origin: Float[np.ndarray, "3"]
) -> RoadMap | None:
    file = map_path(root, rows.location)
    if file is None:
        LOGGER.warning(
            "%s: no map expansion of %s in %s: the log has no map and no route",
            rows.name,
            rows.location,
            root / "maps" / "expansion",
        )
        return None
    low, high = path.min(axis=0) + origin[:2], path.max(axis=0) + origin[:2]
    radius = float((high - low).max()) / 2 + _MARGIN
    found = road_map_of(read_map_file(file), rows.location, (low + high) / 2, radius, origin[:2].copy())
    if found is None:
        LOGGER.warning("%s: %s has no lane within %.0f m: the log has no map and no route", rows.name, file, radius)
    return found


def _sensors(data: Iterable[Row], tables: NuscenesTables) -> dict[str, Row]:
    """Return channel, modality and calibration of each calibrated sensor, by its token."""
    found: dict[str, Row] = {}
    for token in dict.fromkeys(row["calibrated_sensor_token"] for row in data):
        mounted = tables.linked("calibrated_sensor", token, "sample_data")
        sensor = tables.linked("sensor", mounted["sensor_token"], "calibrated_sensor")
        mount = _pose(mounted, tables.folder / "calibrated_sensor.json")
        found[token] = {**sensor, "mount": mount, "matrix": mounted["camera_intrinsic"]}
    return found


def _of(rows: SceneRows, sensors: Mapping[str, Row], modality: str) -> list[tuple[Row, Row]]:
    """Return the sensor data of a modality, each with its sensor, in order of time."""
    found = [(row, sensors[row["calibrated_sensor_token"]]) for row in rows.data]
    return [(row, sensor) for row, sensor in found if sensor["modality"] == modality]


def _cameras(rows: SceneRows, sensors: Mapping[str, Row], path: Path) -> tuple[Camera, ...]:
    """Return the cameras; nuScenes counts pixels from their centres."""
    cameras: dict[str, Camera] = {}
    calibrations: dict[str, str] = {}
    for row, sensor in _of(rows, sensors, "camera"):
        name = sensor["channel"]
        if calibrations.setdefault(name, row["calibrated_sensor_token"]) != row["calibrated_sensor_token"]:
            raise LogError(path, row["token"], f"has another calibration of {name} than the scene's other images")
        if name in cameras:
            continue
        if not sensor["matrix"]:
            raise LogError(path.parent / "calibrated_sensor.json", name, "is a camera without intrinsic matrix")
        (fx, _, cx), (_, fy, cy), _ = np.array(sensor["matrix"], np.float64).tolist()
        try:
            cameras[name] = Camera(name, row["width"], row["height"], fx, fy, cx + 0.5, cy + 0.5, sensor["mount"])
        except ValueError as error:
            raise LogError(path, row["token"], str(error)) from error
    return tuple(cameras[name] for name in sorted(cameras))


def _photos(root: Path, rows: SceneRows, sensors: Mapping[str, Row], poses: _Poses) -> tuple[Photo, ...]:
    """Return the images that are on disk, of key frames and between them; how many are not is told in one line."""
    wanted = [
        Photo(sensor["channel"], row["timestamp"], poses.by_token[row["ego_pose_token"]], root / row["filename"])
        for row, sensor in _of(rows, sensors, "camera")
    ]
    there = tuple(photo for photo in wanted if photo.file.is_file())
    _tell_missing(rows.name, len(wanted) - len(there), len(wanted), "images", root)
    return there


def _sweeps(root: Path, rows: SceneRows, sensors: Mapping[str, Row], poses: _Poses) -> tuple[Sweep, ...]:
    """Return the LiDAR sweeps that are on disk; their publisher has corrected them for the ego's motion."""
    wanted = [
        Sweep(
            row["timestamp"],
            poses.by_token[row["ego_pose_token"]],
            sensor["mount"],
            root / row["filename"],
            partial(read_surroundings, ego_from_lidar=sensor["mount"]),
        )
        for row, sensor in _of(rows, sensors, "lidar")
    ]
    there = tuple(sweep for sweep in wanted if sweep.file.is_file())
    _tell_missing(rows.name, len(wanted) - len(there), len(wanted), "LiDAR sweeps", root)
    return there


def _tell_missing(name: str, missing: int, wanted: int, what: str, root: Path) -> None:
    if missing:
        LOGGER.warning("%s: %d of %d %s are not in %s", name, missing, wanted, what, root)


def _tracks(
    rows: SceneRows,
    tables: NuscenesTables,
    key_frames: Int[np.ndarray, "k"],
    times_us: Int[np.ndarray, "t"],
    origin: Float[np.ndarray, "3"],
) -> Tracks:
    """Return the tracks, interpolated between key frames."""
    ids = tuple(dict.fromkeys(row["instance_token"] for row in rows.boxes))
    if not ids:
        return Tracks.empty(len(times_us))
    values, known = _annotated(rows, ids, tables.folder / "sample_annotation.json")
    values[..., :3] -= np.where(known[..., None], origin, 0.0)
    before = np.searchsorted(key_frames, times_us, side="right") - 1
    after = np.where(key_frames[before] == times_us, before, np.minimum(before + 1, len(key_frames) - 1))
    length = key_frames[after] - key_frames[before]
    share = ((times_us - key_frames[before]) / np.maximum(length, 1))[:, None]
    valid = known[:, before] & known[:, after] & (length <= _GAP_US)
    first, last = values[:, before], values[:, after]
    mixed = np.where(valid[..., None], first + share * (last - first), 0.0)
    headings = wrap_angle(first[..., 6] + share[:, 0] * wrap_angle(last[..., 6] - first[..., 6]))
    positions = mixed[..., :3]
    return Tracks(
        ids,
        np.array([_class_of(tables, token) for token in ids], np.uint8),
        positions,
        np.where(valid, headings, 0.0),
        mixed[..., 3:6],
        causal_velocities(positions, valid, times_us),
        valid,
    )


def _annotated(rows: SceneRows, ids: Sequence[str], path: Path) -> tuple[Float[np.ndarray, "n k 7"], np.ndarray]:
    """Return x, y, z, length, width, height and heading of each instance in each key frame, and where there are any."""
    row_of = {token: row for row, token in enumerate(ids)}
    step_of = {sample["token"]: step for step, sample in enumerate(rows.samples)}
    values, known = np.zeros((len(ids), len(step_of), 7)), np.zeros((len(ids), len(step_of)), bool)
    for box in rows.boxes:
        at = row_of[box["instance_token"]], step_of[box["sample_token"]]
        if known[at]:
            raise LogError(path, box["token"], f"instance {ids[at[0]]} has two boxes in one sample", HINT)
        width, length, height = box["size"]
        values[at] = *box["translation"], length, width, height, float(yaw_of(_pose(box, path)))
        known[at] = True
    return values, known


def _class_of(tables: NuscenesTables, instance: str) -> ObjectClass:
    row: dict[str, Any] = tables.linked("instance", instance, "sample_annotation")
    category = tables.linked("category", row["category_token"], "instance")["name"]
    for start, kind in _CLASSES.items():
        if category.startswith(start):
            return kind
    raise LogError(tables.folder / "category.json", category, "is a category that Swerve does not know")
