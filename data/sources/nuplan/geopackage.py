"""GeoPackage files (SQLite with geometry as WKB): layers as columns and shapely geometries."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from jaxtyping import Float, Int

from swerve.data.sources.nuplan.sqlite_file import integers, opened
from swerve.data.sources.nuplan.utm import project_utm, utm_zone
from swerve.scenes import LogError

_GEOGRAPHIC = 4326
# Bytes of the envelope by its code in the flags (OGC 12-128r19, section 2.1.3).
_ENVELOPES = (0, 32, 48, 48, 64)
_HEADER = 8
# Types of geometry (WKB): lines; polygons and sets of them, which all other layers hold that are read.
_LINES, _POLYGONS = (1,), (3, 6)
_LINE_LAYERS = ("baseline_paths", "boundaries", "lane_connectors")


@dataclass(frozen=True)
class FeatureTable:
    """Layer of a GeoPackage, rows in ascending order of the feature id.

    Attributes:
        name: the layer's.
        fids: feature ids.
        columns: the other columns by name: a list of values each.
        geometry: shapely geometries, x and y in metres.
        file: named in error messages.
    """

    name: str
    fids: Int[np.ndarray, "n"]
    columns: dict[str, list[Any]]
    geometry: np.ndarray
    file: Path

    def __len__(self) -> int:
        return len(self.fids)

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Index of the geometries."""
        return shapely.STRtree(self.geometry)

    @cached_property
    def row_of(self) -> dict[int, int]:
        """Row by feature id."""
        return {int(fid): row for row, fid in enumerate(self.fids)}

    def rows_meeting(self, center: Float[np.ndarray, "2"], radius: float) -> Int[np.ndarray, "m"]:
        """Return the rows of geometries that meet the axis-aligned square of half side `radius`, in order."""
        (x, y) = center
        box = shapely.box(x - radius, y - radius, x + radius, y + radius)
        return np.sort(self.tree.query(box, "intersects"))

    def column(self, name: str) -> list[Any]:
        """Return a column.

        Raises:
            LogError: the layer lacks it.
        """
        if name not in self.columns:
            raise LogError(self.file, self.name, f"has no column {name}", f"It has {', '.join(self.columns)}")
        return self.columns[name]

    def rows_by(self, name: str) -> dict[int, list[int]]:
        """Return the rows by the value of an integer column; rows without a value are left out."""
        rows: dict[int, list[int]] = {}
        for row, value in enumerate(self.column(name)):
            if value is not None:
                rows.setdefault(self.integer(name, row), []).append(row)
        return rows

    def integer(self, name: str, row: int) -> int:
        """Return an integer of a row.

        Raises:
            LogError: the column is missing, or its value is not an integer.
        """
        value = self.column(name)[row]
        try:
            return int(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise LogError(self.file, f"{self.name}.{name}", f"is not an integer: {value!r}") from error

    def reference(self, name: str, row: int) -> str | None:
        """Return the id that a row refers to, as a text; None where it refers to nothing.

        Raises:
            LogError: the column is missing, or its value is not an integer.
        """
        return None if self.column(name)[row] is None else str(self.integer(name, row))

    def number(self, name: str, row: int) -> float | None:
        """Return a number of a row; None where it is not known.

        Raises:
            LogError: the column is missing, or its value is not a finite number.
        """
        value = self.column(name)[row]
        if value is not None and not (isinstance(value, int | float) and np.isfinite(value)):
            raise LogError(self.file, f"{self.name}.{name}", f"is not a number: {value!r}")
        return None if value is None else float(value)


def joined(tables: Sequence[FeatureTable], name: str) -> FeatureTable:
    """Concatenate layers, without their columns."""
    fids = np.concatenate([table.fids for table in tables])
    return FeatureTable(name, fids, {}, np.concatenate([table.geometry for table in tables]), tables[0].file)


def read_meta(path: Path) -> dict[str, str]:
    """Read the attribute table `meta`: values by key.

    Raises:
        LogError: the file is damaged, or has no such table.
    """
    with opened(path) as connection:
        _require(connection, "meta", path)
        return {str(key): str(value) for key, value in connection.execute("SELECT key, value FROM meta")}


def read_layer(path: Path, name: str) -> FeatureTable:
    """Read a layer, with coordinates in the file's projected coordinate system (`meta`, projectedCoordSystem).

    Raises:
        LogError: the file is damaged, the layer is missing, or stored in an unknown coordinate system.
    """
    zone = utm_zone(read_meta(path).get("projectedCoordSystem", ""), path)
    with opened(path) as connection:
        _require(connection, name, path)
        key = _key_column(connection, name)
        geometry_column, srs = _geometry_column(connection, name, path)
        cursor = connection.execute(f'SELECT * FROM "{name}" ORDER BY rowid')
        names = [entry[0] for entry in cursor.description]
        values = list(zip(*cursor.fetchall(), strict=True)) or [()] * len(names)
    columns = {column: list(own) for column, own in zip(names, values, strict=True)}
    if key not in columns or geometry_column not in columns:
        raise LogError(path, name, f"lacks its column {key} or {geometry_column}")
    fids = integers_of(columns.pop(key), path, f"{name}.{key}")
    geometry = _parse(columns.pop(geometry_column), path, name)
    if srs == _GEOGRAPHIC:
        geometry = shapely.transform(geometry, lambda points: _project(points, zone))
    elif srs != _code(zone):
        raise LogError(path, name, f"is stored in EPSG:{srs}, not in longitude and latitude (EPSG:{_GEOGRAPHIC})")
    return FeatureTable(name, fids, columns, geometry, path)


def integers_of(values: Sequence[Any], path: Path, field: str) -> Int[np.ndarray, "n"]:
    """Convert integers, in ascending order.

    Raises:
        LogError: one is not an integer, or they do not increase.
    """
    try:
        found = integers(values)
    except (TypeError, OverflowError) as error:
        raise LogError(path, field, f"is not an integer ({error})") from error
    if (np.diff(found) <= 0).any():
        raise LogError(path, field, "does not increase from row to row")
    return found


def _code(zone: tuple[int, bool]) -> int:
    return (32700 if zone[1] else 32600) + zone[0]


def _project(points: Float[np.ndarray, "n 2"], zone: tuple[int, bool]) -> Float[np.ndarray, "n 2"]:
    return project_utm(np.ascontiguousarray(points), *zone)


def _require(connection: sqlite3.Connection, name: str, path: Path) -> None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone():
        raise LogError(path, name, "no such layer in the file", "The map is incomplete")


def _key_column(connection: sqlite3.Connection, name: str) -> str:
    keys = [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")') if row[5]]
    return str(keys[0]) if keys else "fid"


def _geometry_column(connection: sqlite3.Connection, name: str, path: Path) -> tuple[str, int]:
    query = "SELECT column_name, srs_id FROM gpkg_geometry_columns WHERE table_name = ?"
    found = connection.execute(query, (name,)).fetchone()
    if not found:
        raise LogError(path, name, "has no geometry")
    if not isinstance(found[1], int):
        raise LogError(path, "gpkg_geometry_columns.srs_id", f"is not an integer: {found[1]!r}")
    return str(found[0]), found[1]


def _parse(blobs: Sequence[Any], path: Path, name: str) -> np.ndarray:
    """Parse GeoPackage geometries; heights are dropped."""
    try:
        wkb = [_well_known_binary(blob) for blob in blobs]
        geometry = shapely.force_2d(shapely.from_wkb(np.array(wkb, dtype=object)))
    except (ValueError, TypeError, shapely.errors.GEOSException) as error:
        raise LogError(path, f"{name}.geom", f"is not a geometry ({error})") from error
    wanted = _LINES if name in _LINE_LAYERS else _POLYGONS
    if not np.isin(shapely.get_type_id(geometry), wanted).all():
        raise LogError(path, f"{name}.geom", f"is not a {'line' if wanted is _LINES else 'polygon'} somewhere")
    if shapely.is_empty(geometry).any() or not np.isfinite(shapely.get_coordinates(geometry)).all():
        raise LogError(path, f"{name}.geom", "is empty or not finite somewhere")
    return np.asarray(geometry, dtype=object)


def _well_known_binary(blob: Any) -> bytes:  # noqa: ANN401 whatever SQLite holds
    """Return the geometry without the GeoPackage header: "GP", version 0, flags, four bytes, an envelope."""
    if not isinstance(blob, bytes) or blob[:3] != b"GP\0" or len(blob) < _HEADER:
        raise ValueError("no GeoPackage header")
    envelope = (blob[3] >> 1) & 7
    if envelope >= len(_ENVELOPES) or blob[3] & 0x20:
        raise ValueError(f"unknown flags {blob[3]:#x}")
    return blob[_HEADER + _ENVELOPES[envelope] :]
