"""Cropping and resizing of images together with their cameras."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from swerve.data.stream.image_decoding import decode_rgb
from swerve.scenes import Camera, SwerveError
from swerve.scenes.option_checks import check_size
from swerve.scenes.resize import WHOLE, Window


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
        check_size(self.size, 16384)
        left, top, right, bottom = self.trim
        if min(self.trim) < 0 or left + right > 0.95 or top + bottom > 0.95:
            raise SwerveError(f"trim {self.trim} must leave a twentieth of the image or more each way")

    def camera(self, camera: Camera) -> Camera:
        """Return the camera of the fitted image."""
        return camera.cropped(*self._window(camera)).resized(*self.size)

    def pixels(
        self, image: UInt8[np.ndarray, "_ _ 3"], camera: Camera, window: Window = WHOLE
    ) -> UInt8[np.ndarray, "_ _ 3"]:
        """Crop and resize an image.

        Args:
            image: image of the camera, possibly of another size, or one that shows more or less.
            camera: camera of the image, before fitting.
            window: part of the image that the camera shows, see `Resize.window`; black beyond the image.
        """
        height, width = image.shape[:2]
        left, top, kept_width, kept_height = self._window(camera)
        if (width, height) == (kept_width, kept_height) == self.size and window == WHOLE:
            return image
        across, down = (window[2] - window[0]) * width / camera.width, (window[3] - window[1]) * height / camera.height
        left, top = window[0] * width + left * across, window[1] * height + top * down
        box = (left, top, left + kept_width * across, top + kept_height * down)
        if left >= 0 and top >= 0 and box[2] <= width and box[3] <= height:
            return _resized(image, box, self.size)
        return _resized_on_black(image, box, self.size)

    def decode(self, encoded: bytes, camera: Camera, window: Window = WHOLE) -> UInt8[np.ndarray, "_ _ 3"]:
        """Decode, crop and resize a JPEG or PNG file (see `pixels`).

        A JPEG more than twice as large as needed is decoded at a reduced size: a quarter faster in total, and half a
        grey level off on average (1920x1120, noisy).

        Raises:
            ValueError: the file is neither, or damaged.
        """
        _, _, width, height = self._window(camera)
        across, down = width / camera.width * (window[2] - window[0]), height / camera.height * (window[3] - window[1])
        return self.pixels(decode_rgb(encoded, (self.size[0] / across, self.size[1] / down)), camera, window)

    def _window(self, camera: Camera) -> tuple[int, int, int, int]:
        """Return left, top, width and height of the crop, in whole pixels."""
        left, right = (round(share * camera.width) for share in self.trim[::2])
        top, bottom = (round(share * camera.height) for share in self.trim[1::2])
        width, height = max(camera.width - left - right, 1), max(camera.height - top - bottom, 1)
        kept_width = min(width, max(round(height * self.size[0] / self.size[1]), 1))
        kept_height = min(height, max(round(kept_width * self.size[1] / self.size[0]), 1))
        return left + (width - kept_width) // 2, top + (height - kept_height) // 2, kept_width, kept_height


def _resized(image: UInt8[np.ndarray, "_ _ 3"], box: Window, size: tuple[int, int]) -> UInt8[np.ndarray, "_ _ 3"]:
    """Resize the part of an image in a box (left, top, right, bottom; pixels)."""
    resized = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=1.0)
    return np.asarray(resized)


def _resized_on_black(
    image: UInt8[np.ndarray, "_ _ 3"], box: Window, size: tuple[int, int]
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Resize the part of an image in a box that reaches beyond it, where all is black."""
    first, last, start, stop, margins = [], [], [], [], [(0, 0)]
    for axis, side in enumerate((image.shape[1], image.shape[0])):
        origin, pixel = box[axis], (box[axis + 2] - box[axis]) / size[axis]
        # The pixels that show any of the image: they reach beyond it by less than one of them.
        first.append(max(math.floor(-origin / pixel), 0))
        last.append(min(math.ceil((side - origin) / pixel), size[axis]))
        low, high = origin + first[axis] * pixel, origin + last[axis] * pixel
        margins.insert(0, (max(math.ceil(-low), 0), max(math.ceil(high - side), 0)))
        start.append(low + margins[0][0])
        stop.append(high + margins[0][0])
    result = np.zeros((size[1], size[0], 3), np.uint8)
    if first[0] < last[0] and first[1] < last[1]:
        shown = (last[0] - first[0], last[1] - first[1])
        part = _resized(np.pad(image, margins), (*start, *stop), shown)
        result[first[1] : last[1], first[0] : last[0]] = part
    return result
