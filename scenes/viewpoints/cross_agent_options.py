"""Options of cross-agent viewpoints."""

from dataclasses import dataclass

from swerve.scenes.option_checks import check_range


@dataclass(frozen=True)
class CrossAgentOptions:
    """Options of cross-agent viewpoints.

    Attributes:
        max_per_scene: Vehicles of each scene that become the ego, at most; the nearest to the logged ego come first.
        length_range: Shortest and longest vehicle, in metres: from a small car to a rigid bus.
        max_distance: Largest distance from the logged ego, in metres.
        min_prediction_error: Vehicles whose motion constant velocity predicts with less error than this are not used,
            in metres.
        surface_tolerance: How far a corner may leave the drivable area, in metres.
        coverage_radius: Radius of the disc of which `coverage` is the annotated share, in metres.

    Raises:
        SwerveError: an option is out of its range.
    """

    max_per_scene: int = 4
    length_range: tuple[float, float] = (3.0, 13.0)
    max_distance: float = 75.0
    min_prediction_error: float = 0.5
    surface_tolerance: float = 0.5
    coverage_radius: float = 50.0

    def __post_init__(self) -> None:
        check_range("cross_agent.max_per_scene", self.max_per_scene, 0, 1000)
