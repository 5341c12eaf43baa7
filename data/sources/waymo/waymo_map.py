"""Waymo map features as a RoadMap; scenarios and perception frames share the messages.

Waymo has lane centrelines and boundary lines but no lane outlines and no drivable surface. Both are derived:

- Half the width of a lane, on either side: the distance from the centreline's vertex to the boundary line that the lane
  names there; else half the distance to the neighbouring lane's centreline where that is 2 m or more; between and
  beyond such vertices interpolated; 1.8 m (bicycle lanes 0.75 m) where nothing is known on that side. Clipped to
  0.5-3.5 m. Named boundaries are exact; the rest is an estimate to some 0.5 m.
- The drivable surface is the union of the lanes' polygons, and each driveway.
- Stop lines lie across each lane that a stop sign controls, where the lane passes closest to the nearest such sign.
- Connectors are the lanes with Waymo's flag `interpolating`; where no lane of the record has it, as in most
  released ones, they are derived, see `derived_connectors`. Intersections: see `derived_surfaces.intersections_of`.

Features of no point or a single one have no extent and are left out. Lines are thinned to 0.05 m.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.data.sources.derived_connectors import connectors_of
from swerve.data.sources.derived_surfaces import intersections_of, union_areas
from swerve.scenes import (
    Area,
    GroundHeight,
    Lane,
    LaneMarking,
    LaneType,
    LogError,
    RoadEdge,
    RoadLine,
    RoadMap,
    StopLine,
)
from swerve.scenes.polyline import headings, remove_duplicate_points, to_frenet
from swerve.scenes.transforms import wrap_angle

Line = Float[np.ndarray, "_ 3"]

# By RoadLine.RoadLineType; the dashed side of a passing line is not stated and assumed to be the right one.
_PAINTS = (
    LaneMarking.UNKNOWN,
    LaneMarking.DASHED_WHITE,
    LaneMarking.SOLID_WHITE,
    LaneMarking.DOUBLE_SOLID_WHITE,
    LaneMarking.DASHED_YELLOW,
    LaneMarking.DOUBLE_DASHED_YELLOW,
    LaneMarking.SOLID_YELLOW,
    LaneMarking.DOUBLE_SOLID_YELLOW,
    LaneMarking.SOLID_DASHED_YELLOW,
)
_BICYCLE_LANE = 3
_MILE_PER_HOUR = 0.44704
_HALF_WIDTHS = {LaneType.VEHICLE: 1.8, LaneType.BICYCLE: 0.75}
_NARROWEST, _WIDEST = 0.5, 3.5
_BESIDE = 2.0
_TOLERANCE = 0.05
# Limit of coordinates in metres from the log's origin, in x, y or z; a log's map reaches some 500 m.
_FURTHEST = 5000.0


@dataclass(frozen=True)
class _Features:
    """Map features by kind, their geometry by id."""

    lanes: dict[int, Any]
    centerlines: dict[int, Line]
    lines: dict[int, Line]
    paints: dict[int, LaneMarking]
    edges: dict[int, Line]
    areas: dict[str, tuple[Area, ...]]
    stop_signs: list[tuple[Float[np.ndarray, "3"], tuple[int, ...]]]


def read_map(
    features: Sequence[Any], origin: Float[np.ndarray, "3"], file: Path, signalled: Collection[str] = ()
) -> RoadMap | None:
    """Convert MapFeature messages to a RoadMap relative to `origin`; None if there are none.

    Args:
        features: the messages.
        origin: world coordinates of the log's origin.
        file: named in error messages.
        signalled: ids of the lanes that a traffic signal controls.

    Raises:
        LogError: a point is not finite or further than 5 km from the origin, or no feature is a lane.
    """
    if not len(features):
        return None
    found = _sorted_out(features, origin, file)
    if not found.centerlines:
        raise LogError(file, "map_features", f"none of {len(features)} is a lane: the map is empty")
    every = [*found.centerlines.values(), *found.lines.values(), *found.edges.values()]
    try:
        ground = GroundHeight.from_points(np.unique(np.concatenate([_thinned(line) for line in every]), axis=0))
    except ValueError as error:
        raise LogError(file, "map_features", str(error)) from error
    sides = {number: _boundaries(number, found) for number in found.centerlines}
    lanes = _with_connectors([_lane(number, *sides[number], found) for number in found.centerlines], signalled)
    return RoadMap(
        lanes=lanes,
        ground=ground,
        drivable_areas=union_areas([lane.polygon for lane in lanes], ground, "drivable") + found.areas["driveway"],
        intersections=intersections_of(lanes, ground),
        crosswalks=found.areas["crosswalk"],
        speed_bumps=found.areas["speed_bump"],
        road_lines=tuple(RoadLine(str(key), _thinned(line), found.paints[key]) for key, line in found.lines.items()),
        road_edges=tuple(RoadEdge(str(key), _thinned(line)) for key, line in found.edges.items()),
        stop_lines=_stop_lines(found, sides),
    )


def _sorted_out(features: Iterable[Any], origin: np.ndarray, file: Path) -> _Features:
    kinds: dict[str, dict[int, Any]] = {}
    for feature in features:
        kind = feature.WhichOneof("feature_data")
        kinds.setdefault(kind, {})[feature.id] = getattr(feature, kind) if kind else None

    def lines(kind: str) -> dict[int, Line]:
        read = {key: _points(entry.polyline, origin, file, key) for key, entry in kinds.get(kind, {}).items()}
        return {key: line for key, line in read.items() if len(line) > 1}

    def areas(kind: str) -> tuple[Area, ...]:
        read = {key: _points(entry.polygon, origin, file, key) for key, entry in kinds.get(kind, {}).items()}
        return tuple(Area(str(key), line) for key, line in read.items() if len(line) > 2)

    return _Features(
        lanes=kinds.get("lane", {}),
        centerlines=lines("lane"),
        lines=lines("road_line"),
        paints={key: _PAINTS[entry.type] for key, entry in kinds.get("road_line", {}).items()},
        edges=lines("road_edge"),
        areas={kind: areas(kind) for kind in ("crosswalk", "speed_bump", "driveway")},
        stop_signs=[
            (_points([sign.position], origin, file, key)[0], tuple(sign.lane))
            for key, sign in kinds.get("stop_sign", {}).items()
        ],
    )


def _points(points: Iterable[Any], origin: np.ndarray, file: Path, feature: int) -> Line:
    read = np.array([(point.x, point.y, point.z) for point in points], np.float64).reshape(-1, 3) - origin
    if not np.isfinite(read).all():
        raise LogError(file, f"map_features[id={feature}]", "has a point that is not finite")
    if (np.abs(read) > _FURTHEST).any():
        problem = f"has a point {np.abs(read).max():.0f} m from the log's origin"
        raise LogError(file, f"map_features[id={feature}]", problem)
    return remove_duplicate_points(read)


def _lane(number: int, left: Line, right: Line, found: _Features) -> Lane:
    entry = found.lanes[number]
    thin_left, thin_right = _thinned(left), _thinned(right)
    return Lane(
        id=str(number),
        centerline=_thinned(found.centerlines[number]),
        polygon=np.concatenate([thin_left, thin_right[::-1]]),
        left_boundary=thin_left,
        right_boundary=thin_right,
        left_marking=_paint(entry.left_boundaries, found),
        right_marking=_paint(entry.right_boundaries, found),
        kind=_kind(entry),
        is_connector=entry.interpolating,
        predecessors=tuple(str(other) for other in entry.entry_lanes if other in found.centerlines),
        successors=tuple(str(other) for other in entry.exit_lanes if other in found.centerlines),
        left_neighbor=_neighbor(entry.left_neighbors, found),
        right_neighbor=_neighbor(entry.right_neighbors, found),
        speed_limit=entry.speed_limit_mph * _MILE_PER_HOUR or None,
    )


def _with_connectors(lanes: Sequence[Lane], signalled: Collection[str]) -> tuple[Lane, ...]:
    """The lanes, with connectors derived if the record flags none."""
    if any(lane.is_connector for lane in lanes):
        return tuple(lanes)
    connectors = connectors_of(lanes, signalled)
    return tuple(replace(lane, is_connector=lane.id in connectors) for lane in lanes)


def _kind(entry: Any) -> LaneType:  # noqa: ANN401
    return LaneType.BICYCLE if entry.type == _BICYCLE_LANE else LaneType.VEHICLE


def _neighbor(neighbors: Iterable[Any], found: _Features) -> str | None:
    """Return the neighbour that is beside the lane for longest (all have its direction)."""
    known = [other for other in neighbors if other.feature_id in found.centerlines]
    if not known:
        return None
    return str(max(known, key=lambda other: other.self_end_index - other.self_start_index).feature_id)


def _paint(segments: Iterable[Any], found: _Features) -> LaneMarking:
    """Return the marking of most of a lane's side; NONE where that is a road edge or nothing."""
    lengths: dict[LaneMarking, int] = {}
    for segment in segments:
        paint = found.paints.get(segment.boundary_feature_id, LaneMarking.NONE)
        lengths[paint] = lengths.get(paint, 0) + segment.lane_end_index - segment.lane_start_index + 1
    return max(lengths, key=lambda paint: lengths[paint]) if lengths else LaneMarking.NONE


def _boundaries(number: int, found: _Features) -> tuple[Line, Line]:
    """Compute left and right boundary of a lane, a point for each of the centreline's."""
    center, entry = found.centerlines[number], found.lanes[number]
    after = headings(center)
    before = np.concatenate([after[:1], after[:-1]])
    middle = before + wrap_angle(after - before) / 2
    normal = np.stack([-np.sin(middle), np.cos(middle), np.zeros(len(center))], axis=-1)
    left = _half_widths(center, entry.left_boundaries, entry.left_neighbors, found, _HALF_WIDTHS[_kind(entry)])
    right = _half_widths(center, entry.right_boundaries, entry.right_neighbors, found, _HALF_WIDTHS[_kind(entry)])
    return center + normal * left[:, None], center - normal * right[:, None]


def _half_widths(
    center: Line, segments: Iterable[Any], neighbors: Iterable[Any], found: _Features, default: float
) -> Float[np.ndarray, "n"]:
    """Compute the distance from the centreline's vertices to the lane's boundary on one side."""
    widths = np.full(len(center), np.nan)
    for other in neighbors:
        part = slice(other.self_start_index, other.self_end_index + 1)
        line = found.centerlines.get(other.feature_id)
        if line is not None and len(center[part]):
            apart = np.abs(to_frenet(line, center[part, :2])[1])
            widths[part] = np.where(apart >= _BESIDE, apart / 2, widths[part])
    for segment in segments:
        part = slice(segment.lane_start_index, segment.lane_end_index + 1)
        line = found.lines.get(segment.boundary_feature_id, found.edges.get(segment.boundary_feature_id))
        if line is not None and len(center[part]):
            widths[part] = np.abs(to_frenet(line, center[part, :2])[1])
    known = np.flatnonzero(~np.isnan(widths))
    if not len(known):
        return np.full(len(center), default)
    clipped: Float[np.ndarray, "n"] = np.clip(
        np.interp(np.arange(len(center)), known, widths[known]), _NARROWEST, _WIDEST
    )
    return clipped


def _stop_lines(found: _Features, sides: dict[int, tuple[Line, Line]]) -> tuple[StopLine, ...]:
    """Return one stop line across each lane that stop signs control."""
    lines = []
    for lane in dict.fromkeys(lane for _, lanes in found.stop_signs for lane in lanes if lane in sides):
        signs = np.array([position for position, lanes in found.stop_signs if lane in lanes])
        gaps = np.linalg.norm(found.centerlines[lane][:, None, :2] - signs[None, :, :2], axis=2)
        vertex = int(gaps.min(axis=1).argmin())
        left, right = sides[lane]
        lines.append(StopLine(f"stop_{lane}", np.stack([left[vertex], right[vertex]]), (str(lane),)))
    return tuple(lines)


def _thinned(line: Line) -> Line:
    """Simplify the line to 0.05 m (Douglas and Peucker, in three dimensions)."""
    keep = np.zeros(len(line), bool)
    keep[[0, -1]] = True
    pieces = [(0, len(line) - 1)]
    while pieces:
        first, last = pieces.pop()
        if last - first < 2:
            continue
        chord = line[last] - line[first]
        offset = line[first + 1 : last] - line[first]
        share = np.clip(offset @ chord / max(chord @ chord, 1e-12), 0.0, 1.0)
        gap = np.linalg.norm(offset - share[:, None] * chord, axis=1)
        if gap.max() > _TOLERANCE:
            split = first + 1 + int(gap.argmax())
            keep[split] = True
            pieces += [(first, split), (split, last)]
    kept: Line = line[keep]
    return kept
