"""Options of a fitting job."""

from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import arg

from swerve.data.splats.optimization.fit_options import FitOptions
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class SceneOptions:
    """Options that determine splat scenes, besides the sources.

    Attributes:
        cameras: Names of the cameras to whose photos the scene is fitted; all others if none is given.
        test_cameras: Names of cameras that are only used to measure the result.
        holdout_interval: Of each camera every so many-th photo is held out and measures the result; 0 holds out none.
        photo_interval: Time between the photos of a camera that are used, in seconds; 0 uses all.
        image_scale: Size of the training images, as a share of the photos' size.
        masks: Folder with CAMERA.png: white pixels are ignored, for example the ego's bonnet; empty for none.
        fit: Optimization.

    Raises:
        SwerveError: an option is out of its range, or a camera is both for training and for testing.
    """

    cameras: tuple[str, ...] = ()
    test_cameras: tuple[str, ...] = ()
    holdout_interval: int = 8
    photo_interval: float = 0.0
    image_scale: float = 0.5
    masks: Annotated[str, arg(metavar="FOLDER")] = ""
    fit: Annotated[FitOptions, FLAT] = field(default_factory=FitOptions)

    def __post_init__(self) -> None:
        _check(
            "holdout_interval",
            self.holdout_interval == 0 or 2 <= self.holdout_interval <= 10_000,
            "must be 0, or between 2 and 10000",
        )
        _check("photo_interval", 0 <= self.photo_interval <= 60, "must lie between 0 and 60 seconds")
        _check("image_scale", 0.02 <= self.image_scale <= 1, "must lie between 0.02 and 1")
        _check("steps", 1 <= self.fit.steps <= 10_000_000, "must lie between 1 and 10000000")
        _check(
            "densification.max_gaussians",
            1000 <= self.fit.densification.max_gaussians <= 20_000_000,
            "must lie between 1000 and 20000000",
        )
        _check("threads", 1 <= self.fit.threads <= 1024, "must lie between 1 and 1024")
        both = sorted({*self.cameras} & {*self.test_cameras})
        _check("cameras", not both, f"{', '.join(both)} must not be in both cameras and test_cameras")


def _check(option: str, holds: bool, problem: str) -> None:
    if not holds:
        raise SwerveError(f"{option}: {problem}")
