"""Training input: batches streamed out of the shards of `swerve augment` (docs/stream.md)."""

from swerve.data.stream.batch import KINDS, Batch, Provenance
from swerve.data.stream.camera_arrays import CameraArrays, camera_arrays
from swerve.data.stream.fitting import ImageFit
from swerve.data.stream.loader import StreamLoader
from swerve.data.stream.options import Part, StreamOptions
from swerve.data.stream.stream import SampleStream

__all__ = [
    "KINDS",
    "Batch",
    "CameraArrays",
    "ImageFit",
    "Part",
    "Provenance",
    "SampleStream",
    "StreamLoader",
    "StreamOptions",
    "camera_arrays",
]
