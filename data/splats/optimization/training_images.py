"""What a fit looks at: photographs with what is known of them. It needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from swerve.scenes import Camera, SwerveError

# Width and height of the windows in which images are compared (`ssim`), pixels: no image may be smaller.
WINDOW = 11


class DepthKind(Enum):
    """Where depths come from, which says how far they are believed.

    LIDAR: measured, where it was measured; RASTER: of our primitives, dense, whose walls and cars are boxes.
    """

    LIDAR = "lidar"
    RASTER = "raster"


@dataclass(frozen=True, eq=False)
class Depth:
    """Depths of an image.

    Attributes:
        meters: along the camera's z axis; infinity or NaN where unknown.
        kind: where they are from.
    """

    meters: Float32[np.ndarray, "h w"]
    kind: DepthKind


@dataclass(frozen=True, eq=False)
class TrainingImage:
    """An image to fit to.

    Attributes:
        name: of the image, unique among shots.
        camera: what it was taken with, and where on the vehicle.
        world_from_ego: the vehicle's pose.
        time_us: when it was taken; shots of one time move as one when poses are refined.
        image: colours; a grey photograph has three equal channels.
        ignored: pixels that say nothing of the scene: the car itself, people who are no node; or None.
        depth: or None.
    """

    name: str
    camera: Camera
    world_from_ego: Float[np.ndarray, "4 4"]
    time_us: int
    image: UInt8[np.ndarray, "h w 3"]
    ignored: Bool[np.ndarray, "h w"] | None = None
    depth: Depth | None = None


def check_shots(shots: Sequence[TrainingImage]) -> None:
    """Looks for what cannot be fitted to.

    Raises:
        SwerveError: there are no shots, two have one name, one is smaller than 11 pixels, has images of another size
            than its camera, a pose that is not finite, or no pixel that counts.
    """
    if not shots:
        raise SwerveError("a fit needs images")
    names = [shot.name for shot in shots]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SwerveError(f"shot {twice!r}: two shots have this name")
    for shot in shots:
        size = (shot.camera.height, shot.camera.width)
        if min(size) < WINDOW:
            raise SwerveError(
                f"shot {shot.name!r}: {size[1]}x{size[0]} pixels are too few. Take {WINDOW}x{WINDOW} or more"
            )
        images = {"image": shot.image, "mask": shot.ignored, "depth": None if shot.depth is None else shot.depth.meters}
        for what, image in images.items():
            if image is not None and image.shape[:2] != size:
                wrong = f"{image.shape[1]}x{image.shape[0]}"
                raise SwerveError(f"shot {shot.name!r}: its {what} is {wrong}, its camera {size[1]}x{size[0]}")
        if not np.isfinite(shot.world_from_ego).all():
            raise SwerveError(f"shot {shot.name!r}: its pose is not finite")
        if shot.ignored is not None and shot.ignored.all():
            raise SwerveError(f"shot {shot.name!r}: every pixel is ignored. Leave it out")
