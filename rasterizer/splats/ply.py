"""Reading and writing of 3DGS PLY files.

Binary, little endian, one vertex per Gaussian, with the field names of 3D Gaussian Splatting (Kerbl et al. 2023): x y z
nx ny nz f_dc_0..2 f_rest_0.. opacity scale_0..2 rot_0..3. Opacities are logits, scales logarithms, rot_0 is the
quaternion's scalar; f_rest has the harmonics of degree 1 and more of red, then those of green, then of blue. Normals
are ignored: they are written as 0 and may be missing.
"""

from pathlib import Path

import numpy as np

from swerve.rasterizer.splats.gaussians import Gaussians
from swerve.rasterizer.splats.harmonics import SIZES
from swerve.scenes import SwerveError

_MOST_HEADER = 1 << 16
_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "<i2"),
    **dict.fromkeys(("ushort", "uint16"), "<u2"),
    **dict.fromkeys(("int", "int32"), "<i4"),
    **dict.fromkeys(("uint", "uint32"), "<u4"),
    **dict.fromkeys(("float", "float32"), "<f4"),
    **dict.fromkeys(("double", "float64"), "<f8"),
}
_HINT = "Export the scene as a plain (not compressed) binary little-endian 3DGS PLY"


def encode_ply(gaussians: Gaussians) -> bytes:
    """Encode Gaussians as a PLY file."""
    rest = 3 * (gaussians.sh_coefficients.shape[1] - 1)
    names = _names(rest)
    rows = np.zeros((len(gaussians), len(names)), "<f4")
    rows[:, 0:3] = gaussians.means
    rows[:, 6:9] = gaussians.sh_coefficients[:, 0]
    rows[:, 9 : 9 + rest] = gaussians.sh_coefficients[:, 1:].transpose(0, 2, 1).reshape(len(rows), rest)
    rows[:, 9 + rest] = gaussians.opacity_logits
    rows[:, 10 + rest : 13 + rest] = gaussians.log_scales
    rows[:, 13 + rest :] = gaussians.quaternions
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [*(f"property float {name}" for name in names), "end_header\n"]
    return "\n".join(header).encode() + rows.tobytes()


def read_ply(path: str | Path) -> Gaussians:
    """Read a 3DGS PLY file; additional fields are ignored.

    Raises:
        SwerveError: the file cannot be read, is not such a PLY, lacks fields, is truncated, or holds non-finite values.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SwerveError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        count, fields, start = _header(content)
        rows = _rows(content, count, fields, start)
        gaussians = _gaussians(rows)
    except ValueError as error:
        raise SwerveError(f"{path}: {error}. {_HINT}") from error
    gaussians.check(str(path))
    return gaussians


def _names(rest: int) -> list[str]:
    shown = [*"xyz", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3)), *(f"f_rest_{i}" for i in range(rest))]
    return [*shown, "opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]


def _header(content: bytes) -> tuple[int, list[tuple[str, str]], int]:
    """Parse the header: number of vertices, their fields as (name, dtype), and their offset."""
    end = content.find(b"end_header", 0, _MOST_HEADER)
    start = content.find(b"\n", end) + 1
    if content[:3] != b"ply" or end < 0 or not start:
        raise ValueError("this is no PLY file, or its header has no end")
    lines = [line.split() for line in content[:end].decode("ascii", "replace").splitlines()]
    formats = [words[1:] for words in lines if words[:1] == ["format"]]
    if formats != [["binary_little_endian", "1.0"]]:
        raise ValueError(f"the format is {formats}, not binary_little_endian 1.0")
    elements = [k for k, words in enumerate(lines) if words[:1] == ["element"]]
    if not elements or lines[elements[0]][1:2] != ["vertex"] or len(lines[elements[0]]) != 3:
        raise ValueError("the first element is not 'vertex'")
    last = elements[1] if len(elements) > 1 else len(lines)
    properties = [words for words in lines[elements[0] + 1 : last] if words[:1] == ["property"]]
    wrong = [words for words in properties if len(words) != 3 or words[1] not in _TYPES]
    if wrong:
        raise ValueError(f"a vertex cannot have the property {' '.join(wrong[0][1:])!r}")
    count = lines[elements[0]][2]
    if not count.isdigit():
        raise ValueError(f"the number of vertices is {count!r}")
    return int(count), [(words[2], _TYPES[words[1]]) for words in properties], start


def _rows(content: bytes, count: int, fields: list[tuple[str, str]], start: int) -> np.ndarray:
    """Return the vertices as a structured array."""
    dtype = np.dtype(fields)
    if len(content) - start < count * dtype.itemsize:
        held = (len(content) - start) // max(dtype.itemsize, 1)
        raise ValueError(f"the header says {count} vertices, the file is truncated after {held}")
    return np.frombuffer(content, dtype, count, start)


def _gaussians(rows: np.ndarray) -> Gaussians:
    found = set(rows.dtype.names or ())
    rest = sum(name.startswith("f_rest_") for name in found)
    if rest not in [3 * (size - 1) for size in SIZES]:
        raise ValueError(f"it has {rest} fields f_rest_*; there must be 0, 9, 24 or 45 (degree 0 to 3)")
    missing = [name for name in _names(rest) if name not in found | {"nx", "ny", "nz"}]
    if missing:
        raise ValueError(f"vertices lack {', '.join(missing)}")
    constant = _columns(rows, [f"f_dc_{i}" for i in range(3)])
    others = _columns(rows, [f"f_rest_{i}" for i in range(rest)]).reshape(len(rows), 3, rest // 3)
    return Gaussians(
        _columns(rows, list("xyz")),
        _columns(rows, [f"rot_{i}" for i in range(4)]),
        _columns(rows, [f"scale_{i}" for i in range(3)]),
        _columns(rows, ["opacity"])[:, 0],
        np.concatenate([constant[:, None], others.transpose(0, 2, 1)], axis=1),
    )


def _columns(rows: np.ndarray, names: list[str]) -> np.ndarray:
    columns = np.empty((len(rows), len(names)), np.float32)
    for k, name in enumerate(names):
        columns[:, k] = rows[name]
    return columns
