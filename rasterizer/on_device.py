"""The protocol of back ends that keep meshes and images on a device of their own."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from swerve.rasterizer.style import Style
from swerve.scenes import Camera
from swerve.scenes.primitives import Primitives


@runtime_checkable
class ImagesOnDevice(Protocol):
    """Images of one pass, left on the device."""

    @property
    def shapes(self) -> Sequence[tuple[int, int]]:
        """Height and width of each image."""

    def image(self, output: str, view: int) -> object:
        """Return one image, (h, w) or (h, w, 3), without a copy: a type of the back end's own."""

    def to_host(self, outputs: Sequence[str] | None = None) -> list[dict[str, np.ndarray]]:
        """Copy images to the host: by view, then output. Only the given outputs, or all of them."""


@runtime_checkable
class MeshOnDevice(Protocol):
    """Primitives on the device, in parts: those of the static layer stay, dynamic ones are replaced."""

    def add(self, primitives: Primitives) -> int:
        """Upload a part; return its number."""

    def truncate(self, parts: int) -> None:
        """Discard all parts but the first `parts`."""

    def passes(
        self,
        parts: tuple[int, ...],
        cameras: Sequence[Camera],
        world_from_ego: Float[np.ndarray, "p 4 4"],
        style: Style,
        outputs: tuple[str, ...],
    ) -> Iterator[ImagesOnDevice]:
        """Yield images of one or two parts, by pose, then camera; each pass is complete when yielded."""
