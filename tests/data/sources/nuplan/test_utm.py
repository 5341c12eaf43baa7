"""The projection against an independent series, symmetries, known points, and pyproj where it is installed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.data.sources.nuplan.utm import project_utm, unproject_utm, utm_zone
from swerve.scenes import LogError

# Karney 2011, "Transverse Mercator with an accuracy of a few nanometers", eq. 35.
ALPHA = np.array(
    [
        [1 / 2, -2 / 3, 5 / 16, 41 / 180, -127 / 288, 7891 / 37800],
        [0, 13 / 48, -3 / 5, 557 / 1440, 281 / 630, -1983433 / 1935360],
        [0, 0, 61 / 240, -103 / 140, 15061 / 26880, 167603 / 181440],
        [0, 0, 0, 49561 / 161280, -179 / 168, 6601661 / 7257600],
        [0, 0, 0, 0, 34729 / 80640, -3418889 / 1995840],
        [0, 0, 0, 0, 0, 212378941 / 319334400],
    ]
)


def krueger(lon_lat, zone):
    """Karney's form of the series: by the conformal latitude, summed term by term."""
    f = 1 / 298.257223563
    n, e = f / (2 - f), np.sqrt(f * (2 - f))
    radius = 6378137.0 / (1 + n) * (1 + n**2 / 4 + n**4 / 64 + n**6 / 256)
    longitude, sine = np.deg2rad(lon_lat[:, 0] - (6.0 * zone - 183.0)), np.sin(np.deg2rad(lon_lat[:, 1]))
    conformal = np.sinh(np.arctanh(sine) - e * np.arctanh(e * sine))
    xi = np.arctan2(conformal, np.cos(longitude))
    eta = np.arcsinh(np.sin(longitude) / np.hypot(conformal, np.cos(longitude)))
    order, alpha = 2.0 * np.arange(1, 7)[:, None], ALPHA @ n ** np.arange(1, 7)
    east = eta + alpha @ (np.cos(order * xi) * np.sinh(order * eta))
    north = xi + alpha @ (np.sin(order * xi) * np.cosh(order * eta))
    return 0.9996 * radius * np.stack([east, north], axis=1) + [500_000.0, 0.0]


@given(st.floats(-80, 84), st.floats(-3.5, 3.5), st.integers(1, 60))
def test_equals_the_same_projection_by_another_series(latitude, offset, zone):
    point = np.array([[6.0 * zone - 183.0 + offset, latitude]])
    np.testing.assert_allclose(project_utm(point, zone), krueger(point, zone), rtol=0, atol=2e-8)


def test_the_meridian_quadrant_is_as_long_as_tabulated():
    # From equator to pole on WGS 84: 10 001 965.729 m (e.g. Rapp, "Geometric geodesy", 1991).
    quadrant = project_utm(np.array([[3.0, 90.0]]), 31)[0, 1] / 0.9996
    assert quadrant == pytest.approx(10_001_965.729, abs=1e-3)


@given(st.floats(-80, 80), st.floats(0, 3.5))
def test_is_symmetric(latitude, offset):
    east, west, south = (
        project_utm(np.array([[3.0 + sign * offset, turn * latitude]]), 31)[0] - [500_000, 0]
        for sign, turn in ((1, 1), (-1, 1), (1, -1))
    )
    np.testing.assert_allclose(west, east * [-1, 1], rtol=0, atol=1e-8)
    np.testing.assert_allclose(south, east * [1, -1], rtol=0, atol=1e-8)


def test_the_southern_hemisphere_has_a_false_northing():
    point = np.array([[151.2, -33.9]])
    np.testing.assert_array_equal(project_utm(point, 56, south=True) - project_utm(point, 56), [[0, 10_000_000]])


def test_equals_pyproj():
    pyproj = pytest.importorskip("pyproj")
    points = np.random.default_rng(0).uniform([-74, 30], [-68, 50], (1000, 2))
    theirs = pyproj.Transformer.from_crs("epsg:4326", "epsg:32619", always_xy=True).transform(*points.T)
    np.testing.assert_allclose(project_utm(points, 19), np.stack(theirs, axis=1), rtol=0, atol=1e-9)


def test_zones_by_their_epsg_code():
    assert utm_zone("EPSG:32619", "map") == (19, False)
    assert utm_zone("epsg:32756", "map") == (56, True)


@pytest.mark.parametrize("crs", ["", "epsg:4326", "epsg:32600", "epsg:32661", "epsg:32519", "epsg:326191"])
def test_other_coordinate_systems_are_refused(crs):
    with pytest.raises(LogError, match="not a UTM zone"):
        utm_zone(crs, "map.gpkg")


@given(st.floats(-3.5, 3.5), st.floats(-80, 83), st.sampled_from([(11, False), (19, False), (33, True), (48, False)]))
def test_unprojected_points_are_projected_back(aside, latitude, zone):
    """Within the rounding of degrees and metres."""
    lon_lat = np.array([[6.0 * zone[0] - 183.0 + aside, -abs(latitude) if zone[1] else abs(latitude)]])
    points = project_utm(lon_lat, *zone)
    found = unproject_utm(points, *zone)
    np.testing.assert_allclose(found, lon_lat, rtol=0, atol=1e-12)
    np.testing.assert_allclose(project_utm(found, *zone), points, rtol=0, atol=4e-9)


def test_points_far_from_the_zone_are_refused():
    with pytest.raises(ValueError, match="not in UTM zone 19"):
        unproject_utm(np.array([[9e7, 4e6]]), 19)
