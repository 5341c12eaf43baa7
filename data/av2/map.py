"""Argoverse 2's vector map and ground height as a RoadMap."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from shapely import Polygon

from swerve.data.paint import painted_once
from swerve.data.surfaces import edges_of, intersections_of, united
from swerve.scenes import Area, GroundHeight, Lane, LaneKind, LogError, Paint, RoadMap
from swerve.scenes.polyline import arc_lengths, points_at

Line = Float[np.ndarray, "_ 3"]

_KINDS = {"VEHICLE": LaneKind.VEHICLE, "BUS": LaneKind.BUS, "BIKE": LaneKind.BICYCLE}
# DASH_SOLID and the like are taken to read from left to right in the lane's direction, as ours do.
_PAINTS = {paint.name: paint for paint in Paint} | {
    f"{theirs}_{color}": Paint[f"{ours}_{color}"]
    for color in ("WHITE", "YELLOW")
    for theirs, ours in (
        ("DASH_SOLID", "DASHED_SOLID"),
        ("SOLID_DASH", "SOLID_DASHED"),
        ("DOUBLE_DASH", "DOUBLE_DASHED"),
    )
}
_CENTERLINE_STEP = 2.0


def read_map(folder: Path, origin: Float[np.ndarray, "3"]) -> RoadMap:
    """The map in `folder`, less `origin`.

    The data set has no intersections and no stop lines: intersections are derived from the connectors
    (`surfaces.intersections_of`), stop lines are left out. Lane ids that lead out of the log's map are dropped.

    Raises:
        LogError: a file is missing, there are several, or one is malformed.
    """
    path = _only(folder, "log_map_archive_*.json")
    archive = _load_json(path)
    entries = {name: _entries(archive, name, path) for name in ("lane_segments", "drivable_areas")}
    boundaries = [_line(lane, side, path, origin) for lane in entries["lane_segments"] for side in _SIDES]
    ground = _ground(folder, boundaries, path, origin)
    lanes = tuple(_lanes(entries["lane_segments"], path, origin))
    surface = [_line(area, "area_boundary", path, origin) for area in entries["drivable_areas"]]
    drivable = united(surface, ground, "drivable")
    crossings = _entries(archive, "pedestrian_crossings", path)
    return RoadMap(
        lanes=lanes,
        ground=ground,
        drivable_areas=drivable,
        intersections=intersections_of(lanes, ground),
        crossings=tuple(_crossing(entry, path, origin) for entry in crossings),
        lines=painted_once(lanes),
        edges=edges_of(drivable),
    )


_SIDES = ("left_lane_boundary", "right_lane_boundary")


def _lanes(entries: list[Any], path: Path, origin: np.ndarray) -> list[Lane]:
    """All lanes, with neighbours of the same direction only."""
    chords = {}
    for entry in entries:
        left, right = (_line(entry, side, path, origin) for side in _SIDES)
        chords[str(entry["id"])] = left[-1, :2] + right[-1, :2] - left[0, :2] - right[0, :2]

    def known(ids: list[int]) -> tuple[str, ...]:
        return tuple(str(other) for other in ids if str(other) in chords)

    def beside(entry: Mapping[str, Any], field: str) -> str | None:
        other, own = str(_field(entry, field, path)), chords[str(entry["id"])]
        return other if other in chords and chords[other] @ own > 0 else None

    return [
        Lane(
            str(entry["id"]),
            *_shape(entry, path, origin),
            left_paint=_choice(entry, "left_lane_mark_type", _PAINTS, path),
            right_paint=_choice(entry, "right_lane_mark_type", _PAINTS, path),
            kind=_choice(entry, "lane_type", _KINDS, path),
            is_connector=bool(_field(entry, "is_intersection", path)),
            predecessors=known(_field(entry, "predecessors", path)),
            successors=known(_field(entry, "successors", path)),
            left_neighbor=beside(entry, "left_neighbor_id"),
            right_neighbor=beside(entry, "right_neighbor_id"),
        )
        for entry in entries
    ]


def _shape(entry: Mapping[str, Any], path: Path, origin: np.ndarray) -> tuple[Line, Line, Line, Line]:
    """Centreline, outline and both boundaries of a lane; the first is their mean at equal shares of their lengths."""
    left, right = (_line(entry, side, path, origin) for side in _SIDES)
    lengths = arc_lengths(left)[-1], arc_lengths(right)[-1]
    count = max(len(left), len(right), int(np.ceil(max(lengths) / _CENTERLINE_STEP)) + 1)
    shares = np.linspace(0.0, 1.0, count)
    center = (points_at(left, shares * lengths[0]) + points_at(right, shares * lengths[1])) / 2
    return center, np.concatenate([left, right[::-1]]), left, right


def _crossing(entry: Mapping[str, Any], path: Path, origin: np.ndarray) -> Area:
    """The area between a crossing's two edges, whichever way they run."""
    first, second = _line(entry, "edge1", path, origin), _line(entry, "edge2", path, origin)
    outline = np.concatenate([first, second[::-1]])
    if not Polygon(outline[:, :2]).is_valid:
        outline = np.concatenate([first, second])
    return Area(str(entry["id"]), outline)


def _ground(folder: Path, boundaries: list[np.ndarray], path: Path, origin: np.ndarray) -> GroundHeight:
    """The ground height raster; without one, the surface through the lanes' boundaries.

    The Sim2 file gives array_from_city: array = scale * (city + t). Nodes are taken to lie at whole array
    coordinates: lane boundaries then lie within 0.03 m (median) of the raster.
    """
    if not list(folder.glob("*_ground_height_surface____*.npy")):
        if not boundaries:
            raise LogError(path, "lane_segments", "the map is empty")
        return GroundHeight.from_points(np.concatenate(boundaries))
    raster_path, sim2_path = _only(folder, "*_ground_height_surface____*.npy"), _only(folder, "*___img_Sim2_city.json")
    sim2 = _load_json(sim2_path)
    rotation, shift, scale = (np.array(_field(sim2, name, sim2_path), float) for name in ("R", "t", "s"))
    if not np.allclose(np.ravel(rotation), (1, 0, 0, 1)) or not np.isfinite(shift).all() or not scale > 0:
        raise LogError(sim2_path, "R, t, s", f"must be no rotation, a finite shift and a positive scale: {sim2}")
    try:
        heights = np.load(raster_path).astype(np.float64) - origin[2]
        return GroundHeight.from_raster(heights, -shift - origin[:2], float(1 / scale))
    except (ValueError, EOFError) as error:
        raise LogError(raster_path, "heights", str(error)) from error


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise LogError(folder, pattern, f"expected one such file, found {len(found)}")
    return found[0]


def _load_json(path: Path) -> Any:  # noqa: ANN401 - JSON is what it is; `_field` checks it
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise LogError(path, "file", f"is not JSON ({error})") from error


def _entries(archive: Mapping[str, Any], name: str, path: Path) -> list[Any]:
    return list(_field(archive, name, path).values())


def _field(entry: Mapping[str, Any], name: str, path: Path) -> Any:  # noqa: ANN401
    if name not in entry:
        raise LogError(path, name, f"missing in entry {entry.get('id', '')}")
    return entry[name]


def _choice(entry: Mapping[str, Any], name: str, choices: Mapping[str, Any], path: Path) -> Any:  # noqa: ANN401
    value = _field(entry, name, path)
    if value not in choices:
        raise LogError(path, name, f"unknown value {value!r} in entry {entry['id']}", f"Known: {', '.join(choices)}")
    return choices[value]


def _line(entry: Mapping[str, Any], name: str, path: Path, origin: np.ndarray) -> Float[np.ndarray, "n 3"]:
    """A list of {x, y, z} as an array, less the origin."""
    try:
        points = np.array([[point["x"], point["y"], point["z"]] for point in _field(entry, name, path)], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise LogError(path, name, f"entry {entry.get('id', '')} has a point without numeric x, y, z") from error
    if len(points) < 2 or not np.isfinite(points).all():
        raise LogError(path, name, f"entry {entry.get('id', '')} needs two finite points or more")
    return points - origin
