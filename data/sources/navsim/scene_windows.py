"""NAVSIM's scenes of a split: windows of a log's frames that a scene filter lets through, and synthetic scenes."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Protocol, TypeVar, runtime_checkable

from swerve.data.sources.navsim.folders import NavsimFolders
from swerve.data.sources.navsim.frames import NavsimScene, OpenSceneFrame, SensorFolders
from swerve.data.sources.navsim.read_frames import read_log_frames
from swerve.data.sources.navsim.scene_filter import NavsimSplit, SceneFilter
from swerve.data.sources.navsim.synthetic_scenes import read_synthetic_scene
from swerve.data.storage.files import file_version
from swerve.scenes import SwerveError

T = TypeVar("T")

_SHOWN: Final = 3


@dataclass(frozen=True)
class SceneAddress:
    """Place of a scene, and what is asked of all scenes before any is scored.

    Attributes:
        log_name: name of the log.
        map_name: name of the map.
        file: of the log, or of the synthetic scene.
        first: index of the first frame in a log.
        has_lights: whether a frame names a traffic light.
    """

    log_name: str
    map_name: str
    file: Path
    first: int = 0
    has_lights: bool = False


@dataclass(frozen=True)
class SceneIndex:
    """The scenes of a split, by token, in order of log and time. Scenes are read when asked for.

    Attributes:
        split: the split.
        folders: where the data are.
        logged: first-stage scenes.
        synthetic: second-stage scenes; empty in one-stage splits.
        missing: what the split asks for and is not there, a line each.
    """

    split: NavsimSplit
    folders: NavsimFolders
    logged: Mapping[str, SceneAddress]
    synthetic: Mapping[str, SceneAddress]
    missing: tuple[str, ...] = ()

    @property
    def sensors(self) -> SensorFolders:
        """Folders of the sensor data."""
        logged = self.folders.sensors(self.split.data_split)
        return SensorFolders(logged, self.folders.synthetic_sensors(self.split.name) if self.synthetic else logged)

    @property
    def reactive_stage_two(self) -> tuple[str, ...]:
        """Second-stage tokens of reactive traffic that are there."""
        wanted = self.split.scene_filter.reactive_synthetic_initial_tokens or frozenset()
        return tuple(token for token in self.synthetic if token in wanted)

    def per_log(self) -> dict[str, tuple[str, ...]]:
        """Return the tokens of all scenes by log."""
        found: dict[str, list[str]] = {}
        for token, address in (*self.logged.items(), *self.synthetic.items()):
            found.setdefault(address.log_name, []).append(token)
        return {log: tuple(tokens) for log, tokens in found.items()}

    def load(self, token: str) -> NavsimScene:
        """Read one scene.

        Raises:
            SwerveError: there is no such scene.
            LogError: its file cannot be read.
        """
        if token in self.synthetic:
            return _synthetic_scene(self.synthetic[token].file)
        if token not in self.logged:
            raise SwerveError(f"split {self.split.name}: no scene {token}")
        address = self.logged[token]
        given = self.split.scene_filter
        frames = _frames_of(address.file)[address.first : address.first + given.num_frames]
        return scene_from(frames, given)


@runtime_checkable
class ReadFiles(Protocol):
    """Applies a function to files, in order; in several processes, perhaps."""

    def __call__(self, read: Callable[[Path], T], files: Sequence[Path], noun: str) -> Iterable[T]:
        """Return what a function returns for each file; the noun names them in a progress bar."""


def read_in_turn(read: Callable[[Path], T], files: Sequence[Path], noun: str) -> Iterable[T]:
    """Apply a function to files one after the other, in this process."""
    return map(read, files)


def index_scenes(folders: NavsimFolders, split: NavsimSplit, read_files: ReadFiles = read_in_turn) -> SceneIndex:
    """Find the scenes of a split. Reads all of its logs and synthetic scenes, to check them.

    Args:
        folders: the data set.
        split: the split.
        read_files: applies a function to files.

    Raises:
        SwerveError: no log of the split is there, or no scene passes its filter, or it has synthetic scenes and no
            folder of them exists.
        LogError: a log cannot be read.
    """
    files, given = folders.log_files(split.data_split), split.scene_filter
    used = {name: file for name, file in files.items() if given.log_names is None or name in given.log_names}
    if not used:
        raise SwerveError(
            f"{folders.logs(split.data_split)}: none of the {len(files)} logs is of the split {split.name}. "
            f"The split names logs such as {', '.join(sorted(given.log_names or ())[:_SHOWN])}"
        )
    logged, final = _logged(list(used.values()), given, read_files)
    if not logged:
        there = "the log that is there" if len(used) == 1 else f"the {len(used)} logs that are there"
        raise SwerveError(
            f"split {split.name}: none of its scenes is in {there}. A scene has {given.num_history_frames} frames up "
            f"to its moment and {given.num_future_frames} after it"
        )
    synthetic = _synthetic(folders, split, final, read_files) if given.include_synthetic_scenes else {}
    return SceneIndex(split, folders, logged, synthetic, tuple(_missing(split, used, logged, synthetic)))


def windows_of(
    frames: tuple[OpenSceneFrame, ...], given: SceneFilter
) -> Iterator[tuple[int, tuple[OpenSceneFrame, ...]]]:
    """Yield NAVSIM's windows of a log with the index of their first frame: full ones with a route and a wanted token.

    Only their number of frames counts: windows across gaps in time and across nuPlan's scenes are scored.
    """
    for first in range(0, len(frames), given.frame_interval or given.num_frames):
        window = frames[first : first + given.num_frames]
        if len(window) < given.num_frames:
            continue
        current = window[given.num_history_frames - 1]
        if given.has_route and not current.roadblock_ids:
            continue
        if given.tokens is None or current.token in given.tokens:
            yield first, window


def scene_from(frames: tuple[OpenSceneFrame, ...], given: SceneFilter) -> NavsimScene:
    """Return the scene of a window."""
    current = frames[given.num_history_frames - 1]
    return NavsimScene(
        token=current.token,
        log_name=current.log_name,
        scene_token=current.scene_token,
        map_name=current.map_location,
        num_history_frames=given.num_history_frames,
        num_future_frames=given.num_future_frames,
        frames=frames,
    )


def _logged(
    files: Sequence[Path], given: SceneFilter, read_files: ReadFiles
) -> tuple[dict[str, SceneAddress], set[str]]:
    """Return the scenes of the logs, and the tokens of their last frames."""
    found: dict[str, SceneAddress] = {}
    final: set[str] = set()
    if given.max_scenes is not None:  # logs after the last scene are not read
        read_files = read_in_turn
    for scenes in read_files(partial(_scenes_of_log, given=given), files, "logs"):
        for token, address, last in scenes:
            found[token] = address
            final.add(last)
            if given.max_scenes is not None and len(found) >= given.max_scenes:
                return found, final
    return found, final


def _scenes_of_log(file: Path, given: SceneFilter) -> list[tuple[str, SceneAddress, str]]:
    """Return token, place and last frame's token of the scenes of a log."""
    return [
        (window[given.num_history_frames - 1].token, _address(window, file, first), window[-1].token)
        for first, window in windows_of(_frames_of(file), given)
    ]


def _synthetic(
    folders: NavsimFolders, split: NavsimSplit, final: set[str], read_files: ReadFiles
) -> dict[str, SceneAddress]:
    """Return the synthetic scenes that follow the logged ones: of a selected log, from a scene's last frame on."""
    given = split.scene_filter
    files = {
        token: file
        for token, file in folders.synthetic_files(split.name).items()
        if given.synthetic_scene_tokens is None or token in given.synthetic_scene_tokens
    }
    read = read_files(_synthetic_address, list(files.values()), "synthetic scenes")
    return {
        token: address
        for token, (log_name, original, address) in zip(files, read, strict=True)
        if (given.log_names is None or log_name in given.log_names) and original in final
    }


def _synthetic_address(file: Path) -> tuple[str, str | None, SceneAddress]:
    """Return log, original scene and place of a synthetic scene."""
    scene = read_synthetic_scene(file)
    return scene.log_name, scene.original_scene, _address(scene.frames, file)


def _address(frames: tuple[OpenSceneFrame, ...], file: Path, first: int = 0) -> SceneAddress:
    lights = any(frame.traffic_lights for frame in frames)
    return SceneAddress(frames[0].log_name, frames[0].map_location, file, first, lights)


def _missing(
    split: NavsimSplit,
    files: Mapping[str, Path],
    logged: Mapping[str, SceneAddress],
    synthetic: Mapping[str, SceneAddress],
) -> Iterator[str]:
    """Yield a line for each kind of thing that the split asks for and that is not there."""
    given = split.scene_filter
    for what, wanted, there in (
        ("logs", given.log_names, files),
        ("scenes", given.tokens if given.max_scenes is None else None, logged),
        ("synthetic scenes", given.reactive_synthetic_initial_tokens, synthetic),
    ):
        if line := missing_line(split, what, wanted, there):
            yield line


def missing_line(split: NavsimSplit, what: str, wanted: Collection[str] | None, there: Collection[str]) -> str:
    """Return a line on what a split asks for and is not there; an empty one if all is there, or anything will do."""
    absent = sorted(set(wanted or ()) - set(there))
    if not absent:
        return ""
    examples = ", ".join(absent[:_SHOWN])
    return f"split {split.name}: {len(absent)} of {len(wanted or ())} {what} are missing, such as {examples}"


# A scene is asked for by its score and by its images, one after the other.
# Each is read anew if its file changes.
def _synthetic_scene(file: Path) -> NavsimScene:
    return _kept_scene(file, file_version(file))


@lru_cache(maxsize=32)
def _kept_scene(file: Path, _: tuple[int, ...]) -> NavsimScene:
    return read_synthetic_scene(file)


def _frames_of(file: Path) -> tuple[OpenSceneFrame, ...]:
    return _kept_frames(file, file_version(file))


@lru_cache(maxsize=4)
def _kept_frames(file: Path, _: tuple[int, ...]) -> tuple[OpenSceneFrame, ...]:
    return read_log_frames(file)
