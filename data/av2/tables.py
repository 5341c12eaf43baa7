"""Argoverse 2's Feather tables: poses, cuboids, calibration. Frames and units are still the data set's own here.

The data set's ego frame has its origin in the middle of the rear axle, a wheel's radius above the ground; x forward,
y left, z up. Times are nanoseconds on disk and floored to microseconds here.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
from jaxtyping import Float, Int, UInt8

from swerve.scenes import Camera, LogError, ObjectClass
from swerve.scenes.transforms import rigid, rotation_from_quaternion

EGO_CATEGORY = "EGO_VEHICLE"
_QUATERNION, _TRANSLATION = ("qw", "qx", "qy", "qz"), ("tx_m", "ty_m", "tz_m")
_SIZE = ("length_m", "width_m", "height_m")
_INTRINSICS = ("fx_px", "fy_px", "cx_px", "cy_px", "height_px", "width_px")

# Argoverse annotates a ridden two-wheeler and its rider apart: both are BICYCLE here.
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
        times_us: when.
        track_ids: which track.
        classes: `ObjectClass`.
        sizes: (length, width, height), metres.
        ego_from_box: poses of the boxes' centres.
        ego_size: the recording vehicle's own (length, width, height), where it is annotated.
    """

    times_us: Int[np.ndarray, "n"]
    track_ids: tuple[str, ...]
    classes: UInt8[np.ndarray, "n"]
    sizes: Float[np.ndarray, "n 3"]
    ego_from_box: Float[np.ndarray, "n 4 4"]
    ego_size: Float[np.ndarray, "3"] | None


def read_poses(path: Path) -> tuple[Int[np.ndarray, "t"], Float[np.ndarray, "t 4 4"]]:
    """Times and city_from_ego of `city_SE3_egovehicle.feather`, at full rate.

    Of poses that share a microsecond the first is kept: the file has pairs one nanosecond apart.

    Raises:
        LogError: the file is missing or malformed, or its times do not increase.
    """
    columns = read_table(path, ("timestamp_ns", *_QUATERNION, *_TRANSLATION))
    falling = np.flatnonzero(np.diff(columns["timestamp_ns"]) <= 0)
    if len(falling):
        raise LogError(path, "timestamp_ns", f"times do not increase from row {falling[0]} to the next")
    times_us, first = np.unique(columns["timestamp_ns"] // 1000, return_index=True)
    return times_us, _poses(columns, path)[first]


def read_cuboids(path: Path) -> Cuboids:
    """The cuboids of `annotations.feather` or `annotations_with_ego.feather`.

    Raises:
        LogError: the file is missing or malformed, empty, or has a category that is not Argoverse 2's.
    """
    columns = read_table(path, ("timestamp_ns", "track_uuid", "category", *_SIZE, *_QUATERNION, *_TRANSLATION))
    category = columns["category"]
    unknown = sorted(set(category) - set(CLASS_OF_CATEGORY) - {EGO_CATEGORY})
    if unknown or not len(category):
        raise LogError(path, "category", f"unknown: {', '.join(unknown)}" if unknown else "there is no cuboid")
    own = category == EGO_CATEGORY
    sizes = np.stack([columns[name] for name in _SIZE], axis=-1)
    return Cuboids(
        columns["timestamp_ns"][~own] // 1000,
        tuple(columns["track_uuid"][~own]),
        np.array([CLASS_OF_CATEGORY[name] for name in category[~own]], np.uint8),
        sizes[~own],
        _poses(columns, path)[~own],
        sizes[own][0] if own.any() else None,
    )


def read_cameras(folder: Path) -> tuple[Camera, ...]:
    """The cameras of a `calibration` folder, mounted in the data set's ego frame.

    They are pinholes: Argoverse publishes its pictures undistorted, and k1..k3 in the table are for the record.
    Its principal points are taken to count from pixel centres, as OpenCV's do (it does not say: half a pixel at most).

    Raises:
        LogError: a table is missing or malformed, or a camera has no mounting.
    """
    path = folder / "egovehicle_SE3_sensor.feather"
    mounts = read_table(path, ("sensor_name", *_QUATERNION, *_TRANSLATION))
    mount_of = dict(zip(mounts["sensor_name"], _poses(mounts, path), strict=True))
    table = read_table(folder / "intrinsics.feather", ("sensor_name", *_INTRINSICS))
    cameras = []
    for name, *numbers in zip(table["sensor_name"], *(table[column] for column in _INTRINSICS), strict=True):
        if name not in mount_of:
            raise LogError(path, "sensor_name", f"camera {name} of intrinsics.feather is not there")
        fx, fy, cx, cy, height, width = (float(number) for number in numbers)
        cameras.append(Camera(name, int(width), int(height), fx, fy, cx + 0.5, cy + 0.5, mount_of[name]))
    return tuple(cameras)


def raised(cameras: tuple[Camera, ...], height: float) -> tuple[Camera, ...]:
    """The cameras, mounted in a frame whose origin lies `height` metres lower."""
    lift = rigid(np.eye(3), np.array([0.0, 0.0, height]))
    return tuple(replace(camera, ego_from_camera=lift @ camera.ego_from_camera) for camera in cameras)


def read_table(path: Path, columns: tuple[str, ...]) -> dict[str, Any]:
    """The named columns of a Feather table as arrays.

    Raises:
        LogError: no such file, not a Feather table, a column is missing, or a number is not finite.
    """
    if not path.is_file():
        raise LogError(path, "file", "not found", "Argoverse 2 sensor logs have one; download the whole log")
    try:
        table = feather.read_table(path)
    except pa.ArrowException as error:
        raise LogError(path, "file", f"is not a Feather table ({str(error).splitlines()[0]})") from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise LogError(path, missing[0], "no such column", f"There are: {', '.join(table.column_names)}")
    arrays = {name: table[name].to_numpy() for name in columns}
    for name, values in arrays.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise LogError(path, name, f"is not finite in row {np.flatnonzero(~np.isfinite(values))[0]}")
    return arrays


def _poses(columns: dict[str, Any], path: Path) -> Float[np.ndarray, "n 4 4"]:
    """Transforms of rows of quaternions and translations."""
    quaternions = np.stack([columns[name] for name in _QUATERNION], axis=-1).astype(np.float64)
    lengths = np.linalg.norm(quaternions, axis=-1)
    bad = np.flatnonzero(np.abs(lengths - 1.0) > 1e-3)
    if len(bad):
        raise LogError(path, "qw, qx, qy, qz", f"row {bad[0]} is no rotation: the quaternion's length is not 1")
    return rigid(rotation_from_quaternion(quaternions), np.stack([columns[name] for name in _TRANSLATION], axis=-1))
