"""Training images: photos with masks and depths. Does not require torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from swerve.scenes import Camera, SwerveError

# Width and height of SSIM windows, pixels: the least image size.
WINDOW = 11


class DepthKind(Enum):
    """Origin of depths, which determines their loss weight.

    LIDAR: measured, sparse; RASTER: of rasterized primitives, dense, with walls and cars as boxes.
    """

    LIDAR = "lidar"
    RASTER = "raster"


@dataclass(frozen=True, eq=False)
class Depth:
    """Depth image.

    Attributes:
        depth: along the camera's z axis; infinity or NaN where unknown.
        kind: origin of the depths.
    """

    depth: Float32[np.ndarray, "h w"]
    kind: DepthKind


@dataclass(frozen=True, eq=False)
class TrainingImage:
    """Training image with its pose.

    Attributes:
        name: name of the image, unique.
        camera: camera with its mounting.
        world_from_ego: ego pose.
        time_us: capture time; images of one time share one pose refinement.
        image: RGB colours; a grey photo has three equal channels.
        ignored: mask of ignored pixels (the car itself, people without a node); or None.
        depth: depth image; or None.
    """

    name: str
    camera: Camera
    world_from_ego: Float[np.ndarray, "4 4"]
    time_us: int
    image: UInt8[np.ndarray, "h w 3"]
    ignored: Bool[np.ndarray, "h w"] | None = None
    depth: Depth | None = None


def check_shots(shots: Sequence[TrainingImage]) -> None:
    """Check that the images can be fitted.

    Raises:
        SwerveError: there are no images, a name is used twice, one is smaller than 11 pixels, has images of another
            size than its camera, a non-finite pose, or only ignored pixels.
    """
    if not shots:
        raise SwerveError("a fit needs images")
    names = [shot.name for shot in shots]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SwerveError(f"image {twice!r}: two images have this name")
    for shot in shots:
        size = (shot.camera.height, shot.camera.width)
        if min(size) < WINDOW:
            raise SwerveError(
                f"image {shot.name!r}: {size[1]}x{size[0]} pixels are too few. Take {WINDOW}x{WINDOW} or more"
            )
        images = {"image": shot.image, "mask": shot.ignored, "depth": None if shot.depth is None else shot.depth.depth}
        for what, image in images.items():
            if image is not None and image.shape[:2] != size:
                wrong = f"{image.shape[1]}x{image.shape[0]}"
                raise SwerveError(f"image {shot.name!r}: its {what} is {wrong}, its camera {size[1]}x{size[0]}")
        if not np.isfinite(shot.world_from_ego).all():
            raise SwerveError(f"image {shot.name!r}: its pose is not finite")
        if shot.ignored is not None and shot.ignored.all():
            raise SwerveError(f"image {shot.name!r}: every pixel is ignored. Leave it out")
