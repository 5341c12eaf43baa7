"""Pickles of other people's programs, read without running anything in them.

A pickle can name any function of any installed package and call it. Here it can name what an allow-list has, and
instead of the real thing it gets a stand-in of ours; every other name is an error. A file is checked before it is
loaded (see `pickle_scan`), so that no length in it is believed, and afterwards, so that objects named many times do not
take memory and time out of proportion to its size (see `pickle_weight`).
"""

import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from swerve.data.storage.pickle_scan import scan_pickle
from swerve.data.storage.pickle_weight import check_weight
from swerve.data.storage.pickled_arrays import ARRAY_NAMES
from swerve.scenes import LogError

# What a pickle may name: (module, name) and the stand-in that it gets. A class must define `__setstate__`.
AllowedNames = Mapping[tuple[str, str], Callable[..., Any]]

# Whatever a stand-in or the loader raises when the file's contents do not fit.
_DAMAGE: Final = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class RefusedNameError(pickle.UnpicklingError):
    """A pickle names something that is not on the allow-list."""


class _Sealed:
    """A function that a pickle may call, but not change (its defaults, for instance)."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> Any:  # noqa: ANN401 whatever the stand-in makes
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise ValueError("changes a function")


class _Unpickler(pickle.Unpickler):
    """Unpickler that finds only what an allow-list has."""

    def __init__(self, stream: io.BytesIO, allowed: AllowedNames) -> None:
        super().__init__(stream)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 a stand-in
        """Return the stand-in of a name.

        Raises:
            RefusedNameError: the allow-list does not have the name.
        """
        stand_in = self._allowed.get((module, name))
        if stand_in is None:
            raise RefusedNameError(f"{module}.{name}")
        return stand_in if isinstance(stand_in, type) else _Sealed(stand_in)


class PickledRecord:
    """Base of stand-ins for classes: an object's attributes as the pickle has them, in `values`."""

    __slots__ = ("values",)
    values: dict[str, Any]

    def __init__(self, *arguments: object) -> None:
        self.values = {}

    def __new__(cls, *arguments: object) -> "PickledRecord":
        """Make a record without attributes, whatever the arguments: a pickle sets them afterwards."""
        record = super().__new__(cls)
        record.values = {}
        return record

    def __setstate__(self, state: object) -> None:
        """Take the attributes: a dict, or that of `__dict__` and that of `__slots__`.

        Raises:
            ValueError: the state has another form.
        """
        for part in state if isinstance(state, tuple) else (state,):
            if part is not None and not isinstance(part, dict):
                raise ValueError(f"has attributes of {type(self).__name__} that are not named")
            self.values |= part or {}


def load_pickle(data: bytes, where: str | Path, allowed: AllowedNames | None = None) -> Any:  # noqa: ANN401
    """Load a pickle of plain Python values, numpy arrays, and what `allowed` names.

    Arrays are of a subclass of numpy's (see `PickledArray`); `numpy.asarray` makes them ordinary.

    Args:
        data: the pickle's bytes.
        where: file or table, for messages.
        allowed: names beyond numpy's, with their stand-ins.

    Raises:
        LogError: the pickle is truncated or damaged, or names something else. Nothing in it has been run.
    """
    names = {**ARRAY_NAMES, **(allowed or {})}
    if bare := [name for name, one in names.items() if isinstance(one, type) and "__setstate__" not in dir(one)]:
        raise TypeError(f"stand-ins without __setstate__, which a pickle could change: {bare}")
    try:
        scan_pickle(data)
        content = _Unpickler(io.BytesIO(data), names).load()
        check_weight(content, len(data))
        return content
    except RefusedNameError as error:
        raise LogError(
            where,
            "pickle",
            f"refers to {error}, which is refused; it has not been run",
            "Do not open this file with pickle: it may hold a program",
        ) from error
    except _DAMAGE as error:
        raise LogError(where, "pickle", f"cannot be read: it {_told(error)}") from error


def _told(error: BaseException) -> str:
    """Return the reason as the end of a sentence that begins with "it"."""
    told = str(error)
    return told if isinstance(error, ValueError) and told else f"is damaged ({told or type(error).__name__})"


def read_pickle(path: Path, allowed: AllowedNames | None = None) -> Any:  # noqa: ANN401
    """Read a pickle file as `load_pickle` does.

    Raises:
        LogError: the file is missing, or see `load_pickle`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LogError(path, "file", f"cannot be read ({error.strerror})") from error
    return load_pickle(data, path, allowed)


def plain_array(value: object, dtype: type[np.generic] | None = None) -> np.ndarray:
    """Return an ordinary array of what a pickle holds: an array, or nested lists of numbers."""
    return np.asarray(value, dtype) if dtype else np.asarray(value)
