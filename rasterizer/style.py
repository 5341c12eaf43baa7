"""Style of an image: colour of each face of each class, and fading with depth."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from swerve.scenes.primitives import Face, Semantic

Rgb = tuple[int, int, int]

# Brightness of each side of an object, in the order of `Face`: encodes its orientation.
_FACE_BRIGHTNESS = (1.0, 1.0, 0.45, 0.7, 0.6, 0.85, 0.3)

# RAP's colours where it has them (arXiv 2510.04333 and its released code): colours encode the orientation of cars. Its
# yellow light is amber here: yellow are bicycles.
_CAR = {
    Face.NONE: (0, 128, 255),
    Face.FRONT: (247, 37, 133),
    Face.BACK: (76, 201, 240),
    Face.LEFT: (114, 9, 183),
    Face.RIGHT: (67, 97, 238),
    Face.TOP: (58, 12, 163),
    Face.BOTTOM: (58, 12, 163),
}
_PAINT_AND_SIGNALS = {
    Semantic.CROSSING: (206, 131, 63),
    Semantic.SPEED_BUMP: (150, 90, 40),
    Semantic.LINE_WHITE: (98, 183, 249),
    Semantic.LINE_YELLOW: (255, 215, 90),
    Semantic.LINE_BLUE: (40, 90, 255),
    Semantic.ROAD_EDGE: (200, 36, 35),
    Semantic.STOP_LINE: (255, 255, 255),
    Semantic.SIGNAL_UNKNOWN: (170, 170, 170),
    Semantic.SIGNAL_RED: (255, 0, 0),
    Semantic.SIGNAL_YELLOW: (255, 180, 0),
    Semantic.SIGNAL_GREEN: (0, 255, 0),
}
_OBJECTS = {
    Semantic.GENERIC: (150, 140, 110),
    Semantic.PEDESTRIAN: (255, 0, 255),
    Semantic.BICYCLE: (255, 255, 0),
    Semantic.TRAFFIC_CONE: (255, 110, 0),
    Semantic.BARRIER: (255, 150, 160),
    Semantic.SIGN: (0, 220, 170),
}
_SURFACES = {
    Semantic.ROAD: (44, 44, 50),
    Semantic.INTERSECTION: (54, 50, 66),
    Semantic.CAR_PARK: (44, 54, 66),
    Semantic.WALKWAY: (72, 66, 56),
}


@dataclass(frozen=True, eq=False)
class Style:
    """Colours and depth fading of rasterized images.

    A pixel's colour is background + alpha (colour - background), alpha = clip(1 - z / depth_limit, 0, 1). Geometry
    beyond the depth limit is in no output, be it colour, depth, semantic or instance.

    Attributes:
        background: colour of empty pixels, red, green, blue.
        palette: colour by `Semantic` and `Face`.
        depth_limit: metres; infinity means no fading.
        supersampling: colours are means over this many points per pixel along each axis, which smooths edges and keeps
            distant lines continuous, at about the square of the cost. Other outputs always show the pixel's centre.

    Raises:
        ValueError: the palette's shape, the depth limit or the number of samples is invalid.
    """

    background: Rgb
    palette: UInt8[np.ndarray, "semantics faces 3"]
    depth_limit: float = 120.0
    supersampling: int = 1

    def __post_init__(self) -> None:
        if self.palette.shape != (len(Semantic), len(Face), 3):
            raise ValueError(f"the palette must be ({len(Semantic)}, {len(Face)}, 3), got {self.palette.shape}")
        if not self.depth_limit > 0:
            raise ValueError(f"the depth limit must be positive, got {self.depth_limit}")
        if not 1 <= self.supersampling <= 8:
            raise ValueError(f"supersampling must lie in 1..8, got {self.supersampling}")
        if len(self.background) != 3 or not all(0 <= channel <= 255 for channel in self.background):
            raise ValueError(f"the background must be three numbers of 0 to 255, got {self.background}")

    @classmethod
    def rap(cls, depth_limit: float = 120.0, supersampling: int = 1) -> "Style":
        """Return RAP's style: black, filled faces; roads are black too, but occlude."""
        return cls((0, 0, 0), _palette({}), depth_limit, supersampling)

    @classmethod
    def surfaces(cls, depth_limit: float = 120.0, supersampling: int = 1) -> "Style":
        """Return RAP's style with roads, intersections, car parks and walkways tinted."""
        return cls((0, 0, 0), _palette(_SURFACES), depth_limit, supersampling)


def _palette(surfaces: dict[Semantic, Rgb]) -> UInt8[np.ndarray, "semantics faces 3"]:
    colors = np.zeros((len(Semantic), len(Face), 3))
    for semantic, color in {**_PAINT_AND_SIGNALS, **_OBJECTS, **surfaces}.items():
        colors[semantic] = color
    for semantic in _OBJECTS:
        colors[semantic] *= np.array(_FACE_BRIGHTNESS)[:, None]
    for face, color in _CAR.items():
        colors[Semantic.VEHICLE, face] = color
    return colors.round().astype(np.uint8)
