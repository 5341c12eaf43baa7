"""nuPlan logs as a source: `nuplan:ROOT`, `nuplan:ROOT?tags=TYPE,TYPE`."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np

from swerve.data.sources.nuplan.nuplan_db import NuplanDb
from swerve.data.sources.nuplan.nuplan_folders import log_files, maps_root, sensor_folder, sensor_roots
from swerve.data.sources.nuplan.nuplan_log import LogPart, read_part, read_rig
from swerve.data.sources.source import Holding, split_of
from swerve.scenes import Camera, Log, LogError, SwerveError

# Recordings longer than this are read in parts of `_PART_US`, plus what their scenes need before and after.
_LONGEST_US, _PART_US = 90_000_000, 60_000_000
_LONGEST_LOG_US = 86_400_000_000
_HINT = (
    "Logs are looked for in nuplan-v1.1/splits/SPLIT, nuplan/splits/SPLIT, splits/SPLIT, SPLIT and the folder itself"
)
_Span = tuple[int, int]


@dataclass(frozen=True)
class NuplanSource:
    """Source of a log data base, or a folder of them in any of nuPlan's and OpenScene's layouts.

    A log is named after its file. One longer than 90 s is read in parts of 60 s, so that it fits in memory: they are
    named FILE.TIME, with the time of their first sample in microseconds, and overlap by `before` and `after`, so that
    each scene is in exactly one of them. With tags, the parts are the stretches around tagged samples.

    Attributes:
        path: a .db file, or a folder.
        tags: only around samples with one of these scenario tags; all if empty.
        before: seconds of a part before the first moment of a scene.
        after: seconds of a part after the last moment of a scene.
    """

    path: Path
    tags: tuple[str, ...] = ()
    before: float = 2.0
    after: float = 5.0
    kind: str = "nuplan"

    def names(self) -> tuple[str, ...]:
        """Return the names of logs and parts. Reads the times of each log, and its tags if there is a filter.

        An unreadable file counts as one log, whose `load` raises the error.

        Raises:
            LogError: there is no .db file, two have one name, a tag is in no log, or no tagged sample has the seconds
                around it.
        """
        files = self._files()
        known = {kind for file in files for kind in _readable_tags(file)} if self.tags else set()
        if missing := [tag for tag in self.tags if tag not in known]:
            problem = f"no log of {len(files)} has a scenario tagged {', '.join(missing)}"
            raise LogError(self.path, "scenario_tag", problem, f"They have {', '.join(sorted(known)) or 'no tags'}")
        names = tuple(name for file in files for name in self._names_or_stem(file))
        if not names:
            problem = f"no scenario tagged {', '.join(self.tags)} has the seconds around it that were asked for"
            raise LogError(self.path, "scenario_tag", problem, "Ask for less with before=SECONDS and after=SECONDS")
        return names

    def load(self, name: str) -> Log:
        """Read one log or part.

        Raises:
            LogError: there is none of that name, or a file is damaged.
        """
        for file in self._files():
            if name == file.stem or name.startswith(f"{file.stem}."):
                parts = self._parts(file)
                if name in parts:
                    return read_part(self._part(file, name, parts[name]))
        raise LogError(self.path, name, "no nuPlan log of that name")

    def database(self, name: str) -> NuplanDb:
        """Return the data base that a log or part comes from: scenes, routes, scenario tags.

        Raises:
            LogError: there is none of that name.
        """
        for file in self._files():
            if name == file.stem or name.startswith(f"{file.stem}."):
                return NuplanDb(file)
        raise LogError(self.path, name, "no nuPlan log of that name")

    def files_of(self, name: str) -> tuple[Path, ...]:
        """Return the log's data base, see `FileSource`; maps and sensor data are shared by many logs."""
        return tuple(file for file in self._files() if name == file.stem or name.startswith(f"{file.stem}."))

    def rigs(self, names: Collection[str]) -> dict[str, tuple[Camera, ...]]:
        """Read the cameras of logs and parts, see `RigSource`."""
        found = {}
        for file in self._files():
            own = [name for name in names if name == file.stem or name.startswith(f"{file.stem}.")]
            with suppress(LogError):
                found.update(dict.fromkeys(own, read_rig(NuplanDb(file)) if own else ()))
        return found

    def absent(self, _: Collection[str]) -> frozenset[Holding]:
        """Return what all logs lack, see `PartialSource`: whose folders are nowhere."""
        absent = frozenset[Holding]() if maps_root(self.path) else frozenset[Holding]({"map"})
        beside = {file.parent: file for file in self._files()}.values()
        pictured = any(root.is_dir() for file in beside for root in sensor_roots(self.path, file))
        return absent if pictured else absent | {"photographs"}

    def _files(self) -> list[Path]:
        files = log_files(self.path)
        if not files:
            raise LogError(self.path, "files", "no .db file there", _HINT)
        stems = [file.stem for file in files]
        twice = next((stem for stem in stems if stems.count(stem) > 1), None)
        if twice:
            raise LogError(self.path, twice, "two files of this name", "Give their folders one at a time")
        return files

    def _names_or_stem(self, file: Path) -> tuple[str, ...]:
        try:
            return tuple(self._parts(file))
        except LogError:
            return (file.stem,)

    def _part(self, file: Path, name: str, span: _Span) -> LogPart:
        db = NuplanDb(file)
        sensors = sensor_folder(self.path, file, file.stem)
        return LogPart(db, name, *span, maps_root(self.path), sensors, split_of(file, self.path))

    def _parts(self, file: Path) -> dict[str, _Span]:
        """Return first and last time of the parts of a log, by name."""
        db = NuplanDb(file)
        first, last = db.span()
        if not 0 <= last - first <= _LONGEST_LOG_US:
            raise LogError(file, "lidar_pc.timestamp", f"spans {(last - first) / 3.6e9:.0f} hours, more than a day")
        spans = self._around_tags(db, first, last) if self.tags else [(first, last)]
        cut = [part for span in spans for part in self._cut(span)]
        if cut == [(first, last)]:
            return {file.stem: (first, last)}
        return {f"{file.stem}.{start}": (start, end) for start, end in cut}

    def _around_tags(self, db: NuplanDb, first: int, last: int) -> list[_Span]:
        tagged = np.isin(np.array(db.tags.types, dtype=object).astype(str), self.tags)
        merged: list[_Span] = []
        for time in np.unique(db.tags.times_us[tagged]).tolist():
            start, end = max(time - self._us(self.before), first), min(time + self._us(self.after), last)
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
            else:
                merged.append((start, end))
        return merged

    def _cut(self, span: _Span) -> list[_Span]:
        """Cut a long span into parts whose scenes do not repeat."""
        first, last = span
        if last - first <= _LONGEST_US:
            return [span]
        margin = self._us(self.before) + self._us(self.after)
        starts = range(first, max(last - margin, first + 1), _PART_US)
        # A sample of the end is left to the next part, in which its scene begins.
        return [(start, min(start + _PART_US + margin - 1, last)) for start in starts]

    def _us(self, seconds: float) -> int:
        return round(seconds * 1e6)


def nuplan_source(text: str) -> NuplanSource:
    """Open `PATH` or `PATH?tags=TYPE,TYPE&before=SECONDS&after=SECONDS`.

    Raises:
        SwerveError: there is no such path, or an option is unknown or not a number.
    """
    plain, question, query = text.partition("?")
    path = Path(plain).expanduser()
    if not plain or not path.exists():
        raise SwerveError(f"{plain or '(no path)'}: no such file or folder")
    options = parse_qs(query, keep_blank_values=True)
    unknown = sorted(set(options) - {"tags", "before", "after"})
    if unknown or (question and not options):
        problem = f"unknown option {unknown[0]!r}" if unknown else "no option after the question mark"
        raise SwerveError(f"nuplan:{text}: {problem}. There are tags=TYPE,TYPE, before=SECONDS and after=SECONDS")
    tags = tuple(tag for value in options.get("tags", []) for tag in value.split(",") if tag)
    source = NuplanSource(path, tags)
    seconds = {name: _seconds(text, name, options[name]) for name in ("before", "after") if name in options}
    return replace(source, before=seconds.get("before", source.before), after=seconds.get("after", source.after))


def _seconds(text: str, name: str, values: Sequence[str]) -> float:
    try:
        seconds = float(values[-1])
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 60:
        raise SwerveError(f"nuplan:{text}: {name} must be seconds from 0 to 60, not {values[-1]!r}")
    return seconds


def _readable_tags(file: Path) -> tuple[str, ...]:
    try:
        return NuplanDb(file).tags.types
    except LogError:
        return ()
