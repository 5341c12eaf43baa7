"""Outputs of `swerve fit` for a log: the options, with the held-out photos."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

from swerve.data.jobs.log_digest import whole_log_digest
from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.optimization.fit_options import FitOptions
from swerve.data.storage.checked_json import anything, fields, mapping_of, read_json
from swerve.scenes import Log, LogError

FIT = "fit.json"
_AGAIN: Final = "Fit the log again, with swerve fit"
_FIT_SHAPE: Final = fields({"options": mapping_of(anything)})


def read_fit_options(folder: Path) -> SceneOptions:
    """Read the options of a fit that determine the fitted photos.

    Args:
        folder: of one log.

    Raises:
        SwerveError: the log is not fitted, or the record is invalid.
    """
    path = folder / FIT
    try:
        options = read_json(path, _FIT_SHAPE, _AGAIN)["options"]
        return SceneOptions(
            cameras=tuple(options["cameras"]),
            test_cameras=tuple(options["test_cameras"]),
            holdout_interval=options["holdout_interval"],
            photo_interval=float(options["photo_interval"]),
            image_scale=float(options["image_scale"]),
            masks=options.get("masks", ""),
            fit=FitOptions(seed=options["fit"]["seed"]),
        )
    except KeyError as error:
        raise LogError(path, str(error.args[0]), "is missing", _AGAIN) from error
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise LogError(path, "options", str(error), _AGAIN) from error


def check_fitted_log(folder: Path, log: Log) -> None:
    """Check that a fit is of this version of the log, where its record says of which it is.

    Which scenes of the log were asked for, as of a NAVSIM split, makes no difference to what the fit shows.

    Args:
        folder: of one log.
        log: as its source gives it now.

    Raises:
        LogError: it is of another version, or the record is invalid.
    """
    check_fitted_to(folder, log.name, (whole_log_digest(log),))


def check_fitted_to(folder: Path, name: str, digests: Collection[str]) -> None:
    """Check that a fit is of a log with one of these digests, where its record says of which it is.

    Args:
        folder: of one log.
        name: of the log.
        digests: of the log as its source gives it now.

    Raises:
        LogError: it is of another version, or the record is invalid.
    """
    path = folder / FIT
    known = read_json(path, anything, _AGAIN)
    digest = known.get("digest") if isinstance(known, dict) else None
    if digest is not None and digest not in digests:
        raise LogError(
            path,
            "digest",
            f"is not that of log {name} as its source gives it now: the log, or the program that generated it, has "
            "changed since the fit, which shows another scene",
            _AGAIN,
        )
