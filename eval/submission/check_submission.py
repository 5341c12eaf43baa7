"""Checks of a submission file before the upload: the server answers a faulty one with no reason, once a day."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from swerve.data.sources.navsim.scene_filter import NavsimSplit
from swerve.data.storage.restricted_pickle import PickledRecord, load_pickle
from swerve.eval.submission.pickled_names import pickled_names
from swerve.eval.submission.submission import FILE_NAME, INFO_KEYS, ONE_STAGE, TWO_STAGE
from swerve.eval.submission.write_submission import SAMPLING, TRAJECTORY
from swerve.scenes import LogError, SwerveError

# Newest protocol of the server's Python.
_PROTOCOL: Final = 5
_HORIZON: Final = 4.0
_FARTHEST: Final = 1000.0
_SHOWN: Final = 3


class _Trajectory(PickledRecord):
    """Stands for NAVSIM's Trajectory."""

    __slots__ = ()


class _Sampling(PickledRecord):
    """Stands for nuPlan's TrajectorySampling."""

    __slots__ = ()


@dataclass(frozen=True)
class SubmissionCheck:
    """Result of a check.

    Attributes:
        errors: faults for which the server fails, or scores less than it could.
        warnings: oddities that it accepts.
        counts: number of trajectories by key of the file.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    counts: Mapping[str, int]


def expected_tokens(split: NavsimSplit) -> dict[str, frozenset[str]]:
    """Return the tokens that a split's submission must have, by key of the file.

    Raises:
        SwerveError: the split lists no tokens.
    """
    given = split.scene_filter
    if given.tokens is None:
        raise SwerveError(f"split {split.name}: lists no tokens, so that none can be found missing. Give the board's")
    second = given.reactive_synthetic_initial_tokens
    if second is None or not given.include_synthetic_scenes:
        return dict(zip(ONE_STAGE, [given.tokens], strict=True))
    return dict(zip(TWO_STAGE, [given.tokens, second], strict=True))


def check_submission(path: str | Path, expected: Mapping[str, frozenset[str]]) -> SubmissionCheck:
    """Check a submission file. Nothing in it is run.

    Args:
        path: of the file.
        expected: tokens by key, as of `expected_tokens`.

    Raises:
        SwerveError: the file cannot be read.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SwerveError(f"{path}: cannot be read ({error.strerror})") from error
    errors, warnings = list(_format_faults(data)), []
    if path.name != FILE_NAME:
        warnings.append(f"the file is named {path.name}: the server wants {FILE_NAME}")
    try:
        content = load_pickle(data, path, {TRAJECTORY: _Trajectory, SAMPLING: _Sampling})
    except LogError as error:
        return SubmissionCheck((*errors, f"{error.field}: {error.problem}"), tuple(warnings), {})
    if not isinstance(content, dict):
        return SubmissionCheck((*errors, f"holds a {type(content).__name__} instead of a dict"), tuple(warnings), {})
    errors += _key_faults(content, expected)
    warnings += [f"{key} is empty" for key in INFO_KEYS if content.get(key) == ""]
    counts = {}
    for key, tokens in expected.items():
        if key in content:
            found = _seeds(content[key], key, errors)
            counts[key] = len(found)
            errors += _token_faults(key, found, tokens, expected)
            own_errors, own_warnings = _trajectory_faults(key, found)
            errors += own_errors
            warnings += own_warnings
    return SubmissionCheck(tuple(errors), tuple(warnings), counts)


def _format_faults(data: bytes) -> Iterator[str]:
    """Yield faults of the pickle itself: its protocol, and names that the server does not have."""
    if data[:1] == b"\x80" and len(data) > 1 and data[1] > _PROTOCOL:
        yield f"pickle protocol {data[1]}: the server's Python 3.9 reads up to {_PROTOCOL}"
    try:
        names = pickled_names(data)
    except ValueError:
        return  # Loading tells what is damaged.
    if newer := sorted({module for module, _ in names if module.startswith("numpy._core")}):
        yield (
            f"names {', '.join(newer)}, which numpy 2 writes and the server's numpy 1 does not have: it cannot load "
            "the file. Write it with numpy 1, or with swerve submit navsim"
        )


def _key_faults(content: Mapping[Any, Any], expected: Iterable[str]) -> Iterator[str]:
    """Yield missing keys, and keys of the other version of the benchmark."""
    wanted = (*INFO_KEYS, *expected)
    if missing := [key for key in wanted if key not in content]:
        yield f"keys are missing: {', '.join(map(repr, missing))}"
    if more := [key for key in content if key not in wanted]:
        yield f"keys that this benchmark does not have: {', '.join(map(repr, more))}"
    for key in INFO_KEYS:
        if key in content and not isinstance(content[key], str):
            yield f"{key} is a {type(content[key]).__name__} instead of text"


def _seeds(value: object, key: str, errors: list[str]) -> dict[str, Any]:
    """Return the trajectories of the only seed; note faults of the containers."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        errors.append(f"{key}: must be a list with a dict of token and Trajectory, as in [{{token: Trajectory}}]")
        return dict(value) if isinstance(value, dict) else {}
    if not value or (len(value) > 1 and key in TWO_STAGE):
        errors.append(f"{key}: has {len(value)} dicts in its list, the server takes exactly one")
    merged: dict[str, Any] = {}
    for one in reversed(value):
        merged.update(one)
    if any(set(one) != set(merged) for one in value):
        errors.append(f"{key}: the dicts of its list have different tokens")
    return merged


def _token_faults(
    key: str, found: Mapping[str, Any], tokens: frozenset[str], expected: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    """Yield numbers and examples of missing and unknown tokens."""
    if missing := sorted(tokens - set(found)):
        yield f"{key}: {len(missing)} of {len(tokens)} tokens are missing, such as {_examples(missing)}"
    unknown = sorted(map(str, set(found) - tokens))
    other = [name for name, theirs in expected.items() if name != key and theirs & set(unknown)]
    if unknown:
        hint = f"; some belong to {other[0]}" if other else ""
        yield f"{key}: {len(unknown)} tokens are not of the split, such as {_examples(unknown)}{hint}"


def _trajectory_faults(key: str, found: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return errors and warnings about trajectories: each once, with the number of scenes that have it."""
    errors: dict[str, list[str]] = {}
    warnings: dict[str, list[str]] = {}
    for token, trajectory in found.items():
        fault = _fault(trajectory)
        if fault:
            errors.setdefault(fault, []).append(str(token))
        elif oddity := _oddity(trajectory):
            warnings.setdefault(oddity, []).append(str(token))
    return _counted(key, errors), _counted(key, warnings)


def _counted(key: str, faults: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{key}: {fault} in {len(tokens)} scenes, such as {_examples(tokens)}" for fault, tokens in faults.items()]


def _fault(trajectory: Any) -> str | None:  # noqa: ANN401 whatever the file has
    """Return the reason why the server cannot score a trajectory."""
    if not isinstance(trajectory, _Trajectory):
        return f"a {type(trajectory).__name__} instead of navsim.common.dataclasses.Trajectory"
    poses, sampling = trajectory.values.get("poses"), trajectory.values.get("trajectory_sampling")
    if not isinstance(poses, np.ndarray):
        return f"poses are a {type(poses).__name__} instead of an array"
    if poses.ndim != 2 or poses.shape[1] != 3 or not len(poses):
        return f"poses of shape {poses.shape} instead of (n, 3)"
    if poses.dtype.kind not in "fiu":
        return f"poses of type {poses.dtype}"
    if not np.isfinite(poses).all():
        return "poses that are not finite"
    return _sampling_fault(sampling, len(poses))


def _sampling_fault(sampling: Any, count: int) -> str | None:  # noqa: ANN401 whatever the file has
    """Return the reason why a sampling does not fit its poses."""
    if not isinstance(sampling, _Sampling):
        return f"trajectory_sampling is a {type(sampling).__name__} instead of nuPlan's TrajectorySampling"
    number, horizon, interval = (sampling.values.get(name) for name in ("num_poses", "time_horizon", "interval_length"))
    if not isinstance(number, int) or number != count:
        return f"{count} poses with a sampling of {number}"
    if not isinstance(horizon, float | int) or not isinstance(interval, float | int) or not interval > 0:
        return f"a sampling with horizon {horizon} and interval {interval}"
    if not abs(count * interval - horizon) <= 1e-6:
        return f"{count} poses every {interval} s with a horizon of {horizon} s"
    return None


def _oddity(trajectory: _Trajectory) -> str | None:
    """Return what the server accepts and is probably not meant."""
    horizon = float(trajectory.values["trajectory_sampling"].values["time_horizon"])
    poses = np.asarray(trajectory.values["poses"], dtype=np.float64)
    if horizon < _HORIZON - 1e-6:
        return f"a horizon of {horizon} s, after which the car is to stand still: the score covers {_HORIZON} s"
    if np.abs(poses[:, :2]).max() > _FARTHEST:
        return f"poses farther than {_FARTHEST:.0f} m: they must be relative to the current pose"
    if np.abs(poses[:, 2]).max() > 2 * np.pi:
        return "headings beyond a full turn: they must be radians"
    return None


def _examples(tokens: Sequence[str]) -> str:
    return ", ".join(tokens[:_SHOWN])
