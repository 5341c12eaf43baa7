"""Training examples: made from viewpoints, written to shards, read back."""

from swerve.data.samples.calibration import camera_from_ego, camera_of
from swerve.data.samples.shards import dataset_digest, read_samples

__all__ = ["camera_from_ego", "camera_of", "dataset_digest", "read_samples"]
