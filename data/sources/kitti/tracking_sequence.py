"""KITTI tracking: `calib/0001.txt`, `oxts/0001.txt`, `label_02/0001.txt`, `image_02/0001/000000.png`, ...

The data set does not have the times of its frames, of which it says that they come at 10 Hz. They are 103.6 ms apart,
as those of the raw data and of odometry are, from which the sequences are taken: so the poses move as fast as the
velocities beside them say.
"""

from pathlib import Path
from typing import Final

import numpy as np

from swerve.data.sources.kitti.car import KittiCalibration
from swerve.data.sources.kitti.kitti_text import matrix_of, named_numbers, numbered_files, rotation_of
from swerve.data.sources.kitti.labels import read_labels, tracks_of
from swerve.data.sources.kitti.oxts import read_oxts_lines
from swerve.data.sources.kitti.recording import CAMERAS, LOGGER, Recording, Timed, cameras_of, log_of
from swerve.scenes import Camera, Log, LogError, Split, Tracks
from swerve.scenes.transforms import rigid_transform

_STEP_US: Final = 103_600
_FOLDER: Final = "oxts"
_SCANS: Final = "velodyne"


def tracking_sequences(path: Path) -> list[Path]:
    """Return `oxts/NAME` of each sequence in a folder, or in `training` or `testing` in it, in order.

    Raises:
        LogError: both are there, whose sequences have the same names.
    """
    roots = [path, path / "training", path / "testing"]
    there = [root for root in roots if (root / "calib").is_dir() and (root / _FOLDER).is_dir()]
    if len(there) > 1:
        hint = f"Give one of them: {' or '.join(str(root) for root in there)}"
        raise LogError(
            path, "folder", "has the sequences of both training and testing, which have the same names", hint
        )
    return [file.with_suffix("").absolute() for root in there for file in sorted((root / _FOLDER).glob("*.txt"))]


def is_tracking(sequence: Path) -> bool:
    """Test whether a path is one of `tracking_sequences`."""
    return sequence.parent.name == _FOLDER and sequence.with_suffix(".txt").is_file()


def tracking_files(sequence: Path) -> list[Path]:
    """Return the paths of one of `tracking_sequences`: files of poses, labels and calibration, folders of the rest."""
    folders = (*CAMERAS, _SCANS)
    return [
        *(_file(sequence, folder) for folder in (_FOLDER, "calib", "label_02")),
        *(_folder(sequence, folder) for folder in folders),
    ]


def read_tracking(sequence: Path, split: Split | None = None) -> Log:
    """Read one sequence: poses, boxes, both colour cameras, laser scans; what is missing is told in a line.

    Raises:
        LogError: a file is missing or malformed.
    """
    recording = recording_of(sequence)
    steps, file = len(recording.times_us), _file(sequence, "label_02")
    if file.is_file():
        tracks = tracks_of(read_labels(file, steps), recording.world_from_rect, recording.times_us, file)
    else:
        LOGGER.warning("%s: no %s: the log has no boxes", sequence.name, file)
        tracks = Tracks.empty(steps)
    return log_of(recording, tracks, split)


def read_tracking_rig(sequence: Path) -> tuple[Camera, ...]:
    """Read the cameras of a sequence.

    Raises:
        LogError: the calibration or an image is missing or malformed.
    """
    images = {name: _timed(sequence, name, ".png")[:1] for name in CAMERAS}
    return cameras_of(read_calibration(_file(sequence, "calib")), images, sequence)


def recording_of(sequence: Path) -> Recording:
    """Read navigation and calibration of a sequence, and list its files.

    Raises:
        LogError: a file is missing or malformed, or one is of a frame without navigation.
    """
    path = sequence.with_suffix(".txt")
    oxts = read_oxts_lines(path)
    times = np.arange(len(oxts.velocity), dtype=np.int64) * _STEP_US
    images = {name: _timed(sequence, name, ".png") for name in CAMERAS}
    scans = _timed(sequence, _SCANS, ".bin")
    for time, file in [*(entry for own in images.values() for entry in own), *scans]:
        if time > times[-1]:
            raise LogError(path, f"line {time // _STEP_US + 1}", f"is missing: {file} is of that frame")
    return Recording(sequence.name, path, oxts, times, read_calibration(_file(sequence, "calib")), images, scans)


def read_calibration(path: Path) -> KittiCalibration:
    """Read a calibration of the tracking benchmark.

    Raises:
        LogError: it is missing or malformed.
    """
    found = named_numbers(path)
    straight = rotation_of(path, "R_rect", matrix_of(path, found, ("R_rect", "R0_rect"), (3, 3)))
    return KittiCalibration(
        rigid_of(path, found, ("Tr_imu_velo", "Tr_imu_to_velo")),
        rigid_transform(straight, np.zeros(3)) @ rigid_of(path, found, ("Tr_velo_cam", "Tr_velo_to_cam")),
        {number: matrix_of(path, found, (f"P{number}",), (3, 4)) for number in CAMERAS.values()},
    )


def rigid_of(path: Path, found: dict[str, list[float]], names: tuple[str, ...]) -> np.ndarray:
    """Return a rigid transform that has one of some names: three rows of a rotation and a translation.

    Raises:
        LogError: it is missing or malformed.
    """
    rows = matrix_of(path, found, names, (3, 4))
    return rigid_transform(rotation_of(path, names[0], rows[:, :3]), rows[:, 3])


def _file(sequence: Path, folder: str) -> Path:
    return sequence.parent.parent / folder / f"{sequence.name}.txt"


def _folder(sequence: Path, folder: str) -> Path:
    return sequence.parent.parent / folder / sequence.name


def _timed(sequence: Path, folder: str, suffix: str) -> list[Timed]:
    files = numbered_files(_folder(sequence, folder), suffix)
    return [(frame * _STEP_US, file) for frame, file in files.items()]
