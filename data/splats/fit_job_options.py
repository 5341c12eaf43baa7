"""Options of a fitting job."""

from dataclasses import dataclass, field

from swerve.data.splats.optimization.fit_options import FitOptions
from swerve.scenes import SwerveError


@dataclass(frozen=True)
class SceneOptions:
    """Everything except the sources that determines fitted scenes.

    Attributes:
        cameras: names of the training cameras (without held-out photos); all except `unseen` if empty.
        unseen: names of cameras excluded from training, used for evaluation.
        holdout: interval of held-out photos of every camera, starting at the second; 0 for none.
        every: seconds between the used photos of a camera; all if 0.
        scale: scale of the training images relative to the photos.
        masks: folder of masks of ignored pixels, see `data.splats.masks`; empty for none.
        fit: options of the optimization.

    Raises:
        SwerveError: an option is out of its range, or a camera is both fitted and unseen.
    """

    cameras: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    holdout: int = 8
    every: float = 0.0
    scale: float = 0.5
    masks: str = ""
    fit: FitOptions = field(default_factory=FitOptions)

    def __post_init__(self) -> None:
        _check("holdout", self.holdout == 0 or 2 <= self.holdout <= 10_000, "must be 0, or between 2 and 10000")
        _check("every", 0 <= self.every <= 60, "must lie between 0 and 60 seconds")
        _check("scale", 0.02 <= self.scale <= 1, "must lie between 0.02 and 1")
        _check("steps", 1 <= self.fit.steps <= 10_000_000, "must lie between 1 and 10000000")
        _check("gaussians", 1000 <= self.fit.growth.most <= 20_000_000, "must lie between 1000 and 20000000")
        _check("threads", 1 <= self.fit.threads <= 1024, "must lie between 1 and 1024")
        both = sorted({*self.cameras} & {*self.unseen})
        _check("cameras", not both, f"{', '.join(both)} cannot be both fitted and unseen")


def _check(option: str, holds: bool, problem: str) -> None:
    if not holds:
        raise SwerveError(f"{option}: {problem}")
