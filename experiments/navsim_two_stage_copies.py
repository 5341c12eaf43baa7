"""Copies of a two-stage NAVSIM data set under other names and tokens, to run jobs at the size of a larger one."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import yaml

from experiments.navsim_copies import Recording, copied_frames, copied_token, recordings, scenes_of_logs
from swerve.data.sources.navsim.folders import NavsimFolders
from swerve.data.sources.navsim.scene_filter import NavsimSplit, SceneMapping
from swerve.data.sources.navsim.synthetic_scenes import read_synthetic_scene

_NAME = "copies_two_stage"


@dataclass(frozen=True)
class Sizes:
    """Numbers of what is written.

    Attributes:
        groups: number of scene groups.
        logs: number of logs that they are in.
        pairs: follow-up pairs of a group.
    """

    groups: int
    logs: int
    pairs: int

    @property
    def scenes(self) -> int:
        """Number of scenes of both stages."""
        return self.groups * (2 + 2 * self.pairs)


def write_two_stage_copies(folders: NavsimFolders, split: NavsimSplit, into: Path, sizes: Sizes) -> Path:
    """Write logs and synthetic scenes of the asked number of groups, and the file of their split; link maps and images.

    A group's follow-ups take turns among those of the copied group. Copies are in the places of the originals: what a
    worker keeps of a place, such as its part of the map, serves all copies that are there.
    """
    written, synthetic = into / "navsim_logs" / split.data_split, into / _NAME / "synthetic_scene_pickles"
    written.mkdir(parents=True)
    synthetic.mkdir(parents=True)
    for link in ("maps", "sensor_blobs"):
        (into / link).symlink_to((folders.root / link).resolve())
    (into / _NAME / "sensor_blobs").symlink_to(folders.synthetic_sensors(split.name).resolve())
    sources, groups = cycle(_sources(folders, split)), list[SceneMapping]()
    for number, wanted in enumerate(scenes_of_logs(sizes.groups, sizes.logs)):
        log, frames = "", list[dict[str, Any]]()
        for recording, group in islice(sources, wanted):
            # Files of synthetic scenes are changed in place, so that new texts are as long as the old ones.
            log = f"{number:05d}".ljust(len(recording.frames[0]["log_name"]), "-")
            copy = len(groups)
            frames += copied_frames(recording, copy, log, frames)
            groups.append(_copied_group(folders.synthetic_files(split.name), group, copy, log, sizes.pairs, synthetic))
        (written / f"{log}.pkl").write_bytes(pickle.dumps(frames))
    return _write_split(into / f"{_NAME}.yaml", split, groups)


def _sources(folders: NavsimFolders, split: NavsimSplit) -> list[tuple[Recording, SceneMapping]]:
    """The groups of a split, each with the recording that it is in."""
    found = recordings(folders, split)
    if len({len(one.frames[0]["log_name"]) for one in found}) != 1:
        raise ValueError("names of logs have different lengths")
    by_token = {token: recording for recording in found for token in recording.scenes}
    return [(by_token[group.now], group) for group in split.mapping]


def _copied_group(
    files: Mapping[str, Path], group: SceneMapping, copy: int, log: str, pairs: int, into: Path
) -> SceneMapping:
    """Write the synthetic scenes of a copied group, and return its tokens."""
    now, before = (copied_token(token, copy) for token in (group.now, group.before))
    turns = enumerate(islice(cycle(group.follow_ups), pairs), copy * pairs)
    follow_ups = [tuple(_copied_scene(files[token], turn, copy, log, into) for token in pair) for turn, pair in turns]
    return SceneMapping(now, before, tuple((later, earlier) for later, earlier in follow_ups))


def _copied_scene(file: Path, turn: int, copy: int, log: str, into: Path) -> str:
    """Write a synthetic scene under another token, of another log and other stage-one scene; return its token."""
    scene, content = read_synthetic_scene(file), file.read_bytes()
    token = copied_token(scene.token, turn)
    changed = {scene.token: token, scene.log_name: log}
    for original in (scene.original_scene, scene.original_initial_token):
        if original is not None:
            changed[original] = copied_token(original, copy)
    for old, new in changed.items():
        content = content.replace(_pickled(old), _pickled(new))
    (into / f"{token}.pkl").write_bytes(content)
    return token


def _pickled(text: str) -> bytes:
    """A short text as a pickle of protocol 4 has it."""
    return pickle.SHORT_BINUNICODE + bytes([len(text)]) + text.encode()


def _write_split(path: Path, split: NavsimSplit, groups: list[SceneMapping]) -> Path:
    """Write a two-stage split of these groups, with the windows of another."""
    given, mapping = (
        split.scene_filter,
        [[one.now, one.before, [list(pair) for pair in one.follow_ups]] for one in groups],
    )
    document = {
        "num_history_frames": given.num_history_frames,
        "num_future_frames": given.num_future_frames,
        "frame_interval": 1,
        "has_route": given.has_route,
        "include_synthetic_scenes": True,
        "tokens": [token for one in groups for token in (one.now, one.before)],
        "reactive_synthetic_initial_tokens": [token for one in groups for pair in one.follow_ups for token in pair],
    }
    filters = path.parent / "scene_filter"
    filters.mkdir()
    (filters / path.name).write_text(yaml.safe_dump(document))
    content = {"defaults": [{"scene_filter": path.stem}], "data_split": split.data_split}
    path.write_text(yaml.safe_dump({**content, "reactive_all_mapping": mapping}))
    return path
