"""Routes through the lane graph, and the paths that vehicles follow along them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from swerve.data.sources.town.curves import Curve, left_of
from swerve.data.sources.town.traffic_state import SPACING
from swerve.scenes import Lane, LaneKind
from swerve.scenes.polyline import arc_lengths, headings, points_at, without_repeats
from swerve.scenes.transforms import wrap_angle

# Smoothing lengths of paths and of lateral shifts, metres.
_SMOOTHING, _SHIFTING = 1.2, 5.0
# Deceleration with which drivers brake for curves ahead, m/s2.
_COMFORTABLE_BRAKING = 1.5
_SHARP = np.deg2rad(30.0)


@dataclass(frozen=True)
class Path:
    """Path of a vehicle's reference point, a point every `SPACING` metres.

    Attributes:
        lanes: lane ids, in order.
        starts: arc length of each lane's start, with the path's end as the last.
        points: positions.
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
        """Length in metres."""
        return (len(self.points) - 1) * SPACING

    def speeds(self, share: float, lateral: float) -> Float[np.ndarray, "n"]:
        """Compute the largest speeds on the path: share of the limit, lateral acceleration, and anticipated braking."""
        bend = np.sqrt(lateral / np.maximum(np.abs(self.curvature), 1e-4))
        squares = np.minimum(share * self.limits, bend) ** 2
        along = 2 * _COMFORTABLE_BRAKING * SPACING * np.arange(len(squares))
        speeds: Float[np.ndarray, "n"] = np.sqrt(np.minimum.accumulate((squares + along)[::-1])[::-1] - along)
        return speeds


def draw_route(lanes: dict[str, Lane], start: str, length: float, generator: np.random.Generator) -> tuple[str, ...]:
    """Sample a random walk along the lane graph, until it is long enough or the map ends."""
    route, total = [start], arc_lengths(lanes[start].centerline)[-1]
    while total < length and lanes[route[-1]].successors:
        route.append(str(generator.choice(lanes[route[-1]].successors)))
        total += arc_lengths(lanes[route[-1]].centerline)[-1]
    return tuple(route)


def turns(lanes: dict[str, Lane], route: tuple[str, ...]) -> Float[np.ndarray, "n"]:
    """Return the angle by which each lane of a route turns, radians, left positive."""
    angles = [headings(lanes[lane].centerline) for lane in route]
    return np.array([float(wrap_angle(angle[-1] - angle[0])) for angle in angles])


def turns_sharply(lanes: dict[str, Lane], route: tuple[str, ...]) -> bool:
    """Test whether a route has a turn too sharp for a lorry."""
    return bool((np.abs(turns(lanes, route)) > _SHARP).any())


def build_path(lanes: dict[str, Lane], route: tuple[str, ...], lateral: float, cyclist: bool = False) -> Path:
    """Build the path along a route.

    Args:
        lanes: lanes by id.
        route: ids of successive lanes.
        lateral: metres to the left of the centrelines.
        cyclist: whether `lateral` holds only where there is no bicycle lane (else its centreline).
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
    """Smooth the line; an arc of 8 m radius moves inward by 0.1 m."""
    smooth: Curve = gaussian_filter1d(points, _SMOOTHING / SPACING, axis=0, mode="nearest")
    return smooth


def _tangents(points: Curve) -> Curve:
    """Compute unit tangents along the line."""
    steps = np.gradient(points, axis=0)
    tangents: Curve = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    return tangents


def _even(points: Curve) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "m"]]:
    """Resample the line with steps of `SPACING`; also return the fractional source row of each point."""
    along = arc_lengths(points)
    wanted = np.arange(0.0, along[-1], SPACING)
    return points_at(points, wanted), np.interp(wanted, along, np.arange(len(points)))
