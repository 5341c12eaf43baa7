"""Drawn pictures in the place of photographs: for generated towns, where nobody can take one, from every seat."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.capture import Capture
from swerve.data.sources.town.photos import TownPhotoRenderer
from swerve.scenes import Log, SwerveError
from swerve.scenes.viewpoints import Viewpoint


@dataclass(frozen=True)
class SyntheticPhoto:
    """A drawn picture that stands in for a photograph.

    Attributes:
        encoded: a JPEG image.
    """

    encoded: bytes

    def read(self) -> bytes:
        """The image, as `Photo.read` gives it."""
        return self.encoded


class SyntheticPhotos:
    """Draws what cameras would have seen of one log (`swerve.data.sources.town.photos`).

    Args:
        log: of a town.
        options: the seed, and the quality of the JPEGs.

    Raises:
        SwerveError: the log is of no town: pictures of real places are not made up.
    """

    def __init__(self, log: Log, options: AugmentOptions) -> None:
        if log.source != "town":
            raise SwerveError(
                f"log {log.name} is of {log.source}: stand-ins for photographs are made of town:COUNT alone"
            )
        self._studio, self._quality = TownPhotoRenderer(log, options.seed), options.quality

    def beside(self, viewpoint: Viewpoint, captures: Sequence[Capture]) -> tuple[Capture, ...]:
        """The captures, each with its stand-in, from the same camera, pose and time.

        Args:
            viewpoint: the seat, of any kind.
            captures: of the viewpoint; all are taken now, since towns have no photographs of their own.
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
        """As cameras store them, with half the resolution for colour."""
        return simplejpeg.encode_jpeg(rgb, quality=self._quality, colorspace="RGB", colorsubsampling="420")
