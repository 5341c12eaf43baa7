"""Recorded rollouts: where planners get to, and the traffic around them, in files (docs/formats.md)."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.data.storage.archive import load_archive, to_bytes
from swerve.data.storage.checked_json import fields, integer, list_of, plain_name, read_json, text
from swerve.data.storage.files import make_folder, safe_name, to_json, write_atomically
from swerve.eval.closed_loop.closed_loop_options import ClosedLoopOptions
from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopScene
from swerve.eval.closed_loop.rollout import Rollout
from swerve.eval.closed_loop.rollout_observations import DrivenHistory, initial_history
from swerve.eval.traffic.traffic import Traffic
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable

FOLDER: Final = "rollouts"
INDEX: Final = "rollouts.json"
_KIND, _VERSION = "rollouts of a log", 2
_REMEDY: Final = "Run swerve drive --record again"
_FILE: Final = fields(
    {**dict.fromkeys(("log", "planner", "file"), plain_name), "identity": text, "sha256": text, "rollouts": integer(0)}
)
_INDEX: Final = fields({"version": integer(), "files": list_of(_FILE)})


@dataclass(frozen=True)
class RecordedRollout:
    """A rollout without its plans and scores.

    Attributes:
        token: of the log's scene in which it starts: the time in microseconds.
        past: the ego's states over the 1.5 s up to the start, every 0.1 s.
        states: the ego's every 0.1 s from the start on, columns as in simulate.State.
        traffic: the other agents at these steps.
        error: the planner's; empty if it did not fail.
    """

    token: str
    past: DrivenHistory
    states: Float[np.ndarray, "t 11"]
    traffic: Traffic
    error: str


@dataclass(frozen=True)
class LogRollouts:
    """Rollouts of one planner in one log.

    Attributes:
        log: name of the log.
        planner: label of the planner.
        identity: what changes with the planner's files, see `OpenedPlanner`.
        options: of the rollouts.
        rollouts: in order of their start.
    """

    log: str
    planner: str
    identity: str
    options: ClosedLoopOptions
    rollouts: tuple[RecordedRollout, ...]


@dataclass(frozen=True)
class RolloutFile:
    """Entry of rollouts.json.

    Attributes:
        log: name of the log.
        planner: label of the planner.
        identity: of the planner.
        file: name of the file in the folder.
        sha256: of the file.
        rollouts: number of rollouts in it.
    """

    log: str
    planner: str
    identity: str
    file: str
    sha256: str
    rollouts: int


def record_of(closed_loop_scene: ClosedLoopScene, rollout: Rollout) -> RecordedRollout:
    """Return what is recorded of a rollout."""
    return RecordedRollout(
        rollout.token, initial_history(closed_loop_scene), rollout.states, rollout.traffic, rollout.error
    )


def write_rollouts(folder: Path, rollouts: LogRollouts) -> RolloutFile:
    """Write the rollouts of a log atomically; return the entry for `write_index`."""
    make_folder(folder)
    content = to_bytes(rollouts, _KIND, _VERSION)
    name = rollouts_name(rollouts.log, rollouts.planner)
    write_atomically(folder / name, content)
    return _entry(rollouts, name, content)


def rollouts_name(log: str, planner: str) -> str:
    """Return the name of the file of a log's rollouts; the dot, which neither has, keeps pairs apart."""
    return f"{safe_name(log)}.{safe_name(planner)}.npz"


def read_rollouts(path: Path) -> tuple[LogRollouts, RolloutFile]:
    """Read the rollouts of a log, and make their entry.

    Raises:
        SwerveError: the file is missing, damaged or of another version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SwerveError(f"{path}: cannot be read ({error.strerror}). {_REMEDY}") from error
    rollouts = load_archive(path, LogRollouts, _KIND, _VERSION)
    _check(path, rollouts)
    return rollouts, _entry(rollouts, path.name, content)


def write_index(folder: Path, files: Iterable[RolloutFile]) -> None:
    """Write rollouts.json, which marks the folder as complete, in the order of the names of logs and planners."""
    make_folder(folder)
    entries = [vars(one) for one in sorted(files, key=lambda one: (one.log, one.planner))]
    write_atomically(folder / INDEX, to_json({"version": _VERSION, "files": entries}))


def read_index(folder: Path) -> tuple[RolloutFile, ...]:
    """Read rollouts.json of a folder, or of its subfolder rollouts/.

    Raises:
        SwerveError: the folder holds no complete rollouts, or of another version.
    """
    path = rollouts_folder(folder) / INDEX
    if not path.is_file():
        raise SwerveError(f"{folder}: no {FOLDER}/{INDEX}: no recorded rollouts. {_REMEDY}")
    index: dict[str, Any] = read_json(path, _INDEX, _REMEDY)
    if index["version"] != _VERSION:
        raise SwerveError(f"{path}: version {index['version']}, this is {_VERSION}. {_REMEDY}")
    return tuple(RolloutFile(**{name: one[name] for name in RolloutFile.__annotations__}) for one in index["files"])


def rollouts_folder(folder: Path) -> Path:
    """Return the folder of the files: the given one, or its subfolder."""
    return folder if (folder / INDEX).is_file() else folder / FOLDER


def index_digest(files: Sequence[RolloutFile]) -> str:
    """Return a digest of the rollouts, whatever their folder."""
    return hashlib.sha256("\n".join(f"{one.log} {one.planner} {one.sha256}" for one in files).encode()).hexdigest()


def _entry(rollouts: LogRollouts, name: str, content: bytes) -> RolloutFile:
    digest = hashlib.sha256(content).hexdigest()
    return RolloutFile(rollouts.log, rollouts.planner, rollouts.identity, name, digest, len(rollouts.rollouts))


def _check(path: Path, rollouts: LogRollouts) -> None:
    """Check that the arrays of each rollout fit each other.

    Raises:
        SwerveError: they do not, or are not finite.
    """
    for one in rollouts.rollouts:
        if not one.token.isdecimal() or len(one.token) > 18:
            raise SwerveError(f"{path}: {printable(one.token)[:40]!r} is no time of a rollout. {_REMEDY}")
        steps, tracks = len(one.states), len(one.traffic.ids)
        shapes = one.traffic.poses.shape[:2], one.traffic.velocities.shape[:2], one.traffic.present.shape
        if any(shape != (steps, tracks) for shape in shapes) or len(one.traffic.sizes) != tracks or not steps:
            raise SwerveError(f"{path}: rollout {printable(one.token)}: states and traffic differ in size. {_REMEDY}")
        if not np.isfinite(one.states).all():
            raise SwerveError(f"{path}: rollout {printable(one.token)}: states are not finite. {_REMEDY}")
