"""Copies of a NAVSIM data set under other names and tokens, to run jobs at the size of a larger one."""

import hashlib
import pickle
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from swerve.data.sources.navsim.folders import NavsimFolders
from swerve.data.sources.navsim.scene_filter import NavsimSplit
from swerve.data.sources.navsim.scene_windows import index_scenes
from swerve.data.storage.pickled_arrays import PickledArray
from swerve.data.storage.restricted_pickle import plain_array, read_pickle

_FRAME_US = 500_000


@dataclass(frozen=True)
class Recording:
    """Frames of a log as the file has them, and which of them are scenes."""

    frames: list[dict[str, Any]]
    scenes: tuple[str, ...]


def recordings(folders: NavsimFolders, split: NavsimSplit) -> list[Recording]:
    """The logs of a split with their scenes."""
    index = index_scenes(folders, split)
    files = {address.log_name: address.file for address in index.logged.values()}
    tokens: dict[str, list[str]] = {log: [] for log in files}
    for token, address in index.logged.items():
        tokens[address.log_name].append(token)
    return [Recording(plain(read_pickle(file)), tuple(tokens[log])) for log, file in files.items()]


def plain(value: Any) -> Any:
    """The same lists and dicts with ordinary arrays, which can be pickled."""
    if isinstance(value, PickledArray | np.ndarray):
        return plain_array(value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def copied_token(token: str, copy: int) -> str:
    """Token of a frame in a copy: as long as the frame's, and its own."""
    return hashlib.sha256(f"{copy}/{token}".encode()).hexdigest()[: len(token)]


def copied_frames(recording: Recording, copy: int, log: str, before: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Frames of a copy that follows the frames `before` of the log; images stay where the recording's are."""
    shift_us = before[-1]["timestamp"] + _FRAME_US - recording.frames[0]["timestamp"] if before else 0
    return [
        {
            **deepcopy(frame),  # else a file would hold once what its copies share
            "token": copied_token(frame["token"], copy),
            "log_name": log,
            "scene_token": copied_token(frame["scene_token"], copy),
            "frame_idx": number,
            "timestamp": frame["timestamp"] + shift_us,
        }
        for number, frame in enumerate(recording.frames, len(before))
    ]


def scenes_of_logs(scenes: int, logs: int) -> list[int]:
    """Numbers of scenes of each log, as even as possible."""
    return [scenes // logs + (log < scenes % logs) for log in range(logs)]


def write_copies(folders: NavsimFolders, split: NavsimSplit, into: Path, scenes: int, logs: int) -> Path:
    """Write logs of the asked number of scenes, with links to maps and images, and the file of their split.

    Copies of the recordings take turns within a log. What a worker keeps of a place, such as its part of the map,
    serves all copies that are there: the speed of evaluation is an upper bound.
    """
    sources, written, copy = recordings(folders, split), into / "navsim_logs" / split.data_split, 0
    written.mkdir(parents=True)
    for name in ("maps", "sensor_blobs"):
        (into / name).symlink_to((folders.root / name).resolve())
    tokens = []
    for number, wanted in enumerate(scenes_of_logs(scenes, logs)):
        log, frames, own = f"copy-{number:05d}", list[dict[str, Any]](), list[str]()
        while len(own) < wanted:
            source = sources[copy % len(sources)]
            frames += copied_frames(source, copy, log, frames)
            own += [copied_token(token, copy) for token in source.scenes]
            copy += 1
        (written / f"{log}.pkl").write_bytes(pickle.dumps(frames))
        tokens += own[:wanted]
    return write_split(into / "copies.yaml", split, tokens)


def write_split(path: Path, split: NavsimSplit, tokens: Sequence[str]) -> Path:
    """Write a split of these scenes, with the windows of another."""
    given = split.scene_filter
    document = {
        "num_history_frames": given.num_history_frames,
        "num_future_frames": given.num_future_frames,
        "frame_interval": 1,
        "has_route": given.has_route,
        "tokens": list(tokens),
    }
    filters = path.parent / "scene_filter"
    filters.mkdir()
    (filters / path.name).write_text(yaml.safe_dump(document))
    path.write_text(yaml.safe_dump({"defaults": [{"scene_filter": path.stem}], "data_split": split.data_split}))
    return path
