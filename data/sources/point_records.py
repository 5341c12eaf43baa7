"""Point clouds stored as records of float32 numbers, as KITTI and nuScenes store them."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from swerve.scenes import LogError


def read_point_records(path: Path, columns: int) -> Float32[np.ndarray, "n c"]:
    """Read little-endian float32 records, of which the first three numbers are x, y, z.

    Args:
        path: the file.
        columns: numbers of a record.

    Raises:
        LogError: the file cannot be read, is cut off, or a point is not finite.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LogError(path, "file", f"cannot be read ({error.strerror})") from error
    values = np.frombuffer(content, "<f4", len(content) // (4 * columns) * columns).reshape(-1, columns)
    if len(content) != values.nbytes or not np.isfinite(values[:, :3]).all():
        raise LogError(path, "points", f"are not {columns} finite float32 numbers each: {len(content)} bytes")
    return values.astype(np.float32)
