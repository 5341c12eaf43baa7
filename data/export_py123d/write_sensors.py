"""Photos and LiDAR sweeps as 123D's tables, which hold the images and points themselves."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from swerve.data.export_py123d.arrow_tables import POSE, pose_rows, write_table
from swerve.scenes import Camera, LensModel, Log, Photo, Sweep, SwerveError
from swerve.scenes.camera_roles import cameras_by_role

# `CameraID` of the roles of cameras, and of cameras without one.
_IDS: Final[Mapping[str, tuple[str, int]]] = {
    "front": ("pcam_f0", 0),
    "back": ("pcam_b0", 1),
    "front_left": ("pcam_l0", 2),
    "left": ("pcam_l1", 3),
    "back_left": ("pcam_l2", 4),
    "front_right": ("pcam_r0", 5),
    "right": ("pcam_r1", 6),
    "back_right": ("pcam_r2", 7),
}
_SPARE: Final = (("pcam_stereo_l", 8), ("pcam_stereo_r", 9), ("pcam_d0", 19))
LIDAR: Final = "lidar.lidar_merged"
_TOP: Final = 2  # `LidarID`
# Coefficients that 123D has of OpenCV's model: k1, k2, p1, p2, k3.
_COEFFICIENTS: Final = 5
_IDENTITY: Final = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]


def camera_keys(cameras: Sequence[Camera]) -> dict[str, tuple[str, int]]:
    """Return the modality and the `CameraID` of each camera by name: those of its role, or else spare ones.

    Raises:
        SwerveError: there are more cameras than 123D has names for.
    """
    found = {camera.name: _IDS[role] for role, camera in cameras_by_role(cameras).items()}
    spare = iter((*_SPARE, *(own for own in _IDS.values() if own not in found.values())))
    for camera in cameras:
        if camera.name not in found:
            own = next(spare, None)
            if own is None:
                raise SwerveError(f"camera {camera.name}: 123D has no names for {len(cameras)} cameras")
            found[camera.name] = own
    return {name: (f"camera.{key}", number) for name, (key, number) in found.items()}


def write_photos(folder: Path, log: Log) -> dict[str, Int[np.ndarray, "p"]]:
    """Write a table for each camera, without rows if it has no photos; return the times of the rows by modality.

    Cameras without photos whose lens 123D lacks are left out.

    Raises:
        SwerveError: a photo cannot be read, or a lens not be expressed: 123D has pinholes with k1, k2, p1, p2, k3.
        OSError: a file cannot be written.
    """
    keys, times = camera_keys(log.cameras), {}
    for camera in log.cameras:
        photos = sorted((photo for photo in log.photos if photo.camera == camera.name), key=lambda photo: photo.time_us)
        if not photos and not _is_expressible(camera):
            continue
        key, number = keys[camera.name]
        columns = {
            f"{key}.timestamp_us": pa.int64(),
            f"{key}.data": pa.binary(),
            f"{key}.camera_to_global_se3": POSE,
            f"{key}.exposure_factor": pa.float32(),
        }
        batches = _photo_batches(key, photos, camera, np.array(log.origin))
        write_table(folder / f"{key}.arrow", columns, batches, _calibration(camera, number))
        times[key] = np.array([photo.time_us for photo in photos], np.int64)
    return times


def _photo_batches(
    key: str, photos: Sequence[Photo], camera: Camera, origin: Float[np.ndarray, "3"]
) -> Iterator[dict[str, Any]]:
    """Yield a batch for each photo, so that one is in memory at a time."""
    for photo in photos:
        pose = (photo.world_from_ego @ camera.ego_from_camera)[None]
        yield {
            f"{key}.timestamp_us": [photo.time_us],
            f"{key}.data": [photo.read()],
            f"{key}.camera_to_global_se3": pose_rows(pose, origin),
            f"{key}.exposure_factor": [None],
        }


def _is_expressible(camera: Camera) -> bool:
    return camera.lens.model != LensModel.FISHEYE and not any(camera.lens.coefficients[_COEFFICIENTS:])


def _calibration(camera: Camera, number: int) -> dict[str, Any]:
    coefficients = camera.lens.coefficients
    if not _is_expressible(camera):
        raise SwerveError(f"camera {camera.name}: its lens cannot be written: 123D has k1, k2, p1, p2, k3 only")
    padded = (*coefficients[:_COEFFICIENTS], *[0.0] * (_COEFFICIENTS - len(coefficients[:_COEFFICIENTS])))
    return {
        "camera_model": "pinhole",
        "camera_name": camera.name,
        "camera_id": number,
        "intrinsics": [camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5, 0.0],
        "distortion": list(padded) if coefficients else None,
        "width": camera.width,
        "height": camera.height,
        "camera_to_imu_se3": pose_rows(camera.ego_from_camera[None], np.zeros(3))[0],
        "is_undistorted": not coefficients,
    }


def write_sweeps(folder: Path, log: Log) -> dict[str, Int[np.ndarray, "s"]]:
    """Write the table of sweeps, if there are any; return the times of its rows by modality.

    Points are in the ego frame, of one sensor at its origin, compressed with Zstandard.

    Raises:
        SwerveError: a sweep cannot be read.
        OSError: the file cannot be written.
    """
    if not log.sweeps:
        return {}
    columns = {
        f"{LIDAR}.timestamp_us": pa.int64(),
        f"{LIDAR}.end_timestamp_us": pa.int64(),
        f"{LIDAR}.data": pa.binary(),
    }
    sensor = {
        "lidar_name": "lidar_top",
        "lidar_id": _TOP,
        "lidar_to_imu_se3": _IDENTITY,
        "segmentation_label_class": None,
    }
    batches = (_sweep_batch(sweep) for sweep in log.sweeps)
    write_table(folder / f"{LIDAR}.arrow", columns, batches, {str(_TOP): sensor})
    return {LIDAR: np.array([sweep.time_us for sweep in log.sweeps], np.int64)}


def _sweep_batch(sweep: Sweep) -> dict[str, Any]:
    points = sweep.read()
    batch = pa.RecordBatch.from_pydict({axis: points[:, row] for row, axis in enumerate("xyz")})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return {
        f"{LIDAR}.timestamp_us": [sweep.time_us],
        f"{LIDAR}.end_timestamp_us": [sweep.time_us],
        f"{LIDAR}.data": [sink.getvalue().to_pybytes()],
    }
