"""A nuPlan log data base (.db), read on demand."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.data.sources.nuplan.nuplan_records import (
    Boxes,
    CameraRecord,
    EgoPoses,
    Images,
    LidarPcs,
    LightStates,
    LogRecord,
    ScenarioTags,
    SceneRecord,
)
from swerve.data.sources.nuplan.restricted_pickle import read_numbers
from swerve.data.sources.nuplan.sqlite_file import (
    blobs,
    integers,
    numbers,
    numbers_or_nan,
    optional_tokens,
    read_columns,
    texts,
    tokens,
)
from swerve.scenes import LogError
from swerve.scenes.transforms import rigid_transform, rotation_from_quaternion

LIDAR = "MergedPointCloud"
TABLES = (
    *("ego_pose", "lidar_pc", "lidar_box", "track", "category", "camera", "image", "lidar", "scene", "scenario_tag"),
    "traffic_light_status",
)
_POSE = ("x", "y", "z", "qw", "qx", "qy", "qz")
_MOTION = ("vx", "vy", "vz", "acceleration_x", "acceleration_y", "acceleration_z", "angular_rate_z")
# Number of the first and last scenes that may lack history or future (see `NuplanDb.scenario_tokens`).
_FIRST, _LAST = 2, 2


@dataclass(frozen=True)
class NuplanDb:
    """Log data base. Tables are read when they are asked for; every method raises LogError where they are damaged."""

    path: Path

    def count(self, table: str) -> int:
        """Return the number of a table's rows."""
        return int(read_columns(self.path, {f"{table}.token": len}, f"FROM {table}")["token"])

    def log(self) -> LogRecord:
        """Return the log's record; there must be exactly one."""
        kinds = {f"log.{name}": texts for name in ("vehicle_name", "date", "logfile", "location", "map_version")}
        found = read_columns(self.path, {"log.token": tokens, "log.timestamp": integers, **kinds}, "FROM log")
        if len(found["token"]) != 1:
            raise LogError(self.path, "log", f"has {len(found['token'])} rows, not one")
        timestamp = int(found.pop("timestamp")[0])
        return LogRecord(timestamp=timestamp, **{name: own[0] for name, own in found.items()})

    def cameras(self) -> tuple[CameraRecord, ...]:
        """Return the cameras, in the table's order."""
        pickled = {"translation": (3,), "rotation": (4,), "intrinsic": (3, 3), "distortion": (5,)}
        columns: dict[str, Callable[..., object]] = {"camera.token": tokens, "camera.channel": texts}
        columns |= {f"camera.{name}": _unpickled(shape) for name, shape in pickled.items()}
        columns |= {"camera.width": integers, "camera.height": integers}
        found = read_columns(self.path, columns, "FROM camera ORDER BY camera.rowid")
        rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
        return tuple(CameraRecord(**{**row, "width": int(row["width"]), "height": int(row["height"])}) for row in rows)

    def lidar_mount(self) -> Float[np.ndarray, "4 4"]:
        """Return the pose of the merged point clouds' frame relative to the rear axle."""
        columns = {"lidar.translation": _unpickled((3,)), "lidar.rotation": _unpickled((4,))}
        found = read_columns(self.path, columns, "FROM lidar WHERE lidar.channel = ?", (LIDAR,))
        if len(found["translation"]) != 1:
            raise LogError(self.path, "lidar", f"has {len(found['translation'])} rows of channel {LIDAR}, not one")
        return rigid_transform(rotation_from_quaternion(found["rotation"][0]), found["translation"][0])

    def span(self) -> tuple[int, int]:
        """Return the times of the first and the last sample, microseconds."""
        columns = {"MIN(lp.timestamp) AS first": list, "MAX(lp.timestamp) AS last": list}
        found = read_columns(self.path, columns, "FROM lidar_pc lp")
        first, last = found["first"][0], found["last"][0]
        if not isinstance(first, int) or not isinstance(last, int):
            raise LogError(self.path, "lidar_pc", "has no rows, or times that are not integers")
        return first, last

    @cached_property
    def lidar_pcs(self) -> LidarPcs:
        """The samples, in order of time."""
        columns = {
            "lp.token": tokens,
            "lp.timestamp": integers,
            "lp.scene_token": tokens,
            "lp.ego_pose_token": tokens,
            "lp.filename": texts,
            **_pose_columns(),
        }
        clauses = (
            "FROM lidar_pc lp INNER JOIN lidar ON lidar.token = lp.lidar_token "
            "LEFT JOIN ego_pose ep ON ep.token = lp.ego_pose_token WHERE lidar.channel = ? ORDER BY lp.timestamp"
        )
        found = read_columns(self.path, columns, clauses, (LIDAR,))
        pcs = LidarPcs(
            found["token"],
            found["timestamp"],
            found["scene_token"],
            found["ego_pose_token"],
            found["filename"],
            _poses(found, self.path),
        )
        if not len(pcs.tokens):
            raise LogError(self.path, "lidar_pc", "has no rows")
        return pcs

    @cached_property
    def scenes(self) -> tuple[SceneRecord, ...]:
        """The scenes, in order of their names."""
        columns = {
            "scene.token": tokens,
            "scene.name": texts,
            "scene.goal_ego_pose_token": optional_tokens,
            "scene.roadblock_ids": texts,
        }
        found = read_columns(self.path, columns, "FROM scene ORDER BY scene.name")
        rows = zip(*found.values(), strict=True)
        return tuple(SceneRecord(token, name, goal, _split(route), route) for token, name, goal, route in rows)

    def scene_of(self, row: int) -> SceneRecord:
        """Return the scene of a row of `lidar_pcs`."""
        token = self.lidar_pcs.scene_tokens[row]
        if token not in self._scene_by_token:
            raise LogError(self.path, "scene", f"has no row {token}, which lidar_pc names")
        return self._scene_by_token[token]

    @cached_property
    def _scene_by_token(self) -> dict[str, SceneRecord]:
        return {scene.token: scene for scene in self.scenes}

    def poses(self, ego_pose_tokens: Sequence[str]) -> EgoPoses:
        """Return the ego poses of tokens."""
        found = [
            _poses(
                read_columns(
                    self.path, _pose_columns(), "FROM ego_pose ep WHERE ep.token = ?", (bytes.fromhex(token),)
                ),
                self.path,
            )
            for token in ego_pose_tokens
        ]
        return EgoPoses(*(np.concatenate([getattr(one, field.name) for one in found]) for field in fields(EgoPoses)))

    def boxes(self, first_us: int, last_us: int) -> Boxes:
        """Return the tracked objects of samples between two times, both included."""
        sizes, motion = ("length", "width", "height"), ("vx", "vy")
        columns = {"lp.timestamp": integers, "lb.token": tokens, "lb.track_token": tokens, "c.name": texts}
        columns |= {f"lb.{name}": numbers for name in ("x", "y", "z", "yaw", *sizes)}
        columns |= {f"lb.{name}": numbers_or_nan for name in motion}
        clauses = (
            "FROM lidar_box lb INNER JOIN track t ON t.token = lb.track_token "
            "INNER JOIN category c ON c.token = t.category_token "
            "INNER JOIN lidar_pc lp ON lp.token = lb.lidar_pc_token "
            "WHERE lp.timestamp BETWEEN ? AND ? ORDER BY lp.timestamp, lb.track_token"
        )
        found = read_columns(self.path, columns, clauses, (first_us, last_us))
        return Boxes(
            found["timestamp"],
            found["token"],
            found["track_token"],
            found["name"],
            _stacked(found, ("x", "y", "z")),
            found["yaw"],
            _stacked(found, sizes),
            _stacked(found, motion),
        )

    def lights(self, first_us: int, last_us: int) -> LightStates:
        """Return the states of traffic lights at samples between two times, both included."""
        columns = {"lp.timestamp": integers, "tl.lane_connector_id": integers, "tl.status": texts}
        clauses = (
            "FROM traffic_light_status tl INNER JOIN lidar_pc lp ON lp.token = tl.lidar_pc_token "
            "WHERE lp.timestamp BETWEEN ? AND ? ORDER BY lp.timestamp, tl.rowid"
        )
        return LightStates(*read_columns(self.path, columns, clauses, (first_us, last_us)).values())

    def images(self, first_us: int, last_us: int) -> Images:
        """Return the images taken between two times, both included."""
        columns = {"camera.channel": texts, "image.timestamp": integers, "image.filename_jpg": texts}
        clauses = (
            "FROM image INNER JOIN camera ON camera.token = image.camera_token "
            "LEFT JOIN ego_pose ep ON ep.token = image.ego_pose_token "
            "WHERE image.timestamp BETWEEN ? AND ? ORDER BY image.timestamp, camera.rowid"
        )
        found = read_columns(self.path, {**columns, **_pose_columns()}, clauses, (first_us, last_us))
        return Images(found["channel"], found["timestamp"], found["filename_jpg"], _poses(found, self.path))

    @cached_property
    def tags(self) -> ScenarioTags:
        """Scenario tags of samples."""
        columns = {"st.type": texts, "lp.token": tokens, "lp.timestamp": integers}
        clauses = (
            "FROM scenario_tag st INNER JOIN lidar_pc lp ON lp.token = st.lidar_pc_token "
            "WHERE st.type IS NOT NULL ORDER BY st.type, lp.timestamp"
        )
        return ScenarioTags(*read_columns(self.path, columns, clauses).values())

    def scenario_tokens(self, types: Collection[str] | None = None) -> list[tuple[str, str]]:
        """Return samples that the devkit offers as scenarios, in order of time, with their type.

        Those of all scenes but the first two and the last two in order of names, which may lack history or future. Of
        several tags the alphabetically last counts; "unknown" without one.

        Args:
            types: tags that count; only samples that have one are returned. None for all samples.
        """
        valid = {scene.token for scene in self.scenes[_FIRST : max(len(self.scenes) - _LAST, _FIRST)]}
        found: dict[str, str] = {}
        for kind, token in zip(self.tags.types, self.tags.lidar_pc_tokens, strict=True):
            if types is None or kind in types:
                found[token] = max(kind, found.get(token, ""))
        samples = zip(self.lidar_pcs.tokens, self.lidar_pcs.scene_tokens, strict=True)
        offered = [token for token, scene in samples if scene in valid and (types is None or token in found)]
        return [(token, found.get(token, "unknown")) for token in offered]


def _split(route: str) -> tuple[str, ...]:
    """Split at blanks, as the devkit does, or at commas, as its documentation says."""
    return tuple(route.replace(",", " ").split())


def _unpickled(shape: tuple[int, ...]) -> Callable[[Sequence[object]], list[np.ndarray]]:
    return lambda values: [read_numbers(blob, shape) for blob in blobs(values)]


def _pose_columns() -> dict[str, Callable[..., np.ndarray]]:
    return (
        {"ep.timestamp AS pose_us": integers}
        | {f"ep.{name}": numbers for name in _POSE}
        | {f"ep.{name}": numbers_or_nan for name in _MOTION}
    )


def _poses(found: Mapping[str, Any], path: Path) -> EgoPoses:
    quaternions = _stacked(found, _POSE[3:])
    if len(quaternions) and np.linalg.norm(quaternions, axis=1).min() < 0.5:
        raise LogError(path, "ego_pose.qw", "is part of a quaternion of length zero")
    motion = np.nan_to_num(_stacked(found, _MOTION))
    return EgoPoses(
        found["pose_us"], _stacked(found, _POSE[:3]), quaternions, motion[:, :3], motion[:, 3:6], motion[:, 6]
    )


def _stacked(found: Mapping[str, Any], names: Sequence[str]) -> Float[np.ndarray, "n k"]:
    return np.stack([found[name] for name in names], axis=1)
