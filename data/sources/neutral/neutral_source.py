"""The neutral log JSON ("ps-neutral-log/1"): one file per log of any data set, with scenes and their overrides.

The world frame is the source's own (origin zero), because scores are compared to 1e-8 and an offset would round.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from swerve.data.sources.checks import check_log
from swerve.data.sources.neutral.log_origin import origin_of, seen_from
from swerve.data.sources.neutral.neutral_shapes import (
    LIGHTS,
    LOG,
    SCENE,
    SCENES,
    SCHEMA,
    SHAPES,
    TWO_STAGE_SCHEMA,
    tracks_of,
)
from swerve.data.sources.nuplan_classes import CLASSES
from swerve.data.storage.checked_json import ShapeError, check_shape, read_json, told
from swerve.data.storage.files import file_version
from swerve.scenes import (
    Area,
    Camera,
    Ego,
    GroundHeight,
    Lane,
    LaneGroup,
    LightState,
    Log,
    LogError,
    RoadMap,
    Scene,
    Tracks,
    TrafficLights,
    Vehicle,
)
from swerve.scenes.causal_motion import planar_motion
from swerve.scenes.polyline import headings
from swerve.scenes.transforms import pose_from_yaw

# A stage-one token, the token of the frame 0.5 s before, and pairs of follow-up tokens of both.
Follow = tuple[str, str, list[tuple[str, str]]]


@dataclass(frozen=True)
class NeutralScene:
    """Scene of a neutral log.

    Attributes:
        token: token of the scene in the file.
        scene: window of the log, or of a copy of it with the record's overrides.
        follow_up: whether it belongs to the second stage (NAVSIM decides by a token of 17 characters).
    """

    token: str
    scene: Scene
    follow_up: bool


@dataclass(frozen=True)
class NeutralSource:
    """Source of a neutral log file, or a folder of them."""

    path: Path
    kind: str = "neutral"

    def names(self) -> tuple[str, ...]:
        """Return the names of the logs.

        Raises:
            LogError: no log, or two logs of one name.
        """
        return tuple(self._files())

    def load(self, name: str) -> Log:
        """Load the log without any scene's overrides.

        Raises:
            LogError: there is no such log, or it has another format.
        """
        files = self._files()
        if name not in files:
            raise LogError(self.path, "log", f"no log {name!r}", f"It has {', '.join(list(files)[:5])}")
        return parse_log(read_document(files[name]), files[name])

    def files_of(self, name: str) -> tuple[Path, ...]:
        """Return the log's file, see `FileSource`."""
        return tuple(file for own, file in self._files().items() if own == name)

    def rigs(self, names: Collection[str]) -> dict[str, tuple[Camera, ...]]:
        """Return the cameras of logs: the format has none."""
        return dict.fromkeys(names, ())

    def scenes(self, name: str) -> dict[str, NeutralScene]:
        """Return the scenes that the log's file lists, by token.

        Raises:
            LogError: see `load`.
        """
        files = self._files()
        if name not in files:
            raise LogError(self.path, "log", f"no log {name!r}", f"It has {', '.join(list(files)[:5])}")
        return load_scenes(files[name])

    def follow_ups(self, benchmark: Path) -> tuple[dict[str, NeutralScene], list[Follow]]:
        """Return the scenes of a two-stage file, both stages, and its groups.

        Raises:
            LogError: the file has another format, or its log is not in this source.
        """
        document = read_document(benchmark, TWO_STAGE_SCHEMA)
        files = self._files()
        if document["log"] not in files:
            raise LogError(benchmark, "log", f"{document['log']!r} is not in {self.path}")
        base = read_document(files[document["log"]])
        first = load_scenes(files[document["log"]])
        tokens = {token for now, before, _ in document["mapping"] for token in (now, before)}
        scenes = {token: first[token] for token in tokens if token in first}
        for record in document["second_stage"]:
            scenes[record["token"]] = _follow_up(base, record, benchmark)
        return scenes, [(now, before, [tuple(pair) for pair in pairs]) for now, before, pairs in document["mapping"]]

    def _files(self) -> dict[str, Path]:
        files = [self.path] if self.path.is_file() else sorted(self.path.glob("*.json*"))
        named = [(read_document(file)["log_name"], file) for file in files]
        if not named or len(dict(named)) < len(named):
            raise LogError(self.path, "log_name", "two logs of one name" if named else "no .json or .json.gz file")
        return dict(named)


def load_scenes(path: str | Path) -> dict[str, NeutralScene]:
    """Load all scenes that a neutral log file lists, by token.

    Raises:
        LogError: the file has another format, or a scene exceeds the log.
    """
    document = read_document(Path(path))
    check_shape(document, SCENES, path)
    log = _parsed(document, path)
    records = {record["token"]: record for record in document["scenes"]}
    if len(records) < len(document["scenes"]):
        raise LogError(path, "scenes", "two scenes of one token")
    return {token: scene_of(document, record, path, log) for token, record in records.items()}


def scene_of(
    document: dict[str, Any], record: dict[str, Any], path: str | Path, log: Log | None = None
) -> NeutralScene:
    """Build one scene from its record, which may come from another file than the log (as in the golden files).

    Args:
        document: the log, as returned by `read_document`.
        record: `token`, `frame`, the numbers of frames before and after, and overrides.
        path: the file, for error messages.
        log: the parsed document, if already available; used where the record overrides nothing.

    Raises:
        LogError: an override does not fit the scene, or the scene exceeds the log.
    """
    check_shape(record, SCENE, path)
    overridden = any(key in record for key in ("route_roadblock_ids", "traffic_lights", "extra_objects", "ego_offset"))
    if overridden or log is None:
        log = _parsed(_with_overrides(document, record, path), path)
    stride, frames = document["navsim_stride"], document["frames"]
    ordered = _in_order_of(log.tracks, frames, record["frame"])
    window = frames[record["frame"] : record["frame"] + record["num_future_frames"] * stride : stride]
    log = replace(log, tracks=_classed_by(ordered, window), track_order=ordered.ids)
    history, future = (record["num_history_frames"] - 1) * stride, record["num_future_frames"] * stride
    try:
        scene = Scene(log, record["frame"], history, future)
    except ValueError as error:
        raise LogError(path, f"scene {record['token']}", str(error)) from error
    return NeutralScene(record["token"], scene, follow_up=len(record["token"]) == 17)


def _in_order_of(tracks: Tracks, frames: list[Any], now: int) -> Tracks:
    """Reorder the tracks: first as frame `now` lists them, then the others.

    NAVSIM's reactive traffic moves vehicles sequentially in that order, which affects its results.
    """
    listed = [item[0] for item in frames[now]["objects"]] if now < len(frames) else []
    row = {track: index for index, track in enumerate(tracks.ids)}
    first = list(dict.fromkeys(row[track] for track in listed))
    others = sorted(set(range(len(tracks))) - set(first))
    return tracks.select_tracks(np.array(first + others, dtype=int))


def _classed_by(tracks: Tracks, window: list[Any]) -> Tracks:
    """Set the tracks' classes to those of their first observations in the window, as NAVSIM does."""
    classes, row = tracks.classes.copy(), {track: index for index, track in enumerate(tracks.ids)}
    for frame in reversed(window):
        for item in frame["objects"]:
            classes[row[item[0]]] = CLASSES[item[1]]
    return replace(tracks, classes=classes)


def read_document(path: Path, schema: str = SCHEMA) -> dict[str, Any]:
    """Read the parsed JSON of a neutral file; one that has not changed since is not read again.

    Raises:
        LogError: the file is missing, not JSON, or of another schema, or a field is missing or of the wrong kind.
    """
    return _document(path, schema, file_version(path))


@lru_cache(maxsize=4)
def _document(path: Path, schema: str, _: tuple[int, ...]) -> dict[str, Any]:
    document = read_json(path)
    if not isinstance(document, dict) or document.get("schema") != schema:
        found = document.get("schema") if isinstance(document, dict) else document
        raise LogError(path, "schema", f"is {told(found)}, not {schema!r}")
    check_shape(document, SHAPES[schema], path)
    return document


def parse_log(document: dict[str, Any], path: str | Path) -> Log:
    """Convert a neutral document to a log.

    Raises:
        LogError: a field is missing or of the wrong kind, or the log is not valid, see `check_log`.
    """
    check_shape(document, LOG, path)
    return _parsed(document, path)


def _parsed(document: dict[str, Any], path: str | Path) -> Log:
    with _contradictions(path):
        log = _parse(document)
    return check_log(log, path)


@contextmanager
def _contradictions(path: str | Path) -> Iterator[None]:
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


def _with_overrides(document: dict[str, Any], record: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """Return the document with the scene's overrides. Lights and extra objects are at 2 Hz and held in between."""
    stride, count = document["navsim_stride"], record["num_history_frames"] + record["num_future_frames"]
    first = record["frame"] - (record["num_history_frames"] - 1) * stride
    for key in ("traffic_lights", "extra_objects"):
        if key in record and len(record[key]) != count:
            raise LogError(path, f"scene {record['token']}, {key}", f"has {len(record[key])} frames instead of {count}")
    frames = []
    for index, frame in enumerate(document["frames"]):
        held = (index - first) // stride
        inside = 0 <= held < count
        changed = dict(frame)
        if inside and "traffic_lights" in record:
            changed["traffic_lights"] = record["traffic_lights"][held]
        if inside and "extra_objects" in record:
            with _contradictions(path):
                changed["objects"] = tracks_of(frame, record["extra_objects"][held])
        if "ego_offset" in record:
            changed["ego"] = _displaced(frame["ego"], *record["ego_offset"])
        frames.append(changed)
    route = record.get("route_roadblock_ids", document["route_roadblock_ids"])
    return {**document, "frames": frames, "route_roadblock_ids": route}


def _follow_up(base: dict[str, Any], record: dict[str, Any], path: Path) -> NeutralScene:
    """Build a follow-up scene as its own log. Its future has no ego: the last known one stays in place."""
    last = record["frames"][record["current_frame"]]["ego"]
    frames = [{"ego": last, **frame} for frame in record["frames"]]
    for index, frame in enumerate(frames):
        if index > record["current_frame"] or frame["ego"] is None:
            frame["ego"] = last
    log = _parsed({**base, "frames": frames, "navsim_stride": 1}, path)
    now = record["current_frame"]
    ordered = _in_order_of(log.tracks, frames, now)
    log = replace(log, tracks=ordered, track_order=ordered.ids)
    try:
        scene = Scene(log, now, now, len(frames) - now - 1)
    except ValueError as error:
        raise LogError(path, f"scene {record['token']}", str(error)) from error
    return NeutralScene(record["token"], scene, follow_up=True)


def _displaced(ego: dict[str, Any], forward: float, left: float, turn: float) -> dict[str, Any]:
    cos, sin = np.cos(ego["heading"]), np.sin(ego["heading"])
    x, y = ego["x"] + cos * forward - sin * left, ego["y"] + sin * forward + cos * left
    return {**ego, "x": x, "y": y, "heading": ego["heading"] + turn}
