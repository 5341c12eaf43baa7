"""Import of timm, also where torchvision is missing or was built for another torch.

timm imports torchvision for image transforms and a frozen norm, which backbones do not use. PyPI's torchvision needs
the CUDA build of torch, so that it cannot be imported beside the CPU build. While timm is imported, names of
torchvision then stand for classes that cannot be used.
"""

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from swerve.scenes import MissingExtraError

INSTALL: Final = "pip install 'PATH[timm]', where PATH is Swerve's folder"
_NAME: Final = "torchvision"
# Module for which timm has a fallback.
_OPTIONAL: Final = f"{_NAME}.models"


def require_timm() -> ModuleType:
    """Import timm.

    Raises:
        MissingExtraError: timm is not installed.
    """
    try:
        return importlib.import_module("timm") if "timm" in sys.modules or has_torchvision() else _without_torchvision()
    except ImportError as error:
        raise MissingExtraError("timm", INSTALL) from error


def has_torchvision() -> bool:
    """Return whether torchvision can be imported."""
    try:
        importlib.import_module(_NAME)
    except (ImportError, RuntimeError, OSError):
        return False
    return True


def _without_torchvision() -> ModuleType:
    """Import timm with stand-ins for torchvision's modules, which are removed afterwards."""
    finder = _StandIns()
    _forget()
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module("timm")
    finally:
        sys.meta_path.remove(finder)
        _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == _NAME]:
        del sys.modules[name]


class _StandIns(MetaPathFinder, Loader):
    """Finder and loader of stand-ins for torchvision's modules."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ANN401
        """Return the spec of a stand-in."""
        if name.partition(".")[0] != _NAME:
            return None
        if name.startswith(_OPTIONAL):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a module whose every public name is a class."""
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module as it is."""


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 a class
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Missing(name, (), {})
        setattr(self, name, made)
        return made


class _Missing(type):
    """Class of a name of torchvision: it can be named, inherited and asked for constants, and not be instantiated."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("_"):
            raise AttributeError(name)
        return f"{cls.__name__}.{name}"

    def __call__(cls, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 nothing
        raise MissingExtraError(f"torchvision ({cls.__name__})", "pip install torchvision of torch's release and build")
