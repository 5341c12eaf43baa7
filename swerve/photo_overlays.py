"""Photos with boxes and map drawn over them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from swerve.data.dataset.capture import tracks_at
from swerve.data.storage.checked_image import decode_pixels
from swerve.data.storage.files import safe_name
from swerve.rasterizer import StaticLayer, Style
from swerve.scenes import Log, LogError, Photo
from swerve.scenes.primitives import agent_cuboids, build_static, signal_cuboids
from swerve.viz.overlay import blend, draw_boxes


@dataclass(frozen=True, eq=False)
class PhotoOverlay:
    """A photo with what the log says is in it, at the photo's own time and pose.

    Attributes:
        photo: the photo's pixels.
        boxes: with the edges of the boxes; None if none is in view.
        raster: with the raster of map, boxes and lights over it; None if that is empty.
    """

    photo: UInt8[np.ndarray, "h w 3"]
    boxes: UInt8[np.ndarray, "h w 3"] | None
    raster: UInt8[np.ndarray, "h w 3"] | None

    @property
    def stacked(self) -> UInt8[np.ndarray, "_ w 3"]:
        """Boxes above the raster, or the photo where there is nothing to draw."""
        drawn = [image for image in (self.boxes, self.raster) if image is not None]
        return np.concatenate(drawn) if drawn else self.photo


class PhotoOverlays:
    """Overlays of a log's photos.

    Args:
        log: log with photos.
    """

    def __init__(self, log: Log) -> None:
        self._log, self._cameras = log, {camera.name: camera for camera in log.cameras}
        self._static, self._style = StaticLayer(build_static(log.road_map)), Style.rap()

    def of(self, photo: Photo) -> PhotoOverlay:
        """Draw over a photo.

        Raises:
            LogError: the photo cannot be read.
        """
        log, camera, style = self._log, self._cameras[photo.camera], self._style
        tracks = tracks_at(log.tracks, log.times_us, photo.time_us)
        step = int(np.abs(log.times_us - photo.time_us).argmin())
        image = read_pixels(photo)
        boxes = draw_boxes(image, camera, photo.world_from_ego, tracks, 0, style)
        moving = agent_cuboids(tracks, 0).concatenate(signal_cuboids(log.lights, step))
        raster = self._static.render(moving, [camera], photo.world_from_ego[None], style, ("rgb",))[0][0].rgb
        assert raster is not None
        return PhotoOverlay(
            image, boxes if (boxes != image).any() else None, blend(image, raster) if raster.any() else None
        )

    def all(self) -> Iterator[tuple[str, PhotoOverlay]]:
        """Yield every photo's overlay with a file name: camera, and milliseconds from the first photo of the log."""
        start = min((photo.time_us for photo in self._log.photos), default=0)
        for photo in sorted(self._log.photos, key=lambda photo: (photo.camera, photo.time_us)):
            yield f"{safe_name(photo.camera)}-{(photo.time_us - start) // 1000:07d}.jpg", self.of(photo)


def read_pixels(photo: Photo) -> UInt8[np.ndarray, "h w 3"]:
    """Read a photo.

    Raises:
        LogError: it is missing or damaged.
    """
    try:
        return decode_pixels(photo.read(), "RGB")
    except ValueError as error:
        raise LogError(photo.file, f"photo of {photo.camera}", str(error)) from error
