"""Options of a generated town."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TownOptions:
    """Densities and duration of a town.

    Attributes:
        seconds: length of the log; steps are 0.1 s apart, both ends included.
        traffic: moving vehicles per 100 m of lane at the start.
        cyclists: cyclists per 100 m of street direction.
        pedestrians: pedestrians per 100 m of walkway.
        parked: share of the parking bays that are taken.
        wander: factor of all deviations from lanes' middles and from a steady pace; 0 for none.
        lane_changes: share of the drivers on streets of several lanes who would like to change lanes.
        obstructions: share of the streets with a double-parked vehicle or cones on a lane.
        occlusions: share of the places where pedestrians cross between junctions, on each side with a parking strip, at
            which a parked van hides them.
        jaywalkers: how often pedestrians cross between junctions, relative to going on.

    Raises:
        ValueError: a value is out of its range.
    """

    seconds: float = 20.0
    traffic: float = 2.7
    cyclists: float = 0.35
    pedestrians: float = 1.8
    parked: float = 0.65
    wander: float = 1.0
    lane_changes: float = 0.25
    obstructions: float = 0.2
    jaywalkers: float = 0.15
    occlusions: float = 0.5

    def __post_init__(self) -> None:
        rates = (self.traffic, self.cyclists, self.pedestrians, self.wander)
        shares = (self.parked, self.lane_changes, self.obstructions, self.jaywalkers, self.occlusions)
        if not 1.0 <= self.seconds <= 120.0 or min(rates) < 0 or max(rates) > 4.0:
            raise ValueError(f"seconds must lie in 1..120, rates and the wander in 0..4: {self}")
        if min(shares) < 0 or max(shares) > 1:
            raise ValueError(
                f"shares (parked, lane_changes, obstructions, jaywalkers, occlusions) must lie in 0..1: {self}"
            )

    @property
    def steps(self) -> int:
        """Number of steps of the log."""
        return round(self.seconds / STEP) + 1


STEP = 0.1
