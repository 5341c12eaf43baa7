"""Routes through the lane graph, and the paths that vehicles follow along them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Float, Int

from swerve.data.sources.town.curves import Curve, left_of
from swerve.data.sources.town.manners import Manner, bounded
from swerve.data.sources.town.obstructions import MOVING_OUT, Obstruction
from swerve.data.sources.town.traffic_state import SPACING
from swerve.scenes import Lane, LaneType
from swerve.scenes.polyline import arc_lengths, headings, interpolate_at, remove_duplicate_points
from swerve.scenes.transforms import wrap_angle

# Smoothing lengths of paths and of lateral shifts, metres.
_SMOOTHING, _SHIFTING = 1.2, 5.0
# Deceleration with which drivers brake for curves ahead, m/s2.
_COMFORTABLE_BRAKING = 1.5
_SHARP = np.deg2rad(30.0)
# Speed past obstructions, m/s.
_PASSING = 6.5


@dataclass(frozen=True)
class Path:
    """Path of a vehicle's reference point, a point every `SPACING` metres.

    Attributes:
        lanes: lane ids, in order.
        starts: arc length of each lane's start, with the path's end as the last.
        points: positions.
        headings: direction, unwrapped, radians.
        curvature: 1/m, left positive.
        wanted: speed that the driver wants where nothing bends, m/s.
    """

    lanes: tuple[str, ...]
    starts: Float[np.ndarray, "m1"]
    points: Curve
    headings: Float[np.ndarray, "n"]
    curvature: Float[np.ndarray, "n"]
    wanted: Float[np.ndarray, "n"]

    @property
    def length(self) -> float:
        """Length in metres."""
        return (len(self.points) - 1) * SPACING

    def speeds(self, lateral: float) -> Float[np.ndarray, "n"]:
        """Compute the largest speeds on the path: desired speed, lateral acceleration, and anticipated braking."""
        bend = np.sqrt(lateral / np.maximum(np.abs(self.curvature), 1e-4))
        squares = np.minimum(self.wanted, bend) ** 2
        along = 2 * _COMFORTABLE_BRAKING * SPACING * np.arange(len(squares))
        speeds: Float[np.ndarray, "n"] = np.sqrt(np.minimum.accumulate((squares + along)[::-1])[::-1] - along)
        return speeds


@dataclass(frozen=True)
class Handling:
    """Behaviour of a driver on a path.

    Attributes:
        manner: lateral positions and pace along it.
        pace: share of the limit that they prefer.
        width: of the vehicle, metres.
        front: from the reference point to the front bumper, metres.
        rear: from the reference point to the rear bumper, metres.
        from_right: of cyclists: metres from the right boundary of lanes that are not theirs alone.
        top_speed: limits above this count as this, m/s.
    """

    manner: Manner
    pace: float
    width: float
    front: float
    rear: float
    from_right: float | None = None
    top_speed: float = np.inf


@dataclass(frozen=True)
class LaneChange:
    """A lane change on one lane of a route.

    Attributes:
        row: of the lane in the route.
        line: the centreline there, which leads over to the lane beside.
        begin: arc length of that line at which it leaves the old lane.
        end: arc length at which it has reached the new one.
        side: metres from the old lane to the new one, left positive.
    """

    row: int
    line: Curve
    begin: float
    end: float
    side: float


def change_lane(old: Lane, new: Lane, row: int, begin: float, length: float) -> LaneChange:
    """A lane change between lanes of one street.

    Args:
        old: the lane that is left.
        new: the lane beside it.
        row: of the lane in the route.
        begin: arc length on the old lane at which it begins, metres.
        length: that it takes, metres.
    """
    share = smooth_step((old.lengths - begin) / length)[:, None]
    line = (1 - share) * old.centerline[:, :2] + share * new.centerline[:, :2]
    side = (lane_width(old) + lane_width(new)) / 2
    end = float(np.interp(begin + length, old.lengths, arc_lengths(line)))
    return LaneChange(row, line, begin, end, side if old.left_neighbor == new.id else -side)


def draw_route(lanes: dict[str, Lane], start: str, length: float, generator: np.random.Generator) -> tuple[str, ...]:
    """Sample a random walk along the lane graph, until it is long enough or the map ends."""
    route, total = [start], lanes[start].lengths[-1]
    while total < length and lanes[route[-1]].successors:
        route.append(str(generator.choice(lanes[route[-1]].successors)))
        total += lanes[route[-1]].lengths[-1]
    return tuple(route)


def turns(lanes: dict[str, Lane], route: tuple[str, ...]) -> Float[np.ndarray, "n"]:
    """Return the angle by which each lane of a route turns, radians, left positive."""
    angles = [headings(lanes[lane].centerline) for lane in route]
    return np.array([float(wrap_angle(angle[-1] - angle[0])) for angle in angles])


def turns_sharply(lanes: dict[str, Lane], route: tuple[str, ...]) -> bool:
    """Test whether a route has a turn too sharp for a lorry; the ring of a roundabout is."""
    bends = (np.abs(wrap_angle(np.diff(headings(lanes[lane].centerline)))).sum() for lane in route if ">" in lane)
    return any(bend > _SHARP for bend in bends)


def build_path(
    lanes: dict[str, Lane],
    route: tuple[str, ...],
    handling: Handling,
    obstructions: Mapping[str, Obstruction],
    change: LaneChange | None = None,
) -> Path:
    """Build the path along a route.

    Args:
        lanes: by id.
        route: ids of lanes that follow each other.
        handling: how they are driven.
        obstructions: what stands on lanes, by their ids; the path leads round it.
        change: a lane change; the route has the lane that it leads to.

    Raises:
        ValueError: the handling is known for a shorter path.
    """
    lines, lengths = ([lanes[lane].centerline[:, :2] for lane in route], [lanes[lane].lengths[-1] for lane in route])
    if change is not None:
        lines[change.row], lengths[change.row] = change.line, arc_lengths(change.line)[-1]
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    along = np.arange(0.0, starts[-1], SPACING)
    inside = np.clip(np.searchsorted(starts, along, side="right") - 1, 0, len(route) - 1)
    points = _smooth(interpolate_at(remove_duplicate_points(np.concatenate(lines)), along))
    tangents = _tangents(points)
    swept = handling.width + 2 * _swing(tangents, handling.front)
    shift, weight = _shifts([lanes[lane] for lane in route], starts, along, inside, swept, handling, obstructions)
    normals = left_of(tangents)
    points, original = _even(_smooth(points + shift[:, None] * normals))
    angles = np.unwrap(np.arctan2(*_tangents(points).T[::-1]))
    row = np.clip(np.round(original).astype(int), 0, len(along) - 1)
    bounds = np.interp(starts / SPACING, original, np.arange(len(points)) * SPACING)
    bends = scipy.ndimage.gaussian_filter1d(np.gradient(angles, SPACING), 1.0, mode="nearest")
    limits = np.minimum([lanes[lane].speed_limit or 0.0 for lane in route], handling.top_speed)[inside]
    wanted = limits * handling.pace * handling.manner.pace[: len(along)]
    wanted = np.where(weight > 0.0, np.minimum(wanted, _PASSING * handling.pace), wanted)
    return Path(route, bounds, points, angles, bends, wanted[row])


def _shifts(
    route: list[Lane],
    starts: Float[np.ndarray, "m1"],
    along: Float[np.ndarray, "n"],
    inside: Int[np.ndarray, "n"],
    swept: Float[np.ndarray, "n"],
    handling: Handling,
    obstructions: Mapping[str, Obstruction],
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Metres left of the lanes' middles, and how far the vehicle has moved out to pass an obstruction (0 to 1)."""
    if len(along) > len(handling.manner.lateral):
        raise ValueError(f"a path of {len(along)} points, and a manner of {len(handling.manner.lateral)}")
    bicycle = np.array([lane.kind is LaneType.BICYCLE for lane in route])[inside]
    widths = np.array([lane_width(lane) for lane in route])[inside]
    junction = np.array([float(lane.is_connector) for lane in route])[inside]
    wanted = handling.manner.lateral[: len(along)]
    rider = handling.from_right is not None
    room = np.full(len(along), handling.width + 0.6) if rider else widths
    shift = bounded(wanted, room, swept, junction)
    if handling.from_right is not None:
        shift = shift + np.where(bicycle, 0.0, handling.from_right - widths / 2)
    shift = scipy.ndimage.gaussian_filter1d(shift, _SHIFTING / SPACING, mode="nearest")
    weight = np.zeros(len(along))
    for lane, start in zip(route, starts[:-1], strict=True):
        if lane.id in obstructions:
            here = obstructions[lane.id]
            share = _moved_out(along - start, here, handling)
            shift = shift * (1 - 0.7 * share) + share * here.passed_at(handling.width)
            weight = np.maximum(weight, share)
    return shift, weight


def _swing(tangents: Curve, front: float) -> Float[np.ndarray, "n"]:
    """Return how far outward the front of a long vehicle swings in bends, metres: front^2 / (2 radius)."""
    bends = np.abs(np.gradient(np.unwrap(np.arctan2(tangents[:, 1], tangents[:, 0])), SPACING))
    swing: Float[np.ndarray, "n"] = 0.5 * front**2 * scipy.ndimage.maximum_filter1d(bends, 2 * int(front / SPACING) + 1)
    return swing


def _moved_out(along: Float[np.ndarray, "n"], here: Obstruction, handling: Handling) -> Float[np.ndarray, "n"]:
    """Compute the lateral offset of the reference point along the lane: complete while the box is beside it."""
    begin, end = here.begin - handling.front - 1.0, here.end + handling.rear + 1.0
    rise, fall = smooth_step((along - begin) / MOVING_OUT + 1.0), smooth_step((end - along) / MOVING_OUT + 1.0)
    offset: Float[np.ndarray, "n"] = rise * fall
    return offset


def smooth_step(share: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """From 0 to 1 with the least jerk (Flash and Hogan 1985, J. Neurosci. 5, 1688-1703)."""
    x = np.clip(share, 0.0, 1.0)
    return x**3 * (10.0 - 15.0 * x + 6.0 * x**2)


def lane_width(lane: Lane) -> float:
    """Width of a lane where it begins, metres."""
    return float(np.linalg.norm(lane.left_boundary[0, :2] - lane.right_boundary[0, :2]))


def _smooth(points: Curve) -> Curve:
    """Smooth the line; an arc of 8 m radius moves inward by 0.1 m."""
    smooth: Curve = scipy.ndimage.gaussian_filter1d(points, _SMOOTHING / SPACING, axis=0, mode="nearest")
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
    return interpolate_at(points, wanted), np.interp(wanted, along, np.arange(len(points)))
