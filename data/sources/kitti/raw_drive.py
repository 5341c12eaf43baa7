"""KITTI's raw data, synchronized and rectified: `DATE/DATE_drive_NNNN_sync`, beside `DATE/calib_*.txt`.

Each sensor has its own times (`timestamps.txt`); steps are the records of the navigation.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int

from swerve.data.sources.kitti.car import KittiCalibration
from swerve.data.sources.kitti.kitti_text import lines_of, matrix_of, named_numbers, numbered_files, rotation_of
from swerve.data.sources.kitti.oxts import read_oxts_files
from swerve.data.sources.kitti.recording import CAMERAS, LOGGER, Recording, Timed, cameras_of, log_of
from swerve.data.sources.kitti.tracklets import read_tracklets, tracks_of
from swerve.scenes import Camera, Log, LogError, Split, Tracks
from swerve.scenes.transforms import rigid_transform

_NAME: Final = re.compile(r"\d{4}_\d\d_\d\d_drive_\d{4}_sync")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,9}))?")
_TRACKLETS: Final = "tracklet_labels.xml"


def raw_drives(path: Path) -> list[Path]:
    """Return the drives at, in, or in the folders in a path, in order."""
    if is_raw(path):
        return [path.absolute()]
    if not path.is_dir():
        return []
    below = [child for child in sorted(path.absolute().iterdir()) if child.is_dir()]
    inner = [own for child in below if re.fullmatch(r"\d{4}_\d\d_\d\d", child.name) for own in sorted(child.iterdir())]
    return [folder for folder in (*below, *inner) if is_raw(folder)]


def is_raw(folder: Path) -> bool:
    """Test whether a folder is a synchronized drive."""
    return bool(_NAME.fullmatch(folder.absolute().name)) and (folder / "oxts" / "data").is_dir()


def read_raw(folder: Path, split: Split | None = None) -> Log:
    """Read one drive: poses, both colour cameras, laser scans, and boxes if it has tracklets.

    Raises:
        LogError: a file is missing or malformed.
    """
    recording = _recording(folder)
    path = folder / _TRACKLETS
    if path.is_file():
        tracks = tracks_of(read_tracklets(path), recording.world_from_velo, recording.times_us, path)
    else:
        LOGGER.warning("%s: no %s: the log has no boxes", folder.name, _TRACKLETS)
        tracks = Tracks.empty(len(recording.times_us))
    return log_of(recording, tracks, split)


def read_raw_rig(folder: Path) -> tuple[Camera, ...]:
    """Read the cameras of a drive.

    Raises:
        LogError: a calibration or an image is missing or malformed.
    """
    files = {name: list(numbered_files(folder / name / "data", ".png").values())[:1] for name in CAMERAS}
    images = {name: [(0, file) for file in own] for name, own in files.items()}
    return cameras_of(read_calibration(folder.parent), images, folder)


def _recording(folder: Path) -> Recording:
    oxts = numbered_files(folder / "oxts" / "data", ".txt")
    if list(oxts) != list(range(len(oxts))) or not oxts:
        raise LogError(folder / "oxts" / "data", "files", f"must be numbered from 0 on; there are {len(oxts)}")
    times = _times(folder / "oxts", oxts)
    images = {name: _timed(folder / name, ".png") for name in CAMERAS}
    calibration, motion = read_calibration(folder.parent), read_oxts_files(list(oxts.values()))
    scans = _timed(folder / "velodyne_points", ".bin")
    return Recording(folder.name, folder / "oxts", motion, times, calibration, images, scans)


def calibration_files(folder: Path) -> list[Path]:
    """Return the paths of the calibration of a day: of the cameras, the laser scanner and the inertial unit."""
    return [folder / f"calib_{name}.txt" for name in ("cam_to_cam", "velo_to_cam", "imu_to_velo")]


def read_calibration(folder: Path) -> KittiCalibration:
    """Read the three calibration files of a day.

    Raises:
        LogError: one is missing or malformed.
    """
    cam, velo, imu = calibration_files(folder)
    cameras = named_numbers(cam)
    straight = rotation_of(cam, "R_rect_00", matrix_of(cam, cameras, ("R_rect_00",), (3, 3)))
    return KittiCalibration(
        _rigid(imu),
        rigid_transform(straight, np.zeros(3)) @ _rigid(velo),
        {number: matrix_of(cam, cameras, (f"P_rect_{number:02d}",), (3, 4)) for number in CAMERAS.values()},
    )


def _rigid(path: Path) -> np.ndarray:
    found = named_numbers(path)
    rotation = rotation_of(path, "R", matrix_of(path, found, ("R",), (3, 3)))
    return rigid_transform(rotation, matrix_of(path, found, ("T",), (3, 1))[:, 0])


def _timed(folder: Path, suffix: str) -> list[Timed]:
    files = numbered_files(folder / "data", suffix)
    return list(zip(_times(folder, files).tolist(), files.values(), strict=True)) if files else []


def _times(folder: Path, frames: Sequence[int] | dict[int, Path]) -> Int[np.ndarray, "f"]:
    """Return the times of some frames, microseconds."""
    path = folder / "timestamps.txt"
    lines = lines_of(path)
    times = []
    for frame in frames:
        found = _TIME.fullmatch(lines[frame].strip()) if frame < len(lines) else None
        try:
            whole = datetime.fromisoformat(found[1] if found else "").replace(tzinfo=UTC)
        except ValueError as error:
            raise LogError(path, f"line {frame + 1}", "is not a time such as 2011-09-26 13:02:25.964389445") from error
        fraction = ((found[2] or "") if found else "").ljust(9, "0")
        times.append(int(whole.timestamp()) * 1_000_000 + round(int(fraction) / 1000))
    return np.array(times, np.int64)
