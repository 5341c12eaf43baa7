"""Bodies and driver parameters of vehicles and cyclists."""

from dataclasses import dataclass

import numpy as np

from swerve.scenes import ObjectClass, Vehicle


@dataclass(frozen=True)
class Body:
    """Vehicle or bicycle with its driver parameters.

    Attributes:
        kind: object class.
        vehicle: dimensions.
        pace: desired speed as a share of the speed limit.
        acceleration: IDM acceleration, m/s2.
        braking: IDM comfortable deceleration, m/s2.
        headway: IDM time headway, seconds.
        lateral: greatest lateral acceleration in curves, m/s2.
    """

    kind: ObjectClass
    vehicle: Vehicle
    pace: float
    acceleration: float
    braking: float
    headway: float
    lateral: float

    @property
    def hitch(self) -> float:
        """Distance from the rear axle forward to the reference point."""
        return self.vehicle.wheelbase / 2

    @property
    def front(self) -> float:
        """Distance from the reference point to the front bumper."""
        return self.vehicle.length - self.vehicle.rear_overhang - self.hitch

    @property
    def rear(self) -> float:
        """Distance from the reference point to the rear bumper."""
        return self.vehicle.rear_overhang + self.hitch


def draw_car(generator: np.random.Generator) -> Body:
    """Sample a car, from small to large."""
    size = generator.beta(2.0, 2.0)
    length = 3.7 + 1.4 * size + generator.uniform(-0.1, 0.1)
    width = 1.68 + 0.25 * size + generator.uniform(-0.04, 0.04)
    height = generator.choice([1.45, 1.65, 1.85], p=[0.5, 0.35, 0.15]) + generator.uniform(-0.05, 0.1)
    vehicle = Vehicle.from_box(float(length), float(width), float(height), "car")
    return _driven(ObjectClass.VEHICLE, vehicle, generator, 2.0)


def draw_lorry(generator: np.random.Generator) -> Body:
    """Sample a van, lorry or bus."""
    kind = generator.choice(["van", "lorry", "bus"], p=[0.4, 0.35, 0.25])
    low, high = {"van": (5.3, 6.2), "lorry": (7.0, 9.0), "bus": (10.5, 12.0)}[kind]
    width, height = {"van": (2.05, 2.6), "lorry": (2.45, 3.4), "bus": (2.5, 3.1)}[kind]
    length = generator.uniform(low, high)
    vehicle = Vehicle.from_box(float(length), width, float(height + generator.uniform(-0.1, 0.1)), str(kind))
    return _driven(ObjectClass.VEHICLE, vehicle, generator, 1.3)


def draw_cyclist(generator: np.random.Generator) -> Body:
    """Sample a bicycle with its rider. The pace is relative to the limit of a bicycle lane, 30 km/h."""
    length, height = generator.uniform(1.65, 1.85), generator.uniform(1.6, 1.85)
    vehicle = Vehicle("cyclist", float(length), 0.62, float(height), 1.05, float(length - 1.05) / 2)
    pace = float(generator.uniform(0.45, 0.75))
    return Body(ObjectClass.BICYCLE, vehicle, pace, 0.9, 1.5, 1.0, 1.5)


def ego_body(vehicle: Vehicle) -> Body:
    """Return the recording vehicle with a calm driver."""
    return Body(ObjectClass.VEHICLE, vehicle, 0.97, 1.5, 1.8, 1.5, 1.7)


def _driven(kind: ObjectClass, vehicle: Vehicle, generator: np.random.Generator, lateral: float) -> Body:
    """Return the vehicle with sampled driver parameters."""
    pace, headway = float(generator.uniform(0.82, 1.0)), float(generator.uniform(1.0, 1.7))
    return Body(kind, vehicle, pace, float(generator.uniform(1.2, 1.9)), 2.0, headway, lateral)
