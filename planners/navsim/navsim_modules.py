"""Names of NAVSIM's modules: the installed packages, or our compatibility classes in their place."""

import importlib.machinery
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import RLock
from types import ModuleType

from swerve.planners.baselines.ego_mlp import INSTALL
from swerve.scenes import MissingExtraError

DATACLASSES = "navsim.common.dataclasses"
AGENT = "navsim.agents.abstract_agent"
SAMPLING = "nuplan.planning.simulation.trajectory.trajectory_sampling"
# Modules that we provide, and ours in their place, which need torch.
_OURS = {
    SAMPLING: "trajectory_sampling",
    DATACLASSES: "dataclasses",
    "navsim.planning.training.abstract_feature_target_builder": "abstract_feature_target_builder",
    AGENT: "abstract_agent",
}
_LOCK = RLock()


def is_installed(module: str) -> bool:
    """Return whether a package on the import path has the module; nothing is imported.

    Other projects of the same name, such as navsim on PyPI, do not have it.
    """
    package, *rest = module.split(".")
    found = importlib.machinery.PathFinder.find_spec(package)
    places = (found.submodule_search_locations or ()) if found else ()
    return any(Path(place).joinpath(*rest).with_suffix(".py").is_file() for place in places)


@contextmanager
def navsim_modules() -> Iterator[None]:
    """Let `import navsim...` and `import nuplan...` find the installed packages, or our modules where there are none.

    Afterwards `sys.modules` has what it had before under these names, so that no other code meets our modules.

    Raises:
        MissingExtraError: torch is required and not installed.
    """
    with _LOCK:
        provided = _provided()
        packages = {name.split(".")[0] for name in provided}
        before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in packages}
        for name in before:
            del sys.modules[name]
        sys.modules.update(provided)
        try:
            yield
        finally:
            for name in [name for name in sys.modules if name.split(".")[0] in packages]:
                del sys.modules[name]
            sys.modules.update(before)


def _provided() -> dict[str, ModuleType]:
    """Return our modules, and the packages around them, by the names of those that are not installed."""
    missing = {name: ours for name, ours in _OURS.items() if not is_installed(AGENT if "navsim" in name else SAMPLING)}
    provided: dict[str, ModuleType] = {}
    for name, ours in missing.items():
        provided[name] = _imported(ours)
        parts = name.split(".")
        for count in range(1, len(parts)):
            provided.setdefault(".".join(parts[:count]), _package(".".join(parts[:count])))
    for name, module in provided.items():
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(provided[parent], own, module)
    return provided


def _package(name: str) -> ModuleType:
    """Return an empty package: importing another of its modules raises ModuleNotFoundError."""
    package = ModuleType(name, "Part of NAVSIM's names that Swerve provides.")
    package.__path__ = []
    return package


def _imported(ours: str) -> ModuleType:
    try:
        return import_module(f"swerve.planners.navsim.compatibility.{ours}")
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", INSTALL) from error
