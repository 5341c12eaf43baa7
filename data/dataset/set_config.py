"""The options of a set, read back from its folder."""

import json
from pathlib import Path

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints import Bounds, CrossAgentOptions, RecoveryOptions


def read_options(folder: Path) -> AugmentOptions:
    """What a set's viewpoints depend on, as job.json holds it; the looks of its images are left at their defaults.

    Raises:
        SwerveError: the folder holds no set, or one of another version.
    """
    path = folder / "job.json"
    try:
        given = json.loads(path.read_bytes())["options"]
        recovery, cross_agent = given["recovery"], given["cross_agent"]
        return AugmentOptions(
            tuple(given["viewpoints"]),
            recovery=RecoveryOptions(**{**recovery, "bounds": Bounds(**recovery["bounds"])}),
            cross_agent=CrossAgentOptions(**{**cross_agent, "lengths": tuple(cross_agent["lengths"])}),
            **{name: given[name] for name in ("seed", "every", "history", "future", "shard_scenes")},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SwerveError(f"{path}: holds no options of a set that this program made ({error!r})") from error
