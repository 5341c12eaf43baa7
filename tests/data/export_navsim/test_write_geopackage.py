"""Maps written as GeoPackages: Swerve's reader and GDAL's give back what was written."""

import importlib.util

import numpy as np
import pytest
import shapely

from swerve.data.export_navsim.map_schema import SCHEMA
from swerve.data.export_navsim.write_geopackage import Feature, write_geopackage
from swerve.data.sources.nuplan.geopackage import read_layer, read_meta

EAST, NORTH = 330_000.0, 4_690_000.0
RING = shapely.Polygon([(0, 0), (9, 0), (9, 5), (0, 5)], [[(1, 1), (2, 1), (2, 2)]])


def placed(geometry):
    return shapely.transform(geometry, lambda points: points + np.array([EAST, NORTH]))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "map.gpkg"
    layers = {
        "intersections": [
            Feature(7, placed(RING), {"creator_id": "swerve", "is_mini": True}),
            Feature(9, placed(RING)),
        ],
        "boundaries": [Feature(3, placed(shapely.LineString([(0, 0), (50, 1)])), {"boundary_type_fid": 2})],
    }
    write_geopackage(path, SCHEMA, layers, 19)
    return path


def test_swerve_reads_what_was_written(file):
    table = read_layer(file, "intersections")
    assert table.fids.tolist() == [7, 9]
    assert table.column("creator_id") == ["swerve", None]
    assert table.column("is_mini") == [1, None]
    for geometry in table.geometry:
        np.testing.assert_allclose(
            shapely.get_coordinates(geometry), shapely.get_coordinates(placed(RING)), rtol=0, atol=4e-9
        )
        assert len(geometry.interiors) == 1
    assert read_layer(file, "boundaries").column("boundary_type_fid") == [2]
    assert len(read_layer(file, "walkways")) == 0
    assert read_meta(file) == {"geographicCoordSystem": "epsg:4326", "projectedCoordSystem": "epsg:32619"}


def test_gdal_reads_what_was_written(file):
    if importlib.util.find_spec("pyogrio") is None:
        pytest.skip("pyogrio is not installed")
    import pyogrio

    layers = dict(pyogrio.list_layers(file))
    assert layers["boundaries"] == "LineString"
    assert set(layers) == {*SCHEMA, "meta"}
    meta, fids, geometry, _ = pyogrio.raw.read(file, layer="intersections", return_fids=True)
    assert meta["crs"] == "EPSG:4326"
    assert fids.tolist() == [7, 9]
    assert shapely.from_wkb(geometry[0]).is_valid


def test_equal_maps_are_equal_files(file, tmp_path):
    for name in ("a", "b"):
        write_geopackage(tmp_path / name, SCHEMA, {"walkways": [Feature(1, placed(RING))]}, 19)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_mistakes_are_errors(tmp_path):
    with pytest.raises(ValueError, match="layer walkways has no column color"):
        write_geopackage(tmp_path / "a", SCHEMA, {"walkways": [Feature(1, placed(RING), {"color": 1})]}, 19)
    far = shapely.transform(RING, lambda points: points + np.array([9e7, 4e6]))
    with pytest.raises(ValueError, match="not in UTM zone 19"):
        write_geopackage(tmp_path / "b", SCHEMA, {"walkways": [Feature(1, far)]}, 19)
