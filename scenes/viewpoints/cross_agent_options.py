"""Options of cross-agent viewpoints."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CrossAgentOptions:
    """Options of cross-agent viewpoints.

    Attributes:
        per_scene: Vehicles of each scene that become the ego, at most; the nearest to the logged ego come first.
        lengths: Shortest and longest vehicle, in metres: from a small car to a rigid bus.
        distance: Largest distance from the logged ego, in metres.
        least_error: Vehicles whose motion constant velocity predicts with less error than this are not used, in metres.
        surface_slack: How far a corner may leave the drivable area, in metres.
        surroundings: Radius of the disc of which `coverage` is the annotated share, in metres.
    """

    per_scene: int = 4
    lengths: tuple[float, float] = (3.0, 13.0)
    distance: float = 75.0
    least_error: float = 0.5
    surface_slack: float = 0.5
    surroundings: float = 50.0
