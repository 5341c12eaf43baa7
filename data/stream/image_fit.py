"""Cropping and resizing of images together with their cameras."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from swerve.data.stream.image_decoding import decode_rgb
from swerve.scenes import Camera, SwerveError


@dataclass(frozen=True)
class ImageFit:
    """Crop and resize to a fixed size.

    First `trim` is cut off, then the excess over the aspect ratio of `size`, equally on both sides. The rest is
    resized: by box averaging over whole pixels as far as possible, then with an antialiasing triangle filter. Crops are
    in whole pixels of the camera's image. Photos of the same camera are cropped at the same positions whatever their
    size, so that raster and photo stay aligned.

    Attributes:
        size: width and height of all images, pixels.
        trim: shares of the image's width and height to cut off: left, top, right, bottom.

    Raises:
        SwerveError: the size is not positive, or the crop is empty.
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
        """Return the camera of the fitted image."""
        return camera.cropped(*self._window(camera)).resized(*self.size)

    def pixels(self, image: UInt8[np.ndarray, "_ _ 3"], camera: Camera) -> UInt8[np.ndarray, "_ _ 3"]:
        """Crop and resize an image.

        Args:
            image: image of the camera, possibly of another size.
            camera: camera of the image, before fitting.
        """
        height, width = image.shape[:2]
        across, down = width / camera.width, height / camera.height
        left, top, kept_width, kept_height = self._window(camera)
        if (width, height) == (kept_width, kept_height) == self.size:
            return image
        box = (left * across, top * down, (left + kept_width) * across, (top + kept_height) * down)
        resized = Image.fromarray(image).resize(self.size, Image.Resampling.BILINEAR, box=box, reducing_gap=1.0)
        return np.asarray(resized)

    def decode(self, encoded: bytes, camera: Camera) -> UInt8[np.ndarray, "_ _ 3"]:
        """Decode, crop and resize a JPEG or PNG file (see `pixels`).

        A JPEG more than twice as large as needed is decoded at a reduced size: a quarter faster in total, and half a
        grey level off on average (1920x1120, noisy).

        Raises:
            ValueError: the file is neither, or damaged.
        """
        _, _, width, height = self._window(camera)
        least = (self.size[0] * camera.width / width, self.size[1] * camera.height / height)
        return self.pixels(decode_rgb(encoded, least), camera)

    def _window(self, camera: Camera) -> tuple[int, int, int, int]:
        """Return left, top, width and height of the crop, in whole pixels."""
        left, right = (round(share * camera.width) for share in self.trim[::2])
        top, bottom = (round(share * camera.height) for share in self.trim[1::2])
        width, height = max(camera.width - left - right, 1), max(camera.height - top - bottom, 1)
        kept_width = min(width, max(round(height * self.size[0] / self.size[1]), 1))
        kept_height = min(height, max(round(kept_width * self.size[1] / self.size[0]), 1))
        return left + (width - kept_width) // 2, top + (height - kept_height) // 2, kept_width, kept_height
