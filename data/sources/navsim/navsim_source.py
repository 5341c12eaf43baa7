"""OpenScene / NAVSIM logs as a source: `navsim:ROOT`."""

import logging
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from swerve.data.sources.navsim.folders import NavsimFolders, navsim_folders
from swerve.data.sources.navsim.frames import OpenSceneFrame
from swerve.data.sources.navsim.navsim_log import log_of, parts_of
from swerve.data.sources.navsim.read_frames import read_log_frames
from swerve.data.sources.navsim.scene_filter import NavsimSplit, SceneFilter, files_of_split, read_split
from swerve.data.sources.navsim.scene_windows import missing_line, windows_of
from swerve.data.sources.source import HOLDINGS, Holding
from swerve.data.storage.files import file_version
from swerve.scenes import Log, LogError, Split, SwerveError

LOGGER = logging.getLogger("swerve")

_SPLITS: Final[dict[str, Split]] = {"test": "test", "private_test_hard": "test"}
# Microseconds: longer logs are read in parts of a minute and what scenes need before and after, so that they fit in
# memory.
_LONGEST_US, _PART_US = 90_000_000, 60_000_000
_LONGEST_LOG_US = 86_400_000_000
# What a scene needs before and after. With the list of a split, each scene belongs to one part however much parts
# overlap: there they have what scene groups of a benchmark need, too.
_BEFORE_US, _AFTER_US, _AFTER_LISTED_US = 2_000_000, 5_000_000, 8_000_000


@dataclass(frozen=True)
class NavsimSource:
    """Source of the logs of a NAVSIM data set, at ten steps a second (see `navsim_log`).

    A log is named after its file. One longer than 90 s is read in parts of 60 s: they are named FILE.TIME, with the
    time of their first frame in microseconds, and overlap so that each scene of 2 s before and 5 s after is in exactly
    one; of a split's scenes, each with up to 8 s after.

    Attributes:
        folders: the data set.
        split: a NAVSIM split; if given, the logs are those with scenes of it, and these are the scenes of the logs.
        split_files: files that the split was read from.
    """

    folders: NavsimFolders
    kind: str = "navsim"
    split: NavsimSplit | None = None
    split_files: tuple[Path, ...] = ()

    @property
    def path(self) -> Path:
        """Return the data set's folder."""
        return self.folders.root

    def of_split(self, text: str | Path) -> "NavsimSource":
        """Return the source of a NAVSIM split's scenes, of which second-stage scenes are left out.

        Args:
            text: see `read_split`.

        Raises:
            SwerveError: there is no such split, none of its logs is there, or it limits the number of scenes.
            LogError: its file is not NAVSIM's.
        """
        split = read_split(text)
        if split.scene_filter.max_scenes is not None:
            raise SwerveError(f"split {split.name}: max_scenes is of an evaluation, and not of logs: remove it")
        source = replace(
            self,
            folders=replace(self.folders, split=split.data_split),
            split=split,
            split_files=tuple(files_of_split(text)),
        )
        there = source.folders.log_files(split.data_split)
        _tell(missing_line(split, "logs", split.scene_filter.log_names, there))
        return source

    def names(self) -> tuple[str, ...]:
        """Return the names of logs and parts. Reads each file, for its times; a damaged one counts as one log.

        Scenes of the split that are not there are told in a line, once.

        Raises:
            LogError: two logs have one name.
            SwerveError: there are none.
        """
        names = [name for split in self.folders.splits for name in self._names(split)]
        if not names:
            raise SwerveError(f"{self.folders.root}: no log that is there has a scene of the split")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise LogError(self.folders.root, twice, "is in two splits", "Give one: navsim:ROOT/navsim_logs/SPLIT")
        if self.split is not None and self.split.scene_filter.tokens is not None:
            found = {token for file in self._files(self.split.data_split).values() for token in self._listed(file)}
            _tell(missing_line(self.split, "scenes", self.split.scene_filter.tokens, found))
        return tuple(names)

    def load(self, name: str) -> Log:
        """Read one log or part.

        Raises:
            LogError: there is none of that name, or a file is damaged.
        """
        for split in self.folders.splits:
            for stem, file in self.folders.log_files(split).items():
                if name == stem or name.startswith(f"{stem}."):
                    return self._load(name, file, split)
        raise LogError(self.folders.root, name, "no NAVSIM log of that name")

    def files_of(self, name: str) -> tuple[Path, ...]:
        """Return the log's file, see `FileSource`; maps and sensor data are shared by many logs."""
        found = (pair for split in self.folders.splits for pair in self.folders.log_files(split).items())
        own = tuple(file for stem, file in found if name == stem or name.startswith(f"{stem}."))
        return (*own, *self.split_files)

    def absent(self, _: Collection[str]) -> frozenset[Holding]:
        """Return what all logs lack, see `PartialSource`: whose folder is not there."""
        pictured = any(self.folders.sensors(split).is_dir() for split in self.folders.splits)
        there = {"photographs": pictured, "map": self.folders.maps.is_dir()}
        return frozenset(name for name in HOLDINGS if not there[name])

    def _load(self, name: str, file: Path, split: str) -> Log:
        frames, parts = _frames(file, file_version(file)), self._parts(file)
        if name not in parts:
            raise LogError(file, name, "no part of the log has that name", f"They are {', '.join(parts)}")
        first, last = parts[name]
        log = log_of(frames[first : last + 1], name, file, self.folders, split, _SPLITS.get(split))
        if self.split is None:
            return log
        return replace(log, scene_times_us=self._scene_times(file)[name])

    def _parts(self, file: Path) -> dict[str, tuple[int, int]]:
        after = _AFTER_US if self.split is None else _AFTER_LISTED_US
        return _parts(file, file_version(file), _BEFORE_US + after)

    def _scene_times(self, file: Path) -> dict[str, np.ndarray]:
        """Return the times of the split's scenes in each part of a log that has any."""
        assert self.split is not None
        frames, parts = _frames(file, file_version(file)), self._parts(file)
        left = set(self._listed(file).values())
        found = dict[str, set[int]]()
        for name, (first, last) in parts.items():
            begin, end = frames[first].timestamp_us, frames[last].timestamp_us
            # What a scene needs before and after is in the part, but at the ends of the log.
            low, high = begin + _BEFORE_US * (first > 0), end - _AFTER_LISTED_US * (last < len(frames) - 1)
            found[name] = {time for time in left if low <= time <= high}
            left -= found[name]
        # Scenes that no part has whole, such as those around a gap at a border: their log says that they are left out.
        for name, (first, last) in parts.items():
            cut = {time for time in left if frames[first].timestamp_us <= time <= frames[last].timestamp_us}
            found[name] |= cut
            left -= cut
        return {name: np.array(sorted(own), np.int64) for name, own in found.items() if own}

    def _files(self, split: str) -> dict[str, Path]:
        """Return the files of the logs of a folder that the split, if any, asks for."""
        files = self.folders.log_files(split)
        wanted = None if self.split is None else self.split.scene_filter.log_names
        return {stem: file for stem, file in files.items() if wanted is None or stem in wanted}

    def _listed(self, file: Path) -> dict[str, int]:
        """Return the times of the split's scenes in a log by token; none if it cannot be read."""
        assert self.split is not None
        with suppress(LogError):
            return _listed(file, file_version(file), self.split.scene_filter)
        return {}

    def _names(self, split: str) -> list[str]:
        names = list[str]()
        for stem, file in self._files(split).items():
            try:
                names += self._parts(file) if self.split is None else self._scene_times(file)
            except LogError:
                names.append(stem)
        return names


@lru_cache(maxsize=2)
def _frames(file: Path, _: tuple[int, ...]) -> tuple[OpenSceneFrame, ...]:
    return read_log_frames(file)


@cache
def _listed(file: Path, version: tuple[int, ...], given: SceneFilter) -> dict[str, int]:
    """Return the times of the scenes of a filter in a log by token."""
    now = given.num_history_frames - 1
    windows = windows_of(_frames(file, version), given)
    return {window[now].token: window[now].timestamp_us for _, window in windows}


@cache
def _tell(line: str) -> None:
    """Log a line, once; nothing if it is empty."""
    if line:
        LOGGER.warning("%s", line)


@cache
def _parts(file: Path, version: tuple[int, ...], margin_us: int) -> dict[str, tuple[int, int]]:
    """Return first and last frame of the parts of a log, by name."""
    times = [frame.timestamp_us for frame in _frames(file, version)]
    if any(after <= before for before, after in pairwise(times)):
        raise LogError(file, "timestamp", "does not increase from frame to frame")
    if times[-1] - times[0] > _LONGEST_LOG_US:
        raise LogError(file, "timestamp", f"spans {(times[-1] - times[0]) / 3.6e9:.0f} hours, more than a day")
    parts = parts_of(times, _LONGEST_US, _PART_US, margin_us)
    return {file.stem if len(parts) == 1 else f"{file.stem}.{times[first]}": (first, last) for first, last in parts}


def navsim_source(text: str) -> NavsimSource:
    """Open a data set given by its root, by `navsim_logs/SPLIT`, or if empty by `OPENSCENE_DATA_ROOT`.

    A line of the logger "swerve" says that steps between frames are interpolated.

    Raises:
        SwerveError: there are no logs.
    """
    folders = navsim_folders(text)
    LOGGER.warning(
        "%s: frames are 0.5 s apart; ego and boxes between them are interpolated to ten steps a second", folders.root
    )
    return NavsimSource(folders)
