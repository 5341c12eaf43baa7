"""Vehicle dimensions relative to the rear axle."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# Typical proportions of cars where only the box is known: medians of the published wheelbases and front overhangs of
# compact to large cars lie within 0.57-0.63 and 0.16-0.21 of the length, so an axle is off by 0.15 m at most.
WHEELBASE_SHARE = 0.60
REAR_OVERHANG_SHARE = 0.21


@dataclass(frozen=True)
class Vehicle:
    """Vehicle dimensions in metres.

    Attributes:
        name: a label for reports.
        length: bumper to bumper.
        width: without mirrors.
        height: from the ground.
        wheelbase: rear axle to front axle.
        rear_overhang: rear bumper to rear axle.
    """

    name: str
    length: float
    width: float
    height: float
    wheelbase: float
    rear_overhang: float

    def __post_init__(self) -> None:
        sizes = (self.length, self.width, self.height, self.wheelbase, self.rear_overhang)
        if not np.isfinite(sizes).all() or min(sizes) <= 0 or self.wheelbase + self.rear_overhang > self.length:
            raise ValueError(f"impossible dimensions: {self}")

    @classmethod
    def pacifica(cls) -> "Vehicle":
        """Return the Chrysler Pacifica of nuPlan, with which NAVSIM scores."""
        return cls("pacifica", length=5.176, width=2.297, height=1.777, wheelbase=3.089, rear_overhang=1.127)

    @classmethod
    def from_box(cls, length: float, width: float, height: float, name: str = "agent") -> "Vehicle":
        """Build a vehicle of which only the box is known; axles are placed by a car's typical proportions."""
        return cls(name, length, width, height, length * WHEELBASE_SHARE, length * REAR_OVERHANG_SHARE)

    @property
    def rear_axle_to_center(self) -> float:
        """Distance from the rear axle forward to the centre of the box."""
        return self.length / 2 - self.rear_overhang

    @property
    def size(self) -> Float[np.ndarray, "3"]:
        """(length, width, height)."""
        return np.array([self.length, self.width, self.height])

    def footprint(self) -> Float[np.ndarray, "4 2"]:
        """Return the corners in the ego frame, counter-clockwise from the front left."""
        front, back, side = self.length - self.rear_overhang, -self.rear_overhang, self.width / 2
        return np.array([[front, side], [back, side], [back, -side], [front, -side]])
