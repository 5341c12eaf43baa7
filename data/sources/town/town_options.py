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
        parked: share of the parking bays that are occupied.

    Raises:
        ValueError: a value is out of its range.
    """

    seconds: float = 20.0
    traffic: float = 1.7
    cyclists: float = 0.35
    pedestrians: float = 1.2
    parked: float = 0.6

    def __post_init__(self) -> None:
        rates = (self.traffic, self.cyclists, self.pedestrians)
        if not 1.0 <= self.seconds <= 120.0 or min(rates) < 0 or max(rates) > 4.0 or not 0 <= self.parked <= 1:
            raise ValueError(f"seconds must lie in 1..120, rates in 0..4, the parked share in 0..1: {self}")

    @property
    def steps(self) -> int:
        """Number of steps of the log."""
        return round(self.seconds / STEP) + 1


STEP = 0.1
