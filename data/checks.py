"""What every log must satisfy, whatever it was read from."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from swerve.scenes import Log, LogError, RoadMap

_WIDEST = 1e5  # metres from the log's origin


def check_log(log: Log, path: str | Path) -> Log:
    """The log itself, if it is sound.

    Args:
        log: what was read.
        path: what it was read from, for the message.

    Raises:
        LogError: naming the first field that is not sound: times that do not increase, arrays that do not fit
            together, numbers that are not finite, poses that are no rigid motions, boxes without size, names that
            occur twice, a map without lanes and surfaces, photos of unknown cameras.
    """
    for check in _CHECKS:
        for field, problem in check(log):
            raise LogError(path, field, problem)
    return log


Problems = Iterator[tuple[str, str]]


def _times(log: Log) -> Problems:
    if not len(log.times_us):
        yield "times_us", "the log has no steps"
    falling = np.flatnonzero(np.diff(log.times_us) <= 0)
    if len(falling):
        yield "times_us", f"times do not increase from step {falling[0]} to the next"


def _ego(log: Log) -> Problems:
    steps = len(log.times_us)
    for name in ("world_from_ego", "velocity", "acceleration", "yaw_rate"):
        values = getattr(log.ego, name)
        if len(values) != steps:
            yield f"ego.{name}", f"has {len(values)} steps, the log has {steps}"
        if not np.isfinite(values).all():
            yield f"ego.{name}", f"is not finite at step {_first(~np.isfinite(values))}"
    rotation = log.ego.world_from_ego[:, :3, :3]
    skew = np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max(axis=(1, 2))
    if (skew > 1e-5).any() or (np.linalg.det(rotation) < 0).any():
        yield "ego.world_from_ego", f"is no rigid motion at step {skew.argmax()}"
    if np.abs(log.ego.positions).max() > _WIDEST:
        yield "ego.world_from_ego", "leads further than 100 km from the origin"


def _tracks(log: Log) -> Problems:
    tracks, shape = log.tracks, (len(log.tracks.ids), len(log.times_us))
    for name in ("positions", "headings", "sizes", "velocities", "valid"):
        values = getattr(tracks, name)
        if values.shape[:2] != shape:
            yield f"tracks.{name}", f"is for {values.shape[:2]} tracks and steps, not {shape}"
        if name != "valid":
            bad = np.logical_and(tracks.valid, ~np.isfinite(values).reshape(*values.shape[:2], -1).all(axis=2))
            if bad.any():
                yield f"tracks.{name}", f"is not finite for track {tracks.ids[_first(bad)]}"
    if len(tracks.classes) != len(tracks.ids):
        yield "tracks.classes", f"is for {len(tracks.classes)} tracks, not {len(tracks.ids)}"
    flat = tracks.valid & (tracks.sizes <= 0).any(axis=2)
    if flat.any():
        yield "tracks.sizes", f"track {tracks.ids[_first(flat)]} has a box without size"
    yield from _unique("tracks.ids", tracks.ids)


def _lights(log: Log) -> Problems:
    lights, steps = log.lights, len(log.times_us)
    if lights.states.shape != (len(lights.lane_ids), steps):
        yield "lights.states", f"is for {lights.states.shape} heads and steps, not {(len(lights.lane_ids), steps)}"
    for name in ("positions", "headings"):
        values = getattr(lights, name)
        if len(values) != len(lights.lane_ids) or not np.isfinite(values).all():
            yield f"lights.{name}", "is not finite, or not one per head"


def _map(log: Log) -> Problems:
    if log.road_map is None:
        return
    if not log.road_map.lanes and not log.road_map.drivable_areas:
        yield "road_map", "is empty: no lanes and no drivable areas"
    yield from _unique("road_map.lanes", [lane.id for lane in log.road_map.lanes])
    for name, lines, least in _lines(log.road_map):
        for line in lines:
            if not np.isfinite(line).all() or len(line) < least:
                yield f"road_map.{name}", f"needs {least} finite points or more, has {len(line)}"
    known = log.road_map.group_by_id
    yield from (("route", f"there is no lane group {group}") for group in log.route if group not in known)


def _lines(road_map: RoadMap) -> Iterator[tuple[str, list[np.ndarray], int]]:
    """Name, lines and least number of points of every kind of line in a map."""
    yield "lanes.centerline", [lane.centerline for lane in road_map.lanes], 2
    yield "lanes.polygon", [lane.polygon for lane in road_map.lanes], 3
    for name in ("drivable_areas", "intersections", "crossings", "walkways", "car_parks", "speed_bumps"):
        yield name, [ring for area in getattr(road_map, name) for ring in (area.polygon, *area.holes)], 3
    for name in ("lines", "edges", "stop_lines"):
        yield name, [line.points for line in getattr(road_map, name)], 2


def _cameras(log: Log) -> Problems:
    names = {camera.name for camera in log.cameras}
    yield from _unique("cameras", [camera.name for camera in log.cameras])
    for photo in log.photos:
        if photo.camera not in names:
            yield "photos.camera", f"there is no camera {photo.camera}"
        if not np.isfinite(photo.world_from_ego).all():
            yield "photos.world_from_ego", f"is not finite for {photo.camera} at {photo.time_us} us"


def _unique(field: str, names: Sequence[str]) -> Problems:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield field, f"{name} occurs twice"
        seen.add(name)


def _first(bad: np.ndarray) -> int:
    """Index along the first axis of the first true entry."""
    return int(np.argwhere(bad)[0][0])


_CHECKS: tuple[Callable[[Log], Problems], ...] = (_times, _ego, _tracks, _lights, _map, _cameras)
