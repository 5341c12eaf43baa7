"""Synthetic photos of generated towns, for every viewpoint."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.capture import ImageRequest
from swerve.data.dataset.stored_snapshots import capture_groups, dynamic_objects_at
from swerve.data.sources.town.photos import TownPhotoRenderer
from swerve.scenes import Log, SwerveError
from swerve.scenes.past_frames import split_past_name
from swerve.scenes.viewpoints import Viewpoint


@dataclass(frozen=True)
class SyntheticPhoto:
    """Rendered image used in place of a photo.

    Attributes:
        encoded: JPEG image.
    """

    encoded: bytes

    def read(self) -> bytes:
        """Return the image in the form of `Photo.read`."""
        return self.encoded


class SyntheticPhotos:
    """Renderer of synthetic photos of one log (`swerve.data.sources.town.photos`).

    Args:
        log: log of a town.
        options: options with the seed and the JPEG quality.

    Raises:
        SwerveError: the log is not of a town.
    """

    def __init__(self, log: Log, options: AugmentOptions) -> None:
        if log.source != "town":
            raise SwerveError(f"log {log.name} is of {log.source}: synthetic photos need a town:COUNT source")
        self._studio, self._quality = TownPhotoRenderer(log, options.seed), options.jpeg_quality

    def render(self, viewpoint: Viewpoint, captures: Sequence[ImageRequest]) -> tuple[ImageRequest, ...]:
        """Return the captures with synthetic photos of the same camera, pose and time.

        Args:
            viewpoint: viewpoint of any kind.
            captures: captures of the viewpoint; all are at steps of the log, since towns have no photos of their own.
        """
        photos = dict[int, SyntheticPhoto]()
        for rows in capture_groups(captures):
            first, rig = captures[rows[0]], [captures[row].camera for row in rows]
            # A camera's exposure is that of its name: a past frame has that of its camera.
            cameras = [replace(camera, name=split_past_name(camera.name)[0]) for camera in rig]
            moving = dynamic_objects_at(viewpoint, first.time_us)
            drawn = self._studio.photograph(cameras, first.world_from_ego, *moving)
            photos |= {row: SyntheticPhoto(self._encoded(one.rgb)) for row, one in zip(rows, drawn, strict=True)}
        return tuple(replace(capture, photo=photos[row]) for row, capture in enumerate(captures))

    def _encoded(self, rgb: UInt8[np.ndarray, "h w 3"]) -> bytes:
        """Encode as cameras do, with chroma subsampling."""
        jpeg: bytes = simplejpeg.encode_jpeg(rgb, quality=self._quality, colorspace="RGB", colorsubsampling="420")
        return jpeg
