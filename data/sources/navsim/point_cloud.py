"""Point clouds of OpenScene: binary PCD files, fields by name."""

from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from swerve.scenes import LogError

FIELDS: Final = ("x", "y", "z", "intensity", "ring", "lidar_info")
_MOST_HEADER: Final = 4096
_TYPES: Final = {
    ("F", "4"): "<f4",
    ("F", "8"): "<f8",
    **{("U", str(size)): f"<u{size}" for size in (1, 2, 4, 8)},
    **{("I", str(size)): f"<i{size}" for size in (1, 2, 4, 8)},
}


def read_point_cloud(path: Path) -> Float32[np.ndarray, "6 n"]:
    """Read a point cloud: x, y, z in the ego frame (metres), intensity, ring, and the lidar's number.

    Fields are picked by name, whatever their order and types; those that a file lacks are zero, except x, y and z.
    Bytes after the points are ignored.

    Raises:
        LogError: the file is missing or truncated, not a binary PCD, or has no x, y or z.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LogError(path, "point cloud", f"cannot be read ({error.strerror})") from error
    header, start = _header(data, path)
    layout, count = _layout(header, path)
    if len(data) - start < count * layout.itemsize:
        there = (len(data) - start) // max(layout.itemsize, 1)
        raise LogError(path, "POINTS", f"says {count} points, the file ends after {there}")
    points = np.frombuffer(data, layout, count, start)
    rows = np.zeros((len(FIELDS), count), np.float32)
    for row, name in enumerate(FIELDS):
        if name in (layout.names or ()):
            rows[row] = points[name].reshape(count, -1)[:, 0]
    return rows


def read_points(path: Path) -> Float32[np.ndarray, "n 3"]:
    """Read the positions of a point cloud, ego frame, metres; points that are not finite are left out.

    Raises:
        LogError: see `read_point_cloud`.
    """
    points = read_point_cloud(path)[:3].T
    return np.ascontiguousarray(points[np.isfinite(points).all(axis=1)])


def _header(data: bytes, path: Path) -> tuple[dict[str, list[str]], int]:
    """Return the words of the header's lines by their first, and the first byte after it."""
    header: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in header:
        end = data.find(b"\n", start, _MOST_HEADER)
        if end < 0:
            raise LogError(path, "header", "has no line DATA", "Point clouds are PCD files")
        words = data[start:end].decode("ascii", "replace").split()
        if words and not words[0].startswith("#"):
            header[words[0]] = words[1:]
        start = end + 1
    if header["DATA"] != ["binary"]:
        raise LogError(path, "DATA", f"is {' '.join(header['DATA'])!r}; only binary is read")
    return header, start


def _layout(header: dict[str, list[str]], path: Path) -> tuple[np.dtype, int]:
    """Return the type of a point, and the number of points."""
    names = header.get("FIELDS", [])
    counts = header.get("COUNT", ["1"] * len(names))
    columns = [header.get(key, []) for key in ("TYPE", "SIZE")]
    if any(len(words) != len(names) for words in (*columns, counts)) or len(header.get("POINTS", [])) != 1:
        raise LogError(path, "header", "FIELDS, SIZE, TYPE and COUNT differ in number, or POINTS is missing")
    missing = [name for name in FIELDS[:3] if name not in names]
    if missing or len(set(names)) < len(names):
        raise LogError(path, "FIELDS", f"lacks {missing}" if missing else "names a field twice")
    fields = []
    for name, kind, size, repeat in zip(names, *columns, counts, strict=True):
        if (kind, size) not in _TYPES or not repeat.isdecimal():
            raise LogError(path, "TYPE", f"of {name} is {kind}{size} x {repeat}")
        fields.append((name, _TYPES[kind, size], (int(repeat),)))
    if not header["POINTS"][0].isdecimal():
        raise LogError(path, "POINTS", f"is {header['POINTS'][0]!r}")
    return np.dtype(fields), int(header["POINTS"][0])
