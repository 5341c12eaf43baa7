"""NAVSIM's split files and scene filters, read as the YAML they are."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from swerve.data.storage.checked_json import describe
from swerve.scenes import LogError, SwerveError
from swerve.scenes.printable import first_line, name_problem

# Where a NAVSIM checkout keeps its splits.
_IN_CHECKOUT: Final = Path("navsim/planning/script/config/common/train_test_split")
CHECKOUT_VARIABLE: Final = "NAVSIM_DEVKIT_ROOT"
# Keys of hydra, which say how to build NAVSIM's class and not what it holds.
_HYDRA: Final = frozenset({"_target_", "_convert_"})
_LISTS: Final = frozenset(
    {
        "log_names",
        "tokens",
        "synthetic_scene_tokens",
        "reactive_synthetic_initial_tokens",
        "non_reactive_synthetic_initial_tokens",
    }
)
_COUNTS: Final = frozenset({"num_history_frames", "num_future_frames", "frame_interval", "max_scenes"})
# What is not null in a filter.
_NEEDED: Final = frozenset({"num_history_frames", "num_future_frames", "has_route", "include_synthetic_scenes"})
_FLAGS: Final = {"true": True, "false": False}


@dataclass(frozen=True)
class SceneFilter:
    """NAVSIM's scene filter: which windows of frames are scenes.

    Attributes:
        num_history_frames: frames up to and including the current one.
        num_future_frames: frames after it.
        frame_interval: frames from one window to the next; None for windows that do not overlap.
        has_route: whether the current frame must have a route.
        max_scenes: number of scenes at most; None for all.
        log_names: logs that are used; None for all.
        tokens: current frames that are used; None for all.
        include_synthetic_scenes: whether second-stage scenes belong to it.
        synthetic_scene_tokens: second-stage scenes that are used; None for all of the logged scenes.
        reactive_synthetic_initial_tokens: second-stage scenes of reactive traffic; None where the file has none.
        non_reactive_synthetic_initial_tokens: second-stage scenes of replayed traffic; None where the file has none.
    """

    num_history_frames: int = 4
    num_future_frames: int = 10
    frame_interval: int | None = None
    has_route: bool = True
    max_scenes: int | None = None
    log_names: frozenset[str] | None = None
    tokens: frozenset[str] | None = None
    include_synthetic_scenes: bool = False
    synthetic_scene_tokens: frozenset[str] | None = None
    reactive_synthetic_initial_tokens: frozenset[str] | None = None
    non_reactive_synthetic_initial_tokens: frozenset[str] | None = None

    @property
    def num_frames(self) -> int:
        """Frames of a scene."""
        return self.num_history_frames + self.num_future_frames


@dataclass(frozen=True)
class SceneMapping:
    """A group of a two-stage split: a first-stage token, that of the frame before it, and pairs of follow-up tokens."""

    now: str
    before: str
    follow_ups: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class NavsimSplit:
    """A split: a folder of logs, the filter, and the groups of a two-stage benchmark.

    Attributes:
        name: of the file.
        data_split: folder of the logs and sensor data, such as "test".
        scene_filter: which scenes belong to it.
        mapping: groups; empty in one-stage splits.
    """

    name: str
    data_split: str
    scene_filter: SceneFilter = field(default_factory=SceneFilter)
    mapping: tuple[SceneMapping, ...] = ()


def read_split(text: str | Path) -> NavsimSplit:
    """Read a split file, given by its path, or by its name in a NAVSIM checkout (`NAVSIM_DEVKIT_ROOT`).

    Raises:
        SwerveError: there is no such file.
        LogError: the file, or the scene filter that it names, is not NAVSIM's.
    """
    path = split_file(text)
    document = _read(path)
    unknown = set(document) - {"defaults", "data_split", "reactive_all_mapping"} - _HYDRA
    if unknown:
        raise LogError(path, sorted(unknown)[0], "is not a field of a NAVSIM split", _expected(document))
    folder = document.get("data_split")
    if not isinstance(folder, str) or not _is_plain_name(folder):
        raise LogError(path, "data_split", "is not the name of a folder", _expected(document))
    return NavsimSplit(
        name=path.stem,
        data_split=folder,
        scene_filter=read_scene_filter(_filter_file(path, document.get("defaults"))),
        mapping=_mapping(path, document.get("reactive_all_mapping")),
    )


def files_of_split(text: str | Path) -> tuple[Path, Path]:
    """Return the file of a split, and that of its scene filter.

    Raises:
        SwerveError: there is no such split.
        LogError: the file is not NAVSIM's.
    """
    path = split_file(text)
    return path, _filter_file(path, _read(path).get("defaults"))


def _expected(document: Mapping[str, Any]) -> str:
    if "two_stage_mapping" in document:
        return "It is of an earlier NAVSIM, whose groups no script reads any more: remove it to score in one stage"
    is_filter = "num_history_frames" in document or "tokens" in document
    return "This is a scene filter: give the split file beside its folder" if is_filter else "It needs data_split"


def split_file(text: str | Path) -> Path:
    """Return the path of a split given by its path or its name.

    Raises:
        SwerveError: there is no such file.
    """
    path, checkout = Path(text).expanduser(), os.environ.get(CHECKOUT_VARIABLE)
    folder = Path(checkout) / _IN_CHECKOUT if checkout else None
    name = path.name if path.suffix in (".yaml", ".yml") else f"{path.name}.yaml"
    named = [folder / name] if folder and path.parent == Path() else []
    for file in (path, *named):
        if file.is_file():
            return file
    where = f"{folder}" if folder else f"a NAVSIM checkout, since {CHECKOUT_VARIABLE} is not set"
    raise SwerveError(
        f"split {text}: no such file, and no split of that name in {where}. Give the path of the YAML file, as in "
        "navsim/planning/script/config/common/train_test_split/navtest.yaml"
    )


def _is_plain_name(text: str) -> bool:
    """Return whether a text names a file or folder itself, and no path that could lead elsewhere."""
    return bool(re.fullmatch(r"[\w.-]+", text)) and not text.startswith(".")


def _filter_file(path: Path, defaults: object) -> Path:
    for entry in defaults if isinstance(defaults, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("scene_filter"), str):
            if not _is_plain_name(entry["scene_filter"]):
                raise LogError(path, "scene_filter", "is not the name of a file in scene_filter")
            return path.parent / "scene_filter" / f"{entry['scene_filter']}.yaml"
    raise LogError(path, "defaults", "names no scene_filter", "A split begins with: defaults: [scene_filter: NAME]")


def read_scene_filter(path: Path) -> SceneFilter:
    """Read a scene filter.

    Raises:
        LogError: the file is missing, or is not a scene filter.
    """
    values: dict[str, Any] = {}
    for key, value in _read(path).items():
        if key not in _HYDRA:
            values[key] = _field(path, key, value)
    given = SceneFilter(**values)
    if given.num_history_frames < 1 or given.num_future_frames < 0 or (given.frame_interval or 1) < 1:
        raise LogError(path, "num_history_frames", "a scene has a current frame, and windows move by one or more")
    return given


def _field(path: Path, key: str, value: object) -> int | bool | frozenset[str] | None:
    if key not in _LISTS | _COUNTS | {"has_route", "include_synthetic_scenes"}:
        raise LogError(path, key, "is not a field of NAVSIM's scene filter")
    if value in ("null", "~", "") and key not in _NEEDED:
        return None
    if key in _LISTS and isinstance(value, list):
        return frozenset(_text(path, key, one) for one in value)
    if key in _COUNTS and isinstance(value, str) and value.isdecimal():
        return int(value)
    if key not in _LISTS | _COUNTS and isinstance(value, str) and value.lower() in _FLAGS:
        return _FLAGS[value.lower()]
    raise LogError(path, key, f"has the value {describe(value)}")


def _mapping(path: Path, value: object) -> tuple[SceneMapping, ...]:
    if value in (None, "null", "~", ""):
        return ()
    try:
        return tuple(_group(path, _list(entry)) for entry in _list(value))
    except (TypeError, ValueError) as error:
        expected = "Each group is [now, before, [[follow-up of now, follow-up of before], ...]]"
        raise LogError(path, "reactive_all_mapping", "is malformed", expected) from error


def _text(path: Path, key: str, value: object) -> str:
    """Return a name; nested lists are not written out, since YAML can name one list many times.

    Raises:
        LogError: it is something else.
    """
    if not isinstance(value, str) or name_problem(value):
        raise LogError(path, key, f"has {describe(value)}, which is no name")
    return value


def _group(path: Path, entry: list[Any]) -> SceneMapping:
    now, before, pairs = entry
    named = partial(_text, path, "reactive_all_mapping")
    follow_ups = [(named(first), named(second)) for first, second in map(_list, _list(pairs))]
    return SceneMapping(named(now), named(before), tuple(follow_ups))


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _read(path: Path) -> dict[str, Any]:
    """Read a YAML file with every value as text, so that tokens of digits stay what they are."""
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        document = yaml.load(path.read_text(), loader)  # the base loader makes only text, lists and dicts
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = first_line(error)
        raise LogError(path, "file", f"cannot be read ({reason})") from error
    if not isinstance(document, dict):
        raise LogError(path, "file", "is not a NAVSIM split or scene filter")
    return document
