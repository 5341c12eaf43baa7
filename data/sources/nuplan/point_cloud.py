"""nuPlan's merged LiDAR point clouds (.pcd)."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from swerve.scenes import LogError, Vehicle

FIELDS = ("x", "y", "z", "intensity", "ring", "lidar_info")
_TYPES = {("F", 4): "<f4", ("F", 8): "<f8", ("U", 1): "u1", ("U", 2): "<u2", ("U", 4): "<u4", ("U", 8): "<u8"}
_TYPES |= {("I", 1): "i1", ("I", 2): "<i2", ("I", 4): "<i4", ("I", 8): "<i8"}
_LONGEST_HEADER = 4096


def read_point_cloud(path: Path) -> Float32[np.ndarray, "6 n"]:
    """Read a binary PCD file: rows x, y, z (metres), intensity, ring, lidar_info, whatever the file's order.

    Raises:
        LogError: the file is missing, not binary PCD, shorter than it says, lacks a field, or a point is not finite.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LogError(path, "file", f"cannot be read ({error.strerror})") from error
    header, start = _header(content, path)
    try:
        dtype, count = _layout(header), int(header["POINTS"][0])
        if not 0 <= count <= len(content) or any(dtype[name].shape for name in FIELDS):
            raise ValueError(f"{count} points, with one number for each of {', '.join(FIELDS)}")
        points = np.frombuffer(content, dtype, count, start)
        rows = np.stack([points[name].astype(np.float32) for name in FIELDS])
        if not np.isfinite(rows[:3]).all():
            raise ValueError(f"point {np.flatnonzero(~np.isfinite(rows[:3]).all(axis=0))[0]} is not finite")
        return rows
    except KeyError as error:
        raise LogError(path, "header", f"lacks {error.args[0]}") from error
    except IndexError as error:
        raise LogError(path, "header", "has a line without a value") from error
    except ValueError as error:
        raise LogError(path, "points", f"are damaged, or fewer than the header says ({error})") from error


def read_surroundings(path: Path) -> Float32[np.ndarray, "n 3"]:
    """Read the points of a cloud in the file's frame, without returns from the ego's own body.

    Raises:
        LogError: see `read_point_cloud`.
    """
    points = read_point_cloud(path)[:3].T
    corners = Vehicle.pacifica().footprint()
    own = ((points[:, :2] >= corners.min(axis=0)) & (points[:, :2] <= corners.max(axis=0))).all(axis=1)
    return np.ascontiguousarray(points[~own])


def _header(content: bytes, path: Path) -> tuple[dict[str, list[str]], int]:
    """Return the words of each line of the header by its first, and where the data begin."""
    header: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in header:
        end = content.find(b"\n", start, _LONGEST_HEADER)
        if end < 0:
            raise LogError(path, "header", "is not that of a PCD file")
        words = content[start:end].decode("ascii", "replace").split()
        if words:
            header[words[0]] = words[1:]
        start = end + 1
    if header["DATA"] != ["binary"]:
        raise LogError(path, "DATA", f"is {' '.join(header['DATA'])}; only binary can be read")
    return header, start


def _layout(header: dict[str, list[str]]) -> np.dtype:
    names, kinds, sizes = header["FIELDS"], header["TYPE"], [int(size) for size in header["SIZE"]]
    counts = [int(count) for count in header.get("COUNT", ["1"] * len(names))]
    columns = [
        (name, _TYPES[kind, size]) if count == 1 else (name, _TYPES[kind, size], (count,))
        for name, kind, size, count in zip(names, kinds, sizes, counts, strict=True)
    ]
    return np.dtype(columns)
