"""The neutral log JSON ("ps-neutral-log/1"): one file per log of any data set, with scenes and their overrides."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from swerve.data.sources.neutral.neutral_log import contradictions, log_of, parse_log
from swerve.data.sources.neutral.neutral_shapes import (
    SCENE,
    SCENES,
    SCHEMA,
    SHAPES,
    TWO_STAGE_SCHEMA,
    tracks_of,
)
from swerve.data.sources.nuplan_classes import CLASSES
from swerve.data.sources.source import Holding
from swerve.data.storage.checked_json import check_shape, describe, read_json
from swerve.data.storage.files import file_version
from swerve.scenes import (
    Camera,
    Log,
    LogError,
    Scene,
    Tracks,
)

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

    def absent(self, _: Collection[str]) -> frozenset[Holding]:
        """Return what the format has not, see `PartialSource`."""
        return frozenset({"photographs"})

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
    log = log_of(document, path)
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
        log = log_of(_with_overrides(document, record, path), path)
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
        raise LogError(path, "schema", f"is {describe(found)}, not {schema!r}")
    check_shape(document, SHAPES[schema], path)
    return document


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
            with contradictions(path):
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
    log = log_of({**base, "frames": frames, "navsim_stride": 1}, path)
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
