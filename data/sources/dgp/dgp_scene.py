"""One DGP scene: samples of data (images, LiDAR sweeps) that are recorded together, and their calibration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from swerve.data.sources.dgp.dgp_documents import CALIBRATION, SCENE, camera_of, time_us_of, transform_of
from swerve.data.storage.checked_json import read_json
from swerve.data.storage.checked_npz import read_npz
from swerve.scenes import Camera, LogError, Photo, Sweep
from swerve.scenes.transforms import inverse


@dataclass(frozen=True)
class Datum:
    """One image or LiDAR sweep.

    Attributes:
        sensor: name of the sensor.
        time_us: its time.
        source_from_ego: the ego's pose at that time, in the data set's world.
        record: fields of the image or point cloud in the document.
    """

    sensor: str
    time_us: int
    source_from_ego: Float[np.ndarray, "4 4"]
    record: Mapping[str, Any]


@dataclass(frozen=True)
class DgpScene:
    """A scene's samples, in order of time.

    Attributes:
        file: the scene's JSON file.
        calibration_file: that of its sensors.
        mounts: `ego_from_sensor` by sensor.
        intrinsics: fields of the calibration by sensor.
        sweep_data: the LiDAR sweep of each sample.
        image_data: all images, in order of time.
        ontologies: keys of the ontologies by kind of annotation.
    """

    file: Path
    calibration_file: Path
    mounts: Mapping[str, Float[np.ndarray, "4 4"]]
    intrinsics: Mapping[str, Mapping[str, float]]
    sweep_data: tuple[Datum, ...]
    image_data: tuple[Datum, ...]
    ontologies: Mapping[str, str]

    @cached_property
    def times_us(self) -> Int[np.ndarray, "t"]:
        """Times of the samples."""
        return np.array([datum.time_us for datum in self.sweep_data], np.int64)

    @cached_property
    def source_from_ego(self) -> Float[np.ndarray, "t 4 4"]:
        """Poses of the ego at the samples, in the data set's world."""
        return np.stack([datum.source_from_ego for datum in self.sweep_data])

    @cached_property
    def origin(self) -> Float[np.ndarray, "3"]:
        """Origin of the log's world: the first position in whole metres."""
        return np.round(self.source_from_ego[0, :3, 3])

    def cameras(self) -> tuple[Camera, ...]:
        """Return the cameras that have images, in the calibration's order.

        Raises:
            LogError: the images of one differ in size, or its calibration cannot be used.
        """
        sizes: dict[str, tuple[int, int]] = {}
        for datum in self.image_data:
            size = datum.record["width"], datum.record["height"]
            if sizes.setdefault(datum.sensor, size) != size:
                raise LogError(self.file, "width, height", f"images of {datum.sensor} differ in size")
        return tuple(
            camera_of(name, sizes[name], self.intrinsics[name], mount, self.calibration_file)
            for name, mount in self.mounts.items()
            if name in sizes
        )

    def photos(self) -> tuple[Photo, ...]:
        """Return the references to the images."""
        return tuple(
            Photo(datum.sensor, datum.time_us, self.world_from_ego(datum), self.path(datum))
            for datum in self.image_data
        )

    def sweeps(self) -> tuple[Sweep, ...]:
        """Return the references to the LiDAR sweeps; points are taken to be compensated for ego motion."""
        return tuple(
            Sweep(datum.time_us, self.world_from_ego(datum), self.mounts[datum.sensor], self.path(datum), read_points)
            for datum in self.sweep_data
        )

    def world_from_ego(self, datum: Datum) -> Float[np.ndarray, "4 4"]:
        """Return the ego's pose at a datum in the log's world."""
        pose = datum.source_from_ego.copy()
        pose[:3, 3] -= self.origin
        return pose

    def path(self, datum: Datum) -> Path:
        """Return the file of a datum."""
        return self.file.parent / str(datum.record["filename"])


def read_scene(folder: Path) -> DgpScene:
    """Read the scene of a folder and its calibration.

    Raises:
        LogError: there is no scene or several, a file is malformed, a sample lacks a datum that it names or has not
            exactly one LiDAR sweep, or samples differ in calibration.
    """
    file = _scene_file(folder)
    document = read_json(file, SCENE)
    keys = {sample["calibration_key"] for sample in document["samples"]}
    if len(keys) > 1:
        raise LogError(file, "samples.calibration_key", f"{len(keys)} calibrations: a log has one rig")
    calibration = folder / "calibration" / f"{keys.pop()}.json"
    sensors = read_json(calibration, CALIBRATION)
    mounts = _by_sensor(sensors, "extrinsics", calibration)
    transforms = {name: transform_of(pose, calibration) for name, pose in mounts.items()}
    records = {datum["key"]: datum for datum in document["data"]}
    samples = [list(_data(records, sample["datum_keys"], transforms, file)) for sample in document["samples"]]
    sweeps = [_sweep(sample, index, file) for index, sample in enumerate(samples)]
    images = [datum for sample in samples for datum in sample if "width" in datum.record]
    return DgpScene(
        file,
        calibration,
        transforms,
        _by_sensor(sensors, "intrinsics", calibration),
        tuple(sorted(sweeps, key=lambda datum: datum.time_us)),
        tuple(sorted(images, key=lambda datum: (datum.time_us, datum.sensor))),
        document.get("ontologies", {}),
    )


def read_points(path: Path) -> Float32[np.ndarray, "n 3"]:
    """Read the points of a LiDAR sweep in its sensor's frame, metres; `data` holds x, y, z, intensity.

    Raises:
        LogError: the file is missing or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LogError(path, "file", f"cannot be read ({error.strerror})") from error
    points = read_npz(content, path, ["data"])["data"]
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind != "f":
        raise LogError(path, "data", f"is {points.dtype} of {points.shape}, not rows of x, y, z")
    if not np.isfinite(points[:, :3]).all():
        raise LogError(path, "data", "has a point that is not finite")
    found: Float32[np.ndarray, "n 3"] = points[:, :3].astype(np.float32)
    return found


def _scene_file(folder: Path) -> Path:
    files = sorted(folder.glob("scene_*.json"))
    if len(files) != 1:
        raise LogError(folder, "scene_*.json", f"there are {len(files)}: a scene's folder has one")
    return files[0]


def _by_sensor(calibration: Mapping[str, Any], field: str, path: Path) -> dict[str, Any]:
    names, values = calibration["names"], calibration[field]
    if len(values) != len(names) or len(set(names)) < len(names):
        raise LogError(path, field, f"has {len(values)} entries for {len(names)} names, which must be unique")
    return dict(zip(names, values, strict=True))


def _data(
    records: Mapping[str, Any],
    keys: Sequence[str],
    mounts: Mapping[str, Float[np.ndarray, "4 4"]],
    file: Path,
) -> Iterator[Datum]:
    """Yield the images and sweeps of a sample; other kinds of data are not looked at."""
    for key in keys:
        if key not in records:
            raise LogError(file, "samples.datum_keys", f"there is no datum {key}")
        datum, sensor = records[key]["datum"], records[key]["id"]["name"]
        record = datum.get("image") or datum.get("point_cloud")
        if record is None:
            continue
        if sensor not in mounts:
            raise LogError(file, "id.name", f"{sensor} is not in the calibration")
        pose = transform_of(record["pose"], file) @ inverse(mounts[sensor])
        yield Datum(sensor, time_us_of(records[key]["id"]["timestamp"], file), pose, record)


def _sweep(sample: list[Datum], index: int, file: Path) -> Datum:
    """Return the LiDAR sweep of a sample, at whose time it is."""
    sweeps = [datum for datum in sample if "width" not in datum.record]
    if len(sweeps) != 1:
        raise LogError(file, f"samples[{index}]", f"has {len(sweeps)} LiDAR sweeps, not one, which states its time")
    return sweeps[0]
