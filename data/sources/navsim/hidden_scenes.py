"""Scenes of NAVSIM's hidden tests: frames without annotations and map, of which only a submission can be made.

`navsim_logs/SPLIT/*.pkl` has runs of five frames, told apart by their nuPlan scene; `NAME/openscene_meta_datas/*.pkl`
has one run of five in each file. Every run is two scenes: its first four frames, and its last four.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swerve.data.sources.navsim.folders import NavsimFolders
from swerve.data.sources.navsim.frames import NavsimScene, OpenSceneFrame, SensorFolders
from swerve.data.sources.navsim.read_frames import read_log_frames
from swerve.data.sources.navsim.scene_filter import NavsimSplit
from swerve.scenes import LogError, SwerveError

_FRAMES, _SYNTHETIC, _SENSORS = "openscene_meta_datas", "synthetic_scene_pickles", "sensor_blobs"
_RUN: Final = 5


@dataclass(frozen=True)
class HiddenScenes:
    """The scenes of a hidden test.

    Attributes:
        split: the split.
        sensors: folders of the images.
        logged: first-stage scenes by token.
        synthetic: second-stage scenes by token.
    """

    split: NavsimSplit
    sensors: SensorFolders
    logged: Mapping[str, NavsimScene]
    synthetic: Mapping[str, NavsimScene]

    @property
    def reactive_stage_two(self) -> tuple[str, ...]:
        """Second-stage tokens of the split that are there."""
        wanted = self.split.scene_filter.reactive_synthetic_initial_tokens or frozenset()
        return tuple(token for token in self.synthetic if token in wanted)

    def load(self, token: str) -> NavsimScene:
        """Return one scene.

        Raises:
            SwerveError: there is no such scene.
        """
        found = self.synthetic.get(token) or self.logged.get(token)
        if found is None:
            raise SwerveError(f"split {self.split.name}: no scene {token}")
        return found


def is_hidden(folders: NavsimFolders, split: NavsimSplit) -> bool:
    """Test whether the split's second stage has frames, and no scenes with their future."""
    stage_two = folders.root / split.name
    return (stage_two / _FRAMES).is_dir() and not (stage_two / _SYNTHETIC).is_dir()


def read_hidden_scenes(folders: NavsimFolders, split: NavsimSplit) -> HiddenScenes:
    """Read the scenes of a hidden test.

    Raises:
        SwerveError: no log is there.
        LogError: a file cannot be read, or its run is not one of five frames.
    """
    stage_two = folders.root / split.name
    logged: dict[str, NavsimScene] = {}
    for file in folders.log_files(split.data_split).values():
        for run in _runs(file):
            logged.update(_scenes(run, split, synthetic=False))
    synthetic: dict[str, NavsimScene] = {}
    for file in sorted((stage_two / _FRAMES).glob("*.pkl")):
        run = read_log_frames(file)
        if len(run) != _RUN:
            raise LogError(file, "frames", f"there are {len(run)} instead of {_RUN}")
        synthetic.update(_scenes(run, split, synthetic=True))
    given = split.scene_filter.tokens
    wanted = {token: scene for token, scene in logged.items() if given is None or token in given}
    return HiddenScenes(
        split, SensorFolders(folders.sensors(split.data_split), stage_two / _SENSORS), wanted, synthetic
    )


def _runs(file: Path) -> tuple[tuple[OpenSceneFrame, ...], ...]:
    """Return the runs of five frames of a log, each in order of time; NAVSIM leaves out runs of other lengths."""
    by_scene: dict[str, list[OpenSceneFrame]] = {}
    for frame in read_log_frames(file):
        by_scene.setdefault(frame.scene_token, []).append(frame)
    ordered = (tuple(sorted(run, key=lambda frame: frame.timestamp_us)) for run in by_scene.values())
    return tuple(run for run in ordered if len(run) == _RUN)


def _scenes(run: tuple[OpenSceneFrame, ...], split: NavsimSplit, synthetic: bool) -> Iterator[tuple[str, NavsimScene]]:
    """Yield the two scenes of a run by the token of their current frame."""
    history = split.scene_filter.num_history_frames
    if history > _RUN - 1:
        raise SwerveError(
            f"split {split.name}: num_history_frames: is {history}; a scene of a hidden test has {_RUN - 1} frames"
        )
    for frames in (run[:-1], run[1:]):
        current = frames[history - 1]
        yield (
            current.token,
            NavsimScene(
                token=current.token,
                log_name=current.log_name,
                scene_token=current.scene_token,
                map_name=current.map_location,
                num_history_frames=history,
                num_future_frames=0,
                frames=frames[:history],
                synthetic=synthetic,
            ),
        )
