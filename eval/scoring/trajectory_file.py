"""Reading of planned trajectories from JSON, as `swerve score` takes them."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.data.storage.checked_json import array, fields, list_of, mapping_of, plain_name, read_json
from swerve.eval.scoring.thresholds import POSE_INTERVAL, STEP, STEPS
from swerve.scenes import LogError, SwerveError
from swerve.scenes.planning import FARTHEST_POSE

_LEAST: Final = round(STEP * (STEPS - 1) / POSE_INTERVAL)
_MOST: Final = 1000
_POSES: Final = array(None, 3, least=_LEAST, bound=FARTHEST_POSE)
_NAMED: Final = list_of(fields({"poses": _POSES}, {"name": plain_name}))
_HINT: Final = "It is an object: token -> [[x, y, heading], ...], or token -> [{name, poses}, ...]"


def read_trajectories(path: Path, planner: str | None = None) -> dict[str, Float[np.ndarray, "k 3"]]:
    """Return poses (x, y, heading; metres and radians, in the ego frame of now, every 0.5 s) by token of the scene.

    Args:
        path: JSON file: token -> poses, or token -> [{"name", "poses"}, ...]; unpacked if its name ends in .gz.
        planner: name of the trajectories that are chosen; not needed where each token has one.

    Raises:
        SwerveError: the file cannot be read or holds something else: poses that are not finite numbers, fewer than
            eight (4 s), or one that no vehicle can reach, 10 km or 10^4 rad away; or a token has not exactly one
            trajectory (of that name).
    """
    content = read_json(path, mapping_of(_poses), _HINT)
    if not content:
        raise SwerveError(f"{path}: holds no trajectory. {_HINT}")
    return {token: _chosen(path, token, entry, planner) for token, entry in content.items()}


def _poses(value: Any, place: str) -> None:  # noqa: ANN401 whatever JSON holds
    """Accept poses, or a list of objects with a name and poses."""
    named = type(value) is list and bool(value) and type(value[0]) is dict
    (_NAMED if named else _POSES)(value, place)


def _chosen(path: Path, token: str, entry: list[Any], planner: str | None) -> Float[np.ndarray, "k 3"]:
    if isinstance(entry[0], dict):
        found = [one["poses"] for one in entry if planner is None or one.get("name") == planner]
        if len(found) != 1:
            raise SwerveError(f"{path}: scene {token} has {len(found)} trajectories to choose from: give --name")
        entry = found[0]
    if len(entry) > _MOST:
        raise LogError(path, token, f"has {len(entry)} poses, more than {_MOST}")
    return np.array(entry, dtype=np.float64)
