"""OpenScene / NAVSIM logs as a source: `navsim:ROOT`."""

import logging
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from swerve.data.sources.navsim.folders import NavsimFolders, navsim_folders
from swerve.data.sources.navsim.frames import OpenSceneFrame
from swerve.data.sources.navsim.navsim_log import log_of, parts_of
from swerve.data.sources.navsim.read_frames import read_log_frames
from swerve.data.storage.files import file_version
from swerve.scenes import Log, LogError, Split

LOGGER = logging.getLogger("swerve")

_SPLITS: Final[dict[str, Split]] = {"test": "test", "private_test_hard": "test"}
# Microseconds: longer logs are read in parts of a minute and what scenes need before and after, so that they fit in
# memory.
_LONGEST_US, _PART_US, _MARGIN_US = 90_000_000, 60_000_000, 7_000_000
_LONGEST_LOG_US = 86_400_000_000


@dataclass(frozen=True)
class NavsimSource:
    """Source of the logs of a NAVSIM data set, at ten steps a second (see `navsim_log`).

    A log is named after its file. One longer than 90 s is read in parts of 60 s: they are named FILE.TIME, with the
    time of their first frame in microseconds, and overlap so that each scene of 2 s before and 5 s after is in exactly
    one.

    Attributes:
        folders: the data set.
    """

    folders: NavsimFolders
    kind: str = "navsim"

    def names(self) -> tuple[str, ...]:
        """Return the names of logs and parts. Reads each file, for its times; a damaged one counts as one log.

        Raises:
            LogError: two logs have one name.
            SwerveError: there are none.
        """
        names = [name for split in self.folders.splits for name in self._names(split)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise LogError(self.folders.root, twice, "is in two splits", "Give one: navsim:ROOT/navsim_logs/SPLIT")
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
        return tuple(file for stem, file in found if name == stem or name.startswith(f"{stem}."))

    def _load(self, name: str, file: Path, split: str) -> Log:
        frames, parts = _frames(file, file_version(file)), _parts(file, file_version(file))
        if name not in parts:
            raise LogError(file, name, "no part of the log has that name", f"They are {', '.join(parts)}")
        first, last = parts[name]
        return log_of(frames[first : last + 1], name, file, self.folders, split, _SPLITS.get(split))

    def _names(self, split: str) -> list[str]:
        names = list[str]()
        for stem, file in self.folders.log_files(split).items():
            try:
                names += _parts(file, file_version(file))
            except LogError:
                names.append(stem)
        return names


@lru_cache(maxsize=2)
def _frames(file: Path, _: tuple[int, ...]) -> tuple[OpenSceneFrame, ...]:
    return read_log_frames(file)


@cache
def _parts(file: Path, version: tuple[int, ...]) -> dict[str, tuple[int, int]]:
    """Return first and last frame of the parts of a log, by name."""
    times = [frame.timestamp_us for frame in _frames(file, version)]
    if any(after <= before for before, after in pairwise(times)):
        raise LogError(file, "timestamp", "does not increase from frame to frame")
    if times[-1] - times[0] > _LONGEST_LOG_US:
        raise LogError(file, "timestamp", f"spans {(times[-1] - times[0]) / 3.6e9:.0f} hours, more than a day")
    parts = parts_of(times, _LONGEST_US, _PART_US, _MARGIN_US)
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
