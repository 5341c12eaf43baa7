"""Synthetic photos of generated towns, for every viewpoint."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.capture import ImageRequest
from swerve.data.sources.town.photos import TownPhotoRenderer
from swerve.scenes import Log, SwerveError
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
            captures: captures of the viewpoint; all are at the current step, since towns have no photos of their own.
        """
        scene = viewpoint.scene
        now = slice(scene.history, scene.history + 1)
        cameras = [capture.camera for capture in captures]
        drawn = self._studio.photograph(
            cameras, viewpoint.world_from_ego, viewpoint.tracks.at(now), scene.lights.at(now)
        )
        return tuple(
            replace(capture, photo=SyntheticPhoto(self._encoded(photograph.rgb)))
            for capture, photograph in zip(captures, drawn, strict=True)
        )

    def _encoded(self, rgb: UInt8[np.ndarray, "h w 3"]) -> bytes:
        """Encode as cameras do, with chroma subsampling."""
        jpeg: bytes = simplejpeg.encode_jpeg(rgb, quality=self._quality, colorspace="RGB", colorsubsampling="420")
        return jpeg
