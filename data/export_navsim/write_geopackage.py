"""Writing of nuPlan's map.gpkg: a GeoPackage (SQLite, geometry as WKB) in longitudes and latitudes."""

import sqlite3
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from jaxtyping import Float

from swerve.data.sources.nuplan.utm import unproject_utm

_GEOGRAPHIC: Final = 4326
# "GPKG" and version 1.2 (OGC 12-128r14, section 1.1.1).
_APPLICATION, _VERSION = 0x47504B47, 10200
# Envelopes of geometries are left out, numbers are little-endian.
_GEOMETRY_HEADER: Final = b"GP\0\1" + struct.pack("<i", _GEOGRAPHIC)
_WGS84: Final = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
    'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],'
    'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]'
)
_SYSTEMS: Final = (
    ("Undefined cartesian SRS", -1, "NONE", -1, "undefined"),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined"),
    ("WGS 84 geodetic", _GEOGRAPHIC, "EPSG", _GEOGRAPHIC, _WGS84),
)
_TABLES: Final = """
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT
 NULL, organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
 description TEXT DEFAULT '', last_change DATETIME NOT NULL, min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE,
 srs_id INTEGER REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL UNIQUE, column_name TEXT NOT NULL, geometry_type_name TEXT
 NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL, PRIMARY KEY (table_name, column_name));
CREATE TABLE meta (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, key TEXT(256), value TEXT(256));
"""
# Files of equal content shall be equal.
_CHANGED: Final = "2020-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class Feature:
    """Row of a layer.

    Attributes:
        fid: feature id.
        geometry: shapely geometry in the projected coordinate system, metres.
        values: of the other columns, by name; columns that are not named are NULL.
    """

    fid: int
    geometry: shapely.Geometry
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerSchema:
    """A layer: kind of its geometries, and its columns as in SQL, "name TYPE" each."""

    geometry: str
    columns: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.split()[0] for column in self.columns)


def write_geopackage(
    path: Path, schema: Mapping[str, LayerSchema], layers: Mapping[str, Sequence[Feature]], zone: int
) -> None:
    """Write a map; layers of the schema without features are empty.

    Args:
        path: of the file, which must not exist.
        schema: of all layers.
        layers: features by layer, in ascending order of their ids.
        zone: of UTM on the northern hemisphere, in which the geometries are.

    Raises:
        ValueError: a geometry lies outside the zone, or a feature names a column that its layer does not have.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_VERSION}; {_TABLES}")
        connection.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, NULL)", _SYSTEMS)
        systems = (("geographicCoordSystem", "epsg:4326"), ("projectedCoordSystem", f"epsg:{32600 + zone}"))
        connection.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", systems)
        _list_table(connection, "meta", "attributes", [None] * 4, None)
        for name, layer in schema.items():
            _write_layer(connection, name, layer, layers.get(name, ()), zone)


def _write_layer(
    connection: sqlite3.Connection, name: str, layer: LayerSchema, features: Sequence[Feature], zone: int
) -> None:
    columns = "".join(f", {column}" for column in layer.columns)
    connection.execute(
        f'CREATE TABLE "{name}" (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom {layer.geometry}{columns})'
    )
    geometry = _geographic([feature.geometry for feature in features], zone)
    bounds = shapely.total_bounds(geometry).tolist() if len(geometry) else [None] * 4
    _list_table(connection, name, "features", bounds, _GEOGRAPHIC)
    described = (name, "geom", layer.geometry, _GEOGRAPHIC, 0, 0)
    connection.execute("INSERT INTO gpkg_geometry_columns VALUES (?, ?, ?, ?, ?, ?)", described)
    blobs = (_GEOMETRY_HEADER + wkb for wkb in shapely.to_wkb(geometry, byte_order=1))
    rows = ([feature.fid, blob, *_values(name, layer, feature)] for feature, blob in zip(features, blobs, strict=True))
    marks = ", ".join("?" * (2 + len(layer.columns)))
    connection.executemany(f'INSERT INTO "{name}" VALUES ({marks})', rows)


def _list_table(
    connection: sqlite3.Connection, name: str, kind: str, bounds: Sequence[float | None], system: int | None
) -> None:
    row = (name, kind, name, "", _CHANGED, *bounds, system)
    connection.execute("INSERT INTO gpkg_contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def _values(name: str, layer: LayerSchema, feature: Feature) -> Iterable[Any]:
    unknown = set(feature.values) - set(layer.names)
    if unknown:
        raise ValueError(f"layer {name} has no column {sorted(unknown)[0]}")
    return (feature.values.get(column) for column in layer.names)


def _geographic(geometries: Sequence[shapely.Geometry], zone: int) -> np.ndarray:
    def unproject(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        return unproject_utm(points, zone)

    return np.asarray(shapely.transform(np.array(geometries, dtype=object), unproject), dtype=object)
