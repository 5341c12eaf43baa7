"""The augmentation job: logs in, a training set out."""

from swerve.data.augment.options import AugmentOptions
from swerve.data.augment.run import AugmentReport, augment

__all__ = ["AugmentOptions", "AugmentReport", "augment"]
