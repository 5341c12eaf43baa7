"""Import the modules of a package when one of its names is used, not when the package is imported (PEP 562)."""

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any


class LazyPackage(ModuleType):
    """A package whose `__init__` imports its names under `if TYPE_CHECKING:`; they are imported when they are used.

    Type checkers and readers see plain imports, and the package's options can be read without its dependencies.
    """

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 whatever is exported
        module = _exports(self).get(name)
        if module is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(module), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, but do not hide an exported name behind a submodule of the same name."""
        if not (isinstance(value, ModuleType) and name in self.__dict__.get("__all__", ())):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__all__})


def make_lazy(package: str) -> None:
    """Make a package import its names when they are used; to be called at the end of its `__init__`."""
    sys.modules[package].__class__ = LazyPackage


def _exports(package: ModuleType) -> dict[str, str]:
    """Return the module of every name that the package imports under `if TYPE_CHECKING:`."""
    found: dict[str, str] | None = package.__dict__.get("_exports")
    if found is None:
        assert package.__spec__ is not None
        source = package.__spec__.loader.get_source(package.__name__)  # type: ignore[union-attr]  # read from source
        found = package.__dict__["_exports"] = dict(_imported(ast.parse(source)))
    return found


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names, and their modules, that a module imports for type checkers alone."""
    for block in tree.body:
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING":
            for node in block.body:
                if isinstance(node, ast.ImportFrom) and node.module:
                    yield from ((name.asname or name.name, node.module) for name in node.names)
