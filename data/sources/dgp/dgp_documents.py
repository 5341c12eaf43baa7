"""JSON documents of a DGP scene: what its reader needs of their fields, and times, poses and lenses in them.

The documents are protobuf messages written as JSON (`dgp/proto` of TRI-ML/dgp), in which a number that is zero may be
left out.
"""

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.data.storage.checked_json import (
    ShapeError,
    fields,
    file_name,
    integer,
    list_of,
    mapping_of,
    number,
    plain_name,
    text,
)
from swerve.scenes import Camera, Lens, LensModel, LogError
from swerve.scenes.transforms import rigid_transform, rotation_from_quaternion

# Keys of the annotations of a datum (`AnnotationType` of DGP).
BOXES_3D: Final = "1"
_PATH: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}/){0,6}[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")
_EPOCH: Final = datetime.datetime(1970, 1, 1)
# DDAD's times are ten times too long: of the year 2464. No recording is of the year 2100 or later.
_YEAR_2100_NS: Final = 4_102_444_800 * 10**9
_QUATERNION: Final = ("qw", "qx", "qy", "qz")
# Quaternions are written with 15 digits.
_UNIT: Final = 1e-3
# Coefficients of OpenCV's rational model in its order, and those of DGP's other lens models.
_BROWN: Final = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
_OTHERS: Final = (
    *("skew", "fisheye", "equirectangular", "s1", "s2", "s3", "s4", "taux", "tauy", "alpha", "beta", "w", "xi"),
)


def _relative_path(value: Any, place: str) -> None:  # noqa: ANN401 a value of JSON
    """Accept the path of a file below the scene's folder."""
    text(value, place)
    if not _PATH.fullmatch(value):
        raise ShapeError(place, f"is {value[:60]!r}, not the path of a file in the scene's folder")


_NUMBERS = number()
POSE = fields(
    {
        "translation": fields({}, dict.fromkeys("xyz", _NUMBERS)),
        "rotation": fields({}, dict.fromkeys(_QUATERNION, _NUMBERS)),
    }
)
_ANNOTATIONS = mapping_of(_relative_path)
_POINT_CLOUD = fields({"filename": _relative_path, "pose": POSE}, {"annotations": _ANNOTATIONS})
_SIZE = integer(1, 2**16)
_IMAGE = fields(
    {"filename": _relative_path, "pose": POSE, "width": _SIZE, "height": _SIZE}, {"annotations": _ANNOTATIONS}
)
_DATUM = fields(
    {
        "key": plain_name,
        "id": fields({"name": plain_name, "timestamp": text}),
        "datum": fields({}, {"point_cloud": _POINT_CLOUD, "image": _IMAGE}),
    }
)
_SAMPLE = fields({"datum_keys": list_of(plain_name, least=1), "calibration_key": file_name})
SCENE = fields(
    {"data": list_of(_DATUM, least=1), "samples": list_of(_SAMPLE, least=1)}, {"ontologies": mapping_of(file_name)}
)
CALIBRATION = fields(
    {
        "names": list_of(plain_name, least=1),
        "extrinsics": list_of(POSE),
        "intrinsics": list_of(fields({}, dict.fromkeys(("fx", "fy", "cx", "cy", *_BROWN, *_OTHERS), _NUMBERS))),
    }
)
ONTOLOGY = fields({"items": list_of(fields({"name": text}, {"id": integer(0, 2**32)}))})
_EXTENT = number(0.0, 1e4)
BOXES = fields(
    {
        "annotations": list_of(
            fields(
                {
                    "box": fields({"pose": POSE}, dict.fromkeys(("length", "width", "height"), _EXTENT)),
                    "instance_id": integer(0, 2**63),
                },
                {"class_id": integer(0, 2**32)},
            )
        )
    }
)
DATASET = fields({"scene_splits": mapping_of(fields({"filenames": list_of(text)}))})


def time_us_of(timestamp: str, path: Path) -> int:
    """Return a time of the documents in microseconds.

    DDAD's times are ten times too long: `2464-11-12T01:04:10.027900Z` stands for 1561645825.00279 s, 27 June 2019. A
    time of the year 2100 or later is therefore divided by ten; others are as they stand.

    Raises:
        LogError: it is not a time in UTC.
    """
    found = _TIME.fullmatch(timestamp)
    try:
        whole = datetime.datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        whole = None
    if found is None or whole is None:
        raise LogError(path, "timestamp", f"is {timestamp[:60]!r}, not a time as in 2019-06-27T14:30:25.002790Z")
    since = whole - _EPOCH
    ns = (since.days * 86_400 + since.seconds) * 10**9 + int((found[2] or "").ljust(9, "0"))
    return ns // (10_000 if ns >= _YEAR_2100_NS else 1000)


def transform_of(pose: Mapping[str, Any], path: Path) -> Float[np.ndarray, "4 4"]:
    """Return a pose as a transform.

    Raises:
        LogError: its quaternion is not of length one.
    """
    quaternion = np.array([pose["rotation"].get(name, 0.0) for name in _QUATERNION], float)
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1.0) > _UNIT:
        raise LogError(path, "rotation", f"is not a rotation: the quaternion's length is {length:.3g}, not 1")
    translation = np.array([pose["translation"].get(axis, 0.0) for axis in "xyz"], float)
    return rigid_transform(rotation_from_quaternion(quaternion / length), translation)


def camera_of(
    name: str, size: tuple[int, int], intrinsics: Mapping[str, float], mount: Float[np.ndarray, "4 4"], path: Path
) -> Camera:
    """Return a camera of the calibration; principal points are taken to count from pixel centres, as OpenCV's do.

    Raises:
        LogError: the focal length is not positive, or the lens is of a model other than the pinhole and Brown's.
    """
    if other := [key for key in _OTHERS if intrinsics.get(key, 0.0)]:
        problem = f"{name} has {', '.join(other)}: of a lens model that is not read"
        raise LogError(path, "intrinsics", problem, "Pinholes and OpenCV's k1 to k6, p1, p2 are")
    coefficients = tuple(float(intrinsics.get(key, 0.0)) for key in _BROWN)
    lens = Lens(LensModel.BROWN, coefficients) if any(coefficients) else Lens()
    fx, fy, cx, cy = (float(intrinsics.get(key, 0.0)) for key in ("fx", "fy", "cx", "cy"))
    try:
        return Camera(name, *size, fx, fy, cx + 0.5, cy + 0.5, mount, lens)
    except ValueError as error:
        raise LogError(path, "intrinsics", f"the focal length of {name} is not positive") from error
