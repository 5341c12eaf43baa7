"""UTM coordinates of longitudes and latitudes on the WGS 84 ellipsoid, equal to PROJ's to the last bit.

Equal, because nuPlan's queries at shared outlines and between equal distances depend on the last bit: the devkit
projects with PROJ. The series and the order of operations are those of its projection "etmerc": Poder and Engsager,
"Some conformal mappings and transformations for geodesy and topographic cartography", 1998, to the sixth order.
"""

import math
import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.data.sources.nuplan.utm_kernels import project_many
from swerve.scenes import LogError

_AXIS: Final = 6378137.0
_FLATTENING: Final = 1 / 298.257223563
_SCALE, _FALSE_EASTING, _FALSE_NORTHING = 0.9996, 500_000.0, 10_000_000.0
# Metres: doubles of degrees and of metres at the equator's length allow no less; and steps of the search at most.
_ROUNDING, _LONGEST_SEARCH = 4e-9, 60
# Coefficients of sin(2j x), j = 1 to 6: row j holds those of the third flattening's powers j, j + 1, ..., 6.
_GAUSSIAN_LATITUDE: Final = (
    (-2.0, 2 / 3, 4 / 3, -82 / 45, 32 / 45, 4642 / 4725),
    (5 / 3, -16 / 15, -13 / 9, 904 / 315, -1522 / 945),
    (-26 / 15, 34 / 21, 8 / 5, -12686 / 2835),
    (1237 / 630, -12 / 5, -24832 / 14175),
    (-734 / 315, 109598 / 31185),
    (444337 / 155925,),
)
_GRID: Final = (
    (1 / 2, -2 / 3, 5 / 16, 41 / 180, -127 / 288, 7891 / 37800),
    (13 / 48, -3 / 5, 557 / 1440, 281 / 630, -1983433 / 1935360),
    (61 / 240, -103 / 140, 15061 / 26880, 167603 / 181440),
    (49561 / 161280, -179 / 168, 6601661 / 7257600),
    (34729 / 80640, -3418889 / 1995840),
    (212378941 / 319334400,),
)


def utm_zone(crs: str, path: str | Path) -> tuple[int, bool]:
    """Return zone and whether it is on the southern hemisphere, of "epsg:326xx" (north) or "epsg:327xx" (south).

    Raises:
        LogError: another coordinate system.
    """
    found = re.fullmatch(r"epsg:32([67])(\d\d)", crs.strip().lower())
    if not found or not 1 <= int(found[2]) <= 60:
        raise LogError(path, "meta, projectedCoordSystem", f"is {crs!r}, not a UTM zone on WGS 84 (epsg:326xx, 327xx)")
    return int(found[2]), found[1] == "7"


def project_utm(lon_lat: Float[np.ndarray, "n 2"], zone: int, south: bool = False) -> Float[np.ndarray, "n 2"]:
    """Compute easting and northing, metres, of longitudes and latitudes in degrees."""
    central = (zone - 1 + 0.5) * math.pi / 30.0 - math.pi
    latitude_series, grid_series, radius = _series()
    projected = np.empty((len(lon_lat), 2))
    project_many(np.ascontiguousarray(lon_lat), central, latitude_series, grid_series, radius, _AXIS, projected)
    projected += [_FALSE_EASTING, _FALSE_NORTHING if south else 0.0]
    return projected


def unproject_utm(points: Float[np.ndarray, "n 2"], zone: int, south: bool = False) -> Float[np.ndarray, "n 2"]:
    """Compute longitudes and latitudes in degrees whose `project_utm` is the given easting and northing, metres.

    Each step moves the point by what `project_utm` misses, along the ellipsoid's radii of curvature. A step leaves the
    share of the error that the meridian convergence turns aside, a few hundredths within a zone; steps end where
    doubles do, within 4e-9 m.

    Raises:
        ValueError: a point is not in the zone, or so far from it that the steps do not converge.
    """
    goal = np.array(points, dtype=np.float64)
    offset = goal - [_FALSE_EASTING, _FALSE_NORTHING if south else 0.0]
    square = 2 * _FLATTENING - _FLATTENING * _FLATTENING
    lon_lat = np.column_stack([np.full(len(goal), 6.0 * zone - 183.0), np.degrees(offset[:, 1] / (_SCALE * _AXIS))])
    missing = goal - project_utm(lon_lat, zone, south)
    for _ in range(_LONGEST_SEARCH):
        if not len(goal) or np.abs(missing).max() <= _ROUNDING:
            return lon_lat
        latitude = np.radians(lon_lat[:, 1])
        bulge = 1 - square * np.sin(latitude) ** 2
        meridian, normal = _AXIS * (1 - square) / bulge**1.5, _AXIS / np.sqrt(bulge)
        lon_lat += np.degrees(missing / _SCALE / np.column_stack([normal * np.cos(latitude), meridian]))
        missing = goal - project_utm(lon_lat, zone, south)
    raise ValueError(f"points are not in UTM zone {zone}: {np.abs(missing).max():.3g} m are missing")


@lru_cache(maxsize=1)
def _series() -> tuple[Float[np.ndarray, "6"], Float[np.ndarray, "6"], float]:
    """Return both series and the meridian's radius, scaled by the axis."""
    eccentricity = math.sqrt(2 * _FLATTENING - _FLATTENING * _FLATTENING)
    n = math.tan(math.asin(eccentricity) / 2) ** 2
    square = n * n
    radius = _SCALE / (1 + n) * (1 + square * (1 / 4 + square * (1 / 64 + square / 256)))
    return _coefficients(_GAUSSIAN_LATITUDE, n), _coefficients(_GRID, n), radius


def _coefficients(rows: tuple[tuple[float, ...], ...], n: float) -> Float[np.ndarray, "6"]:
    """Evaluate the polynomials of the third flattening n by Horner's rule."""
    values, power = [], 1.0
    for row in rows:
        value = row[-1]
        for coefficient in row[-2::-1]:
            value = coefficient + n * value
        power *= n
        values.append(power * value)
    return np.array(values)
