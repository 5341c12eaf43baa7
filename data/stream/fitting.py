"""Images of many sizes to one: cropped and resized, together with the camera that they were taken with."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from swerve.data.stream.decoding import decode_rgb
from swerve.scenes import Camera, SwerveError


@dataclass(frozen=True)
class ImageFit:
    """How an image becomes one of the wanted size.

    First `trim` is cut off, then what is too much for the shape of `size`, on both sides alike. The rest is resized: by
    means over squares of whole pixels as far as these go, then with an antialiasing triangle filter. Cuts are in whole
    pixels of the camera's image. Photographs of the same camera are cut at the same places whatever their size, so that
    raster and photograph stay one over the other.

    Attributes:
        size: width and height of all images, pixels.
        trim: shares of the image's width and height to cut off: left, top, right, bottom.

    Raises:
        SwerveError: the size is not positive, or nothing of the image is left.
    """

    size: tuple[int, int]
    trim: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise SwerveError(f"size {self.size[0]}x{self.size[1]} must be 1 pixel or more each way")
        left, top, right, bottom = self.trim
        if min(self.trim) < 0 or left + right > 0.95 or top + bottom > 0.95:
            raise SwerveError(f"trim {self.trim} must leave a twentieth of the image or more each way")

    def camera(self, camera: Camera) -> Camera:
        """The camera of the fitted image."""
        left, top, width, height = self._window(camera)
        return camera.cropped(left, top, width, height).resized(*self.size)

    def pixels(self, image: UInt8[np.ndarray, "_ _ 3"], camera: Camera) -> UInt8[np.ndarray, "_ _ 3"]:
        """The fitted image.

        Args:
            image: of the camera, perhaps of another size than it says.
            camera: whose image it is, not yet fitted.
        """
        height, width = image.shape[:2]
        left, top, *extent = self._window(camera) * np.array([width, height, width, height]) / self._full(camera)
        if (width, height) == self.size == tuple(extent):
            return image
        box = (left, top, left + extent[0], top + extent[1])
        resized = Image.fromarray(image).resize(self.size, Image.Resampling.BILINEAR, box=box, reducing_gap=1.0)
        return np.asarray(resized)

    def decode(self, encoded: bytes, camera: Camera) -> UInt8[np.ndarray, "_ _ 3"]:
        """As `pixels`, of a JPEG or PNG file.

        A JPEG more than twice as large as needed is decoded at a fraction of its size: together a quarter quicker, and
        half a grey level off from the whole one on average (1920x1120, much noise).

        Raises:
            ValueError: it is neither, or damaged.
        """
        least = np.array(self.size) * self._full(camera)[:2] / self._window(camera)[2:]
        return self.pixels(decode_rgb(encoded, least), camera)

    def _window(self, camera: Camera) -> np.ndarray:
        """Left, top, width and height of what is kept, in whole pixels."""
        full = self._full(camera)
        left, top, right, bottom = np.round(self.trim * full).astype(int)
        width, height = max(camera.width - left - right, 1), max(camera.height - top - bottom, 1)
        kept = min(width, max(round(height * self.size[0] / self.size[1]), 1))
        left, width = left + (width - kept) // 2, kept
        kept = min(height, max(round(width * self.size[1] / self.size[0]), 1))
        return np.array([left, top + (height - kept) // 2, width, kept])

    @staticmethod
    def _full(camera: Camera) -> Float[np.ndarray, "4"]:
        return np.array([camera.width, camera.height, camera.width, camera.height], dtype=float)
