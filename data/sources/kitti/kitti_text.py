"""Text files of KITTI: numbers in lines, calibrations as names with numbers, images named after their frames."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from swerve.scenes import LogError

# Bytes of a text file; the labels of the longest tracking sequence have 3 million.
_LARGEST = 2**26
_ORTHONORMAL = 1e-3


def lines_of(path: Path) -> list[str]:
    """Read the lines of a text file.

    Raises:
        LogError: it cannot be read, is no text or longer than 64 MiB.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise LogError(path, "file", f"has more than {_LARGEST} bytes")
        return path.read_text().strip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(path, "file", f"cannot be read ({error})") from error


def numbers_of(path: Path, lines: Sequence[str], row: int, count: int) -> Float[np.ndarray, "c"]:
    """Parse the numbers of a line.

    Raises:
        LogError: there is no such line, or it has others than `count` finite numbers.
    """
    words = re.split(r"[\s,]+", lines[row].strip()) if row < len(lines) else []
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError:
        numbers = np.empty(0)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise LogError(path, f"line {row + 1}", f"must be {count} finite numbers")
    return numbers


def named_numbers(path: Path) -> dict[str, list[float]]:
    """Read a calibration file: in each line a name, with or without a colon, and numbers; other lines are left out.

    Raises:
        LogError: it cannot be read, or a number is not finite.
    """
    found = {}
    for line in lines_of(path):
        name, *words = line.replace(":", " ", 1).split() or [""]
        try:
            found[name] = [float(word) for word in words]
        except ValueError:
            continue  # such as the date of a raw calibration
        if not np.isfinite(found[name]).all():
            raise LogError(path, name, "has a number that is not finite")
    return found


def matrix_of(
    path: Path, found: Mapping[str, list[float]], names: Sequence[str], shape: tuple[int, int]
) -> Float[np.ndarray, "r c"]:
    """Return a matrix that has one of some names.

    Raises:
        LogError: none is there, or it has another size.
    """
    for name in names:
        if name in found:
            if len(found[name]) != shape[0] * shape[1]:
                raise LogError(path, name, f"has {len(found[name])} numbers, not {shape[0]}x{shape[1]}")
            return np.array(found[name]).reshape(shape)
    raise LogError(path, " or ".join(names), "is missing")


def rotation_of(path: Path, name: str, matrix: Float[np.ndarray, "*b 3 3"]) -> Float[np.ndarray, "*b 3 3"]:
    """Return the rotations nearest to matrices that have some seven digits.

    Raises:
        LogError: one is not a rotation to a thousandth.
    """
    u, _, vt = np.linalg.svd(matrix)
    rotation: Float[np.ndarray, "*b 3 3"] = u @ vt
    if np.abs(rotation - matrix).max() > _ORTHONORMAL or (np.linalg.det(rotation) < 0).any():
        raise LogError(path, name, "is not a rotation")
    return rotation


def numbered_files(folder: Path, suffix: str) -> dict[int, Path]:
    """Return the files of a folder that are named after their frames, such as 000012.png; empty if there is none."""
    files = folder.glob(f"*{suffix}") if folder.is_dir() else ()
    return {int(path.stem): path for path in sorted(files) if path.stem.isdecimal()}
