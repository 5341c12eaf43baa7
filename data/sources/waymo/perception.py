"""Waymo perception data set: the Frames of one record file are one log.

Waymo's vehicle frame is Swerve's: x forward, y left, z up, its origin in the middle of the rear axle on the ground
(Waymo's maintainers say so in issues 165 and 597 of waymo-open-dataset; in the test frame, labels of what stands within
10 m have their bottoms 0.2 m below to level with it). Velocities are in the global frame (issue 39).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.data.sources.checks import check_log, check_motion, microseconds
from swerve.data.sources.waymo.tfrecords import TFRecord, parse_frame, read_records
from swerve.data.sources.waymo.waymo_map import read_map
from swerve.scenes import (
    FORWARD,
    Camera,
    Ego,
    Lens,
    LensModel,
    Log,
    LogError,
    ObjectClass,
    Photo,
    Split,
    Tracks,
    TrafficLights,
    Vehicle,
)
from swerve.scenes.lane_graph import derive_lane_groups, match_route
from swerve.scenes.transforms import rigid_transform, wrap_angle, yaw_of

# By Label.Type: unknown, vehicle, pedestrian, sign, cyclist.
_CLASSES = (
    ObjectClass.GENERIC,
    ObjectClass.VEHICLE,
    ObjectClass.PEDESTRIAN,
    ObjectClass.SIGN,
    ObjectClass.BICYCLE,
)
# By CameraName.Name.
CAMERAS = (
    "unknown",
    "front",
    "front_left",
    "front_right",
    "side_left",
    "side_right",
    "rear_left",
    "rear",
    "rear_right",
)


@dataclass(frozen=True)
class _Step:
    """Content of a Frame that a log keeps, in the source's coordinates."""

    time_us: int
    world_from_ego: Float[np.ndarray, "4 4"]
    labels: list[tuple[str, int]]
    boxes: Float[np.ndarray, "n 9"]
    photos: list[Photo]


def read_segment(file: Path, name: str, split: Split | None) -> Log:
    """Read the log of a file of perception Frames; a single Frame is a log of one step.

    Photos carry the ego pose that Waymo gives for each image (the middle of its exposure); the rolling shutter, some
    0.03 s from the first to the last column, is not modelled. The vehicle is a Chrysler Pacifica. Traffic lights are
    not annotated.

    Raises:
        LogError: a record is not a Frame, the Frames belong to several segments, or numbers are not finite.
    """
    steps: list[_Step] = []
    first: Any = None
    for record in read_records(file):
        frame = parse_frame(record)
        first = first or frame
        if frame.context.name != first.context.name:
            raise LogError(file, f"{record.name}: context.name", "is of another segment than the first record")
        steps.append(_step(frame, record))
    times_us = np.array([step.time_us for step in steps], np.int64)
    poses = np.stack([step.world_from_ego for step in steps])
    if not np.isfinite(poses).all():
        bad = int(np.argwhere(~np.isfinite(poses))[0][0])
        raise LogError(file, f"record {bad}: pose", "is not finite")
    origin = np.round(poses[0, :3, 3])
    world_from_ego = _moved(poses, origin)
    check_motion(times_us, world_from_ego, file)
    ego = _ego(world_from_ego, times_us, first)
    offset = first.map_pose_offset
    road_map = read_map(first.map_features, origin + np.array([offset.x, offset.y, offset.z]), file)
    road_map = derive_lane_groups(road_map) if road_map else None
    log = Log(
        name=name,
        source="waymo",
        times_us=times_us,
        ego=ego,
        vehicle=Vehicle.pacifica(),
        tracks=_tracks(steps, ego.world_from_ego, file),
        lights=TrafficLights.empty(len(steps)),
        road_map=road_map,
        cameras=tuple(read_camera(calibration, file) for calibration in first.context.camera_calibrations),
        route=match_route(road_map, ego) if road_map else (),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        split=split,
        photos=tuple(_photo_moved(photo, origin) for step in steps for photo in step.photos),
    )
    return check_log(log, file)


def _step(frame: Any, record: TFRecord) -> _Step:  # noqa: ANN401
    labels = [(label.id, label.type) for label in frame.laser_labels]
    boxes = [
        (
            *(label.box.center_x, label.box.center_y, label.box.center_z),
            *(label.box.length, label.box.width, label.box.height),
            *(label.box.heading, label.metadata.speed_x, label.metadata.speed_y),
        )
        for label in frame.laser_labels
    ]
    return _Step(
        frame.timestamp_micros,
        _matrix(frame.pose, record, "pose"),
        labels,
        np.array(boxes, np.float64).reshape(-1, 9),
        [_photo(image, record) for image in frame.images],
    )


def _photo(image: Any, record: TFRecord) -> Photo:  # noqa: ANN401
    """Locate the encoded image in the file: protobuf stores bytes unchanged."""
    start = record.data.find(image.image)
    if not image.image or start < 0:
        raise LogError(record.file, f"{record.name}: images", f"camera {image.name} has no image")
    pose = _matrix(image.pose, record, "images.pose")
    time_us = microseconds(np.array([image.pose_timestamp]), record.file, f"{record.name}: images.pose_timestamp")
    return Photo(CAMERAS[image.name], int(time_us[0]), pose, record.file, record.start + start, len(image.image))


def _matrix(transform: Any, record: TFRecord, field: str) -> Float[np.ndarray, "4 4"]:  # noqa: ANN401
    if len(transform.transform) != 16:
        raise LogError(record.file, f"{record.name}: {field}", "is not a 4x4 transform")
    return np.array(transform.transform, np.float64).reshape(4, 4)


def _moved(poses: Float[np.ndarray, "*t 4 4"], origin: Float[np.ndarray, "3"]) -> Float[np.ndarray, "*t 4 4"]:
    return rigid_transform(poses[..., :3, :3], poses[..., :3, 3] - origin)


def _photo_moved(photo: Photo, origin: Float[np.ndarray, "3"]) -> Photo:
    moved = _moved(photo.world_from_ego, origin)
    return Photo(photo.camera, photo.time_us, moved, photo.file, photo.offset, photo.num_bytes)


def _ego(world_from_ego: Float[np.ndarray, "t 4 4"], times_us: np.ndarray, first: Any) -> Ego:  # noqa: ANN401
    """Compute states by differences of the poses; a single Frame takes the velocity of its first image."""
    ego = Ego.from_poses(world_from_ego, times_us)
    if len(times_us) == 1 and len(first.images):
        speed = first.images[0].velocity
        ego.velocity[0] = (world_from_ego[0, :3, :3].T @ [speed.v_x, speed.v_y, speed.v_z])[:2]
        ego.yaw_rate[0] = speed.w_z
    return ego


def _tracks(steps: list[_Step], world_from_ego: Float[np.ndarray, "t 4 4"], file: Path) -> Tracks:
    classes = {label: kind for step in steps for label, kind in step.labels}
    number = {label: row for row, label in enumerate(classes)}
    shape = (len(number), len(steps))
    valid, values = np.zeros(shape, bool), np.zeros((*shape, 9))
    for at, step in enumerate(steps):
        rows = np.array([number[label] for label, _ in step.labels], int)
        if len(set(rows)) < len(rows):
            raise LogError(file, f"record {at}: laser_labels.id", "a label occurs twice")
        pose = world_from_ego[at]
        valid[rows, at] = True
        values[rows, at] = step.boxes
        values[rows, at, :3] = step.boxes[:, :3] @ pose[:3, :3].T + pose[:3, 3]
        values[rows, at, 6] = wrap_angle(values[rows, at, 6] + yaw_of(pose))
    return Tracks(
        ids=tuple(classes),
        classes=np.array([_CLASSES[kind] for kind in classes.values()], np.uint8),
        positions=values[..., :3],
        headings=values[..., 6],
        sizes=values[..., 3:6],
        velocities=values[..., 7:9],
        valid=valid,
    )


def read_camera(calibration: Any, file: Path) -> Camera:  # noqa: ANN401
    """Convert a calibration; Waymo's camera axes (x forward, y left, z up) are rotated to OpenCV's.

    The intrinsic is (fu, fv, cu, cv, k1, k2, p1, p2, k3) of OpenCV's model. Waymo does not say where pixel centres
    lie: at halves, as ours do, its own projected boxes have their middles within 0.1 pixel of ours.
    """
    name = CAMERAS[calibration.name]
    extrinsic = np.array(calibration.extrinsic.transform, np.float64)
    intrinsic = np.array(calibration.intrinsic, np.float64)
    if len(extrinsic) != 16 or len(intrinsic) != 9 or not np.isfinite([*extrinsic, *intrinsic]).all():
        raise LogError(file, f"camera_calibrations[{name}]", "needs 9 finite intrinsics and a 4x4 extrinsic")
    fx, fy, cx, cy, *coefficients = (float(number) for number in intrinsic)
    mount = extrinsic.reshape(4, 4) @ rigid_transform(FORWARD, np.zeros(3))
    lens = Lens(LensModel.BROWN, tuple(coefficients))
    try:
        return Camera(name, calibration.width, calibration.height, fx, fy, cx, cy, mount, lens)
    except ValueError as error:
        problem = "focal lengths and sizes must be positive"
        raise LogError(file, f"camera_calibrations[{name}]", problem) from error
