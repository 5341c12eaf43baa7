"""Cameras as arrays, for projection with the images' lens models inside a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from swerve.scenes import Camera, Lens


@dataclass(frozen=True)
class CameraArrays:
    """Arrays of c cameras of each of b rigs; NumPy arrays or tensors. All images have one size.

    Attributes:
        intrinsics: fx, fy, cx, cy in pixels, whose centres lie at +0.5.
        lens: `swerve.scenes.LensModel`.
        coefficients: lens coefficients, padded with zeros, as `Lens.padded`.
        limit: as `Lens.limit`: points with a larger radius (tangent of the angle off the axis) are not visible.
        ego_from_camera: transform from the camera at capture time to the ego frame of now.
        size: width and height, pixels.
    """

    intrinsics: Float[Any, "b c 4"]
    lens: Int[Any, "b c"]
    coefficients: Float[Any, "b c 8"]
    limit: Float[Any, "b c"]
    ego_from_camera: Float[Any, "b c 4 4"]
    size: tuple[int, int]


def camera_arrays(rigs: Sequence[Sequence[Camera]]) -> CameraArrays:
    """Convert cameras of equal numbers and image sizes to float32 arrays.

    Args:
        rigs: b rows of c cameras; each `ego_from_camera` refers to the ego frame of now.

    Raises:
        ValueError: the images differ in size or the rigs in length, or there are none.
    """
    sizes = {(camera.width, camera.height) for rig in rigs for camera in rig}
    if len(sizes) != 1 or len({len(rig) for rig in rigs}) != 1:
        raise ValueError(f"cameras of one size, equally many per rig, are needed; got sizes {sorted(sizes)}")
    return CameraArrays(
        _stacked([[[one.fx, one.fy, one.cx, one.cy] for one in rig] for rig in rigs]),
        np.array([[int(one.lens.model) for one in rig] for rig in rigs], np.int64),
        _stacked([[one.lens.padded for one in rig] for rig in rigs]),
        _stacked([[_limit(one.lens) for one in rig] for rig in rigs]),
        _stacked([[one.ego_from_camera for one in rig] for rig in rigs]),
        sizes.pop(),
    )


def _stacked(values: Sequence[Sequence[Any]]) -> np.ndarray:
    return np.array(values, np.float32)


@lru_cache(maxsize=4096)
def _limit(lens: Lens) -> float:
    """Return `Lens.limit`, which takes milliseconds, cached per lens."""
    return lens.limit
