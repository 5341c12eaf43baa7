"""Depth from motion: optical flow between consecutive photos with known poses.

Correspondences are found by dense optical flow (Kroeger et al. 2016, OpenCV's implementation); kept are those that pass
the forward-backward check, lie on their epipolar line, have enough parallax against distant points, and lie on texture.
Moving objects are not masked: most violate the epipolar constraint. Requires OpenCV.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from swerve.data.splats.log_images import PosedImage
from swerve.scenes import Camera, MissingExtraError
from swerve.scenes.transforms import inverse, transform_points

# Baseline of a pair of photos, metres.
_NEAREST, _FARTHEST = 0.4, 6.0
# Pixels: forward-backward error; distance from the epipolar line; least parallax (half a pixel's error gives 15 %
# depth).
_ROUND_TRIP, _OFF_LINE, _PARALLAX = 1.0, 1.0, 3.0
# Standard deviation of grey levels around a pixel.
TEXTURE, _WINDOW = 2.0, 7


def depths_by_motion(photos: Sequence[PosedImage]) -> list[Float32[np.ndarray, "h w"]]:
    """Estimate each photo's depth along the camera's z axis, metres; infinity where it is unknown.

    Each is paired with the next one of its camera at least 0.4 m further on, or with the one before. Depths are off by
    half a pixel's parallax: 15 % at worst, a few percent near by and away from the direction of travel.

    Args:
        photos: photos of any cameras.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    flow = _Flow()
    depths = []
    for photo in photos:
        depth = np.full(photo.rgb.shape[:2], np.inf, np.float32)
        for other in _partners(photo, photos):
            found = _depth(photo, other, flow)
            depth = np.where(np.isfinite(depth), depth, found)
        depths.append(depth)
    return depths


def is_textured(photo: PosedImage) -> Bool[np.ndarray, "h w"]:
    """Test whether the neighbourhood of each pixel has texture."""
    cv2 = _opencv()
    grey = photo.rgb.mean(axis=2).astype(np.float32)
    mean, square = (cv2.blur(image, (_WINDOW, _WINDOW)) for image in (grey, grey * grey))
    textured: Bool[np.ndarray, "h w"] = square - mean * mean > TEXTURE**2
    return textured


class _Flow:
    """OpenCV's optical flow; on one thread, since its result depends on the number of threads."""

    def __init__(self) -> None:
        self._cv2 = _opencv()
        self._cv2.setNumThreads(1)
        self._search = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._search.setFinestScale(0)

    def __call__(self, one: PosedImage, two: PosedImage) -> Float32[np.ndarray, "h w 2"]:
        """Compute the displacement in pixels from the first image to the second, per pixel."""
        greys = [self._cv2.cvtColor(photo.rgb, self._cv2.COLOR_RGB2GRAY) for photo in (one, two)]
        flow: Float32[np.ndarray, "h w 2"] = self._search.calc(*greys, None)
        return flow

    def at(self, image: Float32[np.ndarray, "h w 2"], places: Float[np.ndarray, "h w 2"]) -> np.ndarray:
        """Sample the image bilinearly at positions with pixel centres at +0.5; NaN outside."""
        where = (places - 0.5).astype(np.float32)
        nothing = (float("nan"), float("nan"), 0.0, 0.0)
        linear, outside = self._cv2.INTER_LINEAR, self._cv2.BORDER_CONSTANT
        mapped: np.ndarray = self._cv2.remap(image, where, None, linear, borderMode=outside, borderValue=nothing)
        return mapped


def _partners(photo: PosedImage, photos: Sequence[PosedImage]) -> list[PosedImage]:
    """Return the next photo of the camera that is far enough away, and the one before."""
    own = sorted((p for p in photos if p.camera.name == photo.camera.name), key=lambda p: p.time_us)
    place = photo.world_from_camera[:3, 3]

    def first(candidates: Sequence[PosedImage]) -> list[PosedImage]:
        apart = ((np.linalg.norm(p.world_from_camera[:3, 3] - place), p) for p in candidates)
        found = next(((distance, p) for distance, p in apart if distance >= _NEAREST), None)
        return [found[1]] if found and found[0] <= _FARTHEST else []

    after = [p for p in own if p.time_us > photo.time_us]
    before = [p for p in reversed(own) if p.time_us < photo.time_us]
    return first(after) + first(before)


def _depth(one: PosedImage, two: PosedImage, flow: _Flow) -> Float32[np.ndarray, "h w"]:
    """Compute the depth of the first photo from the second."""
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
    """Triangulate points on rays (at depth one) that the second camera sees at `found`.

    With q the ray of `found`, the point z r minimises the length of q x (z R r + t).

    Returns:
        depth; pixels between `found` and the point's image; pixels between that and the image of the point at infinity.
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
    """Return (u, v) of every pixel's centre."""
    return np.stack(np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5), axis=2)


def _opencv() -> Any:  # noqa: ANN401 a module
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError(
            "opencv-python-headless", "pip install 'PATH[fit]', where PATH is Swerve's folder"
        ) from error
    return cv2
