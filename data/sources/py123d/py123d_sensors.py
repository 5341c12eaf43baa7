"""Cameras, photos and LiDAR sweeps of 123D: in files of the data set itself, or within the Arrow files."""

import logging
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds
from jaxtyping import Float32

from swerve.data.sources.av2.av2_tables import read_points
from swerve.data.sources.nuplan.point_cloud import read_surroundings
from swerve.data.sources.py123d.arrow_file import ArrowFile, read_arrow
from swerve.data.sources.py123d.py123d_ego import EgoFrame, pose_of, transforms_of
from swerve.scenes import Camera, Lens, LensModel, LogError, Photo, Sweep
from swerve.scenes.transforms import inverse

LOGGER = logging.getLogger("swerve")
# Where py123d looks for the files of a data set: a variable of the environment, and a folder in it.
_ROOTS: Final[Mapping[str, tuple[str, str]]] = {
    "av2-sensor": ("AV2_DATA_ROOT", "sensor"),
    "nuplan": ("NUPLAN_SENSOR_ROOT", ""),
    "nuscenes": ("NUSCENES_DATA_ROOT", ""),
    "wod-perception": ("WOD_PERCEPTION_DATA_ROOT", ""),
    "pandaset": ("PANDASET_DATA_ROOT", ""),
    "kitti360": ("KITTI360_DATA_ROOT", ""),
    "nureasoning": ("NUREASONING_DATA_ROOT", ""),
    "griffin": ("GRIFFIN_DATA_ROOT", ""),
    "truckdrive": ("TRUCKDRIVE_DATA_ROOT", ""),
}
# Readers of point clouds of the data sets, in the frame of the inertial unit, by the files' suffix.
_READERS: Final = {".feather": read_points, ".pcd": read_surroundings}
_COLOR: Final = "camera."
# Beginning of an Arrow stream, the form of point clouds that is read.
_STREAM: Final = b"\xff\xff\xff\xff"


def read_cameras(folder: Path, frame: EgoFrame) -> tuple[Camera, ...]:
    """Read the pinhole cameras of a log, in the order of their files; those of other models are named in a warning.

    Raises:
        LogError: a file is malformed.
    """
    found, others = [], []
    for file in _files(folder, _COLOR):
        if file.metadata.get("camera_model") == "pinhole":
            found.append(_camera(file, frame))
        else:
            others.append(f"{_name(file)} ({file.metadata.get('camera_model')})")
    if others:
        LOGGER.warning("%s: cameras of a lens model that is not read: %s", folder.name, ", ".join(others))
    return tuple(found)


def read_photos(folder: Path, cameras: tuple[Camera, ...], frame: EgoFrame, dataset: str) -> tuple[Photo, ...]:
    """Return the cameras' images with the ego's pose at their times.

    The pose is that of the camera in the file, taken back to the ego, or else interpolated. Images that are frames of a
    video, and those of a data set that is not on disk, are left out with a warning.

    Raises:
        LogError: a file is malformed.
    """
    known = {camera.name: camera for camera in cameras}
    photos: list[Photo] = []
    for file in _files(folder, _COLOR):
        if _name(file) in known:
            photos += _photos_of(file, known[_name(file)], frame, _roots(folder, dataset))
    return tuple(photos)


def read_sweeps(folder: Path, frame: EgoFrame, dataset: str) -> tuple[Sweep, ...]:
    """Return the LiDAR sweeps: of the merged sensor, or else of the first; points are in the inertial unit's frame.

    Sweeps of a data set that is not on disk are left out with a warning; so are those in a file of a kind that is not
    read.

    Raises:
        LogError: a file is malformed.
    """
    files = sorted(_files(folder, "lidar."), key=lambda file: file.key != "lidar.lidar_merged")
    if not files:
        return ()
    file = files[0]
    times, data = file.times_us(), file.column("data")
    places = _places(file, _roots(folder, dataset), "sweeps") if kinds.is_string(data.type) else None
    others = {path.suffix for path in places or () if path is not None and path.suffix not in _READERS}
    if others:
        LOGGER.warning("%s: LiDAR files that are not read: *%s", file.path.name, ", *".join(sorted(others)))
    sweeps = []
    for row, time in enumerate(times):
        path = file.path if places is None else places[row]
        if path is None or (places is not None and path.suffix not in _READERS):
            continue
        decode = partial(read_embedded, key=file.key, row=row) if places is None else _READERS[path.suffix]
        pose = frame.world_from_ego(times[row : row + 1])[0]
        sweeps.append(Sweep(int(time), pose, inverse(frame.imu_from_ego), path, decode))
    return tuple(sweeps)


def read_embedded(path: Path, key: str, row: int) -> Float32[np.ndarray, "n 3"]:
    """Read the points of a sweep that a row of an Arrow file holds, as an Arrow stream with columns x, y, z.

    Raises:
        LogError: the file is damaged, or holds the points in another form (LAZ, Draco).
    """
    content = read_arrow(path).table[f"{key}.data"][row].as_py() or b""
    field = f"{key}.data, row {row}"
    if not content.startswith(_STREAM):
        raise LogError(path, field, "is not an Arrow stream", "Convert the log with lidar_codec=ipc_zstd")
    try:
        table = pa.ipc.open_stream(content).read_all()
        # Arrow believes the lengths in the stream, and would read beyond its end.
        table.validate(full=True)
        columns = [table[axis].to_numpy() for axis in "xyz"]
        points = np.stack(columns, axis=-1).astype(np.float32)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise LogError(path, field, f"is damaged ({error})") from error
    if not np.isfinite(points).all():
        raise LogError(path, field, "has a point that is not finite")
    return points


def _files(folder: Path, prefix: str) -> list[ArrowFile]:
    return [read_arrow(path) for path in sorted(folder.glob(f"{prefix}*.arrow"))]


def _name(file: ArrowFile) -> str:
    return str(file.metadata.get("camera_name") or file.key.removeprefix(_COLOR))


def _camera(file: ArrowFile, frame: EgoFrame) -> Camera:
    """Return a pinhole camera; of images that are undistorted, the distortion is only informational."""
    about, mount = file.metadata, inverse(frame.imu_from_ego) @ pose_of(file, "camera_to_imu_se3")
    try:
        fx, fy, cx, cy = (float(value) for value in about["intrinsics"][:4])
        bent = () if about.get("is_undistorted") else tuple(float(value) for value in about.get("distortion") or ())
        lens = Lens(LensModel.BROWN, bent) if any(bent) else Lens()
        size = int(about["width"]), int(about["height"])
        return Camera(_name(file), *size, fx, fy, cx + 0.5, cy + 0.5, mount, lens)
    except (KeyError, TypeError, ValueError) as error:
        raise LogError(file.path, "metadata", f"is no calibration of a camera ({error})") from error


def _photos_of(file: ArrowFile, camera: Camera, frame: EgoFrame, roots: list[Path]) -> list[Photo]:
    times, data = file.times_us(), file.column("data")
    poses = file.vectors("camera_to_global_se3", 7)
    where: list[dict[str, Any] | None]
    if kinds.is_string(data.type):
        where = [None if path is None else {"file": path} for path in _places(file, roots, "images")]
    elif kinds.is_binary(data.type):
        where = list(_embedded(file))
    else:
        LOGGER.warning("%s: %d images are frames of a video, which are not read", file.path.name, len(data))
        return []
    ego_from_world = inverse(camera.ego_from_camera)
    photos = []
    for row, place in enumerate(where):
        if place is None:
            continue
        if np.isfinite(poses[row]).all():
            relative = poses[row : row + 1] - [*frame.origin, 0, 0, 0, 0]
            pose = transforms_of(relative, file)[0] @ ego_from_world
        else:
            pose = frame.world_from_ego(times[row : row + 1])[0]
        photos.append(Photo(camera.name, int(times[row]), pose, **place))
    return photos


def _embedded(file: ArrowFile) -> Iterator[dict[str, Any] | None]:
    """Yield the file, first byte and number of bytes of each image in a table; None in rows without one.

    Raises:
        LogError: the table is compressed, so that its images are not in the file as they are.
    """
    with pa.memory_map(str(file.path)) as source:
        whole = source.read_buffer()
        column = pa.ipc.open_file(pa.BufferReader(whole)).read_all()[f"{file.key}.data"]
    for chunk in (chunk for chunk in column.chunks if len(chunk)):
        _, offsets, values = chunk.buffers()
        if values is not None and not whole.address <= values.address < whole.address + whole.size:
            raise LogError(file.path, f"{file.key}.data", "is compressed", "Convert the log without ipc_compression")
        ends = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        for row in range(len(chunk)):
            if not chunk[row].is_valid:
                yield None
                continue
            first = int(values.address - whole.address + ends[row])
            yield {"file": file.path, "offset": first, "num_bytes": int(ends[row + 1] - ends[row])}


def _roots(folder: Path, dataset: str) -> list[Path]:
    """Return the folders in which files of a data set are looked for: that of its variable, and `sensors` above."""
    variable, below = _ROOTS.get(dataset, ("", ""))
    named = [Path(os.environ[variable]) / below, Path(os.environ[variable])] if os.environ.get(variable) else []
    return [*named, *(parent / "sensors" for parent in folder.absolute().parents[:4])]


def _places(file: ArrowFile, roots: list[Path], what: str) -> list[Path | None]:
    """Return the file of each row of a column of relative paths; None for those that are not on disk.

    Raises:
        LogError: a path leads out of the data set's folder.
    """
    found: list[Path | None] = []
    for name in file.column("data").to_pylist():
        pure = PurePosixPath(name or "")
        if pure.is_absolute() or ".." in pure.parts:
            raise LogError(file.path, f"{file.key}.data", f"leads out of the data set's folder: {name!r}")
        found.append(next((root / pure for root in roots if name and (root / pure).is_file()), None))
    if missing := sum(path is None for path in found):
        variables = ", ".join(sorted({variable for variable, _ in _ROOTS.values()}))
        LOGGER.warning(
            "%s: %d of %d %s are not on disk; the data set is looked for in the folder that one of %s names",
            *(file.path.name, missing, len(found), what, variables),
        )
    return found
