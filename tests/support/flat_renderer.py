"""Renderer of constant colours: importable by worker processes."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FlatRenderer:
    """Renderer whose images have one colour, which encodes ego position and camera."""

    name: str = "flat"
    synthetic: bool = False

    def check(self, log) -> None:
        """Accept any log."""

    def prepare(self, log) -> "FlatRenderer":
        return self

    def render(self, snapshot, cameras):
        return [flat(snapshot, camera) for camera in cameras]


def flat(seat, camera) -> np.ndarray:
    """Return the image of a camera at a snapshot or viewpoint."""
    x, y = seat.world_from_ego[:2, 3]
    color = [round(x), round(10 * y) % 256, sum(camera.name.encode()) % 256]
    return np.full((camera.height, camera.width, 3), color, np.uint8)
