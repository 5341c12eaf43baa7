"""Routes through the lane graph, and the paths that vehicles drive along them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from swerve.data.sources.town.curves import Curve, left_of
from swerve.data.sources.town.traffic_state import SPACING
from swerve.scenes import Lane, LaneKind
from swerve.scenes.polyline import arc_lengths, headings, points_at, without_repeats
from swerve.scenes.transforms import wrap_angle

# Paths are smoothed over so many metres, sideways shifts over so many.
_SMOOTHING, _SHIFTING = 1.2, 5.0
# Drivers see curves coming: they brake for them by this much, m/s2.
_COMFORTABLE_BRAKING = 1.5
_SHARP = np.deg2rad(30.0)


@dataclass(frozen=True)
class Path:
    """The line that a vehicle's reference point follows, a point every `SPACING` metres.

    Attributes:
        lanes: ids, in order.
        starts: arc length at which each lane begins; one more for the end.
        points: the line.
        headings: direction, unwrapped, radians.
        curvature: 1/m, left positive.
        limits: speed limit, m/s.
    """

    lanes: tuple[str, ...]
    starts: Float[np.ndarray, "m1"]
    points: Curve
    headings: Float[np.ndarray, "n"]
    curvature: Float[np.ndarray, "n"]
    limits: Float[np.ndarray, "n"]

    @property
    def length(self) -> float:
        """Metres."""
        return (len(self.points) - 1) * SPACING

    def speeds(self, share: float, lateral: float) -> Float[np.ndarray, "n"]:
        """Greatest speed along the path: a share of the limit, a bound of lateral acceleration, and timely braking."""
        bend = np.sqrt(lateral / np.maximum(np.abs(self.curvature), 1e-4))
        squares = np.minimum(share * self.limits, bend) ** 2
        along = 2 * _COMFORTABLE_BRAKING * SPACING * np.arange(len(squares))
        return np.sqrt(np.minimum.accumulate((squares + along)[::-1])[::-1] - along)


def draw_route(lanes: dict[str, Lane], start: str, length: float, generator: np.random.Generator) -> tuple[str, ...]:
    """A random walk along the lane graph from a lane, until it is long enough or the map ends."""
    route, total = [start], arc_lengths(lanes[start].centerline)[-1]
    while total < length and lanes[route[-1]].successors:
        route.append(str(generator.choice(lanes[route[-1]].successors)))
        total += arc_lengths(lanes[route[-1]].centerline)[-1]
    return tuple(route)


def turns(lanes: dict[str, Lane], route: tuple[str, ...]) -> Float[np.ndarray, "n"]:
    """Angle by which each lane of a route turns, radians, left positive."""
    angles = [headings(lanes[lane].centerline) for lane in route]
    return np.array([float(wrap_angle(angle[-1] - angle[0])) for angle in angles])


def turns_sharply(lanes: dict[str, Lane], route: tuple[str, ...]) -> bool:
    """Whether a route has a turn that a lorry should not take."""
    return bool((np.abs(turns(lanes, route)) > _SHARP).any())


def build_path(lanes: dict[str, Lane], route: tuple[str, ...], lateral: float, cyclist: bool = False) -> Path:
    """The path along a route.

    Args:
        lanes: by id.
        route: ids of lanes that follow each other.
        lateral: metres to the left of the lanes' middles.
        cyclist: whether `lateral` holds only where there is no bicycle lane (in its middle where there is one).
    """
    line = without_repeats(np.concatenate([lanes[lane].centerline[:, :2] for lane in route]))
    lengths = [arc_lengths(lanes[lane].centerline)[-1] for lane in route]
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    along = np.arange(0.0, starts[-1], SPACING)
    inside = np.clip(np.searchsorted(starts, along, side="right") - 1, 0, len(route) - 1)
    shifts = np.array([0.0 if cyclist and lanes[lane].kind is LaneKind.BICYCLE else lateral for lane in route])
    shift = gaussian_filter1d(shifts[inside], _SHIFTING / SPACING, mode="nearest")
    points = _smooth(points_at(line, along))
    normals = left_of(_tangents(points))
    points, original = _even(_smooth(points + shift[:, None] * normals))
    angles = np.unwrap(np.arctan2(*_tangents(points).T[::-1]))
    limits = np.array([lanes[lane].speed_limit or 0.0 for lane in route])
    row = np.clip(np.round(original).astype(int), 0, len(along) - 1)
    bounds = np.interp(starts / SPACING, original, np.arange(len(points)) * SPACING)
    bends = gaussian_filter1d(np.gradient(angles, SPACING), 1.0, mode="nearest")
    return Path(route, bounds, points, angles, bends, limits[inside[row]])


def _smooth(points: Curve) -> Curve:
    """The line without kinks; an arc of 8 m radius moves inward by 0.1 m."""
    return gaussian_filter1d(points, _SMOOTHING / SPACING, axis=0, mode="nearest")


def _tangents(points: Curve) -> Curve:
    """Unit vectors along the line."""
    steps = np.gradient(points, axis=0)
    return steps / np.linalg.norm(steps, axis=1, keepdims=True)


def _even(points: Curve) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "m"]]:
    """The line with equal steps of `SPACING`, and for each of its points the row of the given line it comes from."""
    along = arc_lengths(points)
    wanted = np.arange(0.0, along[-1], SPACING)
    return points_at(points, wanted), np.interp(wanted, along, np.arange(len(points)))
