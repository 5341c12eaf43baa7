"""Argoverse 2's Feather tables: poses, cuboids, calibration, in the data set's own frames and units.

The data set's ego frame has its origin in the middle of the rear axle, a wheel's radius above the ground; x forward,
y left, z up. Times are nanoseconds on disk and floored to microseconds here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.types as arrow
from jaxtyping import Float, Float32, Int, UInt8

from swerve.scenes import Camera, LogError, ObjectClass
from swerve.scenes.printable import first_line
from swerve.scenes.transforms import rigid_transform, rotation_from_quaternion

EGO_CATEGORY = "EGO_VEHICLE"
_QUATERNION, _TRANSLATION = ("qw", "qx", "qy", "qz"), ("tx_m", "ty_m", "tz_m")
_SIZE = ("length_m", "width_m", "height_m")
_INTRINSICS = ("fx_px", "fy_px", "cx_px", "cy_px", "height_px", "width_px")
_POSE_COLUMNS = dict.fromkeys((*_QUATERNION, *_TRANSLATION), float)

# Argoverse annotates a ridden two-wheeler and its rider separately: both are BICYCLE here.
_CLASSES = {
    ObjectClass.VEHICLE: "REGULAR_VEHICLE LARGE_VEHICLE BUS BOX_TRUCK TRUCK TRUCK_CAB SCHOOL_BUS ARTICULATED_BUS "
    "RAILED_VEHICLE VEHICULAR_TRAILER",
    ObjectClass.BICYCLE: "BICYCLE BICYCLIST MOTORCYCLE MOTORCYCLIST WHEELED_DEVICE WHEELED_RIDER",
    ObjectClass.PEDESTRIAN: "PEDESTRIAN OFFICIAL_SIGNALER STROLLER WHEELCHAIR",
    ObjectClass.TRAFFIC_CONE: "CONSTRUCTION_CONE CONSTRUCTION_BARREL",
    ObjectClass.SIGN: "SIGN STOP_SIGN MOBILE_PEDESTRIAN_CROSSING_SIGN",
    ObjectClass.GENERIC: "BOLLARD DOG ANIMAL MESSAGE_BOARD_TRAILER TRAFFIC_LIGHT_TRAILER UNKNOWN",
}
CLASS_OF_CATEGORY = {category: kind for kind, names in _CLASSES.items() for category in names.split()}


@dataclass(frozen=True)
class Cuboids:
    """Annotated boxes, one row each, in the data set's ego frame at their own time.

    Attributes:
        sweeps_us: times of all annotated sweeps, in order, including those with only the recording vehicle.
        times_us: time of each box.
        track_ids: track of each box.
        classes: `ObjectClass` of each box.
        sizes: (length, width, height), metres.
        ego_from_box: poses of the boxes' centres.
        ego_size: the recording vehicle's (length, width, height), where it is annotated.
    """

    sweeps_us: Int[np.ndarray, "s"]
    times_us: Int[np.ndarray, "n"]
    track_ids: tuple[str, ...]
    classes: UInt8[np.ndarray, "n"]
    sizes: Float[np.ndarray, "n 3"]
    ego_from_box: Float[np.ndarray, "n 4 4"]
    ego_size: Float[np.ndarray, "3"] | None


def read_poses(path: Path) -> tuple[Int[np.ndarray, "t"], Float[np.ndarray, "t 4 4"]]:
    """Read times and city_from_ego of `city_SE3_egovehicle.feather`, at full rate.

    Of poses that share a microsecond the first is kept: the file has pairs one nanosecond apart.

    Raises:
        LogError: the file is missing or malformed, its times do not increase, or it has fewer than two poses.
    """
    columns = read_table(path, {"timestamp_ns": int, **_POSE_COLUMNS})
    times_ns = columns["timestamp_ns"]
    falling = np.flatnonzero(times_ns[1:] <= times_ns[:-1])
    if len(falling):
        raise LogError(path, "timestamp_ns", f"times do not increase from row {falling[0]} to the next")
    times_us, first = np.unique(times_ns // 1000, return_index=True)
    if len(times_us) < 2:
        raise LogError(path, "timestamp_ns", "needs two poses or more")
    return times_us, _poses(columns, path)[first]


def read_cuboids(path: Path) -> Cuboids:
    """Read the cuboids of `annotations.feather` or `annotations_with_ego.feather`.

    Raises:
        LogError: the file is missing or malformed, empty, or has a category that is not Argoverse 2's.
    """
    texts, sizes = {"track_uuid": str, "category": str}, dict.fromkeys(_SIZE, float)
    columns = read_table(path, {"timestamp_ns": int, **texts, **sizes, **_POSE_COLUMNS})
    category = columns["category"]
    unknown = sorted(set(category) - set(CLASS_OF_CATEGORY) - {EGO_CATEGORY})
    if unknown:
        raise LogError(path, "category", f"unknown: {', '.join(unknown)}")
    own = category == EGO_CATEGORY
    box_sizes = np.stack([columns[name] for name in _SIZE], axis=-1)
    times_us = columns["timestamp_ns"] // 1000
    return Cuboids(
        np.unique(times_us),
        times_us[~own],
        tuple(columns["track_uuid"][~own]),
        np.array([CLASS_OF_CATEGORY[name] for name in category[~own]], np.uint8),
        box_sizes[~own],
        _poses(columns, path)[~own],
        box_sizes[own][0] if own.any() else None,
    )


def read_points(path: Path) -> Float32[np.ndarray, "n 3"]:
    """Read the points of a LiDAR sweep, in the data set's ego frame at the time that names the file, metres.

    The publishers have compensated all points for ego motion: a sweep takes 0.1 s from that time on. On disk they are
    half-precision floats: within 16 m they are off by 4 mm at most, at 100 m by 3 cm.

    Raises:
        LogError: the file is missing, malformed or empty.
    """
    columns = read_table(path, dict.fromkeys("xyz", float))
    return np.stack([columns[axis] for axis in "xyz"], axis=-1).astype(np.float32)


def read_cameras(folder: Path) -> tuple[Camera, ...]:
    """Read the cameras of a `calibration` folder, mounted in the data set's ego frame.

    They are pinholes: Argoverse publishes undistorted images, and k1..k3 in the table are informational. Principal
    points are assumed to count from pixel centres, as OpenCV's do (undocumented: half a pixel at most).

    Raises:
        LogError: a table is missing or malformed, a camera has no mounting, or no size or focal length.
    """
    path, intrinsics = folder / "egovehicle_SE3_sensor.feather", folder / "intrinsics.feather"
    mounts = read_table(path, {"sensor_name": str, **_POSE_COLUMNS})
    mount_of = dict(zip(mounts["sensor_name"], _poses(mounts, path), strict=True))
    table = read_table(intrinsics, {"sensor_name": str, **dict.fromkeys(_INTRINSICS, float)})
    cameras = []
    for name, *numbers in zip(table["sensor_name"], *(table[column] for column in _INTRINSICS), strict=True):
        if name not in mount_of:
            raise LogError(path, "sensor_name", f"camera {name} of intrinsics.feather is not there")
        fx, fy, cx, cy, height, width = (float(number) for number in numbers)
        try:
            cameras.append(Camera(name, int(width), int(height), fx, fy, cx + 0.5, cy + 0.5, mount_of[name]))
        except ValueError as error:
            raise LogError(intrinsics, f"sensor {name}", "focal lengths and sizes must be positive") from error
    return tuple(cameras)


def lower_origin(cameras: tuple[Camera, ...], height: float) -> tuple[Camera, ...]:
    """Return the cameras, mounted in a frame whose origin lies `height` metres lower."""
    lift = rigid_transform(np.eye(3), np.array([0.0, 0.0, height]))
    return tuple(replace(camera, ego_from_camera=lift @ camera.ego_from_camera) for camera in cameras)


def read_table(path: Path, kinds: Mapping[str, type]) -> dict[str, Any]:
    """Read columns of a Feather table as arrays of int64, float64 or str.

    Args:
        path: the file.
        kinds: the columns to read, and their types: int, float (integers too), or str.

    Raises:
        LogError: no such file, not a Feather table, it has no rows; or a column is missing, of another kind, or has a
            row without a value or with a number that is not finite.
    """
    if not path.is_file():
        raise LogError(path, "file", "not found", "Argoverse 2 sensor logs have one; download the whole log")
    try:
        table = feather.read_table(path)
        # Validated, since damaged offsets and lengths would lead to reads outside the table's memory.
        table.validate(full=True)
        there = table.column_names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise LogError(path, "file", f"is not a Feather table ({first_line(error)})") from error
    for name in kinds:
        if there.count(name) != 1:
            raise LogError(path, name, "no such column, or several", f"There are: {', '.join(there)}")
    if not len(table):
        raise LogError(path, "rows", "the table has none")
    return {name: _column(table[name], kind, path, name) for name, kind in kinds.items()}


_ARROW: dict[type, tuple[pa.DataType, tuple[Callable[[pa.DataType], bool], ...]]] = {
    int: (pa.int64(), (arrow.is_integer,)),
    float: (pa.float64(), (arrow.is_integer, arrow.is_floating)),
    str: (pa.string(), (arrow.is_string, arrow.is_large_string)),
}


def _column(column: pa.ChunkedArray, kind: type, path: Path, name: str) -> Any:  # noqa: ANN401 - of the asked dtype
    target, accepts = _ARROW[kind]
    stored = column.type.value_type if arrow.is_dictionary(column.type) else column.type
    if not any(accept(stored) for accept in accepts):
        raise LogError(path, name, f"holds {stored}, not {target}")
    try:
        missing = column.is_null().to_numpy()
        values = column.cast(target).to_numpy()
    except (pa.ArrowException, OSError) as error:
        raise LogError(path, name, f"cannot be read as {target} ({first_line(error)})") from error
    if missing.any():
        raise LogError(path, name, f"has no value in row {np.flatnonzero(missing)[0]}")
    if kind is float and not np.isfinite(values).all():
        raise LogError(path, name, f"is not finite in row {np.flatnonzero(~np.isfinite(values))[0]}")
    return values


def _poses(columns: dict[str, Any], path: Path) -> Float[np.ndarray, "n 4 4"]:
    """Convert rows of quaternions and translations to transforms."""
    quaternions = np.stack([columns[name] for name in _QUATERNION], axis=-1)
    lengths = np.linalg.norm(quaternions, axis=-1)
    bad = np.flatnonzero(np.abs(lengths - 1.0) > 1e-3)
    if len(bad):
        raise LogError(path, "qw, qx, qy, qz", f"row {bad[0]} is not a rotation: the quaternion's length is not 1")
    return rigid_transform(
        rotation_from_quaternion(quaternions), np.stack([columns[name] for name in _TRANSLATION], axis=-1)
    )
