"""KITTI's tracking and raw data alike: navigation, colour cameras, laser scans; no map, no lights."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from swerve.data.sources.checks import check_log, check_motion
from swerve.data.sources.kitti.car import PASSAT, KittiCalibration, ego_of
from swerve.data.sources.kitti.oxts import Oxts
from swerve.data.sources.kitti.velodyne import ScanReader
from swerve.data.storage.checked_image import size_of
from swerve.scenes import Camera, Ego, Log, LogError, Photo, Split, Sweep, Tracks, TrafficLights
from swerve.scenes.transforms import interpolate_poses, inverse

LOGGER = logging.getLogger("swerve")

CAMERAS: Final = {"image_02": 2, "image_03": 3}
# Size of rectified images where there is none to measure.
_SIZE: Final = (1242, 375)
Timed = tuple[int, Path]


@dataclass(frozen=True)
class Recording:
    """Files of a sequence.

    Attributes:
        name: of the log.
        path: file or folder of the navigation, for messages.
        oxts: the car's motion.
        times_us: of its records.
        calibration: of the sensors.
        images: time and file of each image, by camera.
        scans: time and file of each scan.
    """

    name: str
    path: Path
    oxts: Oxts
    times_us: Int[np.ndarray, "t"]
    calibration: KittiCalibration
    images: Mapping[str, list[Timed]]
    scans: list[Timed]

    @property
    def world_from_rect(self) -> Float[np.ndarray, "t 4 4"]:
        """Poses of the rectified camera frame, in which boxes are labelled."""
        poses: Float[np.ndarray, "t 4 4"] = ego_of(self.oxts).world_from_ego @ self.calibration.ego_from_rect
        return poses

    @property
    def world_from_velo(self) -> Float[np.ndarray, "t 4 4"]:
        """Poses of the laser scanner."""
        poses: Float[np.ndarray, "t 4 4"] = ego_of(self.oxts).world_from_ego @ self.calibration.ego_from_velo
        return poses


def log_of(recording: Recording, tracks: Tracks, split: Split | None) -> Log:
    """Return the log of a recording. Images and scans beyond the times of the navigation are left out.

    Raises:
        LogError: a value is not physical, or an image is damaged or of another size than the others of its camera.
    """
    times, ego = recording.times_us, ego_of(recording.oxts)
    check_motion(times, ego.world_from_ego, recording.path)
    x, y, z = recording.oxts.origin.tolist()
    log = Log(
        name=recording.name,
        source="kitti",
        times_us=times,
        ego=ego,
        vehicle=PASSAT,
        tracks=tracks,
        lights=TrafficLights.empty(len(times)),
        road_map=None,
        cameras=cameras_of(recording.calibration, recording.images, recording.path),
        origin=(x, y, z),
        split=split,
        photos=_photos(recording, ego),
        sweeps=_sweeps(recording, ego),
    )
    _tell_missing(recording)
    return check_log(log, recording.path)


def cameras_of(calibration: KittiCalibration, images: Mapping[str, list[Timed]], path: Path) -> tuple[Camera, ...]:
    """Return both colour cameras, at the size of their images.

    Raises:
        LogError: an image is damaged, images differ in size, or the projection is not one of a rectified camera.
    """
    cameras = []
    for name, number in CAMERAS.items():
        sizes = {size_of(file): file for _, file in images[name]}
        if len(sizes) > 1:
            (one, first), (other, second) = list(sizes.items())[:2]
            raise LogError(second, "image", f"is {other[0]}x{other[1]}, {first.name} is {one[0]}x{one[1]}")
        try:
            cameras.append(calibration.camera(number, name, next(iter(sizes), _SIZE)))
        except ValueError as error:
            raise LogError(path, f"calibration of {name}", str(error)) from error
    return tuple(cameras)


def _photos(recording: Recording, ego: Ego) -> tuple[Photo, ...]:
    found = [(camera, time, file) for camera, own in recording.images.items() for time, file in own]
    known = sorted((entry for entry in found if _is_within(entry[1], recording)), key=lambda entry: entry[1])
    poses = _poses_at(recording, ego, [time for _, time, _ in known])
    return tuple(Photo(camera, time, pose, file) for (camera, time, file), pose in zip(known, poses, strict=True))


def _sweeps(recording: Recording, ego: Ego) -> tuple[Sweep, ...]:
    mount, known = (
        recording.calibration.ego_from_velo,
        [scan for scan in recording.scans if _is_within(scan[0], recording)],
    )
    times = np.array([time for time, _ in known], np.int64)
    poses = _poses_at(recording, ego, times.tolist())
    seconds, own = times * 1e-6, recording.times_us * 1e-6
    motion = np.column_stack([ego.velocity, ego.yaw_rate])
    at = np.column_stack([np.interp(seconds, own, column) for column in motion.T])
    return tuple(
        Sweep(time, pose, mount, file, _reader(mount, *row))
        for (time, file), pose, row in zip(known, poses, at.tolist(), strict=True)
    )


def _reader(ego_from_velo: Float[np.ndarray, "4 4"], forward: float, left: float, yaw_rate: float) -> ScanReader:
    """Return the reader of a scan: the scanner moves as the rear axle does, and is swung around it."""
    x, y = ego_from_velo[:2, 3]
    in_ego = np.array([forward - yaw_rate * y, left + yaw_rate * x, 0.0])
    return ScanReader(ego_from_velo, inverse(ego_from_velo)[:3, :3] @ in_ego, yaw_rate)


def _is_within(time: int, recording: Recording) -> bool:
    return bool(recording.times_us[0] <= time <= recording.times_us[-1])


def _poses_at(recording: Recording, ego: Ego, times: list[int]) -> Float[np.ndarray, "q 4 4"]:
    if not times:
        return np.empty((0, 4, 4))
    if len(recording.times_us) < 2:
        return np.repeat(ego.world_from_ego, len(times), axis=0)
    return interpolate_poses(recording.times_us, ego.world_from_ego, np.array(times, np.int64))


def _tell_missing(recording: Recording) -> None:
    steps = len(recording.times_us)
    for what, found in (*recording.images.items(), ("velodyne", recording.scans)):
        if len(found) < steps:
            missing = steps - len(found)
            LOGGER.warning("%s: %d of %d files of %s are not there", recording.name, missing, steps, what)
