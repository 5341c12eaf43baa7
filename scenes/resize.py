"""Size of images, and how a camera's image is brought to it; the camera model follows."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from swerve.scenes.option_checks import check_size

if TYPE_CHECKING:  # options classes import this module, and cameras import numba
    from swerve.scenes.camera import Camera

Fit = Literal["crop", "pad", "stretch"]
Window = tuple[float, float, float, float]
WHOLE: Window = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Resize:
    """Resizing of all cameras to one size.

    Attributes:
        size: width and height of the images, pixels; None for each camera's own.
        fit: what is done with the excess over the size's aspect ratio. crop: it is cut off, equally on both sides; pad:
            nothing is, and the field of view grows to fill the size, equally on both sides; stretch: the image is
            distorted, with different focal lengths along its axes.

    Raises:
        SwerveError: the size is out of its range.
    """

    size: tuple[int, int] | None = None
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        if self.size is not None:
            check_size(self.size, 16384)

    def camera(self, camera: "Camera") -> "Camera":
        """Return the camera of the resized image. Its lens distortion is that of the rays, and stays."""
        if self.size is None:
            return camera
        (width, height), (left, top, right, bottom) = self.size, self._kept(camera)
        across, down = width / (right - left), height / (bottom - top)
        return replace(
            camera,
            width=width,
            height=height,
            fx=camera.fx * across,
            fy=camera.fy * down,
            cx=(camera.cx - left) * across,
            cy=(camera.cy - top) * down,
        )

    def cameras(self, cameras: Iterable["Camera"]) -> tuple["Camera", ...]:
        """Return the cameras of the resized images."""
        return tuple(self.camera(camera) for camera in cameras)

    def window(self, camera: "Camera") -> Window:
        """Return what the resized image shows of the camera's own, as shares of its sides.

        Returns:
            left, top, right and bottom: (0, 0, 1, 1) is the whole image; outside of 0 to 1 where the image is padded.
        """
        left, top, right, bottom = self._kept(camera)
        return left / camera.width, top / camera.height, right / camera.width, bottom / camera.height

    def _kept(self, camera: "Camera") -> Window:
        """Return left, top, right and bottom of the part that is resized, in pixels of the camera's own image."""
        if self.size is None or self.fit == "stretch" or self._has_aspect_of(camera):
            return 0.0, 0.0, float(camera.width), float(camera.height)
        across, down = self.size[0] / camera.width, self.size[1] / camera.height
        scale = max(across, down) if self.fit == "crop" else min(across, down)
        left, top = (camera.width - self.size[0] / scale) / 2, (camera.height - self.size[1] / scale) / 2
        return left, top, camera.width - left, camera.height - top

    def _has_aspect_of(self, camera: "Camera") -> bool:
        assert self.size is not None
        return self.size[0] * camera.height == self.size[1] * camera.width
