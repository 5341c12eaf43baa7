"""Bodies and driver parameters of vehicles and cyclists."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from swerve.data.sources.town.manners import draw_pace
from swerve.scenes import ObjectClass, Vehicle

# Shares of the drivers that halt fully at stop signs, and that turn right at red after a halt.
_FULL_STOPS, _ON_RED = 0.4, 0.5
_LONGEST_CAR = 5.25


@dataclass(frozen=True)
class RoadUser:
    """Vehicle or bicycle with its driver parameters.

    Attributes:
        kind: object class.
        vehicle: dimensions.
        desired_speed_factor: desired speed as a share of the speed limit.
        acceleration: IDM acceleration, m/s2.
        braking: IDM comfortable deceleration, m/s2.
        time_headway: IDM time headway, seconds.
        lateral: greatest lateral acceleration in curves, m/s2.
        rolls: speed to which they slow down at stop signs, m/s.
        yellow: deceleration above which they go on at yellow, m/s2.
        safe: deceleration that they impose on others in a lane change, m/s2 (MOBIL's b_safe).
        turns_on_red: whether they turn right at red after a halt.
        top_speed: speed limits above this count as this, m/s.
    """

    kind: ObjectClass
    vehicle: Vehicle
    desired_speed_factor: float
    acceleration: float
    braking: float
    time_headway: float
    lateral: float
    rolls: float = 0.4
    yellow: float = 2.8
    safe: float = 2.0
    turns_on_red: bool = False
    top_speed: float = np.inf

    @property
    def large(self) -> bool:
        """Return whether it is too long for sharp turns: a van, lorry or bus."""
        return self.vehicle.length > _LONGEST_CAR

    @property
    def rear_axle_to_reference(self) -> float:
        """Distance from the rear axle forward to the reference point."""
        return self.vehicle.wheelbase / 2

    @property
    def front(self) -> float:
        """Distance from the reference point to the front bumper."""
        return self.vehicle.length - self.vehicle.rear_overhang - self.rear_axle_to_reference

    @property
    def rear(self) -> float:
        """Distance from the reference point to the rear bumper."""
        return self.vehicle.rear_overhang + self.rear_axle_to_reference


@dataclass(frozen=True)
class ParkedObjects:
    """Something that does not move.

    Attributes:
        kind: class.
        center: (x, y).
        heading: radians.
        size: (length, width, height).
    """

    kind: ObjectClass
    center: Float[np.ndarray, "2"]
    heading: float
    size: tuple[float, float, float]


def draw_car(generator: np.random.Generator) -> RoadUser:
    """Sample a car, from small to large."""
    size = generator.beta(2.0, 2.0)
    length = 3.7 + 1.4 * size + generator.uniform(-0.1, 0.1)
    width = 1.68 + 0.25 * size + generator.uniform(-0.04, 0.04)
    height = generator.choice([1.45, 1.65, 1.85], p=[0.5, 0.35, 0.15]) + generator.uniform(-0.05, 0.1)
    vehicle = Vehicle.from_box(float(length), float(width), float(height), "car")
    return _driven(ObjectClass.VEHICLE, vehicle, generator, 2.0)


def draw_lorry(generator: np.random.Generator) -> RoadUser:
    """Sample a van, lorry or bus."""
    kind = generator.choice(["van", "lorry", "bus"], p=[0.4, 0.35, 0.25])
    low, high = {"van": (5.3, 6.2), "lorry": (7.0, 9.0), "bus": (10.5, 12.0)}[kind]
    width, height = {"van": (2.05, 2.6), "lorry": (2.45, 3.4), "bus": (2.5, 3.1)}[kind]
    length = generator.uniform(low, high)
    vehicle = Vehicle.from_box(float(length), width, float(height + generator.uniform(-0.1, 0.1)), str(kind))
    return _driven(ObjectClass.VEHICLE, vehicle, generator, 1.3)


def draw_cyclist(generator: np.random.Generator) -> RoadUser:
    """Sample a bicycle with its rider. The pace is relative to 30 km/h, or to the limit if that is lower."""
    length, height = generator.uniform(1.65, 1.85), generator.uniform(1.6, 1.85)
    vehicle = Vehicle("cyclist", float(length), 0.62, float(height), 1.05, float(length - 1.05) / 2)
    pace = float(generator.uniform(0.45, 0.75))
    return RoadUser(ObjectClass.BICYCLE, vehicle, pace, 0.9, 1.5, 1.0, 1.5, top_speed=30 / 3.6)


def ego_body(vehicle: Vehicle, generator: np.random.Generator) -> RoadUser:
    """Return the recording vehicle with a driver who stops at stop signs and does not turn at red."""
    body = _driven(ObjectClass.VEHICLE, vehicle, generator, 2.0)
    return replace(body, rolls=0.4, turns_on_red=False, safe=2.0)


def _driven(kind: ObjectClass, vehicle: Vehicle, generator: np.random.Generator, lateral: float) -> RoadUser:
    """Return the vehicle with sampled driver parameters."""
    rolls = 0.4 if generator.random() < _FULL_STOPS else generator.uniform(0.8, 2.5)
    return RoadUser(
        kind,
        vehicle,
        draw_pace(generator),
        acceleration=float(generator.uniform(1.1, 2.0)),
        braking=float(generator.uniform(1.6, 2.4)),
        time_headway=float(generator.uniform(0.8, 1.9)),
        lateral=float(lateral * generator.uniform(0.75, 1.2)),
        rolls=float(rolls),
        yellow=float(generator.uniform(2.3, 3.3)),
        safe=float(generator.uniform(1.0, 3.5)),
        turns_on_red=bool(generator.random() < _ON_RED),
    )
