"""A nuPlan log, or a stretch of it, as a Log."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float, Int

from swerve.data.sources.checks import check_log, check_motion
from swerve.data.sources.neutral.log_origin import origin_of
from swerve.data.sources.nuplan.axle_height import estimate_axle_height
from swerve.data.sources.nuplan.ground_from_path import ground_along
from swerve.data.sources.nuplan.nuplan_db import NuplanDb
from swerve.data.sources.nuplan.nuplan_maps import load_nuplan_map
from swerve.data.sources.nuplan.nuplan_records import Boxes, CameraRecord, EgoPoses, Images, LightStates
from swerve.data.sources.nuplan.nuplan_road_map import road_map_of
from swerve.data.sources.nuplan.nuplan_scenario import driven_roadblocks
from swerve.data.sources.nuplan.point_cloud import read_surroundings
from swerve.data.sources.nuplan_classes import CLASSES
from swerve.data.sources.velocities import causal_velocities
from swerve.data.storage.checked_json import check_shape, fields, file_name
from swerve.scenes import (
    Camera,
    Ego,
    GroundHeight,
    Lens,
    LensModel,
    LightState,
    Log,
    LogError,
    ObjectClass,
    Photo,
    RoadMap,
    Split,
    Sweep,
    Tracks,
    TrafficLights,
    Vehicle,
)
from swerve.scenes.transforms import rigid_transform, rotation_about_z, yaw_of

LOGGER = logging.getLogger("swerve")

_LIGHTS = {"red": LightState.RED, "yellow": LightState.YELLOW, "green": LightState.GREEN}
# The name of a map's folder.
_LOCATION = fields({"log.map_version": file_name})
# A log's steps are at 10 Hz: samples at least this long after the one before.
_SHORTEST_STEP_US = 75_000
_FRONT = "CAM_F0"
# Images belong to samples at most this far from them in time.
_IMAGE_WINDOW_US = 50_000
# Metres of map beyond the driven path, on every side.
_MARGIN = 200.0
_LAMP_HEIGHT = 5.0


@dataclass(frozen=True)
class LogPart:
    """Stretch of a log data base, and where what belongs to it lies.

    Attributes:
        db: the log.
        name: name of the resulting log.
        first_us: start.
        last_us: end, included.
        maps: folder of maps, if there is one.
        sensors: folder in which the log's folder of sensor data stands, if there is one.
        split: of the data set.
    """

    db: NuplanDb
    name: str
    first_us: int
    last_us: int
    maps: Path | None
    sensors: Path | None
    split: Split | None = None


def read_part(part: LogPart) -> Log:
    """Read a stretch of a log, with a step at every second sample (10 Hz), those nearest in time to the images.

    - The ego's position and heading are those of the devkit (`nuplan_records.heading_of`), roll and pitch as
      recorded. Its frame lies below the rear axle on the ground, by a height that the boxes of vehicles around tell.
    - Photos and sweeps have the recorded poses of their own times.
    - The map is flat in nuPlan; here it follows the heights of the driven path (`has_height` is False).
    - The route is that of the stretch's scenes, or, where they have none, the roadblocks driven through.

    What is missing on disk (maps, images, point clouds) is told in a line of the logger "swerve", and left empty.

    Raises:
        LogError: a file is damaged, or the map's version is another one.
    """
    pcs, path, rows = part.db.lidar_pcs, part.db.path, _steps(part)
    times_us, poses = pcs.times_us[rows], pcs.poses.of(rows)
    span = int(times_us[0]), int(times_us[-1])
    boxes = part.db.boxes(*span)
    origin = origin_of(pcs.poses.positions[0])
    frame = _Frame(origin, _axle_height(boxes, poses))
    ego = _ego(poses, frame)
    check_motion(times_us, ego.world_from_ego, path)
    road_map, route = _map_and_route(part, rows, ego.positions, origin)
    images = part.db.images(part.first_us - _IMAGE_WINDOW_US, part.last_us + _IMAGE_WINDOW_US)
    log = Log(
        name=part.name,
        source="nuplan",
        times_us=times_us,
        ego=ego,
        vehicle=Vehicle.pacifica(),
        tracks=_tracks(boxes, times_us, origin, path),
        lights=_lights(part.db.lights(*span), times_us, road_map),
        road_map=road_map,
        cameras=read_rig(part.db, frame.height),
        route=route,
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        split=part.split,
        photos=_photos(part, images, frame),
        sweeps=_sweeps(part, frame),
    )
    return check_log(log, path)


@dataclass(frozen=True)
class _Frame:
    """The log's world: UTM minus `origin`; the ego's frame lies `height` below the rear axle."""

    origin: Float[np.ndarray, "3"]
    height: float

    def planar_poses(self, poses: EgoPoses) -> Float[np.ndarray, "n 4 4"]:
        """Return poses with the devkit's positions and headings; they are lowered straight down."""
        rotation = poses.world_from_axle[:, :3, :3]
        turn = poses.headings - yaw_of(poses.world_from_axle)
        down = np.array([0.0, 0.0, self.height])
        return rigid_transform(rotation_about_z(turn) @ rotation, poses.positions - self.origin - down)

    def recorded_poses(self, poses: EgoPoses) -> Float[np.ndarray, "n 4 4"]:
        """Return the poses as recorded; they are lowered along the ego's z axis."""
        world_from_axle = poses.world_from_axle
        world_from_axle[:, :3, 3] -= self.origin
        down = rigid_transform(np.eye(3), np.array([0.0, 0.0, -self.height]))
        lowered: Float[np.ndarray, "n 4 4"] = world_from_axle @ down
        return lowered


def _ego(poses: EgoPoses, frame: _Frame) -> Ego:
    motion = poses.velocity[:, :2], poses.acceleration[:, :2], poses.yaw_rate
    return Ego(frame.planar_poses(poses), *motion, measured=True)


def _steps(part: LogPart) -> Int[np.ndarray, "t"]:
    """Return the rows of the samples that become steps."""
    times = part.db.lidar_pcs.times_us
    inside = np.flatnonzero((times >= part.first_us) & (times <= part.last_us))
    if not len(inside):
        raise LogError(part.db.path, "lidar_pc", f"has no samples between {part.first_us} and {part.last_us} us")
    images = part.db.images(part.first_us, part.last_us)
    front = images.times_us[np.array([channel == _FRONT for channel in images.channels], bool)]
    choices = [_every_tenth_second(times, inside[start:]) for start in (0, 1) if len(inside) > start]
    if not len(front):
        return choices[0]
    return min(choices, key=lambda rows: float(np.median(_gaps(times[rows], front))))


def _every_tenth_second(times: Int[np.ndarray, "n"], rows: Int[np.ndarray, "m"]) -> Int[np.ndarray, "k"]:
    chosen = [int(rows[0])]
    for row in rows[1:]:
        if times[row] - times[chosen[-1]] >= _SHORTEST_STEP_US:
            chosen.append(int(row))
    return np.array(chosen)


def _gaps(times: Int[np.ndarray, "k"], others: Int[np.ndarray, "i"]) -> Int[np.ndarray, "k"]:
    """Return the time from each time to the nearest of sorted others."""
    after = np.clip(np.searchsorted(others, times), 1, max(len(others) - 1, 1))
    after = np.minimum(after, len(others) - 1)
    gaps: Int[np.ndarray, "k"] = np.minimum(np.abs(times - others[after]), np.abs(times - others[after - 1]))
    return gaps


def read_rig(db: NuplanDb, height: float = 0.0) -> tuple[Camera, ...]:
    """Read the cameras of a data base.

    Args:
        db: data base.
        height: of the rear axle above the ground, metres.

    Raises:
        LogError: the table is malformed.
    """
    return tuple(_camera(camera, height, db.path) for camera in db.cameras())


def _axle_height(boxes: Boxes, poses: EgoPoses) -> float:
    """Estimate the height of the rear axle above the ground, see `estimate_axle_height`."""
    vehicles = np.array([kind == "vehicle" for kind in boxes.categories], bool)
    bottoms = boxes.centers[vehicles] - 0.5 * boxes.sizes[vehicles, 2:] * [0.0, 0.0, 1.0]
    return estimate_axle_height(poses.positions, bottoms, np.array(boxes.track_tokens)[vehicles].tolist())


def _map_and_route(
    part: LogPart, rows: Int[np.ndarray, "t"], path: Float[np.ndarray, "t 3"], origin: Float[np.ndarray, "3"]
) -> tuple[RoadMap | None, tuple[str, ...]]:
    """Return the map around a path, and the route that it knows."""
    location = part.db.log().map_version.removesuffix(".gpkg")
    if location:
        check_shape({"log.map_version": location}, _LOCATION, part.db.path)
    if part.maps is None or not location or not (part.maps / location).is_dir():
        where = part.maps or "maps beside the logs, and NUPLAN_MAPS_ROOT is not set"
        LOGGER.warning("%s: no map of %s in %s: the log has no map, no route and no lights", part.name, location, where)
        return None, ()
    nuplan = load_nuplan_map(part.maps, location)
    pcs = part.db.lidar_pcs
    given = dict.fromkeys(id_ for row in rows for id_ in part.db.scene_of(int(row)).roadblock_ids)
    route = tuple(given) or driven_roadblocks(nuplan, pcs.poses.positions[rows, :2])
    low, high = path[:, :2].min(axis=0), path[:, :2].max(axis=0)
    center, radius = (low + high) / 2, float((high - low).max()) / 2 + _MARGIN
    ground: GroundHeight = ground_along(path, center, radius)
    near = road_map_of(nuplan, center + origin[:2], radius, roadblocks=route, origin=origin[:2].copy(), ground=ground)
    return near, tuple(id_ for id_ in route if id_ in near.group_by_id)


def _tracks(boxes: Boxes, times_us: Int[np.ndarray, "t"], origin: Float[np.ndarray, "3"], path: Path) -> Tracks:
    """Convert the boxes at the log's steps to arrays over tracks and steps."""
    here = np.flatnonzero(np.isin(boxes.times_us, times_us))
    names = [boxes.track_tokens[index] for index in here]
    ids = tuple(dict.fromkeys(names))
    number = {track: row for row, track in enumerate(ids)}
    row, step = np.array([number[name] for name in names], int), np.searchsorted(times_us, boxes.times_us[here])
    shape = (len(ids), len(times_us))
    valid, headings = np.zeros(shape, bool), np.zeros(shape)
    positions, sizes, velocities = np.zeros((*shape, 3)), np.zeros((*shape, 3)), np.zeros((*shape, 2))
    valid[row, step] = True
    if valid.sum() < len(row):
        raise LogError(path, "lidar_box.track_token", "a track has two boxes in one sample")
    positions[row, step] = boxes.centers[here] - origin
    headings[row, step] = boxes.headings[here]
    sizes[row, step] = boxes.sizes[here]
    velocities[row, step] = boxes.velocities[here]
    unknown = valid & np.isnan(velocities).any(axis=-1)
    if unknown.any():
        velocities[unknown] = causal_velocities(positions, valid, times_us)[unknown]
    classes = np.zeros(len(ids), np.uint8)
    classes[row] = [_class(boxes.categories[index], path) for index in here]
    return Tracks(ids, classes, positions, headings, sizes, velocities, valid)


def _class(category: str, path: Path) -> ObjectClass:
    if category not in CLASSES:
        raise LogError(path, "category.name", f"is unknown: {category!r}", f"Known are {', '.join(CLASSES)}")
    return CLASSES[category]


def _lights(found: LightStates, times_us: Int[np.ndarray, "t"], road_map: RoadMap | None) -> TrafficLights:
    """Return one head per lane connector of the map, 5 m above its start; where a sample names one twice, red wins."""
    lanes = road_map.lane_by_id if road_map else {}
    ids = tuple(dict.fromkeys(str(lane) for lane in found.lane_connectors.tolist() if str(lane) in lanes))
    if not ids:
        return TrafficLights.empty(len(times_us))
    number = {lane: row for row, lane in enumerate(ids)}
    states = np.zeros((len(ids), len(times_us)), np.uint8)
    for time, lane, state in zip(found.times_us, found.lane_connectors, found.states, strict=True):
        step, row = int(np.searchsorted(times_us, time)), number.get(str(lane))
        if row is not None and times_us[step] == time and states[row, step] != LightState.RED:
            states[row, step] = _LIGHTS.get(state, LightState.UNKNOWN)
    starts = np.array([lanes[lane].centerline[0] for lane in ids])
    facing = np.array([lanes[lane].headings[0] + np.pi for lane in ids])
    return TrafficLights(ids, starts + np.array([0.0, 0.0, _LAMP_HEIGHT]), facing, states)


def _camera(record: CameraRecord, height: float, path: Path) -> Camera:
    mount = record.ego_from_camera.copy()
    mount[2, 3] += height
    matrix, lens = record.intrinsic, Lens(LensModel.BROWN, tuple(record.distortion.tolist()))
    fx, fy = float(matrix[0, 0]), float(matrix[1, 1])
    cx, cy = float(matrix[0, 2]) + 0.5, float(matrix[1, 2]) + 0.5
    try:
        return Camera(record.channel, record.width, record.height, fx, fy, cx, cy, mount, lens)
    except ValueError as error:
        raise LogError(path, "camera", str(error)) from error


def _photos(part: LogPart, images: Images, frame: _Frame) -> tuple[Photo, ...]:
    """Return the images that are on disk; how many are not is told in one line."""
    there = _on_disk(part, images.files, "images")
    poses = frame.recorded_poses(images.poses.of(there))
    return tuple(
        Photo(images.channels[index], int(images.times_us[index]), pose, _inside(part, images.files[index]))
        for index, pose in zip(there, poses, strict=True)
    )


def _sweeps(part: LogPart, frame: _Frame) -> tuple[Sweep, ...]:
    """Return the point clouds that are on disk; how many are not is told in one line."""
    pcs = part.db.lidar_pcs
    inside = np.flatnonzero((pcs.times_us >= part.first_us) & (pcs.times_us <= part.last_us))
    there = _on_disk(part, [pcs.files[row] for row in inside], "point clouds")
    if not there:
        return ()
    mount = part.db.lidar_mount()
    mount[2, 3] += frame.height
    poses = frame.recorded_poses(pcs.poses.of(inside[there]))
    return tuple(
        Sweep(int(pcs.times_us[row]), pose, mount, _inside(part, pcs.files[row]), read_surroundings)
        for row, pose in zip(inside[there], poses, strict=True)
    )


def _on_disk(part: LogPart, files: Sequence[str], what: str) -> list[int]:
    """Return the indices of the files that exist."""
    if part.sensors is None:
        if files:
            LOGGER.warning("%s: no sensor data on disk: none of %d %s can be used", part.name, len(files), what)
        return []
    listed: dict[Path, Collection[str]] = {}
    there = []
    for index, name in enumerate(files):
        file = _inside(part, name)
        if file.parent not in listed:
            listed[file.parent] = {own.name for own in file.parent.glob("*")}
        if file.name in listed[file.parent]:
            there.append(index)
    if len(there) < len(files):
        missing = len(files) - len(there)
        LOGGER.warning("%s: %d of %d %s are not in %s", part.name, missing, len(files), what, part.sensors)
    return there


def _inside(part: LogPart, name: str) -> Path:
    """Return the path of a sensor file, which must lie in the folder of sensor data."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise LogError(part.db.path, "filename", f"leads out of the folder of sensor data: {name!r}")
    assert part.sensors is not None
    return part.sensors / pure
