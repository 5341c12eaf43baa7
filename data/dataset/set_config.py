"""Options of a set, read from its folder."""

import json
from pathlib import Path

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints import CrossAgentOptions, KinematicLimits, RecoveryOptions


def read_options(folder: Path) -> AugmentOptions:
    """Read the options that determine a set's viewpoints from job.json; image style options keep their defaults.

    Raises:
        SwerveError: the folder holds no set, or one of another version.
    """
    path = folder / "job.json"
    try:
        given = json.loads(path.read_bytes())["options"]
        recovery, cross_agent = given["recovery"], given["cross_agent"]
        return AugmentOptions(
            tuple(given["viewpoints"]),
            recovery=RecoveryOptions(**{**recovery, "bounds": KinematicLimits(**recovery["bounds"])}),
            cross_agent=CrossAgentOptions(**{**cross_agent, "length_range": tuple(cross_agent["length_range"])}),
            **{name: given[name] for name in ("seed", "scene_interval", "history", "future", "shard_scenes")},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SwerveError(f"{path}: holds no options of a set of this program ({error!r})") from error
