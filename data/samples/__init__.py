"""Training examples: made from viewpoints, written to shards, read back."""

from swerve.data.samples.shards import dataset_digest, read_samples

__all__ = ["dataset_digest", "read_samples"]
