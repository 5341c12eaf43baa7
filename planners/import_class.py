"""Import of classes and functions by name, from installed packages and from the current folder."""

import os
import sys
from importlib import import_module
from typing import Any

from swerve.scenes import SwerveError


def import_class(spec: str, module: str, name: str, kind: str = "planner") -> Any:  # noqa: ANN401 any object
    """Import a user's class or function.

    The current folder stays on the import path: planners may import when they are called.

    Args:
        spec: of the planner, for errors.
        module: name of the module.
        name: of the class or function in it.
        kind: what it is, for errors.

    Raises:
        SwerveError: the module cannot be found or imported, or has nothing callable of that name.
    """
    if not all(part.isidentifier() for part in module.split(".")):
        raise SwerveError(
            f"{kind} {spec}: {module!r} is not the name of a module, such as my_{kind} or package.my_{kind}. "
            "Run the command in the folder that holds it, or put that folder on PYTHONPATH"
        )
    add_current_folder()
    try:
        found: Any = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(error.name + ".")):
            own = f"; perhaps {module.removesuffix('.py')}:{name}" if module.endswith(".py") else ""
            raise SwerveError(
                f"{kind} {spec}: no module {error.name!r}, neither installed nor in {os.getcwd()}{own}"
            ) from error
        agent = f". An agent of NAVSIM is named navsim:{module}.{name}" if error.name == "navsim" else ""
        raise SwerveError(f"{kind} {spec}: {module} cannot be imported ({error}){agent}") from error
    except Exception as error:
        raise SwerveError(f"{kind} {spec}: {module} cannot be imported ({describe(error)})") from error
    if not callable(found):
        raise SwerveError(f"{kind} {spec}: module {module} has no class {name!r}{_classes_of(module)}")
    return found


def _classes_of(module: str) -> str:
    """Return the classes that a module defines, to choose from."""
    own = [name for name, one in vars(sys.modules[module]).items() if getattr(one, "__module__", "") == module]
    return f"; it has {', '.join(own[:5])}" if own else ""


def add_current_folder() -> None:
    """Put the current folder on the import path."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def describe(error: BaseException) -> str:
    """Return an exception's type and message."""
    return f"{type(error).__name__}: {error}"
