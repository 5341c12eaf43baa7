"""A renderer of plain colours: importable by worker processes."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FlatRenderer:
    """Every image is of one colour, which says where the ego is and which camera it is."""

    name: str = "flat"
    synthetic: bool = False

    def check(self, log) -> None:
        """It can draw any."""

    def prepare(self, log) -> "FlatRenderer":
        return self

    def render(self, snapshot, cameras):
        return [flat(snapshot, camera) for camera in cameras]


def flat(seat, camera) -> np.ndarray:
    """The image of a camera, at an instant or a viewpoint."""
    x, y = seat.world_from_ego[:2, 3]
    color = [round(x), round(10 * y) % 256, sum(camera.name.encode()) % 256]
    return np.full((camera.height, camera.width, 3), color, np.uint8)
