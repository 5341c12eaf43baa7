"""An OpenScene log, or a stretch of it, as a Log with ten steps a second.

The frames are 0.5 s apart; between them

- the ego's position follows the cubic through both frames' positions and velocities, its rotation the shortest arc, and
  velocity and acceleration change linearly: a step depends on the frames before and after it alone;
- boxes move linearly between two frames that both have them, as NAVSIM moves them;
- lights keep the state of the frame before.

Nothing is interpolated over a gap in time (more than 0.75 s): it stays a long step, which no scene crosses.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import scipy
from jaxtyping import Float, Int

from swerve.data.sources.checks import check_log, check_motion
from swerve.data.sources.navsim.cameras import axle_height, camera_of, image_size
from swerve.data.sources.navsim.folders import NavsimFolders
from swerve.data.sources.navsim.frames import CAMERA_NAMES, OpenSceneFrame
from swerve.data.sources.navsim.scene_log import lights_of, red_by_lane
from swerve.data.sources.neutral.log_origin import origin_of
from swerve.data.sources.nuplan.ground_from_path import ground_along
from swerve.data.sources.nuplan.nuplan_maps import load_nuplan_map
from swerve.data.sources.nuplan.nuplan_road_map import road_map_of
from swerve.data.sources.nuplan.nuplan_scenario import driven_roadblocks
from swerve.data.sources.nuplan.point_cloud import read_surroundings
from swerve.data.sources.nuplan_classes import CLASSES
from swerve.scenes import Camera, Ego, Log, Photo, RoadMap, Split, Sweep, Tracks, TrafficLights, Vehicle
from swerve.scenes.causal_motion import planar_motion
from swerve.scenes.transforms import rigid_transform, rotation_about_z, wrap_angle, yaw_of

LOGGER = logging.getLogger("swerve")

_STEPS: Final = 5
_GAP_US: Final = 750_000
# Metres of map beyond the driven path, and the size of nuPlan's images where none is there to measure.
_MARGIN: Final = 200.0
_IMAGE_SIZE: Final = (1920, 1080)


@dataclass(frozen=True)
class FrameTimes:
    """The steps of a log between its frames.

    Attributes:
        times_us: of the steps.
        before: the frame at or before each step.
        after: the frame after it; the same at a frame.
        share: how far each step is from one to the other, 0 to 1.
        at: the step of each frame.
    """

    times_us: Int[np.ndarray, "t"]
    before: Int[np.ndarray, "t"]
    after: Int[np.ndarray, "t"]
    share: Float[np.ndarray, "t"]
    at: Int[np.ndarray, "f"]

    def between(self, values: Float[np.ndarray, "f *d"]) -> Float[np.ndarray, "t *d"]:
        """Interpolate values of the frames linearly."""
        share = self.share.reshape(-1, *[1] * (values.ndim - 1))
        mixed: Float[np.ndarray, "t *d"] = (1.0 - share) * values[self.before] + share * values[self.after]
        return mixed


def steps_between(frame_times: Int[np.ndarray, "f"]) -> FrameTimes:
    """Return five steps for each 0.5 s between frames, and none in gaps."""
    before, after, part = [0], [0], [0]
    for index in range(1, len(frame_times)):
        if frame_times[index] - frame_times[index - 1] <= _GAP_US:
            before += [index - 1] * (_STEPS - 1)
            after += [index] * (_STEPS - 1)
            part += range(1, _STEPS)
        before, after, part = [*before, index], [*after, index], [*part, 0]
    first, last, share = np.array(before), np.array(after), np.array(part) / _STEPS
    whole = frame_times[last] - frame_times[first]
    times = frame_times[first] + np.round(share * whole).astype(np.int64)
    return FrameTimes(times, first, last, share, np.flatnonzero(share == 0))


def log_of(
    frames: Sequence[OpenSceneFrame],
    name: str,
    file: Path,
    folders: NavsimFolders,
    data_split: str,
    split: Split | None,
) -> Log:
    """Return the log of some consecutive frames.

    The ego frame lies on the road below the rear axle, by the height that vehicles around tell. The map is flat in
    nuPlan; here it follows the heights of the driven path. What is missing on disk (maps, images, point clouds) is told
    in a line of the logger "swerve", and left empty.

    Args:
        frames: two or more.
        name: of the log.
        file: that the frames are from, for messages.
        folders: the data set.
        data_split: folder of the log and its sensor data.
        split: of the log, for training.

    Raises:
        LogError: a value is not physical, or a map or a calibration is damaged.
    """
    steps = steps_between(np.array([frame.timestamp_us for frame in frames], np.int64))
    origin, height = origin_of(frames[0].world_from_ego[:3, 3]), axle_height(frames)
    at_frames = _level_poses(frames, origin, height)
    poses = _poses(frames, at_frames, steps)
    check_motion(steps.times_us, poses, file)
    road_map, route = _map_and_route(frames, name, folders, poses[:, :3, 3], origin)
    recorded = _recorded_poses(frames, origin, height)
    sensors = folders.sensors(data_split)
    photos = _photos(frames, recorded, sensors, name)
    log = Log(
        name=name,
        source="navsim",
        times_us=steps.times_us,
        ego=_ego(frames, poses, steps),
        vehicle=Vehicle.pacifica(),
        tracks=_tracks(frames, steps, origin),
        lights=_lights(frames, steps, road_map),
        road_map=road_map,
        cameras=_cameras(frames, sensors, height, {photo.camera for photo in photos}),
        route=route,
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        split=split,
        photos=photos,
        sweeps=_sweeps(frames, recorded, sensors, height, name),
        annotated_us=steps.times_us[steps.at],
    )
    return check_log(log, file)


def _level_poses(
    frames: Sequence[OpenSceneFrame], origin: Float[np.ndarray, "3"], height: float
) -> Float[np.ndarray, "f 4 4"]:
    """Return the ego's poses with NAVSIM's positions and headings, lowered straight down to the road."""
    poses = np.stack([frame.world_from_ego for frame in frames])
    turn = np.array([frame.ego_pose[2] for frame in frames]) - yaw_of(poses)
    down = np.array([0.0, 0.0, height])
    return rigid_transform(rotation_about_z(turn) @ poses[:, :3, :3], poses[:, :3, 3] - origin - down)


def _recorded_poses(
    frames: Sequence[OpenSceneFrame], origin: Float[np.ndarray, "3"], height: float
) -> Float[np.ndarray, "f 4 4"]:
    """Return the ego's poses as recorded, lowered along its z axis: those of the sensors."""
    poses = np.stack([frame.world_from_ego for frame in frames])
    poses[:, :3, 3] -= origin
    lowered: Float[np.ndarray, "f 4 4"] = poses @ rigid_transform(np.eye(3), np.array([0.0, 0.0, -height]))
    return lowered


def _poses(
    frames: Sequence[OpenSceneFrame], at_frames: Float[np.ndarray, "f 4 4"], steps: FrameTimes
) -> Float[np.ndarray, "t 4 4"]:
    """Interpolate the ego's poses between frames."""
    if len(frames) < 2:
        return at_frames
    seconds = (steps.times_us[steps.at] - steps.times_us[0]) * 1e-6
    query = (steps.times_us - steps.times_us[0]) * 1e-6
    local = np.array([[*frame.ego_velocity, 0.0] for frame in frames], np.float64)
    velocity = (at_frames[:, :3, :3] @ local[..., None])[..., 0]
    positions = scipy.interpolate.CubicHermiteSpline(seconds, at_frames[:, :3, 3], velocity)(query)
    rotations = scipy.spatial.transform.Slerp(
        seconds, scipy.spatial.transform.Rotation.from_matrix(at_frames[:, :3, :3])
    )(query).as_matrix()
    poses = rigid_transform(rotations, positions)
    poses[steps.at] = at_frames
    return poses


def _ego(frames: Sequence[OpenSceneFrame], poses: Float[np.ndarray, "t 4 4"], steps: FrameTimes) -> Ego:
    velocity, acceleration = (
        steps.between(np.array([getattr(frame, name) for frame in frames], np.float64))
        for name in ("ego_velocity", "ego_acceleration")
    )
    planar = np.column_stack([poses[:, :2, 3], yaw_of(poses)])
    return Ego(poses, velocity, acceleration, planar_motion(planar, steps.times_us)[2], measured=True)


def _tracks(frames: Sequence[OpenSceneFrame], steps: FrameTimes, origin: Float[np.ndarray, "3"]) -> Tracks:
    """Return the tracks; between frames only where both frames have the box."""
    ids = tuple(dict.fromkeys(token for frame in frames if frame.boxes for token in frame.boxes.track_tokens))
    row_of = {token: row for row, token in enumerate(ids)}
    values, valid = np.zeros((len(frames), len(ids), 9)), np.zeros((len(frames), len(ids)), bool)
    classes = np.zeros(len(ids), np.uint8)
    for index in reversed(range(len(frames))):
        boxes = frames[index].boxes
        if boxes is not None and len(boxes):
            rows = [row_of[token] for token in boxes.track_tokens]
            values[index, rows], valid[index, rows] = _world_boxes(frames[index], origin), True
            classes[rows] = [CLASSES[name] for name in boxes.names]
    turn = wrap_angle(values[steps.after, :, 3] - values[steps.before, :, 3])
    heading = values[steps.before, :, 3] + steps.share[:, None] * turn
    known = np.swapaxes(valid[steps.before] & valid[steps.after], 0, 1)
    mixed = np.where(known[..., None], np.swapaxes(steps.between(values), 0, 1), 0.0)
    headings = np.where(known, wrap_angle(heading).T, 0.0)
    return Tracks(ids, classes, mixed[..., :3], headings, mixed[..., 4:7], mixed[..., 7:9], known)


def _world_boxes(frame: OpenSceneFrame, origin: Float[np.ndarray, "3"]) -> Float[np.ndarray, "n 9"]:
    """Return x, y, z, heading, length, width, height and velocity of a frame's boxes: OpenScene's conversion undone."""
    assert frame.boxes is not None
    boxes, rotation = frame.boxes.boxes.astype(np.float64), frame.world_from_ego[:3, :3]
    centers = boxes[:, :3] @ rotation.T + (frame.world_from_ego[:3, 3] - origin)
    velocities = frame.boxes.velocities.astype(np.float64) @ rotation.T
    return np.column_stack([centers, boxes[:, 6] + frame.ego_pose[2], boxes[:, 3:6], velocities[:, :2]])


def _lights(frames: Sequence[OpenSceneFrame], steps: FrameTimes, road_map: RoadMap | None) -> TrafficLights:
    if road_map is None:
        return TrafficLights.empty(len(steps.times_us))
    at_frames = [red_by_lane(frame.traffic_lights) for frame in frames]
    return lights_of([at_frames[index] for index in steps.before], road_map)


def _map_and_route(
    frames: Sequence[OpenSceneFrame],
    name: str,
    folders: NavsimFolders,
    path: Float[np.ndarray, "t 3"],
    origin: Float[np.ndarray, "3"],
) -> tuple[RoadMap | None, tuple[str, ...]]:
    """Return the map around a path, and the route of the frames, or where they have none the roadblocks driven."""
    location = frames[0].map_location
    if not (folders.maps / location).is_dir():
        LOGGER.warning(
            "%s: no map of %s in %s: the log has no map, no route and no lights", name, location, folders.maps
        )
        return None, ()
    nuplan = load_nuplan_map(folders.maps, location)
    given = dict.fromkeys(id_ for frame in frames for id_ in frame.roadblock_ids)
    route = tuple(given) or driven_roadblocks(nuplan, path[:, :2] + origin[:2])
    low, high = path[:, :2].min(axis=0), path[:, :2].max(axis=0)
    center, radius = (low + high) / 2, float((high - low).max()) / 2 + _MARGIN
    ground = ground_along(path, center, radius)
    near = road_map_of(nuplan, center + origin[:2], radius, roadblocks=route, origin=origin[:2].copy(), ground=ground)
    return near, tuple(id_ for id_ in route if id_ in near.group_by_id)


def _photos(
    frames: Sequence[OpenSceneFrame], poses: Float[np.ndarray, "f 4 4"], sensors: Path, name: str
) -> tuple[Photo, ...]:
    """Return the images that are on disk; how many are not is told in one line."""
    wanted = [
        Photo(camera, frame.timestamp_us, pose, sensors / frame.cameras[camera].path)
        for frame, pose in zip(frames, poses, strict=True)
        for camera in CAMERA_NAMES
        if camera in frame.cameras
    ]
    there = tuple(photo for photo in wanted if photo.file.is_file())
    _tell_missing(name, len(wanted) - len(there), len(wanted), "images", sensors)
    return there


def _sweeps(
    frames: Sequence[OpenSceneFrame], poses: Float[np.ndarray, "f 4 4"], sensors: Path, height: float, name: str
) -> tuple[Sweep, ...]:
    """Return the point clouds that are on disk; how many are not is told in one line."""
    mount = rigid_transform(np.eye(3), np.array([0.0, 0.0, height]))
    wanted = [
        Sweep(frame.timestamp_us, pose, mount, sensors / frame.lidar_path, read_surroundings)
        for frame, pose in zip(frames, poses, strict=True)
        if frame.lidar_path is not None
    ]
    there = tuple(sweep for sweep in wanted if sweep.file.is_file())
    _tell_missing(name, len(wanted) - len(there), len(wanted), "point clouds", sensors)
    return there


def _tell_missing(name: str, missing: int, wanted: int, what: str, sensors: Path) -> None:
    if missing:
        LOGGER.warning("%s: %d of %d %s are not in %s", name, missing, wanted, what, sensors)


def _cameras(frames: Sequence[OpenSceneFrame], sensors: Path, height: float, pictured: set[str]) -> tuple[Camera, ...]:
    """Return the rig: the first calibration of each camera, at the size of its images; nuPlan's if there are none."""
    found = []
    for name in CAMERA_NAMES:
        for frame in frames:
            file = sensors / frame.cameras[name].path if name in frame.cameras else None
            if file is not None and (name not in pictured or file.is_file()):
                size = image_size(file) if name in pictured else _IMAGE_SIZE
                found.append(camera_of(name, frame.cameras[name], size, height, file))
                break
    return tuple(found)


def parts_of(times_us: Sequence[int], longest_us: int, part_us: int, margin_us: int) -> list[tuple[int, int]]:
    """Return first and last frame of the parts that a log is read in.

    Parts begin every `part_us` and overlap by `margin_us`, what a scene needs before and after, so that each scene is
    in exactly one; a log of at most `longest_us` is one part.
    """
    first, last = times_us[0], times_us[-1]
    if last - first <= longest_us:
        return [(0, len(times_us) - 1)]
    starts = range(first, max(last - margin_us, first + 1), part_us)
    spans = [(start, min(start + part_us + margin_us - 1, last)) for start in starts]
    times = np.array(times_us)
    return [
        (int(np.searchsorted(times, start)), int(np.searchsorted(times, end, side="right")) - 1) for start, end in spans
    ]
