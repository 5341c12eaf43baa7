"""Options of a set, read from its folder."""

from dataclasses import fields as fields_of
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.storage.checked_json import anything, fields, mapping_of, read_json
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints import CrossAgentOptions, KinematicLimits, RecoveryOptions
from swerve.scenes.viewpoints.follow_up.start_draw_options import StartDrawOptions

_JOB: Final = fields({"options": mapping_of(anything)})


def read_options(folder: Path) -> AugmentOptions:
    """Read the options that determine a set's viewpoints from job.json; image style options keep their defaults.

    Raises:
        SwerveError: the folder holds no set, or one of another version.
    """
    path = folder / "job.json"
    if not path.is_file():
        raise SwerveError(f"{folder}: no job.json: not a set. Make one with `swerve augment`")
    try:
        given = read_json(path, _JOB)["options"]
        recovery, cross_agent = given["recovery"], given["cross_agent"]
        return AugmentOptions(
            tuple(given["viewpoints"]),
            recovery=RecoveryOptions(**{**recovery, "bounds": KinematicLimits(**recovery["bounds"])}),
            cross_agent=CrossAgentOptions(**{**cross_agent, "length_range": tuple(cross_agent["length_range"])}),
            follow_up=StartDrawOptions(**given["follow_up"]),
            **{name: given[name] for name in ("seed", "scene_interval", "history", "future", "shard_scenes")},
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        found = f"{type(error).__name__}: {error}"
        raise SwerveError(f"{path}: holds no options of a set of `swerve augment` of this version ({found})") from error


def read_all_options(folder: Path) -> AugmentOptions:
    """Read all options of a set from job.json, those of images included.

    Raises:
        SwerveError: the folder holds no set, or one of another version.
    """
    given, known = read_json(folder / "job.json", _JOB)["options"], read_options(folder)
    names = [field.name for field in fields_of(AugmentOptions) if field.name in given]
    plain: dict[str, Any] = {name: given[name] for name in names if not isinstance(given[name], dict)}
    plain = {name: tuple(one) if isinstance(one, list) else one for name, one in plain.items()}
    try:
        return replace(known, **plain)
    except (ValueError, TypeError) as error:
        raise SwerveError(f"{folder}: holds no options of a set of this program ({error!r})") from error


def read_maker_identity(folder: Path) -> dict[str, Any] | None:
    """Return the identity of the maker of a set's follow-up and visited viewpoints; None if it has none.

    Raises:
        SwerveError: the folder holds no set.
    """
    found: dict[str, Any] | None = read_json(folder / "job.json", _JOB)["options"].get("maker")
    return found
