"""Locate kernels on disk by the names of their modules, so that all environments with the same sources share them.

Numba itself files kernels by the path of their source and its time of change, which differ between installations. The
folder of `swerve.scenes.kernel_cache` has the sources' digest in its name, so these say nothing more.
"""

import os
from collections.abc import Callable
from typing import Any

from numba.core.caching import _CacheLocator

FOLDER_VARIABLE = "NUMBA_CACHE_DIR"


class KernelLocator(_CacheLocator):
    """Locator of the kernels of this package; numba is told of it by `NUMBA_CACHE_LOCATOR_CLASSES`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._path = os.path.join(os.environ[FOLDER_VARIABLE], function.__module__)
        self._line = function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        """Return the folder of a module's kernels."""
        return self._path

    def get_source_stamp(self) -> str:
        """Return what has to be equal for a kernel to be used: nothing beyond the folder's digest."""
        return "by digest"

    def get_disambiguator(self) -> str:
        """Return what tells functions of the same name in a module apart."""
        return str(self._line)

    @classmethod
    def from_function(cls, function: Callable[..., Any], source_path: str) -> "KernelLocator | None":
        """Return the locator of a function; None for functions of other packages."""
        del source_path  # part of numba's interface
        return cls(function) if function.__module__.startswith("swerve.") else None
