"""Pickled lists of numbers in nuPlan's logs, without running anything that a pickle names."""

import numpy as np
from jaxtyping import Float

from swerve.data.storage.restricted_pickle import load_pickle
from swerve.scenes import LogError


class PickledList(list[object]):
    """Stands for nuPlan's own classes of lists."""

    def __setstate__(self, state: object) -> None:
        raise ValueError("is a list with attributes")


# Classes of nuPlan's own files, all of them lists; they are read as plain lists.
_LISTS = {
    ("nuplan.database.common.data_types", name): PickledList for name in ("Translation", "Rotation", "CameraIntrinsic")
}
# A 3x3 matrix takes a tenth of this.
_LONGEST = 4096


def read_numbers(blob: bytes, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """Read a pickled (nested) list of floats.

    Args:
        blob: the pickle.
        shape: expected shape.

    Raises:
        ValueError: it is longer than 4 KiB, damaged, holds anything else (the name is in the message), or has another
            shape.
    """
    if len(blob) > _LONGEST:
        raise ValueError(f"a pickle of {len(blob)} bytes, where a few numbers were expected")
    try:
        value = load_pickle(blob, "camera", _LISTS)
    except LogError as error:
        raise ValueError(f"a pickle that {error.problem}") from error
    _require_numbers(value)
    array = np.array(value, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{array.shape} numbers, not {shape} finite ones")
    return array


def _require_numbers(value: object) -> None:
    items = value if isinstance(value, list) else ()
    flat = [number for item in items for number in (item if isinstance(item, list) else [item])]
    if not flat or not all(isinstance(number, int | float) for number in flat):
        raise ValueError("a pickle of something else than a list of numbers")
