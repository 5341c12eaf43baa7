"""Outputs of `swerve fit` for a log: the options, with the held-out photos."""

import json
from pathlib import Path

from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.optimization.fit_options import FitOptions
from swerve.scenes import LogError, SwerveError

FIT = "fit.json"


def read_fit_options(folder: Path) -> SceneOptions:
    """Read the options of a fit that determine the fitted photos.

    Args:
        folder: of one log.

    Raises:
        SwerveError: the log is not fitted, or the record is invalid.
    """
    path = folder / FIT
    try:
        options = json.loads(path.read_bytes())["options"]
        return SceneOptions(
            cameras=tuple(options["cameras"]),
            test_cameras=tuple(options["test_cameras"]),
            holdout_interval=options["holdout_interval"],
            photo_interval=float(options["photo_interval"]),
            image_scale=float(options["image_scale"]),
            masks=options.get("masks", ""),
            fit=FitOptions(seed=options["fit"]["seed"]),
        )
    except OSError as error:
        raise SwerveError(f"{path}: cannot be read ({error.strerror}). Fit the log first, with swerve fit") from error
    except KeyError as error:
        raise LogError(path, str(error.args[0]), "is missing", "Fit the log again, with swerve fit") from error
    except (TypeError, ValueError) as error:
        raise LogError(path, "options", str(error), "Fit the log again, with swerve fit") from error
