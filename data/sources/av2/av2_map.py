"""Argoverse 2 vector map and ground height raster as a RoadMap."""

from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from jaxtyping import Float
from shapely import Polygon

from swerve.data.sources.derived_surfaces import edges_of, intersections_of, union_areas
from swerve.data.sources.painted_lines import merge_lane_markings
from swerve.data.storage.checked_json import read_json
from swerve.data.storage.checked_npz import read_npy
from swerve.scenes import Area, GroundHeight, Lane, LaneMarking, LaneType, LogError, RoadMap
from swerve.scenes.polyline import arc_lengths, interpolate_at, remove_duplicate_points

Line = Float[np.ndarray, "_ 3"]

_KINDS = {"VEHICLE": LaneType.VEHICLE, "BUS": LaneType.BUS, "BIKE": LaneType.BICYCLE}
# DASH_SOLID and the like are assumed to read from left to right in the lane's direction, as `LaneMarking` does.
_PAINTS = {paint.name: paint for paint in LaneMarking} | {
    f"{theirs}_{color}": LaneMarking[f"{ours}_{color}"]
    for color in ("WHITE", "YELLOW")
    for theirs, ours in (
        ("DASH_SOLID", "DASHED_SOLID"),
        ("SOLID_DASH", "SOLID_DASHED"),
        ("DOUBLE_DASH", "DOUBLE_DASHED"),
    )
}
_CENTERLINE_STEP = 2.0
# Limit of coordinates in metres from the log's origin, in x, y or z; a log's map reaches some 500 m.
_WIDEST = 5000.0
_LARGEST = 1e12
# Nodes of a ground height raster; those of the data set have up to 10^7.
_MOST_NODES = 2**26


def read_map(folder: Path, origin: Float[np.ndarray, "3"]) -> RoadMap:
    """Read the map in `folder`, relative to `origin`.

    The data set has no intersections and no stop lines: intersections are derived from the connectors
    (`derived_surfaces.intersections_of`), stop lines are left out. References to lanes outside the log's map are
    dropped.

    Raises:
        LogError: a file is missing, there are several, one is malformed, or a point is 5 km or more from the origin.
    """
    path = _only(folder, "log_map_archive_*.json")
    archive = _load_object(path)
    entries = {name: _entries(archive, name, path) for name in ("lane_segments", "drivable_areas")}
    boundaries = [_line(lane, side, path, origin) for lane in entries["lane_segments"] for side in _SIDES]
    ground = _ground(folder, boundaries, path, origin)
    lanes = tuple(_lanes(entries["lane_segments"], path, origin))
    surface = [_line(area, "area_boundary", path, origin, least=3) for area in entries["drivable_areas"]]
    drivable = union_areas(surface, ground, "drivable")
    crossings = _entries(archive, "pedestrian_crossings", path)
    return RoadMap(
        lanes=lanes,
        ground=ground,
        drivable_areas=drivable,
        intersections=intersections_of(lanes, ground),
        crosswalks=tuple(_crossing(entry, path, origin) for entry in crossings),
        road_lines=merge_lane_markings(lanes),
        road_edges=edges_of(drivable),
    )


_SIDES = ("left_lane_boundary", "right_lane_boundary")


def _lanes(entries: list[Any], path: Path, origin: np.ndarray) -> list[Lane]:
    """Build all lanes, with neighbours of the same direction only."""
    chords = {}
    for entry in entries:
        left, right = (_line(entry, side, path, origin) for side in _SIDES)
        chords[str(entry["id"])] = left[-1, :2] + right[-1, :2] - left[0, :2] - right[0, :2]

    def known(entry: Mapping[str, Any], field: str) -> tuple[str, ...]:
        others = [str(other) for other in _list(entry, field, int, path)]
        return tuple(other for other in others if other in chords)

    def beside(entry: Mapping[str, Any], field: str) -> str | None:
        other, own = str(_typed(entry, field, (int, NoneType), path)), chords[str(entry["id"])]
        return other if other in chords and chords[other] @ own > 0 else None

    return [
        Lane(
            str(entry["id"]),
            *_shape(entry, path, origin),
            left_marking=_choice(entry, "left_lane_mark_type", _PAINTS, path),
            right_marking=_choice(entry, "right_lane_mark_type", _PAINTS, path),
            kind=_choice(entry, "lane_type", _KINDS, path),
            is_connector=_typed(entry, "is_intersection", (bool,), path),
            predecessors=known(entry, "predecessors"),
            successors=known(entry, "successors"),
            left_neighbor=beside(entry, "left_neighbor_id"),
            right_neighbor=beside(entry, "right_neighbor_id"),
        )
        for entry in entries
    ]


def _shape(entry: Mapping[str, Any], path: Path, origin: np.ndarray) -> tuple[Line, Line, Line, Line]:
    """Return centreline, outline and both boundaries of a lane; the centreline is the boundaries' mean."""
    left, right = (_line(entry, side, path, origin) for side in _SIDES)
    lengths = arc_lengths(left)[-1], arc_lengths(right)[-1]
    count = max(len(left), len(right), int(np.ceil(max(lengths) / _CENTERLINE_STEP)) + 1)
    shares = np.linspace(0.0, 1.0, count)
    center = (interpolate_at(left, shares * lengths[0]) + interpolate_at(right, shares * lengths[1])) / 2
    if len(remove_duplicate_points(center)) < 2:
        raise LogError(path, ", ".join(_SIDES), f"the lane between those of {_named(entry)} has no length")
    return center, np.concatenate([left, right[::-1]]), left, right


def _crossing(entry: Mapping[str, Any], path: Path, origin: np.ndarray) -> Area:
    """Return the area between a crossing's two edges, in either order."""
    first, second = _line(entry, "edge1", path, origin), _line(entry, "edge2", path, origin)
    outline = np.concatenate([first, second[::-1]])
    if not Polygon(outline[:, :2]).is_valid:
        outline = np.concatenate([first, second])
    return Area(str(entry["id"]), outline)


def _ground(folder: Path, boundaries: list[np.ndarray], path: Path, origin: np.ndarray) -> GroundHeight:
    """Read the ground height raster; without one, interpolate the lanes' boundaries.

    The Sim2 file gives array_from_city: array = scale * (city + t). Nodes are assumed to lie at integer array
    coordinates: lane boundaries then lie within 0.03 m (median) of the raster.
    """
    if not list(folder.glob("*_ground_height_surface____*.npy")):
        if not boundaries:
            raise LogError(path, "lane_segments", "the map is empty")
        try:
            return GroundHeight.from_points(np.concatenate(boundaries))
        except ValueError as error:
            raise LogError(path, "lane_segments", str(error)) from error
    raster_path, sim2_path = _only(folder, "*_ground_height_surface____*.npy"), _only(folder, "*___img_Sim2_city.json")
    sim2 = _load_object(sim2_path)
    rotation, shift = _numbers(sim2, "R", 4, sim2_path), _numbers(sim2, "t", 2, sim2_path)
    scale = _typed(sim2, "s", (int, float), sim2_path)
    if not np.allclose(rotation, (1, 0, 0, 1)) or not _LARGEST > scale > 1 / _LARGEST:
        raise LogError(sim2_path, "R, s", "must be no rotation, and a finite positive scale")
    try:
        stored = read_npy(raster_path)
        if stored.ndim != 2 or stored.dtype.kind != "f" or not 0 < stored.size <= _MOST_NODES:
            raise LogError(raster_path, "heights", f"is of {stored.dtype} and shape {stored.shape}, not a raster")
        heights = stored.astype(np.float64) - origin[2]
        if (np.abs(heights) > _WIDEST).any():
            raise LogError(raster_path, "heights", "is infinite, or 5 km above the ego, somewhere")
        return GroundHeight.from_raster(heights, -shift - origin[:2], 1 / scale)
    except ValueError as error:
        raise LogError(raster_path, "heights", str(error)) from error


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise LogError(folder, pattern, f"expected one such file, found {len(found)}")
    return found[0]


def _load_object(path: Path) -> dict[str, Any]:
    value = read_json(path, constants=True)
    if not isinstance(value, dict):
        raise LogError(path, "file", f"is a JSON {_NAMES[type(value)]}, not an object")
    return value


def _entries(archive: Mapping[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    """Return the objects under a name of the archive, each with a unique `id`."""
    entries = _typed(archive, name, (dict,), path)
    seen: set[int] = set()
    for key, entry in entries.items():
        if not isinstance(entry, dict) or type(entry.get("id")) is not int:
            raise LogError(path, f"{name}.{key}", "is no object with a whole number as its id")
        if entry["id"] in seen:
            raise LogError(path, f"{name}.{key}", f"id {entry['id']} occurs twice")
        seen.add(entry["id"])
    return list(entries.values())


# JSON types by Python type.
_NAMES = {
    dict: "object",
    list: "list",
    str: "string",
    int: "whole number",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}


def _typed(entry: Mapping[str, Any], name: str, types: tuple[type, ...], path: Path) -> Any:  # noqa: ANN401 - of `types`
    """Return a field that has exactly one of the types: booleans are not integers."""
    if name not in entry:
        raise LogError(path, name, f"missing in {_named(entry)}")
    if type(entry[name]) not in types:
        wanted = " or ".join(_NAMES[kind] for kind in types)
        raise LogError(path, name, f"is a {_NAMES[type(entry[name])]} in {_named(entry)}, not {wanted}")
    return entry[name]


def _list(entry: Mapping[str, Any], name: str, kind: type, path: Path) -> list[Any]:
    values: list[Any] = _typed(entry, name, (list,), path)
    for value in values:
        if type(value) is not kind:
            raise LogError(path, name, f"has a {_NAMES[type(value)]} in {_named(entry)}, not a {_NAMES[kind]}")
    return values


def _numbers(entry: Mapping[str, Any], name: str, count: int, path: Path) -> Float[np.ndarray, "n"]:
    """Parse a list (or nested lists) of the given number of numbers."""
    values = np.array(_typed(entry, name, (list,), path), dtype=object).ravel()
    if len(values) != count or not all(_is_finite(value) for value in values):
        raise LogError(path, name, f"needs {count} finite numbers: {entry[name]}")
    return values.astype(np.float64)


def _is_finite(value: object) -> bool:
    return (type(value) is int or type(value) is float) and abs(value) < _LARGEST


def _named(entry: Mapping[str, Any]) -> str:
    return f"entry {entry['id']}" if "id" in entry else "the file"


def _choice(entry: Mapping[str, Any], name: str, choices: Mapping[str, Any], path: Path) -> Any:  # noqa: ANN401
    value = _typed(entry, name, (str,), path)
    if value not in choices:
        raise LogError(path, name, f"unknown value {value!r} in {_named(entry)}", f"Known: {', '.join(choices)}")
    return choices[value]


def _line(
    entry: Mapping[str, Any], name: str, path: Path, origin: np.ndarray, least: int = 2
) -> Float[np.ndarray, "n 3"]:
    """Parse a list of at least `least` {x, y, z} as an array, relative to the origin."""
    rows = [[point.get(axis) for axis in "xyz"] for point in _list(entry, name, dict, path)]
    if len(rows) < least or not all(_is_finite(number) for row in rows for number in row):
        raise LogError(path, name, f"{_named(entry)} needs {least} points or more, with finite x, y, z")
    points: Float[np.ndarray, "n 3"] = np.array(rows, np.float64) - origin
    if np.abs(points).max() > _WIDEST:
        raise LogError(path, name, f"{_named(entry)} has a point {np.abs(points).max():.0f} m from the log's origin")
    return points
