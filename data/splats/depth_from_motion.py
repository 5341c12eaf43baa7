"""Depth from motion: pixels of one photograph found again in the next one, along known poses.

Dense optical flow (Kroeger et al. 2016, as OpenCV has it) finds them; what is kept is found back from there, lies on
its epipolar line, moved by enough against what is far away, and stands on texture. Things that move are not known here:
most do not lie on their lines. It needs OpenCV.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from swerve.data.splats.log_images import PosedImage
from swerve.scenes import Camera, MissingExtraError
from swerve.scenes.transforms import inverse, transform_points

# Metres between two photographs of a pair.
_NEAREST, _FARTHEST = 0.4, 6.0
# Pixels: there and back again; from the epipolar line; of parallax, which half a pixel's error makes a depth of 15 %.
_ROUND_TRIP, _OFF_LINE, _PARALLAX = 1.0, 1.0, 3.0
# Standard deviation of grey levels around a pixel.
TEXTURE, _WINDOW = 2.0, 7


def depths_by_motion(pictures: Sequence[PosedImage]) -> list[Float32[np.ndarray, "h w"]]:
    """Depth along the camera's z axis of each photograph, metres; infinity where it is not known.

    Each is paired with the next one of its camera that was taken at least 0.4 m further on, or with the one before.
    Depths are off by half a pixel's parallax: 15 % at worst, a few percent near by and away from where the car heads.

    Args:
        pictures: of any cameras; the only ones that are looked at.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    flow = _Flow()
    depths = []
    for picture in pictures:
        depth = np.full(picture.rgb.shape[:2], np.inf, np.float32)
        for other in _partners(picture, pictures):
            found = _depth(picture, other, flow)
            depth = np.where(np.isfinite(depth), depth, found)
        depths.append(depth)
    return depths


def is_textured(picture: PosedImage) -> Bool[np.ndarray, "h w"]:
    """Whether the surroundings of a pixel are not all of one colour."""
    cv2 = _opencv()
    grey = picture.rgb.mean(axis=2).astype(np.float32)
    mean, square = (cv2.blur(image, (_WINDOW, _WINDOW)) for image in (grey, grey * grey))
    return square - mean * mean > TEXTURE**2


class _Flow:
    """Optical flow of OpenCV; on one thread, since its result depends on how many there are."""

    def __init__(self) -> None:
        self._cv2 = _opencv()
        self._cv2.setNumThreads(1)
        self._search = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._search.setFinestScale(0)

    def __call__(self, one: PosedImage, two: PosedImage) -> Float32[np.ndarray, "h w 2"]:
        """By how many pixels each pixel of the first picture has moved in the second."""
        greys = [self._cv2.cvtColor(picture.rgb, self._cv2.COLOR_RGB2GRAY) for picture in (one, two)]
        return self._search.calc(*greys, None)

    def at(self, image: Float32[np.ndarray, "h w 2"], places: Float[np.ndarray, "h w 2"]) -> np.ndarray:
        """The image, linearly, where pixels whose centres lie at +0.5 are; NaN outside."""
        where = (places - 0.5).astype(np.float32)
        nothing = (float("nan"), float("nan"), 0.0, 0.0)
        linear, outside = self._cv2.INTER_LINEAR, self._cv2.BORDER_CONSTANT
        return self._cv2.remap(image, where, None, linear, borderMode=outside, borderValue=nothing)


def _partners(picture: PosedImage, pictures: Sequence[PosedImage]) -> list[PosedImage]:
    """The next one of the camera that is far enough away, and the one before."""
    own = sorted((p for p in pictures if p.camera.name == picture.camera.name), key=lambda p: p.time_us)
    place = picture.world_from_camera[:3, 3]

    def first(candidates: Sequence[PosedImage]) -> list[PosedImage]:
        apart = ((np.linalg.norm(p.world_from_camera[:3, 3] - place), p) for p in candidates)
        found = next(((distance, p) for distance, p in apart if distance >= _NEAREST), None)
        return [found[1]] if found and found[0] <= _FARTHEST else []

    after = [p for p in own if p.time_us > picture.time_us]
    before = [p for p in reversed(own) if p.time_us < picture.time_us]
    return first(after) + first(before)


def _depth(one: PosedImage, two: PosedImage, flow: _Flow) -> Float32[np.ndarray, "h w"]:
    """Of the first picture, by the second."""
    pixels = pixel_centers(one.camera)
    forth, back = flow(one, two), flow(two, one)
    found = pixels + forth
    with np.errstate(invalid="ignore"):
        returns = np.linalg.norm(forth + flow.at(back, found), axis=2) < _ROUND_TRIP
    two_from_one = inverse(two.world_from_camera) @ one.world_from_camera
    shape, rays = pixels.shape[:2], one.camera.unproject(pixels.reshape(-1, 2))
    depth, off, parallax = _triangulated(rays, found.reshape(-1, 2), two.camera, two_from_one)
    with np.errstate(invalid="ignore"):
        sure = (depth > 0) & (off < _OFF_LINE) & (parallax > _PARALLAX)
    sure &= returns.ravel() & is_textured(one).ravel()
    return np.where(sure, depth, np.inf).astype(np.float32).reshape(shape)


def _triangulated(
    rays: Float[np.ndarray, "n 3"],
    found: Float[np.ndarray, "n 2"],
    camera: Camera,
    two_from_one: Float[np.ndarray, "4 4"],
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Depths of points on rays (at depth one) that the second camera sees at `found`.

    With q the ray of `found`, the point z r is where q x (z R r + t) is shortest.

    Returns:
        depth; pixels between `found` and the point's image; pixels between that and the image of a far point.
    """
    turned = rays @ two_from_one[:3, :3].T
    aims = camera.unproject(found)
    across, shift = np.cross(aims, turned), np.cross(aims, two_from_one[:3, 3])
    with np.errstate(invalid="ignore", divide="ignore"):
        depth = -(across * shift).sum(axis=1) / (across * across).sum(axis=1)
    seen, _, _ = camera.project(transform_points(two_from_one, depth[:, None] * rays))
    far, _, _ = camera.project(turned)
    return depth, np.linalg.norm(seen - found, axis=1), np.linalg.norm(seen - far, axis=1)


def pixel_centers(camera: Camera) -> Float[np.ndarray, "h w 2"]:
    """(u, v) of every pixel's middle."""
    return np.stack(np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5), axis=2)


def _opencv() -> Any:  # noqa: ANN401 a module
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError(
            "opencv-python-headless", "pip install 'PATH[fit]', with PATH Swerve's folder"
        ) from error
    return cv2
