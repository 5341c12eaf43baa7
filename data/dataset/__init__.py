"""Training sets: the augmentation job, and the samples in its shards."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.data.dataset.augment_job import AugmentReport, augment
    from swerve.data.dataset.augment_options import AugmentOptions
    from swerve.data.dataset.calibration import camera_from_ego, camera_of
    from swerve.data.dataset.shards import dataset_digest, read_samples

__all__ = [
    "AugmentOptions",
    "AugmentReport",
    "augment",
    "camera_from_ego",
    "camera_of",
    "dataset_digest",
    "read_samples",
]

make_lazy(__name__)
