"""KITTI as a source, and its odometry: rectified grey stereo pairs, calibration, the left camera's poses.

A sequence folder holds `calib.txt`, the images of the left and of the right camera (`image_0` and `image_1`, or
`image_l` and `image_r`), as PNG files named after their frames, and the poses: `poses.txt` in it, or `poses/NN.txt` two
folders up, as the official archives unpack. Line k of the poses, counted from 0, is frame k (Geiger et al. 2012).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from swerve.data.sources.checks import check_log, check_motion, microseconds
from swerve.data.sources.folder_source import FolderSource
from swerve.data.sources.kitti.car import PASSAT
from swerve.data.sources.kitti.kitti_text import lines_of, numbers_of
from swerve.data.sources.kitti.raw_drive import calibration_files, is_raw, raw_drives, read_raw, read_raw_rig
from swerve.data.sources.kitti.tracking_sequence import (
    is_tracking,
    read_tracking,
    read_tracking_rig,
    tracking_files,
    tracking_sequences,
)
from swerve.data.sources.source import Holding
from swerve.data.storage.checked_image import size_of
from swerve.scenes import FORWARD, Camera, Ego, Log, LogError, Photo, Split, Tracks, TrafficLights
from swerve.scenes.transforms import inverse, rigid_transform

# Position of the left grey camera in the ego frame, from the published setup: 1.65 m above the ground, and 1.08 m ahead
# of the inertial unit, which lies over the rear axle (to about 0.1 m), in the car's centre plane.
_LEFT = np.array([1.08, 0.0, 1.65])
_FOLDERS = {"left": ("image_0", "image_l"), "right": ("image_1", "image_r")}
# Rows of calib.txt.
_ROWS = {"left": 0, "right": 1}
# Frames come at 10 Hz; used where there is no times.txt.
_STEP_US = 100_000
_ORTHONORMAL = 1e-3
# Least length of a step in metres, and number of such steps, to estimate the camera's direction of travel.
_STEP, _STEPS = 0.3, 10


def kitti_source(path: str | Path) -> FolderSource:
    """Open sequences of KITTI odometry or tracking, or drives of its raw data: one of them, or a folder of them."""
    path = Path(path)
    hint = (
        "Odometry is a folder with calib.txt and image_0/ (or image_l/), tracking one with calib/ and oxts/, raw data "
        "DATE/DATE_drive_NNNN_sync"
    )
    return FolderSource(
        path, "kitti", "KITTI sequence", hint, kitti_logs, read_kitti, read_kitti_rig, kitti_files, _absent
    )


def _absent(_: Path) -> frozenset[Holding]:
    """Return what the data set lacks."""
    return frozenset({"map"})


def kitti_logs(path: Path) -> list[Path]:
    """List the sequences and drives at or below a path, in order; empty if there are none.

    Raises:
        LogError: sequences of training and testing have the same names.
    """
    return sequence_folders(path) or tracking_sequences(path) or raw_drives(path)


def read_kitti(folder: Path, split: Split | None = None) -> Log:
    """Read one of `kitti_logs`.

    Raises:
        LogError: a file is missing or malformed.
    """
    if is_tracking(folder):
        return read_tracking(folder, split)
    return read_raw(folder, split) if is_raw(folder) else read_sequence(folder, split)


def kitti_files(folder: Path) -> tuple[Path, ...]:
    """List the files and folders of one of `kitti_logs`; what is missing is told when it is read."""
    if is_tracking(folder):
        found = tracking_files(folder)
    elif is_raw(folder):
        found = [folder, *calibration_files(folder.parent)]
    else:
        found = [folder, _poses_beside(folder)]
    return tuple(path for path in found if path.exists())


def read_kitti_rig(folder: Path) -> tuple[Camera, ...]:
    """Read the cameras of one of `kitti_logs`.

    Raises:
        LogError: a file is missing or malformed.
    """
    if is_tracking(folder):
        return read_tracking_rig(folder)
    return read_raw_rig(folder) if is_raw(folder) else read_rig(folder)


def sequence_folders(path: Path) -> list[Path]:
    """List the sequences at, or in, or in `sequences` in a path, in order; empty if there are none."""
    if _is_sequence(path):
        return [path.absolute()]
    parents = [parent for parent in (path, path / "sequences") if parent.is_dir()]
    return [child for parent in parents for child in sorted(parent.absolute().iterdir()) if _is_sequence(child)]


def read_sequence(folder: Path, split: Split | None = None) -> Log:
    """Read one sequence: ego poses, two cameras and their photos; no tracks, no map.

    The ego frame is placed under the left camera according to the published setup: see `_LEFT`. Its x axis is the
    direction that the camera mostly travels in (a camera may look down by a degree, which puts ground 10 m ahead 0.2 m
    off height zero); the camera is assumed to be upright. The world is the ego frame of frame 0 of the sequence.

    Raises:
        LogError: a file is missing or malformed, a frame has one image of two or none, or images differ in size.
    """
    files = {name: _images(folder, name) for name in _FOLDERS}
    frames = _frames(folder, files)
    times_us = _times(folder, frames)
    path = _poses_file(folder)
    first_from_left = _poses(path, frames)
    ego_from_left = _mount(first_from_left)
    world_from_ego = ego_from_left @ first_from_left @ inverse(ego_from_left)
    check_motion(times_us, world_from_ego, path)
    log = Log(
        name=folder.name,
        source="kitti",
        times_us=times_us,
        ego=Ego.from_poses(world_from_ego, times_us),
        vehicle=PASSAT,
        tracks=Tracks.empty(len(frames)),
        lights=TrafficLights.empty(len(frames)),
        road_map=None,
        cameras=_cameras(folder, _size(files), ego_from_left),
        split=split,
        photos=tuple(
            Photo(camera, int(time), pose, own[frame])
            for frame, time, pose in zip(frames, times_us, world_from_ego, strict=True)
            for camera, own in files.items()
        ),
    )
    return check_log(log, folder)


def read_rig(folder: Path) -> tuple[Camera, ...]:
    """Read both cameras of a sequence, in the frame of its left camera.

    Raises:
        LogError: a file is missing or malformed.
    """
    first = {name: dict([min(_images(folder, name).items())]) for name in _FOLDERS}
    return _cameras(folder, _size(first), rigid_transform(FORWARD, _LEFT))


def _is_sequence(path: Path) -> bool:
    left = any((path / name).is_dir() for name in _FOLDERS["left"])
    return left and any((path / name).exists() for name in ("calib.txt", "poses.txt"))


def _images(folder: Path, camera: str) -> dict[int, Path]:
    """Return the files of a camera by frame."""
    for name in _FOLDERS[camera]:
        if (folder / name).is_dir():
            found = {int(path.stem): path for path in (folder / name).glob("*.png") if path.stem.isdecimal()}
            if not found:
                raise LogError(folder / name, "images", "no PNG file that is named after its frame, as 000000.png is")
            return found
    raise LogError(folder, " or ".join(_FOLDERS[camera]), "no such folder", "Both cameras are needed")


def _frames(folder: Path, files: Mapping[str, Mapping[int, Path]]) -> list[int]:
    """Return the frames, which must be consecutive and have both images."""
    frames = sorted({frame for own in files.values() for frame in own})
    for frame in range(frames[0], frames[-1] + 1):
        for camera, own in files.items():
            if frame not in own:
                raise LogError(folder, f"frame {frame}", f"has no image of the {camera} camera")
    return frames


def _size(files: Mapping[str, Mapping[int, Path]]) -> tuple[int, int]:
    """Return width and height of all images; only the headers are read."""
    sizes: dict[tuple[int, int], Path] = {}
    for path in (path for own in files.values() for path in own.values()):
        sizes.setdefault(size_of(path), path)
        if len(sizes) > 1:
            (one, _), (other, second) = sizes.items()
            problem = f"is {other[0]}x{other[1]}, others {one[0]}x{one[1]}: a camera's images are of one size"
            raise LogError(second, "image", problem)
    return next(iter(sizes))


def _times(folder: Path, frames: Sequence[int]) -> Int[np.ndarray, "t"]:
    path = folder / "times.txt"
    if not path.is_file():
        return np.array(frames, np.int64) * _STEP_US
    return microseconds(_rows(path, 1, frames)[:, 0], path, "seconds")


def _poses_file(folder: Path) -> Path:
    """Return the poses file; the official archives keep the poses of sequence NN in poses/NN.txt beside `sequences`."""
    inside, beside = folder / "poses.txt", _poses_beside(folder)
    if not inside.is_file() and not beside.is_file():
        raise LogError(folder, "poses.txt", f"no such file, nor {beside}", "Sequences 11 to 21 come without poses")
    return inside if inside.is_file() else beside


def _poses_beside(folder: Path) -> Path:
    return folder.parent.parent / "poses" / f"{folder.name}.txt"


def _poses(path: Path, frames: Sequence[int]) -> Float[np.ndarray, "t 4 4"]:
    """Read the poses of the left camera in its frame at frame 0; rotations (seven digits) are orthonormalised."""
    rows = _rows(path, 12, frames).reshape(-1, 3, 4)
    u, _, vt = np.linalg.svd(rows[..., :3])
    rotation = u @ vt
    off = np.abs(rotation - rows[..., :3]).max(axis=(1, 2))
    if (off > _ORTHONORMAL).any() or (np.linalg.det(rotation) < 0).any():
        raise LogError(path, f"line {frames[int(off.argmax())] + 1}", "is not a rigid transform")
    return rigid_transform(rotation, rows[..., 3])


def _mount(first_from_left: Float[np.ndarray, "t 4 4"]) -> Float[np.ndarray, "4 4"]:
    """Compute `ego_from_left` from the median direction of travel of ten steps or more, else straight ahead."""
    steps = np.diff(first_from_left[:, :3, 3], axis=0)
    own = (np.swapaxes(first_from_left[:-1, :3, :3], 1, 2) @ steps[..., None])[..., 0]
    moving = own[own[:, 2] > _STEP]
    if len(moving) < _STEPS:
        return rigid_transform(FORWARD, _LEFT)
    ahead = np.median(moving / np.linalg.norm(moving, axis=1, keepdims=True), axis=0)
    x = ahead / np.linalg.norm(ahead)
    y = np.cross([0.0, -1.0, 0.0], x)  # to the left: the camera's y axis points down
    y /= np.linalg.norm(y)
    return rigid_transform(np.stack([x, y, np.cross(x, y)]), _LEFT)


def _cameras(folder: Path, size: tuple[int, int], ego_from_left: Float[np.ndarray, "4 4"]) -> tuple[Camera, ...]:
    """Build both cameras of P = K [I | t], t from the left camera's frame; principal points count from pixel centres.

    The right camera lies -P[0, 3] / fx from the left one along x.
    """
    path = folder / "calib.txt"
    # Lines may begin with their names: "P0: ...".
    lines = [line.partition(":")[2] or line for line in lines_of(path)]
    cameras = []
    for name, row in _ROWS.items():
        matrix = numbers_of(path, lines, row, 12).reshape(3, 4)
        fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
        if not (min(fx, fy) > 0 and np.allclose(matrix[[0, 1, 2, 2, 2], [1, 0, 0, 1, 2]], [0, 0, 0, 0, 1])):
            raise LogError(path, f"line {row + 1}", "is not the projection of a rectified camera")
        left_from_camera = rigid_transform(np.eye(3), -np.linalg.solve(matrix[:, :3], matrix[:, 3]))
        mount = ego_from_left @ left_from_camera
        cameras.append(Camera(name, *size, float(fx), float(fy), float(cx) + 0.5, float(cy) + 0.5, mount))
    return tuple(cameras)


def _rows(path: Path, width: int, frames: Sequence[int]) -> Float[np.ndarray, "t w"]:
    """Parse the numbers of the frames' lines."""
    lines = lines_of(path)
    if len(lines) <= frames[-1]:
        raise LogError(path, f"line {frames[-1] + 1}", f"there are {len(lines)} lines, and images up to {frames[-1]}")
    return np.stack([numbers_of(path, lines, frame, width) for frame in frames])
