"""A file of nuScenes' map expansion (`maps/expansion/LOCATION.json`, version 1.3): its layers with their geometry.

Nodes are points, lines and polygons lists of nodes, and all other layers refer to these by token. Coordinates are
metres from the south west corner of the location's map, x east and y north, as those of the ego poses and boxes. There
are no heights.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from jaxtyping import Float

from swerve.data.sources.nuscenes.arcline_path import SHAPES, ArclinePath, centerline_of
from swerve.data.storage.checked_json import (
    Shape,
    fields,
    flag,
    list_of,
    mapping_of,
    number,
    one_of,
    optional,
    plain_name,
    read_json,
    row_of,
    text,
)
from swerve.data.storage.files import file_version
from swerve.scenes import LogError
from swerve.scenes.polyline import remove_duplicate_points

Row = dict[str, Any]

_HINT: Final = "Unpack the map expansion (v1.3) again"
_FARTHEST: Final = number(-1e5, 1e5)
_NAMES: Final = list_of(plain_name)
_LINKS: Final = list_of(optional(plain_name))
_POLYGON: Final = {"token": plain_name, "polygon_token": plain_name}
_LINE: Final = {"token": plain_name, "line_token": plain_name}
_SEGMENTS: Final = list_of(fields({"node_token": text, "segment_type": text}))
_PATH: Final = fields(
    {
        "start_pose": row_of(_FARTHEST, _FARTHEST, number(-1e3, 1e3)),
        "shape": one_of(SHAPES),
        "radius": number(1e-3, 1e6),
        "segment_length": row_of(*[number(-1e-3, 1e4)] * 3),
    }
)
_LAYERS: Final[dict[str, Shape]] = {
    "node": list_of(fields({"token": plain_name, "x": _FARTHEST, "y": _FARTHEST})),
    "line": list_of(fields({"token": plain_name, "node_tokens": _NAMES})),
    "polygon": list_of(
        fields(
            {"token": plain_name, "exterior_node_tokens": _NAMES},
            {"holes": list_of(fields({"node_tokens": _NAMES}))},
        )
    ),
    "drivable_area": list_of(fields({"token": plain_name, "polygon_tokens": _NAMES})),
    "road_segment": list_of(fields({**_POLYGON, "is_intersection": flag})),
    "road_block": list_of(fields(_POLYGON)),
    "lane": list_of(
        fields(
            _POLYGON,
            {"lane_type": text, "left_lane_divider_segments": _SEGMENTS, "right_lane_divider_segments": _SEGMENTS},
        )
    ),
    "lane_connector": list_of(fields({"token": plain_name})),
    "ped_crossing": list_of(fields(_POLYGON)),
    "walkway": list_of(fields(_POLYGON)),
    "carpark_area": list_of(fields(_POLYGON)),
    "stop_line": list_of(fields({**_POLYGON, "stop_line_type": text})),
    "road_divider": list_of(fields(_LINE)),
    "lane_divider": list_of(fields(_LINE, {"lane_divider_segments": _SEGMENTS})),
}
_WHOLE: Final = fields(
    {
        **_LAYERS,
        "arcline_path_3": mapping_of(list_of(_PATH)),
        "connectivity": mapping_of(fields({"incoming": _LINKS, "outgoing": _LINKS})),
    }
)
_SPACING: Final = 1.0
# Metres of centrelines in one file, each of which becomes a point: some fifty times those of the largest map. A few
# bytes state a path of 30 km, so that the size of the file is no bound.
_MOST_METERS: Final = 5e6
_GEOMETRY: Final = ("node", "line", "polygon")
# Layers whose polygons are not used.
_UNCHECKED: Final = ("lane_connector",)


@dataclass(frozen=True)
class MapFile:
    """Layers of a location's map.

    Attributes:
        path: the file.
        nodes: points by token.
        lines: points of lines by token.
        polygons: polygons by token; those of fewer than three nodes are left out.
        layers: rows of the other layers.
        paths: arcline paths of lanes and connectors by token.
        incoming: tokens of the lanes and connectors before one.
        outgoing: tokens of those after it.
    """

    path: Path
    nodes: Mapping[str, tuple[float, float]]
    lines: Mapping[str, Float[np.ndarray, "_ 2"]]
    polygons: Mapping[str, shapely.Polygon]
    layers: Mapping[str, list[Row]]
    paths: Mapping[str, tuple[ArclinePath, ...]]
    incoming: Mapping[str, tuple[str, ...]]
    outgoing: Mapping[str, tuple[str, ...]]

    @cached_property
    def centerlines(self) -> dict[str, Float[np.ndarray, "_ 2"]]:
        """Centrelines of lanes and connectors by token, a point each metre; those without a path are left out."""
        tokens = [row["token"] for layer in ("lane", "lane_connector") for row in self.layers[layer]]
        found = {
            token: remove_duplicate_points(centerline_of(self.paths[token], _SPACING), 1e-3)
            for token in tokens
            if self.paths.get(token)
        }
        return {token: line for token, line in found.items() if len(line) > 1}

    def shapes(self, layer: str) -> list[tuple[str, shapely.Polygon]]:
        """Return token and polygon of the rows of a layer, one for each polygon that they have."""
        return [
            (row["token"], self.polygons[token])
            for row in self.layers[layer]
            for token in row.get("polygon_tokens", [row.get("polygon_token")])
            if token in self.polygons
        ]


def map_path(root: Path, location: str) -> Path | None:
    """Return the file of a location's map, None if it is not there.

    Args:
        root: of the data set.
        location: a file's name, as the table of logs is checked to have it.
    """
    places = (root / "maps" / "expansion" / f"{location}.json", root / "maps" / f"{location}.json")
    return next((place for place in places if place.is_file()), None)


def read_map_file(path: Path) -> MapFile:
    """Read a map, which stays in memory: a log needs a small part of it, and the next one may need another.

    Raises:
        LogError: it is damaged, or refers to nodes or geometry that it lacks.
    """
    return _read(path, file_version(path))


@lru_cache(maxsize=4)
def _read(path: Path, _version: tuple[int, ...]) -> MapFile:
    content = read_json(path, _WHOLE, _HINT)
    nodes = {row["token"]: (float(row["x"]), float(row["y"])) for row in content["node"]}
    lines = {row["token"]: _points(row["node_tokens"], nodes, path, row["token"]) for row in content["line"]}
    polygons = {row["token"]: _polygon(row, nodes, path) for row in content["polygon"]}
    layers = {name: content[name] for name in _LAYERS if name not in _GEOMETRY}
    _check_references(layers, lines, set(polygons), path)
    links = content["connectivity"]
    paths = {token: tuple(_path(row) for row in rows) for token, rows in content["arcline_path_3"].items()}
    if (meters := sum(sum(path.lengths) for own in paths.values() for path in own)) > _MOST_METERS:
        raise LogError(
            path, "arcline_path_3", f"is {meters / 1e3:.0f} km long, more than {_MOST_METERS / 1e3:.0f}", _HINT
        )
    return MapFile(
        path,
        nodes,
        lines,
        {token: polygon for token, polygon in polygons.items() if polygon is not None},
        layers,
        paths,
        {token: tuple(filter(None, link["incoming"])) for token, link in links.items()},
        {token: tuple(filter(None, link["outgoing"])) for token, link in links.items()},
    )


def _points(
    tokens: Iterable[str], nodes: Mapping[str, tuple[float, float]], path: Path, owner: str
) -> Float[np.ndarray, "_ 2"]:
    try:
        return np.array([nodes[token] for token in tokens], np.float64).reshape(-1, 2)
    except KeyError as error:
        raise LogError(path, owner, f"refers to node {error.args[0]}, which is not there", _HINT) from error


def _polygon(row: Row, nodes: Mapping[str, tuple[float, float]], path: Path) -> shapely.Polygon | None:
    rings = [row["exterior_node_tokens"], *(hole["node_tokens"] for hole in row.get("holes", []))]
    outline, *holes = (_points(ring, nodes, path, row["token"]) for ring in rings)
    return shapely.Polygon(outline, [hole for hole in holes if len(hole) > 2]) if len(outline) > 2 else None


def _path(row: Row) -> ArclinePath:
    x, y, heading = (float(value) for value in row["start_pose"])
    first, second, third = (max(float(value), 0.0) for value in row["segment_length"])
    return ArclinePath((x, y, heading), row["shape"], float(row["radius"]), (first, second, third))


def _check_references(
    layers: Mapping[str, list[Row]], lines: Mapping[str, object], polygons: set[str], path: Path
) -> None:
    for name, rows in layers.items():
        if name in _UNCHECKED:
            continue
        for row in rows:
            wanted = [*row.get("polygon_tokens", []), *([row["polygon_token"]] if "polygon_token" in row else [])]
            missing = [token for token in wanted if token not in polygons]
            missing += [row["line_token"]] if "line_token" in row and row["line_token"] not in lines else []
            if missing:
                raise LogError(path, f"{name} {row['token']}", f"refers to {missing[0]}, which is not there", _HINT)
