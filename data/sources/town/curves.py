"""Planar curves between two directed points: kerb corners, and paths through junctions."""

import numpy as np
from jaxtyping import Float

from swerve.scenes.polyline import arc_lengths, interpolate_at, remove_duplicate_points
from swerve.scenes.transforms import wrap_angle

Point = Float[np.ndarray, "2"]
Curve = Float[np.ndarray, "n 2"]
# Below this deflection one S-shaped cubic is used.
_SMALL_ANGLE = np.deg2rad(8.0)


def unit(angle: float) -> Point:
    """Return the unit vector of an angle in radians."""
    return np.array([np.cos(angle), np.sin(angle)])


def left_of(direction: Float[np.ndarray, "*b 2"]) -> Float[np.ndarray, "*b 2"]:
    """Rotate directions by a right angle to the left."""
    return np.stack([-direction[..., 1], direction[..., 0]], axis=-1)


def turn_curve(
    start: Point, heading: float, end: Point, end_heading: float, tangent: float = np.inf, spacing: float = 1.0
) -> Curve:
    """Compute a smooth curve from one directed point to another.

    A straight piece, a cubic close to a circular arc (to 0.3 % of the radius at a right angle), a straight piece. Where
    the two lines do not intersect ahead, one S-shaped cubic.

    Args:
        start: start point.
        heading: direction at the start, radians.
        end: end point.
        end_heading: direction at the end, radians.
        tangent: largest distance of the arc's ends from the intersection of the two straight lines, metres.
        spacing: greatest distance between points, metres.
    """
    deflection = float(wrap_angle(end_heading - heading))
    ahead, back = meeting(start, heading, end, end_heading)
    if abs(deflection) < _SMALL_ANGLE or min(ahead, back) < 1.0:
        reach = float(np.linalg.norm(end - start)) * 0.4
        return evenly(_cubic(start, heading, end, end_heading, reach, reach), spacing)
    tangent = min(tangent, ahead, back)
    first, last = start + unit(heading) * (ahead - tangent), end - unit(end_heading) * (back - tangent)
    reach = tangent * (4 / 3) * np.tan(abs(deflection) / 4) / np.tan(abs(deflection) / 2)
    arc = _cubic(first, heading, last, end_heading, reach, reach)
    return evenly(remove_duplicate_points(np.concatenate([start[None], arc, end[None]])), spacing)


def joined_curve(
    start: Point, heading: float, end: Point, end_heading: float, tangent: float, leads: tuple[float, float]
) -> Curve:
    """Compute `turn_curve` between straight pieces of at least the given lengths."""
    first, last = start + leads[0] * unit(heading), end - leads[1] * unit(end_heading)
    inner = turn_curve(first, heading, last, end_heading, tangent)
    return np.concatenate([start[None]] * (leads[0] > 0) + [inner] + [end[None]] * (leads[1] > 0))


def meeting(start: Point, heading: float, end: Point, end_heading: float) -> tuple[float, float]:
    """Compute the distances ahead of `start` and behind `end` at which their lines intersect; infinite if parallel."""
    a, b = unit(heading), unit(end_heading)
    cross = a[0] * b[1] - a[1] * b[0]
    if abs(cross) < 1e-9:
        return np.inf, np.inf
    gap = end - start
    return (gap[0] * b[1] - gap[1] * b[0]) / cross, (a[0] * gap[1] - a[1] * gap[0]) / cross


def _cubic(start: Point, heading: float, end: Point, end_heading: float, first: float, last: float) -> Curve:
    """Evaluate a Bezier curve with handles of the given lengths."""
    share = np.linspace(0.0, 1.0, 65)[:, None]
    rest = 1 - share
    handle, end_handle = start + first * unit(heading), end - last * unit(end_heading)
    curve: Curve = rest**3 * start + 3 * rest**2 * share * handle + 3 * rest * share**2 * end_handle + share**3 * end
    return curve


def evenly(points: Curve, spacing: float) -> Float[np.ndarray, "m 2"]:
    """Resample the curve with equal steps; both ends stay exact."""
    steps = max(int(np.ceil(arc_lengths(points)[-1] / spacing)), 2)
    even = interpolate_at(points, np.linspace(0.0, arc_lengths(points)[-1], steps + 1))
    even[0], even[-1] = points[0], points[-1]
    return even


def normals(points: Curve, heading: float, end_heading: float) -> Curve:
    """Compute unit vectors to the left of the curve, exact at both ends."""
    steps = np.gradient(points, axis=0)
    tangents = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    tangents[0], tangents[-1] = unit(heading), unit(end_heading)
    return left_of(tangents)
