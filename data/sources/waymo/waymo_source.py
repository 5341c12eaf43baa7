"""Waymo Open Dataset: motion Scenarios (WOMD) and perception Frames from TFRecord files, without TensorFlow."""

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swerve.data.sources.source import Holding, absent_in_all, split_of
from swerve.data.sources.waymo.motion_scenario import read_scenario
from swerve.data.sources.waymo.perception import read_segment, segment_rig
from swerve.data.sources.waymo.tfrecords import count_records, holds_scenarios
from swerve.scenes import Camera, Log, LogError


@dataclass(frozen=True)
class WaymoSource:
    """Source of a record file, or a folder with record files at any depth.

    Logs are named after files, so that one is found without reading the others: a segment of perception frames by its
    file's name without `.tfrecord`, a scenario by that name and its index in the file.
    """

    path: Path

    kind = "waymo"

    def names(self) -> tuple[str, ...]:
        """Return the logs' names; reads the first record of each file.

        An unreadable file counts as one log, whose `load` raises the error, so that the other files' logs remain
        available.

        Raises:
            LogError: there are no record files, or two give the same name.
        """
        files = self._files()
        names = tuple(name for stem, file in files for name in _names_or_stem(file, stem))
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise LogError(self.path, twice, "two files give logs of this name", "Give their folders one at a time")
        return names

    def load(self, name: str) -> Log:
        """Load the log of that name.

        Raises:
            LogError: there is no such log, or its records are malformed.
        """
        stem, _, number = name.rpartition("-")
        for own, file in self._files():
            if own == name:
                _names_in(file, own)  # raises if the file is damaged
                return read_segment(file, name, split_of(file, self.path))
            if own == stem and number.isdecimal():
                return read_scenario(file, int(number), name, split_of(file, self.path))
        raise LogError(self.path, name, "no Waymo log of that name")

    def files_of(self, name: str) -> tuple[Path, ...]:
        """Return the log's file, see `FileSource`."""
        stem = name.rpartition("-")[0]
        return tuple(file for own, file in self._files() if own in (name, stem))

    def rigs(self, names: Collection[str]) -> dict[str, tuple[Camera, ...]]:
        """Read the cameras of logs, see `RigSource`; scenarios, whose names have a number more, have none."""
        files = dict(self._files())
        found: dict[str, tuple[Camera, ...]] = {name: () for name in names if name not in files}
        for name in (name for name in names if name in files):
            with suppress(LogError):
                found[name] = segment_rig(files[name])
        return found

    def absent(self, names: Collection[str]) -> frozenset[Holding]:
        """Return what all of these logs lack, see `PartialSource`: scenarios have no photos; segments may have all."""
        segments = {name for name, _ in self._files()}
        return absent_in_all(names, lambda name: frozenset() if name in segments else frozenset({"photographs"}))

    def _files(self) -> list[tuple[str, Path]]:
        files = record_files(self.path)
        if not files:
            raise LogError(self.path, "files", "no .tfrecord file there")
        return [(_stem(file), file) for file in files]


def record_files(path: Path) -> list[Path]:
    """List the record files at or below a path, in order; empty if there are none."""
    if path.is_dir():
        return sorted(file for file in path.absolute().rglob("*.tfrecord*") if file.is_file())
    return [path.absolute()] if ".tfrecord" in path.name else []


def _names_or_stem(file: Path, stem: str) -> list[str]:
    try:
        return _names_in(file, stem)
    except LogError:
        return [stem]


def _names_in(file: Path, stem: str) -> list[str]:
    return [f"{stem}-{number:05d}" for number in range(count_records(file))] if holds_scenarios(file) else [stem]


def _stem(file: Path) -> str:
    """Return the file's name without `.tfrecord`, in portable characters."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", file.name.replace(".tfrecord", "")).strip("-")
