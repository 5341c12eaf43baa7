"""Pickled lists of numbers in nuPlan's logs, without running anything that a pickle names."""

import io
import pickle
from typing import Any

import numpy as np
from jaxtyping import Float

# Classes of nuPlan's own files, all of them lists; they are read as plain lists.
_LISTS = {("nuplan.database.common.data_types", name) for name in ("Translation", "Rotation", "CameraIntrinsic")}
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
        value = _ListsOnly(io.BytesIO(blob)).load()
    except ValueError:
        raise
    except Exception as error:  # damaged pickles raise nearly anything
        raise ValueError(f"a damaged pickle ({type(error).__name__}: {error})") from error
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


class _ListsOnly(pickle.Unpickler):
    """Unpickler of plain values, and of nuPlan's three kinds of lists."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 as in the base class
        """Return `list` for nuPlan's lists.

        Raises:
            ValueError: any other name.
        """
        if (module, name) in _LISTS:
            return list
        raise ValueError(f"a pickle that refers to {module}.{name}, which is refused")

    def persistent_load(self, pid: object) -> Any:  # noqa: ANN401 as in the base class
        """Refuse persistent ids.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"a pickle with a persistent id {pid!r}")
