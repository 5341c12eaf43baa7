"""Names of NAVSIM's modules: the installed packages, or our compatibility classes in their place."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import RLock
from types import ModuleType

from swerve.planners.trained_file import INSTALL
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


def package_folders(package: str) -> list[Path]:
    """Return the folders of a package on the import path, installed in whatever way; nothing is imported."""
    for finder in sys.meta_path:
        found = finder.find_spec(package, None) if hasattr(finder, "find_spec") else None
        if found:
            return [Path(place) for place in found.submodule_search_locations or ()]
    return []


def is_installed(module: str) -> bool:
    """Return whether a package on the import path has the module.

    Other projects of the same name, such as navsim on PyPI, do not have it.
    """
    package, *rest = module.split(".")
    return any(place.joinpath(*rest).with_suffix(".py").is_file() for place in package_folders(package))


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
    """Return our modules, and the packages around them, by the names of those that are not installed.

    NAVSIM without nuPlan cannot be imported: then ours take the place of its modules, too.
    """
    nuplan = is_installed(SAMPLING)
    navsim = nuplan and is_installed(AGENT)
    provided: dict[str, ModuleType] = {}
    for name, ours in _OURS.items():
        if nuplan if name == SAMPLING else navsim:
            continue
        provided[name] = _imported(ours)
        parts = name.split(".")
        for count in range(1, len(parts)):
            provided.setdefault(".".join(parts[:count]), _package(parts[:count]))
    for name, module in provided.items():
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(provided[parent], own, module)
    return provided


def _package(parts: Sequence[str]) -> ModuleType:
    """Return a package of which we provide modules; others are looked for where the package lies, if it does."""
    package = ModuleType(".".join(parts), "Part of NAVSIM's names that Swerve provides.")
    package.__path__ = [str(place.joinpath(*parts[1:])) for place in package_folders(parts[0])]
    return package


def _imported(ours: str) -> ModuleType:
    try:
        return import_module(f"swerve.planners.navsim.compatibility.{ours}")
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", INSTALL) from error
