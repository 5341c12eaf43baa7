"""Conversion of a neutral document to a log.

The world frame is the source's own (origin zero), because scores are compared to 1e-8 and an offset would round.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from swerve.data.sources.checks import check_log
from swerve.data.sources.neutral.log_origin import origin_of, seen_from
from swerve.data.sources.neutral.neutral_shapes import LIGHTS, LOG
from swerve.data.sources.nuplan_classes import CLASSES
from swerve.data.storage.checked_json import ShapeError, check_shape
from swerve.scenes import (
    Area,
    Ego,
    GroundHeight,
    Lane,
    LaneGroup,
    LightState,
    Log,
    LogError,
    RoadMap,
    Tracks,
    TrafficLights,
    Vehicle,
)
from swerve.scenes.causal_motion import planar_motion
from swerve.scenes.polyline import headings
from swerve.scenes.transforms import pose_from_yaw


def parse_log(document: dict[str, Any], path: str | Path) -> Log:
    """Convert a neutral document to a log.

    Raises:
        LogError: a field is missing or of the wrong kind, or the log is not valid, see `check_log`.
    """
    check_shape(document, LOG, path)
    return log_of(document, path)


def log_of(document: dict[str, Any], path: str | Path) -> Log:
    """Convert a neutral document whose fields are of the right kind to a log.

    Raises:
        LogError: values contradict each other, or the log is not valid, see `check_log`.
    """
    with contradictions(path):
        log = _parse(document)
    return check_log(log, path)


@contextmanager
def contradictions(path: str | Path) -> Iterator[None]:
    """Convert errors about values that do not fit each other inside the block.

    Raises:
        LogError: replaces ShapeErrors, and ValueErrors of the classes of scenes.
    """
    try:
        yield
    except ShapeError as error:
        raise LogError(path, error.place, error.problem) from error
    except ValueError as error:
        raise LogError(path, "document", f"is malformed ({error})") from error


def _parse(document: dict[str, Any]) -> Log:
    frames, body = document["frames"], document["vehicle"]
    lanes = {str(lane["id"]): lane for lane in document["map"]["lanes"]}
    length = body["front_length"] + body["rear_length"]
    times = [frame["t_us"] for frame in frames]
    if any(after <= before for before, after in pairwise(times)):
        raise ShapeError("frames.t_us", "does not increase")
    road_map = _road_map(document["map"])
    ego = frames[0]["ego"]
    start = road_map.lanes[0].centerline[0] if road_map.lanes else np.array([ego["x"], ego["y"], 0.0], float)
    log = Log(
        name=document["log_name"],
        source="neutral",
        times_us=np.array(times, np.int64),
        ego=_ego([frame["ego"] for frame in frames], np.array(times, np.int64)),
        vehicle=Vehicle(body["name"], length, body["width"], body["height"], body["wheel_base"], body["rear_length"]),
        tracks=_tracks([frame["objects"] for frame in frames]),
        lights=_lights([frame["traffic_lights"] for frame in frames], lanes),
        road_map=road_map,
        cameras=(),
        route=tuple(document["route_roadblock_ids"]),
    )
    # Of the map, which first-stage scenes and follow-ups share: their coordinates are compared.
    return seen_from(log, origin_of(start))


def _ego(records: list[dict[str, Any]], times_us: Int[np.ndarray, "t"]) -> Ego:
    x, y, heading = (np.array([record[key] for record in records], float) for key in ("x", "y", "heading"))
    poses = pose_from_yaw(np.stack([x, y, np.zeros(len(x))], axis=1), heading)
    velocity, acceleration = (
        np.array([[record[a], record[b]] for record in records], float) for a, b in (("vx", "vy"), ("ax", "ay"))
    )
    # The format has no yaw rate (NAVSIM uses none); it is estimated from the poses up to each step.
    yaw_rate = planar_motion(np.column_stack([x, y, heading]), times_us)[2]
    return Ego(poses, velocity, acceleration, yaw_rate, measured=True)


def _tracks(frames: list[Any]) -> Tracks:
    first = {item[0]: item for frame in reversed(frames) for item in reversed(frame)}
    ids = tuple(dict.fromkeys(item[0] for frame in frames for item in frame))
    row = {track: index for index, track in enumerate(ids)}
    values, valid = np.zeros((len(ids), len(frames), 8)), np.zeros((len(ids), len(frames)), bool)
    for step, frame in enumerate(frames):
        if frame:
            rows = [row[item[0]] for item in frame]
            values[rows, step] = np.array([item[2:10] for item in frame], float)
            valid[rows, step] = True
    middle = values[..., 5:6] / 2
    return Tracks(
        ids=ids,
        classes=np.array([CLASSES[first[track][1]] for track in ids], np.uint8),
        positions=np.concatenate([values[..., 0:2], middle], axis=-1),
        headings=values[..., 2],
        sizes=values[..., 3:6],
        velocities=values[..., 6:8],
        valid=valid,
    )


def _lights(frames: list[Any], lanes: dict[str, dict[str, Any]]) -> TrafficLights:
    """Build one head per lane, at the lane's start; where a frame names a lane twice, red wins.

    Lights of lanes that the map lacks are left out, as in NAVSIM.
    """
    frames = [[(str(lane), state) for lane, state in frame if str(lane) in lanes] for frame in frames]
    ids = tuple(dict.fromkeys(lane for frame in frames for lane, _ in frame))
    row = {lane: index for index, lane in enumerate(ids)}
    states = np.zeros((len(ids), len(frames)), np.uint8)
    for step, frame in enumerate(frames):
        for lane, state in frame:
            if states[row[lane], step] != LightState.RED:
                states[row[lane], step] = LIGHTS[state]
    lines = [np.array(lanes[lane]["centerline"], float) for lane in ids]
    positions = np.array([[*line[0], 5.0] for line in lines]).reshape(-1, 3)
    facing = np.array([headings(line)[0] + np.pi for line in lines])
    return TrafficLights(ids, positions, facing, states)


def _road_map(record: dict[str, Any]) -> RoadMap:
    areas = {
        name: tuple(Area(str(area["id"]), _flat(area["polygon"]), _holes(area)) for area in record[name])
        for name in ("intersections", "carparks", "drivable_areas", "crosswalks")
    }
    lanes = tuple(_lane(lane) for lane in record["lanes"])
    groups = tuple(_group(group) for group in record["roadblocks"])
    known = {lane.id for lane in lanes}
    for group in groups:
        for lane_id in group.lane_ids:
            if lane_id not in known:
                raise ShapeError("map.roadblocks", f"{group.id} names lane {lane_id}, which the map lacks")
    points = np.concatenate([lane.centerline for lane in lanes]) if lanes else np.zeros((1, 3))
    try:
        ground = GroundHeight.from_points(points)
    except ValueError as error:
        raise ShapeError("map.lanes.centerline", str(error)) from error
    return RoadMap(
        lanes=lanes,
        ground=ground,
        lane_groups=groups,
        drivable_areas=areas["drivable_areas"],
        intersections=areas["intersections"],
        crosswalks=areas["crosswalks"],
        parking_areas=areas["carparks"],
        has_height=False,
    )


def _lane(record: dict[str, Any]) -> Lane:
    return Lane(
        id=str(record["id"]),
        centerline=_flat(record["centerline"]),
        polygon=_flat(record["polygon"]),
        is_connector=record["type"] == "connector",
        group_id=str(record["roadblock_id"]),
        predecessors=tuple(map(str, record["predecessors"])),
        successors=tuple(map(str, record["successors"])),
        speed_limit=record["speed_limit_mps"],
        holes=_holes(record),
    )


def _group(record: dict[str, Any]) -> LaneGroup:
    return LaneGroup(
        id=str(record["id"]),
        lane_ids=tuple(map(str, record["lane_ids"])),
        polygon=_flat(record["polygon"]),
        is_connector=record["type"] == "connector",
        predecessors=tuple(map(str, record["predecessors"])),
        successors=tuple(map(str, record["successors"])),
        holes=_holes(record),
    )


def _holes(record: dict[str, Any]) -> tuple[np.ndarray, ...]:
    return tuple(_flat(ring) for ring in record.get("holes") or ())


def _flat(points: list[Any]) -> np.ndarray:
    line = np.array(points, float)
    return np.concatenate([line, np.zeros((len(line), 1))], axis=1)
