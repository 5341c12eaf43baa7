"""The augmentation job: logs in, a training set out."""

from swerve.data.augment.run import AugmentReport, augment
from swerve.data.options import AugmentOptions

__all__ = ["AugmentOptions", "AugmentReport", "augment"]
