"""WOD-E2E as a source: a log per frame, of the ego's past and future at 4 Hz, with the photos of now."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from swerve.data.sources.checks import check_log
from swerve.data.sources.source import split_of
from swerve.data.sources.waymo.waymo_source import record_files
from swerve.data.sources.wod_e2e.frame import PAST_POINTS, PERIOD, E2EFrame, read_frame
from swerve.data.sources.wod_e2e.frame_index import FrameEntry, FrameIndex, Report, build_index
from swerve.data.sources.wod_e2e.motion import headings
from swerve.scenes import Ego, Log, LogError, Split, Tracks, TrafficLights, Vehicle
from swerve.scenes.causal_motion import in_own_frame
from swerve.scenes.transforms import pose_from_yaw

PREFIX: Final = "wod_e2e:"
LACKING: Final = (
    "WOD-E2E has no map, no boxes and no ego poses of a sequence, which this needs. Use swerve info, swerve evaluate "
    "and swerve submit wod"
)


@dataclass(frozen=True)
class WodE2eSource:
    """Source of a record file, or of a folder with record files at any depth.

    Logs are named after frames, SEQUENCE-FRAME. The index of the frames is built on first use, and kept.
    """

    path: Path

    kind = "wod_e2e"
    lacking = LACKING

    def index(self) -> FrameIndex:
        """Return the index of the frames; the first time, progress is shown on stderr.

        Raises:
            LogError: there is no frame, or a file is damaged.
        """
        return _index(self.path, tuple(_stamp_of(file) for file in record_files(self.path)))

    def names(self) -> tuple[str, ...]:
        """Return the names of the frames.

        Raises:
            LogError: there is none, or a file is damaged.
        """
        return tuple(self.index().by_name)

    def summary(self) -> str:
        """Describe the frames in a line.

        Raises:
            LogError: there is none, or a file is damaged.
        """
        index = self.index()
        hidden = sum(not entry.future for entry in index.entries)
        files = len({entry.file for entry in index.entries})
        what = f"{len(index.entries)} frames of {len(index.sequences)} sequences in {files} files"
        return f"{what}; {len(index.rated)} rated, {hidden} with hidden future"

    def load(self, name: str) -> Log:
        """Load the log of a frame.

        Raises:
            LogError: there is no such frame, or its record is malformed.
        """
        entry = self.index().by_name.get(name)
        if entry is None:
            raise LogError(self.path, name, "no WOD-E2E frame of that name")
        return log_of(self.frame(entry), entry.file)

    def frame(self, entry: FrameEntry) -> E2EFrame:
        """Read a frame.

        Raises:
            LogError: its record is malformed.
        """
        return read_frame(entry, self.path)

    def entries_of(self, split: Split | None) -> tuple[FrameEntry, ...]:
        """Return the frames of a split, by the names of the shards; all if it is None.

        Raises:
            LogError: there is none.
        """
        entries = self.index().entries
        if split is not None:
            splits = {file: split_of(file, self.path) for file in {entry.file for entry in entries}}
            entries = tuple(entry for entry in entries if splits[entry.file] == split)
        if not entries:
            raise LogError(self.path, "files", f"no frame of split {split}: names of shards begin with it")
        return entries


def log_of(frame: E2EFrame, file: Path) -> Log:
    """Return the log of a frame: 16 steps up to now and, where they are known, 20 after it, 0.25 s apart.

    Headings are directions of travel. Velocities of the future are differences of its positions.

    Raises:
        LogError: the values are no motion of a car.
    """
    planar = np.concatenate([frame.past, frame.future[:, :2]])
    heights = np.concatenate([np.zeros(PAST_POINTS), frame.future[:, 2]])
    now = PAST_POINTS - 1
    velocity = np.concatenate([frame.velocity, np.diff(planar[now:], axis=0) / PERIOD])
    yaw = headings(velocity, now)
    steps = np.arange(len(planar)) - now
    times_us = frame.time_us + np.round(steps * PERIOD * 1e6).astype(np.int64)
    poses = pose_from_yaw(np.column_stack([planar, heights]), yaw)
    ego = Ego.from_poses(poses, times_us)
    ego.velocity[: now + 1] = in_own_frame(frame.velocity, yaw[: now + 1])
    ego.acceleration[: now + 1] = in_own_frame(frame.acceleration, yaw[: now + 1])
    log = Log(
        name=frame.name,
        source="wod_e2e",
        times_us=times_us,
        ego=replace(ego, measured=True),
        vehicle=Vehicle.pacifica(),
        tracks=Tracks.empty(len(steps)),
        lights=TrafficLights.empty(len(steps)),
        road_map=None,
        cameras=frame.cameras,
        split=frame.split,
        photos=tuple(replace(photo, time_us=frame.time_us) for photo in frame.photos),
    )
    return check_log(log, file)


def _stamp_of(file: Path) -> tuple[str, int, int]:
    found = file.stat()
    return str(file), found.st_size, found.st_mtime_ns


@lru_cache(maxsize=2)
def _index(path: Path, _stamps: tuple[tuple[str, int, int], ...]) -> FrameIndex:
    """Return the index; it stays in memory as long as the files are the same."""
    with _progress(f"indexing {path}") as report:
        return build_index(path, report)


@contextmanager
def _progress(text: str) -> Iterator[Report]:
    """Yield what shows progress over files on stderr: a bar on a terminal, elsewhere a line at the start."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        line = bar.add_task(text)

        def report(done: int, total: int) -> None:
            if not (done or console.is_terminal):
                console.print(f"{text}, once: files to read: {total}", highlight=False, markup=False, soft_wrap=True)
            bar.update(line, completed=done, total=total)

        yield report
