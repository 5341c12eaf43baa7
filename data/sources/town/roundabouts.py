"""Geometry of roundabouts: one lane round a central island, counter-clockwise, entered and left by arcs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.data.sources.town.curves import Curve, Point, evenly, left_of, unit
from swerve.scenes.polyline import remove_duplicate_points

# Radius of the outer kerb and width of the ring, metres: those of compact single-lane roundabouts (diameters of 27 to
# 46 m and 4.8 to 6.1 m; FHWA 2010, Roundabouts: An Informational Guide, NCHRP Report 672, exhibits 6-9 and 6.4.2).
RADIUS, WIDTH = (14.0, 17.0), (5.0, 5.6)
# Radii of the arcs that join the ring: of kerbs, of lanes' middles; and those of bicycle lanes, metres.
KERB_ARC, LANE_ARC, BICYCLE_ARC = 6.0, 10.0, 6.0
# Middle of the cyclists' way, from the outer kerb, metres.
_BICYCLES = 1.2
# Least angle of the ring between two arms' arcs, radians.
_LEAST_ARC = np.deg2rad(2.0)


@dataclass(frozen=True)
class Ring:
    """Ring of a roundabout.

    Attributes:
        radius: of the outer kerb, metres.
        width: from the outer kerb to the central island, metres.
    """

    radius: float
    width: float

    @property
    def island(self) -> float:
        """Radius of the central island, metres."""
        return self.radius - self.width

    def lane(self, bicycle: bool) -> tuple[float, float]:
        """Return the radius of a lane's middle, and that of the arcs at its ends."""
        return (self.radius - _BICYCLES, BICYCLE_ARC) if bicycle else (self.radius - self.width / 2, LANE_ARC)


@dataclass(frozen=True)
class Branch:
    """Line along an arm that joins a ring.

    Attributes:
        angle: outward direction of the arm, radians.
        lateral: distance of the line from the arm's axis, metres; on the left for branches in, on the right for out.
        distance: distance outward of its end, metres.
        arc: radius of the arc between the line and the ring, metres.
    """

    angle: float
    lateral: float
    distance: float
    arc: float

    def touch(self, radius: float) -> tuple[float, float]:
        """Return the distance outward at which the arc begins, and the arm's angle to where it meets the ring."""
        along = float(np.sqrt((radius + self.arc) ** 2 - (self.lateral + self.arc) ** 2))
        return along, float(np.arctan2(self.lateral + self.arc, along))

    def line(self, radius: float) -> Curve:
        """Return the line from its end to the ring: (outward, to the side), straight and then along the arc."""
        along, angle = self.touch(radius)
        turn = np.linspace(-np.pi / 2, angle - np.pi, 17)
        arc = np.stack([along + self.arc * np.cos(turn), self.lateral + self.arc * (1.0 + np.sin(turn))], axis=1)
        return np.concatenate([[[self.distance, self.lateral]], arc])


def fits(first: Branch, then: Branch, radius: float) -> bool:
    """Test whether the ring has room for the arcs of a branch in and of the next arm's branch out."""
    if max(first.lateral, then.lateral) > 0.8 * radius:
        return False
    opening = (then.angle - first.angle) % (2 * np.pi)
    return bool(first.touch(radius)[1] + then.touch(radius)[1] + _LEAST_ARC < opening)


def ring_line(center: Point, first: Branch, then: Branch, radii: tuple[float, float], spacing: float = 1.0) -> Curve:
    """Return the line in along one arm, counter-clockwise round the ring, and out along another.

    Args:
        center: middle of the ring.
        first: the branch in.
        then: the branch out.
        radii: of the ring, where it is entered and where it is left; in between linear with the angle.
        spacing: greatest distance between points, metres.
    """
    begin, end = first.angle + first.touch(radii[0])[1], then.angle - then.touch(radii[1])[1]
    turn = begin + np.linspace(0.0, (end - begin) % (2 * np.pi), 65)
    ring = np.linspace(*radii, 65)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    into, out = first.line(radii[0]), then.line(radii[1])[::-1] * [1.0, -1.0]
    points = np.concatenate([_turned(into, first.angle), ring, _turned(out, then.angle)])
    line: Curve = center + evenly(remove_duplicate_points(points), spacing)
    return line


def circle(center: Point, radius: float, count: int = 48) -> Curve:
    """Return points of a circle, counter-clockwise, not closed."""
    turn = np.arange(count) * (2 * np.pi / count)
    points: Curve = center + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return points


def _turned(points: Float[np.ndarray, "n 2"], angle: float) -> Curve:
    """Return points given as (along, to the left of) a direction."""
    turned: Curve = points[:, :1] * unit(angle) + points[:, 1:] * left_of(unit(angle))
    return turned
