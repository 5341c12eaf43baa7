"""The tables of nuScenes: their rows' shapes, and the rows of one scene."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

from swerve.data.sources.nuscenes.json_rows import HINT
from swerve.data.sources.nuscenes.table_index import BOXES, DATA, FOLDER, POSES, build_indices
from swerve.data.storage.checked_json import (
    Shape,
    ShapeError,
    array,
    fail,
    fields,
    file_name,
    flag,
    integer,
    list_of,
    one_of,
    plain_name,
    read_json,
)
from swerve.data.storage.files import file_version
from swerve.scenes import LogError

Row = dict[str, Any]

_TIME: Final = integer(0, 2**53)
_SIZE: Final = integer(0, 2**16)
_ROTATION: Final = array(4, bound=2.0)


def _token(value: Any, place: str) -> None:  # noqa: ANN401
    plain_name(value, place)
    if len(value) > 32 or not value.isascii():
        raise ShapeError(place, "is not of at most 32 ASCII characters")


def _inner_path(value: Any, place: str) -> None:  # noqa: ANN401
    """Accept a path below the data's folder."""
    plain_name(value, place)
    if value.startswith("/") or "\\" in value or ".." in value.split("/"):
        fail(place, "a path in the data's folder", value)


def _matrix_or_none(value: Any, place: str) -> None:  # noqa: ANN401
    if value != []:
        array(3, 3, bound=1e6)(value, place)


_SHAPES: Final[dict[str, Shape]] = {
    "scene": fields({"token": _token, "name": plain_name, "log_token": _token}),
    "sample": fields({"token": _token, "timestamp": _TIME, "scene_token": _token}),
    "log": fields({"token": _token, "location": file_name}),
    "sensor": fields({"token": _token, "channel": plain_name, "modality": one_of(("camera", "lidar", "radar"))}),
    "calibrated_sensor": fields(
        {
            "token": _token,
            "sensor_token": _token,
            "translation": array(3, bound=1e3),
            "rotation": _ROTATION,
            "camera_intrinsic": _matrix_or_none,
        }
    ),
    "instance": fields({"token": _token, "category_token": _token}),
    "category": fields({"token": _token, "name": plain_name}),
}
_LARGE_SHAPES: Final[dict[str, Shape]] = {
    DATA: fields(
        {
            "token": _token,
            "sample_token": _token,
            "ego_pose_token": _token,
            "calibrated_sensor_token": _token,
            "filename": _inner_path,
            "timestamp": _TIME,
            "is_key_frame": flag,
            "width": _SIZE,
            "height": _SIZE,
        }
    ),
    POSES: fields({"token": _token, "timestamp": _TIME, "translation": array(3, bound=1e7), "rotation": _ROTATION}),
    BOXES: fields(
        {
            "token": _token,
            "sample_token": _token,
            "instance_token": _token,
            "translation": array(3, bound=1e7),
            "size": array(3, bound=1e3),
            "rotation": _ROTATION,
        }
    ),
}


@dataclass(frozen=True)
class SceneRows:
    """Rows of the tables that belong to a scene.

    Attributes:
        name: of the scene.
        location: of its log's map.
        samples: key frames, in order of time.
        data: sensor data of all sensors.
        poses: ego poses by token.
        boxes: annotations.
    """

    name: str
    location: str
    samples: tuple[Row, ...]
    data: tuple[Row, ...]
    poses: dict[str, Row]
    boxes: tuple[Row, ...]


@dataclass(frozen=True)
class NuscenesTables:
    """The tables of one version, in a folder such as `v1.0-mini`."""

    folder: Path

    @cached_property
    def scenes(self) -> tuple[Row, ...]:
        """Scenes in the order of the file.

        Raises:
            LogError: the table is missing or damaged, or two scenes have one name.
        """
        rows = tuple(_read(self.folder, "scene"))
        names = [row["name"] for row in rows]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise LogError(self.folder / "scene.json", "name", f"two scenes are named {twice}")
        return rows

    def by_token(self, table: str) -> dict[str, Row]:
        """Return the rows of one of the small tables by token.

        Raises:
            LogError: it is missing or damaged.
        """
        return _by_token(self.folder, table, file_version(self.folder / f"{table}.json"))

    def linked(self, table: str, token: str, whence: str) -> Row:
        """Return the row of a small table that another table's row refers to.

        Raises:
            LogError: there is none.
        """
        found = self.by_token(table).get(token)
        if found is None:
            raise LogError(self.folder / f"{table}.json", whence, f"refers to {token}, which is not in {table}", HINT)
        return found

    def rows_of(self, name: str) -> SceneRows:
        """Read the rows of a scene.

        Raises:
            LogError: there is no such scene, a table is missing or damaged, or a row refers to one that is not there.
        """
        numbers = {row["token"]: number for number, row in enumerate(self.scenes)}
        scene = next((row for row in self.scenes if row["name"] == name), None)
        if scene is None:
            raise LogError(self.folder / "scene.json", name, "no scene of that name")
        samples = self.by_token("sample")
        for row in samples.values():
            if row["scene_token"] not in numbers:
                raise LogError(self.folder / "sample.json", row["token"], "refers to a scene that is not there", HINT)
        own = sorted((row for row in samples.values() if row["scene_token"] == scene["token"]), key=_time)
        if not own:
            raise LogError(self.folder / "sample.json", name, "the scene has no samples", HINT)
        indices = build_indices(self.folder, {token: numbers[row["scene_token"]] for token, row in samples.items()})
        number = numbers[scene["token"]]
        data, poses, boxes = (indices[table].read(number, _LARGE_SHAPES[table]) for table in (DATA, POSES, BOXES))
        self._check_index({row["token"] for row in own}, {DATA: data, BOXES: boxes})
        known = {row["token"]: row for row in poses}
        if alone := next((row for row in data if row["ego_pose_token"] not in known), None):
            problem = f"refers to pose {alone['ego_pose_token']}, which is not in ego_pose"
            raise LogError(self.folder / f"{DATA}.json", alone["token"], problem, HINT)
        location = self.linked("log", scene["log_token"], f"scene {name}")["location"]
        return SceneRows(name, location, tuple(own), tuple(sorted(data, key=_time)), known, tuple(boxes))

    def _check_index(self, samples: set[str], rows: dict[str, list[Row]]) -> None:
        """Check that rows which an index gave for a scene are of its samples: a folder may come with an index."""
        for table, own in rows.items():
            if other := next((row for row in own if row["sample_token"] not in samples), None):
                problem = f"is an index of other tables: row {other['token']} is of another scene"
                raise LogError(self.folder / f"{table}.json", FOLDER, problem, f"Remove {FOLDER} beside it")


def _time(row: Row) -> int:
    time: int = row["timestamp"]
    return time


@lru_cache(maxsize=16)
def _by_token(folder: Path, table: str, _version: tuple[int, ...]) -> dict[str, Row]:
    return {row["token"]: row for row in _read(folder, table)}


def _read(folder: Path, table: str) -> list[Row]:
    """Read a small table whole.

    Raises:
        LogError: it is missing or damaged, or two rows have one token.
    """
    path = folder / f"{table}.json"
    rows: list[Row] = read_json(path, list_of(_SHAPES[table]), HINT)
    tokens = {row["token"] for row in rows}
    if len(tokens) < len(rows):
        raise LogError(path, "token", f"{len(rows)} rows have {len(tokens)} different tokens", HINT)
    return rows
