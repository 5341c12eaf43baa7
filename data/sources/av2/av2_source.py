"""Argoverse 2 sensor logs: one folder of Feather tables and JSON maps per log."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.data.sources.av2.av2_map import read_map
from swerve.data.sources.av2.av2_tables import (
    EGO_CATEGORY,
    Cuboids,
    lower_origin,
    read_cameras,
    read_cuboids,
    read_points,
    read_poses,
)
from swerve.data.sources.checks import check_log, check_motion
from swerve.data.sources.default_rigs import default_rig
from swerve.data.sources.folder_source import FolderSource
from swerve.data.sources.source import HOLDINGS, Holding
from swerve.data.sources.velocities import causal_velocities
from swerve.scenes import Camera, Ego, Log, LogError, Photo, RoadMap, Split, Sweep, Tracks, TrafficLights, Vehicle
from swerve.scenes.lane_graph import derive_lane_groups, match_route
from swerve.scenes.transforms import interpolate_poses, inverse, rigid_transform, yaw_of

# The recording Ford Fusion, where the log does not annotate it. The annotated box (4.877 x 2.0 x 1.473 m) is centred on
# the rear axle by the annotators, so the axles are the manufacturer's: wheelbase 2.85 m, rear overhang about 1.07 m.
_SIZE = (4.877, 2.0, 1.473)
_WHEELBASE, _REAR_OVERHANG = 2.85, 1.07
_SHORTEST = _WHEELBASE + _REAR_OVERHANG
# Height of the rear axle above the ground where there is no map: the wheel's radius.
_AXLE_HEIGHT = 0.33
_AXLE_HEIGHTS = (0.1, 0.7)
_LONGEST_GAP_US = 1_000_000
_ANNOTATIONS = ("annotations_with_ego.feather", "annotations.feather")
_POSES, _MAP, _CALIBRATION = "city_SE3_egovehicle.feather", "map", "calibration"
_SPLITS = ("train", "val", "test")


def av2_source(path: str | Path) -> FolderSource:
    """Open a log folder, a folder of log folders, or one with train, val and test folders of them."""
    path = Path(path)
    hint = f"A log is a folder with {_POSES} and {_MAP}/"
    return FolderSource(path, "av2", "Argoverse 2 log", hint, log_folders, read_log, read_rig, find_absent=_absent)


def log_folders(path: Path) -> list[Path]:
    """List the log folders at, in, or in the split folders in `path`, in order; empty if there are none."""
    if _is_log(path):
        return [path.absolute()]
    parents = [path, *(path / split for split in _SPLITS)]
    return [
        child
        for parent in parents
        if parent.is_dir()
        for child in sorted(parent.absolute().iterdir())
        if _is_log(child)
    ]


def _absent(folder: Path) -> frozenset[Holding]:
    """Return what a log lacks; photos belong to a rig, and are not read without its calibration."""
    pictured = (folder / _CALIBRATION).is_dir() and any((folder / "sensors" / "cameras").glob("*/*.jpg"))
    there = {"photographs": pictured, "map": (folder / _MAP).is_dir()}
    return frozenset(name for name in HOLDINGS if not there[name])


def _is_log(path: Path) -> bool:
    tables = any((path / name).exists() for name in (*_ANNOTATIONS, _POSES))
    return tables or any((path / _MAP).glob("log_map_archive_*.json"))


def read_log(folder: Path, split: Split | None = None) -> Log:
    """Read one log, with a step at each annotated LiDAR sweep.

    The data set's ego frame has its origin at the rear axle; Swerve's lies on the ground below. The height between them
    is estimated once per log: the median of the axle's height above the ground raster along the path (0.33 m without a
    map). Camera mountings and ego poses are converted accordingly. Boxes are transformed to the world with the pose of
    their own sweep, interpolated from the full-rate poses. Velocities: `velocities.velocities_of`. Logs without
    calibration get `default_rigs.default_rig`, and no photos, as these belong to the missing rig.

    Raises:
        LogError: a file is missing or malformed.
    """
    folder = folder.absolute()
    pose_times, city_from_axle = read_poses(folder / _POSES)
    annotations = folder / next((name for name in _ANNOTATIONS if (folder / name).exists()), _ANNOTATIONS[1])
    cuboids = read_cuboids(annotations)
    times_us = cuboids.sweeps_us
    alone = np.flatnonzero(~_between_poses(times_us, pose_times))
    if len(alone):
        problem = f"the sweep at {times_us[alone[0]]} us does not lie between poses of {_POSES} at most 1 s apart"
        raise LogError(annotations, "timestamp_ns", problem)
    origin = np.round(city_from_axle[0, :3, 3])
    world_from_axle = rigid_transform(city_from_axle[:, :3, :3], city_from_axle[:, :3, 3] - origin)
    at_steps = interpolate_poses(pose_times, world_from_axle, times_us)
    check_motion(times_us, at_steps, folder / _POSES)
    road_map = derive_lane_groups(read_map(folder / _MAP, origin)) if (folder / _MAP).is_dir() else None
    height = _axle_height(road_map, at_steps, folder / _MAP)
    axle_from_ego = rigid_transform(np.eye(3), np.array([0.0, 0.0, -height]))
    ego = Ego.from_poses(at_steps @ axle_from_ego, times_us)
    world_from_ego = world_from_axle @ axle_from_ego
    calibrated = (folder / _CALIBRATION).is_dir()
    cameras = lower_origin(read_rig(folder), height) if calibrated else default_rig()
    log = Log(
        name=folder.name,
        source="av2",
        times_us=times_us,
        ego=ego,
        vehicle=_vehicle(cuboids, annotations),
        tracks=_tracks(cuboids, times_us, at_steps, annotations),
        lights=TrafficLights.empty(len(times_us)),
        road_map=road_map,
        cameras=cameras,
        route=match_route(road_map, ego) if road_map else (),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        split=split,
        photos=_photos(folder, cameras, pose_times, world_from_ego) if calibrated else (),
        sweeps=_sweeps(folder, inverse(axle_from_ego), pose_times, world_from_ego),
    )
    return check_log(log, folder)


def read_rig(folder: Path) -> tuple[Camera, ...]:
    """Read the cameras of a log, mounted in the data set's ego frame; the default rig without calibration.

    Raises:
        LogError: a table is malformed.
    """
    calibration = folder / _CALIBRATION
    return read_cameras(calibration) if calibration.is_dir() else default_rig()


def _between_poses(times_us: Int[np.ndarray, "q"], pose_times: Int[np.ndarray, "p"]) -> Bool[np.ndarray, "q"]:
    """Test whether each time is a pose's, or between two that are near enough to interpolate."""
    before = np.searchsorted(pose_times, times_us, side="right") - 1
    after = np.searchsorted(pose_times, times_us, side="left")
    inside = (before >= 0) & (after < len(pose_times))
    gap = pose_times[np.minimum(after, len(pose_times) - 1)] - pose_times[np.maximum(before, 0)]
    between: Bool[np.ndarray, "q"] = inside & (gap <= _LONGEST_GAP_US)
    return between


def _vehicle(cuboids: Cuboids, path: Path) -> Vehicle:
    length, width, height = _SIZE if cuboids.ego_size is None else (float(size) for size in cuboids.ego_size)
    try:
        return Vehicle("ford_fusion", length, width, height, _WHEELBASE, _REAR_OVERHANG)
    except ValueError as error:
        problem = f"{EGO_CATEGORY} of {length} x {width} x {height} m cannot be: its axles need {_SHORTEST} m of length"
        raise LogError(path, "length_m, width_m, height_m", problem) from error


def _axle_height(road_map: RoadMap | None, world_from_axle: Float[np.ndarray, "t 4 4"], path: Path) -> float:
    """Estimate the height of the rear axle above the ground, in metres."""
    if road_map is None:
        return _AXLE_HEIGHT
    positions = world_from_axle[:, :3, 3]
    height = float(np.median(positions[:, 2] - road_map.ground.at(positions[:, :2])))
    if not _AXLE_HEIGHTS[0] <= height <= _AXLE_HEIGHTS[1]:
        raise LogError(path, "ground height", f"the rear axle would be {height:.2f} m above the ground, not about 0.33")
    return height


def _tracks(
    cuboids: Cuboids, times_us: Int[np.ndarray, "t"], world_from_axle: Float[np.ndarray, "t 4 4"], path: Path
) -> Tracks:
    """Convert rows of cuboids to arrays over tracks and steps."""
    ids = tuple(dict.fromkeys(cuboids.track_ids))
    number = {track: row for row, track in enumerate(ids)}
    row = np.array([number[track] for track in cuboids.track_ids], int)
    step = np.searchsorted(times_us, cuboids.times_us)
    shape = (len(ids), len(times_us))
    valid = np.zeros(shape, bool)
    valid[row, step] = True
    if valid.sum() < len(row):
        raise LogError(path, "track_uuid", "a track has two cuboids at one time")
    world_from_box = world_from_axle[step] @ cuboids.ego_from_box
    classes, headings = np.zeros(len(ids), np.uint8), np.zeros(shape)
    positions, sizes = np.zeros((*shape, 3)), np.zeros((*shape, 3))
    classes[row] = cuboids.classes
    positions[row, step] = world_from_box[:, :3, 3]
    headings[row, step] = yaw_of(world_from_box)
    sizes[row, step] = cuboids.sizes
    return Tracks(ids, classes, positions, headings, sizes, causal_velocities(positions, valid, times_us), valid)


def _photos(
    folder: Path,
    cameras: tuple[Camera, ...],
    pose_times: Int[np.ndarray, "p"],
    world_from_ego: Float[np.ndarray, "p 4 4"],
) -> tuple[Photo, ...]:
    """Return the cameras' images with the ego's pose at their times; those outside the poses' range are left out."""
    files = [
        (camera.name, _time_of(file), file)
        for camera in cameras
        for file in sorted((folder / "sensors" / "cameras" / camera.name).glob("*.jpg"))
    ]
    files = [entry for entry in files if _has_pose(entry[1], pose_times)]
    if not files:
        return ()
    poses = interpolate_poses(pose_times, world_from_ego, np.array([time for _, time, _ in files]))
    return tuple(Photo(name, time, pose, file) for (name, time, file), pose in zip(files, poses, strict=True))


def _sweeps(
    folder: Path,
    ego_from_axle: Float[np.ndarray, "4 4"],
    pose_times: Int[np.ndarray, "p"],
    world_from_ego: Float[np.ndarray, "p 4 4"],
) -> tuple[Sweep, ...]:
    """Return the LiDAR sweeps in order of time; those outside the poses' range are left out."""
    files = sorted((_time_of(file), file) for file in (folder / "sensors" / "lidar").glob("*.feather"))
    files = [entry for entry in files if _has_pose(entry[0], pose_times)]
    if not files:
        return ()
    poses = interpolate_poses(pose_times, world_from_ego, np.array([time for time, _ in files]))
    sweeps = zip(files, poses, strict=True)
    return tuple(Sweep(time, pose, ego_from_axle, file, read_points) for (time, file), pose in sweeps)


def _has_pose(time_us: int, pose_times: Int[np.ndarray, "p"]) -> bool:
    inside = pose_times[0] <= time_us <= pose_times[-1]  # a time outside may not even fit 64 bits
    return bool(inside and _between_poses(np.array([time_us]), pose_times)[0])


def _time_of(file: Path) -> int:
    if not file.stem.isdecimal():
        raise LogError(file, "file name", "is not a time in nanoseconds")
    return int(file.stem) // 1000
