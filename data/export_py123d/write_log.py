"""A Log as a folder of 123D's tables: ego, boxes, lights, cameras, LiDAR, map, and the table that joins them."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from swerve.data.export_py123d.arrow_tables import POSE, VERSION, pose_rows, write_table
from swerve.data.export_py123d.write_map import MapIds, write_map
from swerve.data.export_py123d.write_sensors import write_photos, write_sweeps
from swerve.data.sources.py123d.labels import DEFAULT_LABEL, DEFAULT_MODULE, LABEL_OF_CLASS
from swerve.data.sources.py123d.py123d_log import BOXES, EGO_STATES, LIGHTS, STATUSES
from swerve.data.storage.files import safe_name
from swerve.scenes import LightState, Log, ObjectClass
from swerve.scenes.transforms import pose_from_yaw

_BOX, _VECTOR = pa.list_(pa.float64(), 10), pa.list_(pa.float64(), 3)


def write_123d_log(root: Path, log: Log) -> Path:
    """Write a log to `logs/SPLIT/LOG` of a root, in the source's own coordinates, and return the folder.

    The split of a log that has none is train. The ego's frame is that of the inertial unit: rear axle, on the ground.
    Images and points are within the tables, so that nothing of the source is needed to read them.

    Raises:
        SwerveError: a photo or sweep cannot be read, or a camera not be expressed in 123D.
        OSError: a file cannot be written.
    """
    dataset = dataset_of(log.source)
    split = f"{dataset}_{log.split or 'train'}"
    folder = root / "logs" / split / safe_name(log.name)
    about = {"dataset": dataset, "split": split, "log_name": log.name, "location": None, "version": VERSION}
    times = {EGO_STATES: log.times_us, BOXES: log.times_us}
    _write_ego(folder, log)
    _write_boxes(folder, log)
    on_map = None
    if log.road_map is not None:
        on_map = {**about, "map_has_z": log.road_map.has_height, "map_is_per_log": True}
        write_map(folder / "map.arrow", log.road_map, np.array(log.origin), log.lights.lane_ids, on_map)
        if len(log.lights):
            _write_lights(folder, log)
            times[LIGHTS] = log.times_us
    times |= write_photos(folder, log)
    times |= write_sweeps(folder, log)
    # The table that joins them makes the folder a log: it comes last.
    _write_sync(folder, log, times, {**about, "map_metadata": on_map})
    return folder


def dataset_of(kind: str) -> str:
    """Return the name of a kind of source as a data set's in 123D, where underscores divide it from the split."""
    return kind.replace("_", "-")


def _write_ego(folder: Path, log: Log) -> None:
    ego, vehicle, key = log.ego, log.vehicle, EGO_STATES
    flat = np.zeros(len(ego))
    motion = np.column_stack([ego.velocity, flat, ego.acceleration, flat, flat, flat, ego.yaw_rate])
    columns = {
        f"{key}.timestamp_us": pa.int64(),
        f"{key}.imu_se3": POSE,
        f"{key}.dynamic_state_se3": pa.list_(pa.float64(), 9),
    }
    batch = {
        f"{key}.timestamp_us": log.times_us.tolist(),
        f"{key}.imu_se3": pose_rows(ego.world_from_ego, np.array(log.origin)),
        f"{key}.dynamic_state_se3": motion.tolist(),
    }
    center = [vehicle.rear_axle_to_center, 0.0, vehicle.height / 2, 1.0, 0.0, 0.0, 0.0]
    about = {
        "vehicle_name": vehicle.name,
        "width": vehicle.width,
        "length": vehicle.length,
        "height": vehicle.height,
        "wheel_base": vehicle.wheelbase,
        "center_to_imu_se3": center,
        "rear_axle_to_imu_se3": [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
    }
    write_table(folder / f"{key}.arrow", columns, [batch], about)


def _write_boxes(folder: Path, log: Log) -> None:
    tracks, key = log.tracks, BOXES
    labels = np.array([LABEL_OF_CLASS[ObjectClass(kind)] for kind in tracks.classes], np.int64)
    rows = [np.flatnonzero(tracks.valid[:, step]) for step in range(len(log.times_us))]
    columns = {
        f"{key}.timestamp_us": pa.int64(),
        f"{key}.bounding_box_se3": pa.list_(_BOX),
        f"{key}.track_token": pa.list_(pa.string()),
        f"{key}.label": pa.list_(pa.uint16()),
        f"{key}.velocity_3d": pa.list_(_VECTOR),
        f"{key}.num_lidar_points": pa.list_(pa.int32()),
    }
    batch = {
        f"{key}.timestamp_us": log.times_us.tolist(),
        f"{key}.bounding_box_se3": [_boxes(log, own, step).tolist() for step, own in enumerate(rows)],
        f"{key}.track_token": [[tracks.ids[row] for row in own] for own in rows],
        f"{key}.label": [labels[own].tolist() for own in rows],
        f"{key}.velocity_3d": [
            np.pad(tracks.velocities[own, step], ((0, 0), (0, 1))).tolist() for step, own in enumerate(rows)
        ],
        f"{key}.num_lidar_points": [[None] * len(own) for own in rows],
    }
    about = {"box_detection_label_class": f"{DEFAULT_MODULE}.{DEFAULT_LABEL}"}
    write_table(folder / f"{key}.arrow", columns, [batch], about)


def _boxes(log: Log, rows: Int[np.ndarray, "n"], step: int) -> Float[np.ndarray, "n 10"]:
    """Return the boxes of a step: centre, quaternion, length, width, height."""
    if not len(rows):
        return np.zeros((0, 10))
    poses = pose_from_yaw(log.tracks.positions[rows, step], log.tracks.headings[rows, step])
    return np.column_stack([np.array(pose_rows(poses, np.array(log.origin))), log.tracks.sizes[rows, step]])


def _write_lights(folder: Path, log: Log) -> None:
    assert log.road_map is not None
    number, key = MapIds.of(log.road_map).lanes, LIGHTS
    heads = [row for row, lane in enumerate(log.lights.lane_ids) if lane in number]
    lanes = [number[log.lights.lane_ids[row]] for row in heads]
    columns = {
        f"{key}.timestamp_us": pa.int64(),
        f"{key}.lane_id": pa.list_(pa.int32()),
        f"{key}.status": pa.list_(pa.uint8()),
    }
    states = log.lights.states[heads]
    batch = {
        f"{key}.timestamp_us": log.times_us.tolist(),
        f"{key}.lane_id": [lanes] * len(log.times_us),
        f"{key}.status": [[_status(int(state)) for state in states[:, step]] for step in range(len(log.times_us))],
    }
    write_table(folder / f"{key}.arrow", columns, [batch], {})


def _status(state: int) -> int:
    """Return the `TrafficLightStatus`; that of an unknown state is the last."""
    return STATUSES.index(LightState(state)) if state != LightState.UNKNOWN else len(STATUSES) - 1


def _write_sync(folder: Path, log: Log, times: Mapping[str, Int[np.ndarray, "n"]], about: Mapping[str, Any]) -> None:
    """Write the rows of all tables at each step: the nearest in time, within half a step."""
    columns = {"sync.uuid": pa.uuid(), "sync.timestamp_us": pa.int64(), **dict.fromkeys(times, pa.int64())}
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"swerve/{log.source}/{log.name}")
    batch: dict[str, Any] = {
        "sync.uuid": [uuid.uuid5(name, str(time)).bytes for time in log.times_us],
        "sync.timestamp_us": log.times_us.tolist(),
        **{key: _nearest(own, log.times_us, log.step) for key, own in times.items()},
    }
    write_table(folder / "sync.arrow", columns, [batch], about)


def _nearest(own: Int[np.ndarray, "n"], times_us: Int[np.ndarray, "t"], step: float) -> list[int | None]:
    if not len(own):
        return [None] * len(times_us)
    after = np.clip(np.searchsorted(own, times_us), 0, len(own) - 1)
    before = np.maximum(after - 1, 0)
    rows = np.where(np.abs(own[before] - times_us) < np.abs(own[after] - times_us), before, after)
    near = np.abs(own[rows] - times_us) <= step * 0.5e6
    return [int(row) if own_near else None for row, own_near in zip(rows, near, strict=True)]
