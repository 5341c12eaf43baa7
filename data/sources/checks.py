"""Validation of logs, independent of their source."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.scenes import LightState, Log, LogError, ObjectClass, RoadMap, Tracks
from swerve.scenes.printable import name_problem
from swerve.scenes.transforms import not_rigid

# Physical limits of recordings: metres from the log's origin, metres of a box (trams are 60 m long), m/s.
_WIDEST = 1e5
_LONGEST = 100.0
_FASTEST_EGO, _FASTEST_TRACK = 100.0, 150.0
_LATEST = 1e12  # seconds; 64 bits hold nine times as many microseconds


def check_log(log: Log, path: str | Path) -> Log:
    """Validate a log and return it.

    Args:
        log: log to validate.
        path: file of the log, for the message.

    Raises:
        LogError: names the first invalid field: times that do not increase, arrays of inconsistent shapes, non-finite
            numbers, poses that are not rigid transforms, boxes without size, names that are no printable text or occur
            twice, a map without lanes and surfaces, groups of lanes that it lacks, a route of groups that it lacks,
            photos of unknown cameras, sweeps out of order; and values beyond physical limits: anything
            further than 100 km from the origin, boxes longer than 100 m, an ego faster than 100 m/s, tracks faster than
            150 m/s.
    """
    for check in _CHECKS:
        for field, problem in check(log):
            raise LogError(path, field, problem)
    return log


def check_motion(times_us: Int[np.ndarray, "t"], world_from_ego: Float[np.ndarray, "p 4 4"], path: str | Path) -> None:
    """Validate the times and the ego's poses as `check_log` does, for readers that derive data from them.

    Raises:
        LogError: naming "times_us" or "ego.world_from_ego" and the first step that is invalid.
    """
    for field, problem in _motion(times_us, world_from_ego):
        raise LogError(path, field, problem)


def microseconds(seconds: Float[np.ndarray, "t"], path: str | Path, field: str) -> Int[np.ndarray, "t"]:
    """Convert times in seconds to integer microseconds.

    Raises:
        LogError: a time is not finite, or beyond 10^12 seconds.
    """
    bad = np.flatnonzero(~(np.abs(seconds) < _LATEST))
    if len(bad):
        raise LogError(path, field, f"is not a time in seconds: {seconds[bad[0]]} at index {bad[0]}")
    return np.round(seconds * 1e6).astype(np.int64)


Problems = Iterator[tuple[str, str]]


def _motion(times_us: Int[np.ndarray, "t"], world_from_ego: Float[np.ndarray, "p 4 4"]) -> Problems:
    if not len(times_us):
        yield "times_us", "the log has no steps"
    falling = np.flatnonzero(times_us[1:] <= times_us[:-1])
    if len(falling):
        yield "times_us", f"times do not increase from step {falling[0]} to the next"
    field, positions = "ego.world_from_ego", world_from_ego[:, :3, 3]
    if len(world_from_ego) != len(times_us):
        yield field, f"has {len(world_from_ego)} steps, the log has {len(times_us)}"
    if not np.isfinite(world_from_ego).all():
        yield field, f"is not finite at step {_first(~np.isfinite(world_from_ego))}"
    bent = not_rigid(world_from_ego)
    if bent.any():
        yield field, f"is not a rigid transform at step {_first(bent)}"
    if np.abs(positions).max() > _WIDEST:
        yield field, f"leads further than 100 km from the origin at step {_first(np.abs(positions) > _WIDEST)}"
    speeds = np.linalg.norm(np.diff(positions, axis=0), axis=1) / (np.diff(times_us) * 1e-6)
    if (speeds > _FASTEST_EGO).any():
        step = _first(speeds > _FASTEST_EGO)
        yield field, f"moves at {speeds[step]:.0f} m/s from step {step} to the next, more than {_FASTEST_EGO:.0f}"


def _names(log: Log) -> Problems:
    if problem := name_problem(log.name):
        yield "name", problem
    yield from _unique("tracks.ids", log.tracks.ids)
    yield from _unique("cameras", [camera.name for camera in log.cameras])
    if log.road_map is not None:
        yield from _unique("road_map.lanes", [lane.id for lane in log.road_map.lanes])
        yield from _unique("road_map.lane_groups", [group.id for group in log.road_map.lane_groups])


def _ego(log: Log) -> Problems:
    yield from _motion(log.times_us, log.ego.world_from_ego)
    for name in ("velocity", "acceleration", "yaw_rate"):
        values = getattr(log.ego, name)
        if len(values) != len(log.times_us):
            yield f"ego.{name}", f"has {len(values)} steps, the log has {len(log.times_us)}"
        if not np.isfinite(values).all():
            yield f"ego.{name}", f"is not finite at step {_first(~np.isfinite(values))}"
    if log.vehicle.size.max() > _LONGEST:
        yield "vehicle", f"measures {log.vehicle.size.max():.0f} m, more than {_LONGEST:.0f}"


def _tracks(log: Log) -> Problems:
    tracks, shape = log.tracks, (len(log.tracks.ids), len(log.times_us))
    for name in ("valid", "positions", "headings", "sizes", "velocities"):
        values = getattr(tracks, name)
        if values.shape[:2] != shape:
            yield f"tracks.{name}", f"is for {values.shape[:2]} tracks and steps, not {shape}"
        finite = np.isfinite(values).all(axis=tuple(range(2, values.ndim)))
        yield from _somewhere(tracks, f"tracks.{name}", ~finite & tracks.valid, "is not finite")
    if log.annotated_us is not None and (np.diff(log.annotated_us) <= 0).any():
        yield "annotated_us", "times of annotations do not increase"
    if len(tracks.classes) != len(tracks.ids):
        yield "tracks.classes", f"is for {len(tracks.classes)} tracks, not {len(tracks.ids)}"
    if len(tracks.classes) and tracks.classes.max() > max(ObjectClass):
        yield "tracks.classes", f"has {tracks.classes.max()}, which is no class"


def _boxes(log: Log) -> Problems:
    tracks, valid = log.tracks, log.tracks.valid
    flat, long = (tracks.sizes <= 0).any(axis=2), (tracks.sizes > _LONGEST).any(axis=2)
    yield from _somewhere(tracks, "tracks.sizes", flat & valid, "is a box without size")
    yield from _somewhere(tracks, "tracks.sizes", long & valid, f"is a box longer than {_LONGEST:.0f} m")
    positions = np.where(valid[..., None], tracks.positions, 0.0)
    far = (np.abs(positions) > _WIDEST).any(axis=2)
    yield from _somewhere(tracks, "tracks.positions", far, "is further than 100 km from the origin")
    moved = np.linalg.norm(np.diff(positions, axis=1), axis=2)
    jump = (moved > _FASTEST_TRACK * np.diff(log.times_us) * 1e-6) & valid[:, 1:] & valid[:, :-1]
    too_fast = f"moves faster than {_FASTEST_TRACK:.0f} m/s"
    yield from _somewhere(tracks, "tracks.positions", jump, f"{too_fast} to the next step")
    fast = (np.abs(np.where(valid[..., None], tracks.velocities, 0.0)) > _FASTEST_TRACK).any(axis=2)
    yield from _somewhere(tracks, "tracks.velocities", fast, too_fast)


def _somewhere(tracks: Tracks, field: str, bad: Bool[np.ndarray, "n t"], problem: str) -> Problems:
    """Yield the problem for the first track and step that have it."""
    if bad.any():
        row, step = np.argwhere(bad)[0]
        yield field, f"track {tracks.ids[row]} at step {step} {problem}"


def _lights(log: Log) -> Problems:
    lights, steps = log.lights, len(log.times_us)
    if lights.states.shape != (len(lights.lane_ids), steps):
        yield "lights.states", f"is for {lights.states.shape} heads and steps, not {(len(lights.lane_ids), steps)}"
    for name in ("positions", "headings"):
        values = getattr(lights, name)
        if len(values) != len(lights.lane_ids) or not np.isfinite(values).all():
            yield f"lights.{name}", "is not finite, or not one per head"
    if lights.states.size and lights.states.max() > max(LightState):
        yield "lights.states", f"has {lights.states.max()}, which is no state"
    if (np.abs(lights.positions) > _WIDEST).any():
        yield "lights.positions", "is further than 100 km from the origin"


def _map(log: Log) -> Problems:
    if log.road_map is None:
        return
    if not log.road_map.lanes and not log.road_map.drivable_areas:
        yield "road_map", "is empty: no lanes and no drivable areas"
    for lane in log.road_map.lanes:
        if lane.speed_limit is not None and not 0 <= lane.speed_limit <= _FASTEST_EGO:
            yield "road_map.lanes.speed_limit", f"is {lane.speed_limit} m/s for lane {lane.id}"
    for name, lines, least in _lines(log.road_map):
        for line in lines:
            if not np.isfinite(line).all() or len(line) < least:
                yield f"road_map.{name}", f"needs {least} finite points or more, has {len(line)}"
            if np.abs(line).max() > _WIDEST:
                yield f"road_map.{name}", "has a point further than 100 km from the origin"
    yield from _groups(log.road_map)
    known = log.road_map.group_by_id
    yield from (("route", f"there is no lane group {group}") for group in log.route if group not in known)


def _groups(road_map: RoadMap) -> Problems:
    for group in road_map.lane_groups:
        for lane in group.lane_ids:
            if lane not in road_map.lane_by_id:
                yield "road_map.lane_groups", f"{group.id} has lane {lane}, which the map lacks"


def _lines(road_map: RoadMap) -> Iterator[tuple[str, list[np.ndarray], int]]:
    """Yield name, lines and least number of points of every kind of line in a map."""
    yield "lanes.centerline", [lane.centerline for lane in road_map.lanes], 2
    yield "lanes.polygon", [lane.polygon for lane in road_map.lanes], 3
    for name in (
        "drivable_areas",
        "generic_drivable_areas",
        "intersections",
        "crosswalks",
        "walkways",
        "parking_areas",
        "speed_bumps",
    ):
        yield name, [ring for area in getattr(road_map, name) for ring in (area.polygon, *area.holes)], 3
    for name in ("road_lines", "road_edges", "stop_lines"):
        yield name, [line.points for line in getattr(road_map, name)], 2


def _cameras(log: Log) -> Problems:
    names = {camera.name for camera in log.cameras}
    for camera in log.cameras:
        if not_rigid(camera.ego_from_camera[None])[0]:
            yield "cameras.ego_from_camera", f"is not a rigid transform for {camera.name}"
    for photo in log.photos:
        if photo.camera not in names:
            yield "photos.camera", f"there is no camera {photo.camera}"
        if not np.isfinite(photo.world_from_ego).all():
            yield "photos.world_from_ego", f"is not finite for {photo.camera} at {photo.time_us} us"
        if not_rigid(photo.world_from_ego[None])[0]:
            yield "photos.world_from_ego", f"is not a rigid transform for {photo.camera} at {photo.time_us} us"


def _sweeps(log: Log) -> Problems:
    for sweep in log.sweeps:
        if not np.isfinite(sweep.world_from_ego).all() or not_rigid(sweep.world_from_ego[None])[0]:
            yield "sweeps.world_from_ego", f"is not a rigid transform at {sweep.time_us} us"
    times = [sweep.time_us for sweep in log.sweeps]
    falling = np.flatnonzero(np.diff(times) <= 0)
    if len(falling):
        yield "sweeps.time_us", f"does not increase from sweep {falling[0]} to the next"


def _unique(field: str, names: Sequence[str]) -> Problems:
    seen: set[str] = set()
    for name in names:
        if problem := name_problem(name):
            yield field, problem
        if name in seen:
            yield field, f"{name} occurs twice"
        seen.add(name)


def _first(bad: np.ndarray) -> int:
    """Return the index along the first axis of the first true entry."""
    return int(np.argwhere(bad)[0][0])


_CHECKS: tuple[Callable[[Log], Problems], ...] = (_names, _ego, _tracks, _boxes, _lights, _map, _cameras, _sweeps)
