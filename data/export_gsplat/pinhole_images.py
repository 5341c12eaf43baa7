"""Images without lens distortion, in one size."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from swerve.scenes import Camera, LensModel


def undistorted(image: UInt8[np.ndarray, "h w 3"], camera: Camera) -> UInt8[np.ndarray, "h w 3"]:
    """Resample an image to the pinhole camera of the same focal length, size and principal point, bilinearly.

    Pixels whose rays the photo does not show are black; a pinhole's image is returned as it is.
    """
    if camera.lens.model == LensModel.PINHOLE:
        return image
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.undistorted().unproject(np.column_stack([columns.ravel(), rows.ravel()]))
    pixels, _, known = camera.project(rays)
    sampled = np.zeros((len(pixels), 3), np.uint8)
    sampled[known] = _bilinear(image, pixels[known] - 0.5)
    return sampled.reshape(image.shape)


def _bilinear(image: UInt8[np.ndarray, "h w 3"], places: Float[np.ndarray, "n 2"]) -> UInt8[np.ndarray, "n 3"]:
    """Interpolate an image at places counted from the centre of its first pixel; beyond its border it is constant."""
    size = np.array(image.shape[1::-1])
    places = np.clip(places, 0, size - 1)
    low = np.minimum(places.astype(int), np.maximum(size - 2, 0))
    share = places - low
    high = np.minimum(low + 1, size - 1)
    (left, top), (right, bottom), (x, y) = low.T, high.T, share.T[..., None]
    above = (1 - x) * image[top, left] + x * image[top, right]
    below = (1 - x) * image[bottom, left] + x * image[bottom, right]
    mixed: UInt8[np.ndarray, "n 3"] = ((1 - y) * above + y * below + 0.5).astype(np.uint8)
    return mixed


def common_crop(cameras: Sequence[Camera]) -> list[Camera]:
    """Return cameras of the largest size that fits into all images, cropped around their centres."""
    width, height = min(camera.width for camera in cameras), min(camera.height for camera in cameras)
    return [
        camera.cropped((camera.width - width) // 2, (camera.height - height) // 2, width, height) for camera in cameras
    ]


def cropped(image: UInt8[np.ndarray, "h w 3"], camera: Camera, target: Camera) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Crop an image of a camera to one of `common_crop`."""
    left, top = (camera.width - target.width) // 2, (camera.height - target.height) // 2
    return image[top : top + target.height, left : left + target.width]
