"""Training input: batches streamed from the shards of `swerve augment` (docs/stream.md)."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.data.stream.batch import KINDS, Batch, Provenance
    from swerve.data.stream.camera_arrays import CameraArrays, camera_arrays
    from swerve.data.stream.image_fit import ImageFit
    from swerve.data.stream.loader import StreamLoader
    from swerve.data.stream.part import Part
    from swerve.data.stream.stream import SampleStream
    from swerve.data.stream.stream_options import StreamOptions

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

make_lazy(__name__)
